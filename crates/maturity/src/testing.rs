//! A small model and a world in which things happen, for the tests of all modules.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::assessment::{Applied, Assessment, Entry, EntryKind};
use crate::attestation::{Attestation, Claim};
use crate::evidence::{Evidence, EvidenceLimits, Observation, Source, Trust, Value};
use crate::exemption::Exemption;
use crate::facts::{Placement, Targets};
use crate::model::Model;
use crate::rule::State;
use crate::signal::Fact;
use crate::words::{CriterionId, EventId, Subject, SubjectName};

pub(crate) const MODEL: &str = r#"
apiVersion: maturity/v1
kind: Model
id: small
version: "1"
levels:
  - {level: 1, name: One}
  - {level: 2, name: Two}
  - {level: 3, name: Three}
categories:
  - id: tech
    name: Technology
    topics:
      - {id: images, name: Images}
      - {id: owners, name: Owners}
  - id: people
    name: People
    topics:
      - {id: training, name: Training}
      - {id: nothing, name: Nothing}
facts:
  - {name: cost-report, nature: state, unit: percent, scope: app, about: "Cost that is explained."}
criteria:
  - {id: I-1, topic: tech/images, level: 1, criterion: Signed., evidence: auto,
     signal: {fact: image-signed, last: 1},
     remedy: {do: Sign it., command: "sign {app}"}}
  - {id: I-2, topic: tech/images, level: 2, criterion: Scanned., evidence: auto,
     signal: {fact: image-scanned, share: 80, days: 90}, remedy: {do: Scan it., page: scan}}
  - {id: I-2s, topic: tech/images, level: 2, criterion: Base known., evidence: auto, weight: supporting,
     signal: {fact: base-known, last: 1}}
  - {id: I-3, topic: tech/images, level: 3, criterion: Few exemptions., evidence: auto, requires: [I-1],
     signal: {fact: exemptions-live, at_most: 1}, remedy: {do: Sign it., command: "sign {app}"}}
  - {id: O-1, topic: tech/owners, level: 1, criterion: Owned., evidence: auto,
     signal: {fact: owner-known, days: 30}}
  - {id: O-2, topic: tech/owners, level: 2, criterion: Trained., scope: team, evidence: attestation,
     attester: {role: team-lead, expires_days: 100, second_person: true}}
  - {id: O-3, topic: tech/owners, level: 3, criterion: Named., scope: org, evidence: auto,
     signal: {fact: no-anonymous}}
  - {id: T-1, topic: people/training, level: 1, criterion: Documented., evidence: hybrid,
     signal: {fact: needs-documented}, attester: {role: service-owner, expires_days: 50, needs: either}}
  - {id: T-2, topic: people/training, level: 2, criterion: Models are checked., evidence: hybrid,
     applies_if: {fact: ships-model}, signal: {fact: chaos-run, days: 90, hits: 1},
     attester: {role: service-owner, expires_days: 50}}
"#;

pub(crate) fn model() -> Model {
    Model::parse("small.yaml", MODEL).unwrap()
}

/// The beginning of a day.
pub(crate) fn day(day: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000 + day)
}

pub(crate) fn id(text: &str) -> CriterionId {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> SubjectName {
    text.parse().unwrap()
}

pub(crate) fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

pub(crate) fn placed(app: &str, team: Option<&str>, tier: u8) -> EntryKind {
    EntryKind::Placed(Box::new(Placement {
        app: name(app),
        team: team.map(name),
        platform: None,
        tier: Some(tier),
        targets: Targets::default(),
    }))
}

pub(crate) fn evidence(
    of: &str,
    fact: &Fact,
    item: Option<&str>,
    value: Value,
    at: OffsetDateTime,
) -> Evidence {
    let key = format!("{of}/{fact}/{}/{}", item.unwrap_or("-"), at.unix_timestamp());
    Evidence {
        subject: subject(of),
        fact: fact.clone(),
        item: item.map(|item| item.parse().unwrap()),
        seen: Observation {
            id: key.parse().unwrap(),
            value,
            observed_at: at,
            valid_until: None,
            source: Source {
                name: "registry".into(),
                trust: Trust::Registry,
            },
            events: Vec::new(),
        },
    }
}

pub(crate) fn attestation(record: &str, of: &str, criterion: &str, from: i64, until: i64) -> Attestation {
    Attestation {
        id: record.parse().unwrap(),
        subject: subject(of),
        criterion: id(criterion),
        by: "alice".parse().unwrap(),
        claim: Claim::Holds,
        link: "https://example.org/".to_owned(),
        note: String::new(),
        from: day(from),
        until: day(until),
        renews: None,
    }
}

pub(crate) fn exemption(record: &str, of: &str, criterion: &str, from: i64, until: i64) -> Exemption {
    Exemption {
        id: record.parse().unwrap(),
        subject: subject(of),
        criterion: id(criterion),
        from: day(from),
        until: day(until),
        reason: "the supplier has no other".to_owned(),
        requested_by: "alice".parse().unwrap(),
        approved_by: "bob".parse().unwrap(),
    }
}

/// An assessment in which things happen.
pub(crate) struct World {
    pub(crate) assessment: Assessment,
    pub(crate) log: Vec<Entry>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(model())
    }

    pub(crate) fn of(model: Model) -> Self {
        Self {
            assessment: Assessment::new(Arc::new(model), EvidenceLimits::default()),
            log: Vec::new(),
        }
    }

    pub(crate) fn at(&mut self, when: i64, kind: EntryKind) -> Applied {
        let event = EventId(self.log.len() as u64 + 1);
        let entry = Entry {
            event,
            at: day(when),
            kind,
        };
        self.log.push(entry.clone());
        self.assessment.apply(entry)
    }

    /// What must be taken.
    pub(crate) fn takes(&mut self, when: i64, kind: EntryKind) {
        let refusal = self.at(when, kind).refusal;
        assert_eq!(refusal, None);
    }

    pub(crate) fn sees(&mut self, when: i64, of: &str, fact: &Fact, value: Value) {
        let nature = fact.built_in().unwrap().nature;
        let item = (nature != crate::signal::Nature::State).then(|| format!("item-{}", self.log.len()));
        let evidence = evidence(of, fact, item.as_deref(), value, day(when));
        self.takes(when, EntryKind::Seen(Box::new(evidence)));
    }

    pub(crate) fn attests(&mut self, when: i64, attestation: Attestation) {
        self.takes(when, EntryKind::Attested(Box::new(attestation)));
    }

    pub(crate) fn state(&self, of: &str, criterion: &str) -> State {
        self.assessment.state(&subject(of), &id(criterion)).unwrap()
    }

    pub(crate) fn level(&self, app: &str, topic: &str) -> Option<u8> {
        let topic = topic.parse().unwrap();
        let app = name(app);
        let mut levels = self.assessment.levels(&app).unwrap();
        levels.find(|(known, _)| **known == topic).unwrap().1
    }
}
