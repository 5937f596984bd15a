//! What changed, when and why: enough to tell where everybody stood at any moment.
//!
//! What was never recorded is unknown, and of level 0. A change is written once and never again: feeding the same entries to a new
//! [`Assessment`](crate::assessment::Assessment) gives the same changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::TopicId;
use crate::rule::State;
use crate::signal::Fact;
use crate::words::{CriterionId, EventId, RecordId, RuleVersion, Subject, SubjectKind};

/// Why something changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", content = "of", rename_all = "kebab-case")]
pub enum Cause {
    /// Something was seen.
    Seen(Fact),
    /// Somebody vouched for it.
    Attested(RecordId),
    /// A second person confirmed it.
    Confirmed(RecordId),
    /// Somebody took it back.
    Revoked(RecordId),
    /// It was excused.
    Exempted(RecordId),
    /// It is excused no longer.
    ExemptionEnded(RecordId),
    /// The application was registered, or moved, or has another tier or other targets.
    Placed,
    /// A subject is no more.
    Gone(Subject),
    /// Another model judges.
    Judged,
    /// Time went by: something ended, or a criterion began to count.
    Time,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum What {
    /// The state of a criterion.
    State {
        /// Of whom.
        subject: Subject,
        /// Of which criterion.
        criterion: CriterionId,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// The level of a topic.
    Level {
        /// Of which application.
        subject: Subject,
        /// Of which topic.
        topic: TopicId,
        /// What it was; none: nothing applied.
        from: Option<u8>,
        /// What it is; none: nothing applies.
        to: Option<u8>,
        /// By which criterion, if one moved it.
        because: Option<CriterionId>,
    },
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// With which event; none: time went by.
    pub event: Option<EventId>,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// Which model judged.
    pub rule_version: RuleVersion,
}

impl Change {
    /// Of whom.
    pub fn subject(&self) -> &Subject {
        match &self.what {
            What::State { subject, .. } | What::Level { subject, .. } => subject,
        }
    }

    /// Whether somebody stands worse than before.
    pub fn is_regression(&self) -> bool {
        match &self.what {
            What::State { from, to, .. } => from.holds() && !to.holds(),
            What::Level { from, to, .. } => matches!((from, to), (Some(from), Some(to)) if to < from),
        }
    }
}

/// Where a subject stood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// States of its own criteria; those that are missing are unknown.
    pub states: BTreeMap<CriterionId, State>,
    /// Levels of its topics; those that are missing are 0.
    pub levels: BTreeMap<TopicId, Option<u8>>,
}

/// How applications moved in one topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Applications that stand higher.
    pub up: usize,
    /// Applications that stand lower.
    pub down: usize,
    /// Of those, the ones where something ended and was not renewed.
    pub lapsed: usize,
}

/// All changes, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    changes: Vec<Change>,
    by_subject: HashMap<Subject, Vec<usize>>,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

impl Eq for History {}

impl History {
    /// Of stored changes, in the order in which they were recorded.
    pub fn from_changes(changes: impl IntoIterator<Item = Change>) -> Self {
        let mut history = Self::default();
        for change in changes {
            history.record(change);
        }
        history
    }

    /// Adds the newest change.
    pub fn record(&mut self, change: Change) {
        let place = self.changes.len();
        self.by_subject
            .entry(change.subject().clone())
            .or_default()
            .push(place);
        self.changes.push(change);
    }

    /// All of them.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Those of one subject. They stay with an application wherever it belongs.
    pub fn of(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Change> {
        let places = self.by_subject.get(subject);
        places.into_iter().flatten().map(|place| &self.changes[*place])
    }

    /// Where a subject stood at a moment, by what was known then.
    pub fn as_of(&self, subject: &Subject, at: OffsetDateTime) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for change in self.of(subject).take_while(|change| change.at <= at) {
            match &change.what {
                What::State { criterion, to, .. } => {
                    snapshot.states.insert(criterion.clone(), *to);
                }
                What::Level { topic, to, .. } => {
                    snapshot.levels.insert(topic.clone(), *to);
                }
            }
        }
        snapshot
    }

    /// Everybody that a change was ever recorded of.
    pub fn subjects(&self) -> BTreeSet<&Subject> {
        self.by_subject.keys().collect()
    }

    /// Changes between two moments, the latter not included.
    pub fn between(&self, from: OffsetDateTime, to: OffsetDateTime) -> impl Iterator<Item = &Change> {
        let start = self.changes.partition_point(|change| change.at < from);
        self.changes[start..]
            .iter()
            .take_while(move |change| change.at < to)
    }

    /// What got worse between two moments, the latter not included.
    pub fn regressions(&self, from: OffsetDateTime, to: OffsetDateTime) -> impl Iterator<Item = &Change> {
        self.between(from, to).filter(|change| change.is_regression())
    }

    /// How applications moved from one moment to another, by topic; who is where they were is not counted.
    pub fn movement(&self, from: OffsetDateTime, to: OffsetDateTime) -> BTreeMap<TopicId, Movement> {
        let mut topics: BTreeMap<TopicId, Movement> = BTreeMap::new();
        let moved = self.between(from, to).filter_map(|change| match &change.what {
            What::Level { subject, topic, .. } => Some((subject, topic)),
            What::State { .. } => None,
        });
        let moved: BTreeSet<(&Subject, &TopicId)> =
            moved.filter(|(one, _)| one.kind == SubjectKind::App).collect();
        for (subject, topic) in moved {
            let in_topic =
                |change: &&Change| matches!(&change.what, What::Level { topic: one, .. } if one == topic);
            let level = |change: &Change| match &change.what {
                What::Level { to, .. } => *to,
                What::State { .. } => None,
            };
            let before = self
                .of(subject)
                .filter(in_topic)
                .rfind(|change| change.at < from)
                .map_or(Some(0), level);
            let Some(last) = self.of(subject).filter(in_topic).rfind(|change| change.at < to) else {
                continue;
            };
            let movement = topics.entry(topic.clone()).or_default();
            match level(last).cmp(&before) {
                std::cmp::Ordering::Greater => movement.up += 1,
                std::cmp::Ordering::Less => {
                    movement.down += 1;
                    movement.lapsed += usize::from(last.cause == Cause::Time);
                }
                std::cmp::Ordering::Equal => {}
            }
        }
        topics
    }
}

#[cfg(test)]
mod tests;
