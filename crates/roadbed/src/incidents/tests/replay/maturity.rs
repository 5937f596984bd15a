//! Step 10: what the day has moved of where applications stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maturity::{
    assessment::Assessment,
    evidence::EvidenceLimits,
    facts::{Entry, EntryKind, Placement, Targets},
    model::Model,
    rule::State,
    signal::Fact,
    words::{CriterionId, EventId, Subject},
};

use super::{Day, fleet::ROWS, say};
use crate::maturity::collector::{Asked, Collector, ORGANISATION, PLATFORM};

/// What only an incident and what is done about it tells of.
const OF_INCIDENTS: [Fact; 11] = [
    Fact::DeadlineTracked,
    Fact::FixAutomated,
    Fact::FixProposed,
    Fact::FixWithinDeadline,
    Fact::FixWithinRing,
    Fact::HandsFreeFix,
    Fact::IncidentClosed,
    Fact::IncidentDrill,
    Fact::IncidentRecurrence,
    Fact::MassUpdate,
    Fact::RebaseAccepted,
];

/// States of criteria, by subject.
type States = BTreeMap<(Subject, CriterionId), State>;

/// Where everybody stands, asked every night that is played.
pub(super) struct Watch {
    assessment: Assessment,
    collectors: Vec<Arc<dyn Collector>>,
    nights: u64,
}

fn subjects() -> Vec<Subject> {
    let apps = ROWS.iter().map(|row| format!("app:{}", row.to_lowercase()));
    let others = [PLATFORM, ORGANISATION].map(str::to_owned);
    apps.chain(others)
        .map(|subject| subject.parse().unwrap())
        .collect()
}

impl Watch {
    /// Before anything is known: with all that the registry tells of everybody.
    pub(super) async fn begin(day: &Day) -> Self {
        let model = Arc::new(Model::cnmm().unwrap());
        let collectors = crate::maturity::collectors(day.kit.store.clone(), Arc::clone(&day.kit.fleet));
        let mut watch = Self {
            assessment: Assessment::new(model, EvidenceLimits::default()),
            collectors,
            nights: 0,
        };
        for row in ROWS {
            let placement = Placement {
                app: row.to_lowercase().parse().unwrap(),
                team: None,
                platform: None,
                tier: None,
                targets: Targets::default(),
            };
            watch.apply(day, EntryKind::Placed(Box::new(placement)));
        }
        for entry in watch.night(day).await {
            watch.apply(day, entry);
        }
        watch
    }

    fn apply(&mut self, day: &Day, kind: EntryKind) {
        let applied = self.assessment.apply(Entry {
            event: EventId(self.nights),
            at: day.kit.now(),
            kind,
        });
        assert_eq!(applied.refusal, None);
    }

    async fn night(&mut self, day: &Day) -> Vec<EntryKind> {
        self.nights += 1;
        let asked = Asked {
            event: EventId(self.nights),
            at: day.kit.now(),
        };
        let mut kinds = Vec::new();
        for subject in subjects() {
            for collector in &self.collectors {
                let entries = collector.of_subject(asked, &subject).await.unwrap();
                kinds.extend(entries.into_iter().map(|entry| entry.kind));
            }
        }
        kinds
    }

    fn states(&self) -> States {
        let mut states = States::new();
        for subject in subjects() {
            for criterion in self.assessment.model().criteria() {
                if let Some(state) = self.assessment.state(&subject, &criterion.id) {
                    states.insert((subject.clone(), criterion.id.clone()), state);
                }
            }
        }
        states
    }

    /// What the incident moves, and nothing else: evidence of images that were pushed meanwhile is left out.
    pub(super) async fn end(mut self, day: &Day) {
        let at = day.kit.now();
        self.assessment.advance(at);
        let before = self.states();
        let is_of_incident = |kind: &EntryKind| matches!(kind, EntryKind::Seen(evidence) if OF_INCIDENTS.contains(&evidence.fact));
        let told: Vec<EntryKind> = self.night(day).await.into_iter().filter(is_of_incident).collect();
        assert!(!told.is_empty());
        for kind in told {
            self.apply(day, kind);
        }
        let after = self.states();
        let moved: Vec<(&(Subject, CriterionId), State)> = after
            .iter()
            .filter(|(key, state)| before.get(key) != Some(state))
            .map(|(key, state)| (key, *state))
            .collect();
        let criteria: BTreeSet<String> = moved
            .iter()
            .map(|((_, criterion), _)| criterion.to_string())
            .collect();
        let lines: Vec<String> = moved
            .iter()
            .map(|((subject, criterion), state)| format!("{subject} {criterion} {state:?}"))
            .collect();
        say(&format!("step 10: {}", lines.join(", ")));
        // By hand, and one came back. TE-CON-3 and X-PAV-4 are about waves of rebases, of which this day has none.
        let wanted = ["PR-LIF-3", "X-INC-4"];
        let wanted: BTreeSet<String> = wanted.map(str::to_owned).into_iter().collect();
        assert_eq!(criteria, wanted, "{lines:?}");
        self.check_causes();
    }

    /// History says why.
    fn check_causes(&self) {
        let subject: Subject = ORGANISATION.parse().unwrap();
        let criterion: CriterionId = "X-INC-4".parse().unwrap();
        let why = self.assessment.why(&subject, &criterion).unwrap();
        let links = why.checks.iter().map(|check| check.evidence.len()).sum::<usize>();
        assert!(links > 0, "{why:?}");
    }
}
