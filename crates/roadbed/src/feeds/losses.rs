//! How much a source may lose before a person has to say that it is right.
//!
//! What is gone makes refused images pass. A source that loses much at once may have been cut, and one that loses a little with
//! each sync may be emptied by somebody who is patient: losses are counted over some time.

use std::time::Duration;

use store::{FeedState, Timestamp};

/// A source may lose so many ids within [`SPAN`], or one in [`SHARE`] of what it had.
const FEW: u64 = 20;

/// See [`FEW`].
const SHARE: u64 = 20;

/// Losses are counted for so long.
const SPAN: Duration = Duration::from_hours(30 * 24);

/// What a source has lost lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) ids: u64,
    pub(crate) since: Timestamp,
}

impl Losses {
    /// Those that are known, unless they were long ago.
    pub(crate) fn of(known: &FeedState, now: Timestamp) -> Self {
        if known.lost_since.plus(SPAN) < now {
            return Self::none(now);
        }
        Self {
            ids: known.lost,
            since: known.lost_since,
        }
    }

    /// None from now on.
    pub(crate) fn none(now: Timestamp) -> Self {
        Self { ids: 0, since: now }
    }

    /// With so many more.
    pub(crate) fn with(self, ids: usize) -> Self {
        Self {
            ids: self.ids.saturating_add(ids as u64),
            ..self
        }
    }

    /// How many ids a source that has `present` ones had before them.
    pub(crate) fn had(self, present: usize) -> u64 {
        self.ids.saturating_add(present as u64)
    }

    /// Whether they are too many for a source that had `present` ids when the last of them went.
    pub(crate) fn are_much(self, present: usize) -> bool {
        self.ids > FEW.max(present as u64 / SHARE)
    }
}

/// Whether so many of all ids are too many at once.
pub(crate) fn is_much(ids: usize, of: usize) -> bool {
    Losses::none(Timestamp(0)).with(ids).are_much(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_each_time_is_much_in_the_end() {
        let now = Timestamp(1_700_000_000_000_000);
        let known = FeedState {
            lost: 90,
            lost_since: now,
            ..FeedState::default()
        };
        for (days, more, is_too_much) in [(0, 10, false), (0, 11, true), (29, 11, true), (31, 90, false)] {
            let at = now.plus(Duration::from_hours(24 * days));
            let losses = Losses::of(&known, at).with(more);
            assert_eq!(losses.are_much(2_000), is_too_much, "{days} {more}");
        }
        assert!(!is_much(20, 10) && is_much(21, 10));
    }
}
