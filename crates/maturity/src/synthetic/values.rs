//! What is seen of a synthetic organisation.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use super::{Counter, Random};
use crate::attestation::{Attestation, Claim};
use crate::evidence::{Evidence, Observation, Source, Trust, Value};
use crate::facts::{Entry, EntryKind, organisation, platform};
use crate::model::{Attester, Criterion};
use crate::signal::{Fact, Nature, Unit};
use crate::words::{ItemKey, Subject, SubjectKind, SubjectName};

/// Facts of every image.
const OF_IMAGES: [Fact; 13] = [
    Fact::ImageSigned,
    Fact::ImageScanned,
    Fact::ImageDecided,
    Fact::DecidedBeforeUse,
    Fact::ImageSecretFree,
    Fact::BaseKnown,
    Fact::BaseApproved,
    Fact::SbomPresent,
    Fact::ProvenancePresent,
    Fact::ProvenanceHosted,
    Fact::RevisionLabelled,
    Fact::PushedByRobot,
    Fact::TagByRule,
];

/// What the registry does itself, however little care an application takes.
const BY_REGISTRY: [Fact; 4] = [
    Fact::ImageScanned,
    Fact::ImageDecided,
    Fact::SbomPresent,
    Fact::BaseKnown,
];

const STATES: [Fact; 17] = [
    Fact::OwnerKnown,
    Fact::ContactKnown,
    Fact::TierDeclared,
    Fact::GoldenPathNamed,
    Fact::GoldenPathDrift,
    Fact::RebaseRingSet,
    Fact::TagsImmutable,
    Fact::AdvisoryAge,
    Fact::FindingsToldToOwner,
    Fact::DecisionsKept,
    Fact::PolicyByTier,
    Fact::ExemptionsLive,
    Fact::ExemptionsComplete,
    Fact::ExemptionsExpired,
    Fact::KpiBaseline,
    Fact::KpiWeeks,
    Fact::ManifestsInGit,
];

const HAPPENINGS: [Fact; 5] = [
    Fact::RebaseAccepted,
    Fact::FixAutomated,
    Fact::FixProposed,
    Fact::FixWithinDeadline,
    Fact::FixWithinRing,
];

/// Writes entries of one day.
#[derive(Debug)]
pub(super) struct Writer {
    counter: Counter,
    noon: OffsetDateTime,
    entries: Vec<Entry>,
    source: Source,
    items: u64,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            counter: Counter::default(),
            noon: OffsetDateTime::UNIX_EPOCH,
            entries: Vec::new(),
            source: Source {
                name: Arc::from("registry"),
                trust: Trust::Registry,
            },
            items: 0,
        }
    }
}

impl Writer {
    pub(super) fn begin(&mut self, noon: OffsetDateTime) {
        self.noon = noon;
        self.counter.within_day = 0;
    }

    pub(super) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    pub(super) fn entry(&mut self, kind: EntryKind) {
        let entry = self.counter.next(self.noon, kind);
        self.entries.push(entry);
    }

    fn item(&mut self, what: &str) -> Option<ItemKey> {
        self.items += 1;
        format!("{what}-{}", self.items).parse().ok()
    }

    fn seen(&mut self, subject: &Subject, fact: Fact, item: Option<ItemKey>, value: Value) {
        let is_state = item.is_none();
        let Ok(id) = format!("synthetic-{}", self.counter.event + 1).parse() else {
            return;
        };
        let evidence = Evidence {
            subject: subject.clone(),
            fact,
            item,
            seen: Observation {
                id,
                value,
                observed_at: self.noon,
                valid_until: is_state.then(|| self.noon + Duration::days(45)),
                source: self.source.clone(),
                events: Vec::new(),
            },
        };
        self.entry(EntryKind::Seen(Box::new(evidence)));
    }

    pub(super) fn image(&mut self, app: &SubjectName, care: u32, random: &mut Random) {
        let item = self.item("image");
        let subject = Subject::app(app.clone());
        for fact in OF_IMAGES {
            // Most of what a pipeline does, it does each time.
            let chance = if BY_REGISTRY.contains(&fact) {
                1000
            } else {
                care + (1000 - care) * 9 / 10
            };
            let value = Value::Flag(random.below(1000) < chance);
            self.seen(&subject, fact, item.clone(), value);
        }
    }

    pub(super) fn states(&mut self, app: &SubjectName, care: u32, random: &mut Random) {
        let subject = Subject::app(app.clone());
        for fact in STATES {
            let value = value(&fact, care, random);
            self.seen(&subject, fact, None, value);
        }
    }

    pub(super) fn happenings(&mut self, app: &SubjectName, care: u32, random: &mut Random) {
        let subject = Subject::app(app.clone());
        for fact in HAPPENINGS {
            if random.below(3) == 0 {
                let item = self.item("happening");
                let value = value(&fact, care, random);
                self.seen(&subject, fact, item, value);
            }
        }
    }

    /// Teams, the platform and the organisation, once a week: all facts of the vocabulary that the registry knows of them.
    pub(super) fn larger_subjects(&mut self, day: u32, teams: u32, random: &mut Random) {
        for fact in Fact::ALL {
            let Some(info) = fact.built_in().filter(|info| info.scope != SubjectKind::App) else {
                continue;
            };
            let is_known = info.origin == crate::signal::Origin::Registry;
            if !is_known || day % 7 != 2 {
                continue;
            }
            for subject in larger(info.scope, teams) {
                let item = if info.nature == Nature::State {
                    None
                } else {
                    self.item("happening")
                };
                let value = value(fact, 850, random);
                self.seen(&subject, fact.clone(), item, value);
            }
        }
    }

    pub(super) fn attestation(&mut self, criterion: &Criterion, attester: &Attester, subject: Subject) {
        let number = self.counter.event + 1;
        let (Ok(id), Ok(by)) = (
            format!("attestation-{number}").parse(),
            "lead@example.org".parse(),
        ) else {
            return;
        };
        let attestation = Attestation {
            id,
            subject,
            criterion: criterion.id.clone(),
            by,
            claim: Claim::Holds,
            link: "https://example.org/proof".to_owned(),
            note: String::new(),
            from: self.noon,
            until: self.noon + Duration::days(i64::from(attester.expires_days)),
            renews: None,
        };
        let id = attestation.id.clone();
        self.entry(EntryKind::Attested(Box::new(attestation)));
        if let (true, Ok(by)) = (attester.second_person, "peer@example.org".parse()) {
            self.entry(EntryKind::Confirmed { attestation: id, by });
        }
    }
}

/// A value as the care of a subject makes it.
fn value(fact: &Fact, care: u32, random: &mut Random) -> Value {
    let is_good = random.below(1000) < care;
    let unit = fact.built_in().map_or(Unit::Flag, |info| info.unit);
    let number = match (fact, unit) {
        (_, Unit::Flag) => return Value::Flag(is_good),
        (Fact::KpiWeeks, _) => 2 + random.below(20),
        (Fact::DecisionsKept, _) => 60 + random.below(300),
        (_, Unit::Count) => u32::from(!is_good) * (1 + random.below(4)),
        (_, Unit::Percent) if is_good => 100 + random.below(3),
        (_, Unit::Percent) => random.below(100),
        (_, Unit::Minutes | Unit::Days) if is_good => random.below(60),
        (_, Unit::Minutes | Unit::Days) => 60 + random.below(3000),
    };
    Value::Number(i64::from(number))
}

/// All subjects of a larger scope.
pub(super) fn larger(scope: SubjectKind, teams: u32) -> impl Iterator<Item = Subject> {
    let teams = if scope == SubjectKind::Team { teams } else { 0 };
    let one = match scope {
        SubjectKind::Platform => Some(platform(None)),
        SubjectKind::Org => Some(organisation()),
        SubjectKind::App | SubjectKind::Team => None,
    };
    let teams = (0..teams).filter_map(|team| Some(Subject::team(format!("team-{team}").parse().ok()?)));
    teams.chain(one)
}
