//! All that is known: evidence, attestations, exemptions, and who belongs to whom.

mod placement;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::attestation::{Act, Attestation, AttestationError, Record, check_dates};
use crate::evidence::{Evidence, EvidenceError, EvidenceLimits, Series};
use crate::exemption::{Exemption, ExemptionError};
use crate::model::Model;
use crate::signal::Fact;
use crate::words::{CriterionId, EventId, Person, RecordId, Subject, SubjectKind, SubjectName};

pub use placement::{Chain, DEFAULT_PLATFORM, ORGANISATION, Placement, Targets, organisation, platform};

/// Something that happened, as the event log holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The number of the event.
    pub event: EventId,
    /// When it came to the registry, by the registry's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub kind: EntryKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", content = "body", rename_all = "kebab-case")]
pub enum EntryKind {
    /// Something was seen.
    Seen(Box<Evidence>),
    /// Somebody vouched for something.
    Attested(Box<Attestation>),
    /// A second person confirmed an attestation.
    Confirmed {
        /// Which.
        attestation: RecordId,
        /// Who.
        by: Person,
    },
    /// An attestation was taken back.
    Revoked {
        /// Which.
        attestation: RecordId,
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// Somebody need not meet a criterion.
    Exempted(Box<Exemption>),
    /// An exemption ended before its time.
    ExemptionEnded(RecordId),
    /// An application, its team, its tier and its targets.
    Placed(Box<Placement>),
    /// An application, a team or a platform is no more. Its history stays.
    Gone(Subject),
    /// Another model or another version of it judges from now on.
    Judged(Box<Model>),
}

/// Why an entry is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Evidence that cannot be.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// An attestation that cannot be.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// An exemption that cannot be.
    #[error(transparent)]
    Exemption(#[from] ExemptionError),
    /// A record that is not there.
    #[error("there is no {what} `{id}`")]
    NoRecord {
        /// What kind.
        what: &'static str,
        /// Which.
        id: RecordId,
    },
    /// Another record under the same id.
    #[error("{what} `{id}` is there already and says something else: give it another id")]
    Twice {
        /// What kind.
        what: &'static str,
        /// Which.
        id: RecordId,
    },
}

/// What an entry touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Nothing that is kept changed.
    Nothing,
    /// One fact of a subject.
    Fact(Subject, Fact),
    /// One criterion of a subject.
    Criterion(Subject, CriterionId),
    /// Where an application belongs.
    Place(SubjectName),
    /// A subject that is no more.
    Gone(Subject),
    /// Everything.
    All(Box<Model>),
}

/// All that is known.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    seen: HashMap<Subject, HashMap<Fact, Series>>,
    attestations: BTreeMap<RecordId, Record>,
    attested: HashMap<(Subject, CriterionId), Vec<RecordId>>,
    exemptions: BTreeMap<RecordId, Exemption>,
    exempt: HashMap<(Subject, CriterionId), Vec<RecordId>>,
    granted_by: HashMap<RecordId, EventId>,
    placements: BTreeMap<SubjectName, Placement>,
    /// Teams and platforms that some application ever named, and that are still there.
    named: BTreeSet<Subject>,
    gone: BTreeSet<Subject>,
}

impl Facts {
    /// Takes one entry. What it may not be is told; roles were checked by whoever wrote the entry.
    pub fn add(&mut self, model: &Model, entry: Entry, limits: &EvidenceLimits) -> Result<(), Refusal> {
        self.take(model, entry, limits).map(drop)
    }

    pub(crate) fn take(
        &mut self,
        model: &Model,
        entry: Entry,
        limits: &EvidenceLimits,
    ) -> Result<Touched, Refusal> {
        let at = entry.at;
        match entry.kind {
            EntryKind::Seen(evidence) => {
                evidence.check(model, at, limits)?;
                Ok(self.see(*evidence, entry.event))
            }
            EntryKind::Attested(attestation) => self.attest(*attestation, at, entry.event),
            EntryKind::Confirmed { attestation, by } => self.confirm(&attestation, by, at),
            EntryKind::Revoked {
                attestation,
                by,
                reason,
            } => self.revoke(&attestation, Act { by, at, reason }),
            EntryKind::Exempted(exemption) => self.exempt(model, *exemption, entry.event),
            EntryKind::ExemptionEnded(id) => self.end_exemption(&id, at),
            EntryKind::Placed(placement) => Ok(self.place(*placement)),
            EntryKind::Gone(subject) => Ok(self.leave(subject)),
            EntryKind::Judged(model) => Ok(Touched::All(model)),
        }
    }

    fn see(&mut self, mut evidence: Evidence, event: EventId) -> Touched {
        if evidence.seen.events.is_empty() {
            evidence.seen.events = vec![event];
        }
        let of = self.seen.entry(evidence.subject.clone()).or_default();
        let series = of.entry(evidence.fact.clone()).or_default();
        if series.offer(evidence.item, evidence.seen) {
            Touched::Fact(evidence.subject, evidence.fact)
        } else {
            Touched::Nothing
        }
    }

    fn attest(
        &mut self,
        attestation: Attestation,
        at: OffsetDateTime,
        event: EventId,
    ) -> Result<Touched, Refusal> {
        check_dates(&attestation, at)?;
        if let Some(known) = self.attestations.get(&attestation.id) {
            return if known.attestation == attestation {
                Ok(Touched::Nothing)
            } else {
                Err(twice("attestation", &attestation.id))
            };
        }
        let key = (attestation.subject.clone(), attestation.criterion.clone());
        if let Some(renewed) = &attestation.renews {
            let known = self.attestations.get(renewed).map(|record| &record.attestation);
            let is_same = |one: &Attestation| one.subject == key.0 && one.criterion == key.1;
            if !known.is_some_and(is_same) {
                return Err(no_record(
                    "attestation of the same that could be renewed,",
                    renewed,
                ));
            }
        }
        self.attested
            .entry(key.clone())
            .or_default()
            .push(attestation.id.clone());
        let record = Record {
            attestation,
            event,
            confirmed: None,
            revoked: None,
        };
        self.attestations.insert(record.attestation.id.clone(), record);
        Ok(Touched::Criterion(key.0, key.1))
    }

    fn confirm(&mut self, id: &RecordId, by: Person, at: OffsetDateTime) -> Result<Touched, Refusal> {
        let record = self
            .attestations
            .get_mut(id)
            .ok_or_else(|| no_record("attestation", id))?;
        if record.attestation.by == by {
            return Err(AttestationError::SamePerson(by).into());
        }
        if record.confirmed.is_some() {
            return Ok(Touched::Nothing);
        }
        let reason = String::new();
        record.confirmed = Some(Act { by, at, reason });
        Ok(touched(
            &record.attestation.subject,
            &record.attestation.criterion,
        ))
    }

    fn revoke(&mut self, id: &RecordId, act: Act) -> Result<Touched, Refusal> {
        let record = self
            .attestations
            .get_mut(id)
            .ok_or_else(|| no_record("attestation", id))?;
        if record.revoked.is_some() {
            return Ok(Touched::Nothing);
        }
        record.revoked = Some(act);
        Ok(touched(
            &record.attestation.subject,
            &record.attestation.criterion,
        ))
    }

    fn exempt(&mut self, model: &Model, exemption: Exemption, event: EventId) -> Result<Touched, Refusal> {
        exemption.check(model)?;
        if let Some(known) = self.exemptions.get(&exemption.id) {
            return if *known == exemption {
                Ok(Touched::Nothing)
            } else {
                Err(twice("exemption", &exemption.id))
            };
        }
        let key = (exemption.subject.clone(), exemption.criterion.clone());
        self.exempt
            .entry(key.clone())
            .or_default()
            .push(exemption.id.clone());
        self.granted_by.insert(exemption.id.clone(), event);
        self.exemptions.insert(exemption.id.clone(), exemption);
        Ok(Touched::Criterion(key.0, key.1))
    }

    fn end_exemption(&mut self, id: &RecordId, at: OffsetDateTime) -> Result<Touched, Refusal> {
        let exemption = self
            .exemptions
            .get_mut(id)
            .ok_or_else(|| no_record("exemption", id))?;
        exemption.until = exemption.until.min(at);
        Ok(touched(&exemption.subject, &exemption.criterion))
    }

    fn place(&mut self, placement: Placement) -> Touched {
        let app = placement.app.clone();
        let mut returned = self.gone.remove(&Subject::app(app.clone()));
        let team = placement.team.clone().map(Subject::team);
        // Whoever is named again is there again.
        for larger in team.into_iter().chain([platform(placement.platform.clone())]) {
            returned |= self.gone.remove(&larger);
            self.named.insert(larger);
        }
        let before = self.placements.insert(app.clone(), placement);
        if !returned && before.as_ref() == self.placements.get(&app) {
            Touched::Nothing
        } else {
            Touched::Place(app)
        }
    }

    fn leave(&mut self, subject: Subject) -> Touched {
        // The organisation, and the platform of those that name none, are always there.
        if subject == organisation() || subject == platform(None) {
            return Touched::Nothing;
        }
        if subject.kind == SubjectKind::App {
            self.placements.remove(&subject.name);
        }
        self.named.remove(&subject);
        if self.gone.insert(subject.clone()) {
            Touched::Gone(subject)
        } else {
            Touched::Nothing
        }
    }

    /// Applications that are there, by name.
    pub fn apps(&self) -> impl Iterator<Item = &Placement> {
        self.placements.values()
    }

    /// Where an application belongs.
    pub fn placement(&self, app: &SubjectName) -> Option<&Placement> {
        self.placements.get(app)
    }

    /// Teams that own applications, by name.
    pub fn teams(&self) -> BTreeSet<&SubjectName> {
        let teams = self.apps().filter_map(|placement| placement.team.as_ref());
        teams
            .filter(|team| !self.is_gone(&Subject::team((*team).clone())))
            .collect()
    }

    /// All that is judged: applications, their teams and platforms, and the organisation.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let apps = self.apps().map(Placement::subject);
        let larger = self.named.iter().cloned().chain([platform(None), organisation()]);
        apps.chain(larger).collect()
    }

    /// Applications that stand on a subject.
    pub(crate) fn apps_on<'f>(&'f self, subject: &'f Subject) -> impl Iterator<Item = &'f Placement> + 'f {
        self.apps().filter(move |placement| match subject.kind {
            SubjectKind::App => placement.app == subject.name,
            SubjectKind::Team => placement.team.as_ref() == Some(&subject.name),
            SubjectKind::Platform => placement.platform_name() == subject.name.as_str(),
            SubjectKind::Org => true,
        })
    }

    /// Whether a subject was there and is no more.
    pub fn is_gone(&self, subject: &Subject) -> bool {
        self.gone.contains(subject)
    }

    /// Every attestation of a criterion, the oldest entry first.
    pub fn attested(&self, subject: &Subject, criterion: &CriterionId) -> impl Iterator<Item = &Record> {
        let ids = self.attested.get(&(subject.clone(), criterion.clone()));
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.attestations.get(id))
    }

    /// One attestation.
    pub fn attestation(&self, id: &RecordId) -> Option<&Record> {
        self.attestations.get(id)
    }

    /// Every exemption from a criterion.
    pub fn exemptions(&self, subject: &Subject, criterion: &CriterionId) -> impl Iterator<Item = &Exemption> {
        let ids = self.exempt.get(&(subject.clone(), criterion.clone()));
        ids.into_iter().flatten().filter_map(|id| self.exemptions.get(id))
    }

    /// The event with which an exemption was granted.
    pub fn granted_by(&self, id: &RecordId) -> Option<EventId> {
        self.granted_by.get(id).copied()
    }

    /// All exemptions that were ever granted.
    pub fn all_exemptions(&self) -> impl Iterator<Item = &Exemption> {
        self.exemptions.values()
    }

    pub(crate) fn series(&self, subject: &Subject, fact: &Fact) -> Option<&Series> {
        self.seen.get(subject)?.get(fact)
    }
}

fn touched(subject: &Subject, criterion: &CriterionId) -> Touched {
    Touched::Criterion(subject.clone(), criterion.clone())
}

fn no_record(what: &'static str, id: &RecordId) -> Refusal {
    Refusal::NoRecord { what, id: id.clone() }
}

fn twice(what: &'static str, id: &RecordId) -> Refusal {
    Refusal::Twice { what, id: id.clone() }
}
