//! The rule: from what is known to the state of a criterion, and from states to levels.

mod condition;
mod judge;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::words::{EventId, EvidenceId};

pub(crate) use judge::{Judged, judge};

/// The state of a criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is proven.
    Met,
    /// It is disproven.
    NotMet,
    /// Nobody can tell. Never counts.
    Unknown,
    /// It is not asked of this subject.
    NotApplicable,
    /// Somebody excused it until a day. Counts, and is always shown.
    Exempt,
    /// What proved it has ended. Never counts.
    Expired,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Met,
        Self::NotMet,
        Self::Unknown,
        Self::NotApplicable,
        Self::Exempt,
        Self::Expired,
    ];

    /// Whether a level may stand on it.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Met | Self::Exempt | Self::NotApplicable)
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not_met",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not_applicable",
            Self::Exempt => "exempt",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether one part of a proof holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// Nobody can tell.
    Unknown,
    /// It held until it ended.
    Expired,
}

impl Truth {
    /// Both must hold: what fails decides, then what ended, then what nobody can tell.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
            (Self::Expired, _) | (_, Self::Expired) => Self::Expired,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Holds, Self::Holds) => Self::Holds,
        }
    }

    /// One must hold: without one, what ended decides, then what nobody can tell, for either might hold yet.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Holds, _) | (_, Self::Holds) => Self::Holds,
            (Self::Expired, _) | (_, Self::Expired) => Self::Expired,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Fails, Self::Fails) => Self::Fails,
        }
    }

    /// The state of a criterion of which this is all that is asked.
    pub const fn state(self) -> State {
        match self {
            Self::Holds => State::Met,
            Self::Fails => State::NotMet,
            Self::Unknown => State::Unknown,
            Self::Expired => State::Expired,
        }
    }
}

/// One part of a proof, as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was asked.
    pub what: String,
    /// Whether it holds.
    pub truth: Truth,
    /// What was found.
    pub found: String,
    /// In which evidence, at most [`MAX_LINKED`], the newest first.
    pub evidence: Vec<EvidenceId>,
    /// In which events of the log, at most [`MAX_LINKED`].
    pub events: Vec<EventId>,
    /// Evidence of other sources that says otherwise.
    pub contradicted_by: Vec<EvidenceId>,
    /// When this ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
}

/// Most pieces of evidence, and most events, that one check names.
pub const MAX_LINKED: usize = 20;

/// The level of a topic: the highest L up to which every core criterion is met, exempt or not applicable, and at least one of them is met.
///
/// Takes level and state of each core criterion that counts. None: nothing of the topic applies. A level without criteria is passed
/// through.
pub fn topic_level(core: impl IntoIterator<Item = (u8, State)>, top: u8) -> Option<u8> {
    let core: Vec<(u8, State)> = core.into_iter().collect();
    if core.iter().all(|(_, state)| *state == State::NotApplicable) {
        return None;
    }
    let blocked = core
        .iter()
        .filter(|(_, state)| !state.holds())
        .map(|(level, _)| *level)
        .min();
    let highest = blocked.map_or(top, |blocked| blocked.saturating_sub(1).min(top));
    let met = core
        .iter()
        .any(|(level, state)| *level <= highest && *state == State::Met);
    Some(if met { highest } else { 0 })
}

/// The earlier one of two moments that may not be.
pub(crate) fn earlier(a: Option<OffsetDateTime>, b: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests;
