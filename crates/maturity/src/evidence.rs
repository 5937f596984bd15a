//! What was seen, by whom, when and until when.
//!
//! Evidence may come twice, late, out of order and from clocks that disagree. Which of it counts does not depend on the order in
//! which it came: the newest observation wins, of equally new ones the one whose source is trusted more, then the one with the
//! greater id. What other sources say otherwise is kept beside it and shown as a contradiction.

mod pushed;
mod resolve;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::facts::ORGANISATION;
use crate::model::Model;
use crate::signal::{Fact, Nature, Unit};
use crate::words::{EventId, EvidenceId, ItemKey, Subject, SubjectKind};

pub use pushed::{MAX_PATTERNS, PushError, PushFault, Sender, SubjectPattern, read_pushed};
pub use resolve::{MAX_ITEMS, MAX_SOURCES};
pub(crate) use resolve::{Series, Slot};

/// JSON schema of what `evidence push` takes.
pub const PUSH_SCHEMA: &str = include_str!("../models/evidence.schema.json");

/// Most events that one piece of evidence links.
pub const MAX_EVENTS: usize = 20;

/// Bounds on evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceLimits {
    /// How far an observation may lie in the future of the registry's clock. Default: 5 minutes.
    pub skew: Duration,
    /// The longest time for which pushed evidence counts. Default: 400 days.
    pub longest_validity: Duration,
    /// The time for which pushed evidence counts that does not say. Default: 90 days.
    pub usual_validity: Duration,
    /// Largest push, in bytes. Default: 1 MiB.
    pub push_bytes: usize,
    /// Most pieces of evidence of one push. Default: 1,000.
    pub push_entries: usize,
}

impl Default for EvidenceLimits {
    fn default() -> Self {
        Self {
            skew: Duration::minutes(5),
            longest_validity: Duration::days(400),
            usual_validity: Duration::days(90),
            push_bytes: 1 << 20,
            push_entries: 1000,
        }
    }
}

/// A typed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of a flag.
    Flag(bool),
    /// Of everything that is counted, in the unit of the fact.
    Number(i64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// How much the word of a source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Somebody pushed it.
    Told,
    /// A connected cluster or a verified statement shows it.
    Verified,
    /// The registry saw it itself.
    Registry,
}

/// Who saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Its name: a collector, or the robot that pushed.
    pub name: Arc<str>,
    /// How much its word counts.
    pub trust: Trust,
}

/// What was seen of one fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which observation: the same one comes twice under the same id.
    pub id: EvidenceId,
    /// What was seen.
    pub value: Value,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub observed_at: OffsetDateTime,
    /// Until when it counts, not included; none: until something newer comes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub valid_until: Option<OffsetDateTime>,
    /// By whom.
    pub source: Source,
    /// What happened in the log, at most [`MAX_EVENTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of whom.
    pub subject: Subject,
    /// What.
    pub fact: Fact,
    /// Which image or which happening; none of a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemKey>,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Observation,
}

/// Why evidence is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// [`EvidenceLimits::skew`].
    #[error(
        "it was observed {ahead_seconds} s in the future: set the clock of the sender, at most {allowed_seconds} s are allowed"
    )]
    Future {
        /// How far.
        ahead_seconds: i64,
        /// How far is allowed.
        allowed_seconds: i64,
    },
    /// It ends before it begins.
    #[error("it counts until before it was observed: write a later `valid_until`")]
    Backwards,
    /// A fact that the model does not declare.
    #[error("the model declares no fact `{0}`: add it under `facts`")]
    Undeclared(Fact),
    /// A fact of another kind of subject.
    #[error("`{fact}` is known of the {scope}, not of {subject}")]
    WrongSubject {
        /// Which.
        fact: Fact,
        /// Of what it is known.
        scope: SubjectKind,
        /// Of whom it was told.
        subject: Subject,
    },
    /// There is one organisation.
    #[error("{0} is not this organisation: write org:{ORGANISATION}")]
    WrongOrganisation(Subject),
    /// A flag for a number, or the other way round.
    #[error("`{fact}` is {wanted}, not {value}")]
    WrongValue {
        /// Which.
        fact: Fact,
        /// What it is.
        wanted: &'static str,
        /// What was told.
        value: Value,
    },
    /// Nothing that tells one image or happening from the next.
    #[error("`{0}` needs `item`: which image, or what happened")]
    NoItem(Fact),
    /// A state of one item.
    #[error("`{0}` is a state: leave out `item`")]
    NeedlessItem(Fact),
    /// [`MAX_EVENTS`].
    #[error("it links {0} events: at most {MAX_EVENTS} are kept")]
    Events(usize),
}

impl Evidence {
    /// Whether it may be taken at the moment at which it comes.
    pub fn check(
        &self,
        model: &Model,
        at: OffsetDateTime,
        limits: &EvidenceLimits,
    ) -> Result<(), EvidenceError> {
        let fact = || self.fact.clone();
        let ahead = self.seen.observed_at - at;
        if ahead > limits.skew {
            return Err(EvidenceError::Future {
                ahead_seconds: ahead.whole_seconds(),
                allowed_seconds: limits.skew.whole_seconds(),
            });
        }
        if self
            .seen
            .valid_until
            .is_some_and(|until| until <= self.seen.observed_at)
        {
            return Err(EvidenceError::Backwards);
        }
        if self.seen.events.len() > MAX_EVENTS {
            return Err(EvidenceError::Events(self.seen.events.len()));
        }
        let info = model
            .fact_info(&self.fact)
            .ok_or_else(|| EvidenceError::Undeclared(fact()))?;
        if info.scope != self.subject.kind {
            return Err(EvidenceError::WrongSubject {
                fact: fact(),
                scope: info.scope,
                subject: self.subject.clone(),
            });
        }
        if self.subject.kind == SubjectKind::Org && self.subject.name.as_str() != ORGANISATION {
            return Err(EvidenceError::WrongOrganisation(self.subject.clone()));
        }
        let (is_flag, wanted) = match info.unit {
            Unit::Flag => (true, "true or false"),
            Unit::Count | Unit::Percent | Unit::Minutes | Unit::Days => (false, "a whole number"),
        };
        if is_flag != matches!(self.seen.value, Value::Flag(_)) {
            let value = self.seen.value;
            return Err(EvidenceError::WrongValue {
                fact: fact(),
                wanted,
                value,
            });
        }
        match (info.nature, &self.item) {
            (Nature::State, Some(_)) => Err(EvidenceError::NeedlessItem(fact())),
            (Nature::Image | Nature::Happening, None) => Err(EvidenceError::NoItem(fact())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
