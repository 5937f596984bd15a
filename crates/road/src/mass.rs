//! Many images that follow one release of their base: whose turn it is.
//!
//! One image goes first, alone. Then ring after ring goes, each only when all of the ring before have followed, some time has passed
//! since, and none came out worse. Pure: what there is of the images, the hour and the moment in, which of them begin out.

use std::collections::BTreeSet;

use thiserror::Error;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::app_road::Ring;

/// As people write it: `2026-11-28T07:37:48Z`.
fn on_the_second(moment: OffsetDateTime) -> String {
    let second = moment.replace_nanosecond(0).unwrap_or(moment);
    second.format(&Rfc3339).unwrap_or_else(|_| second.to_string())
}

/// All rings, the first to go first.
pub const RINGS: [Ring; 4] = [Ring::Canary, Ring::Early, Ring::Normal, Ring::Late];

/// Where an image stands, as far as its turn is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may follow and has not begun.
    Waits,
    /// It has begun.
    Runs,
    /// It has followed, since then.
    Followed(OffsetDateTime),
    /// It came out worse, or somebody took it back.
    Failed,
    /// It is not to follow, or nobody has said yet that it may: it holds up nobody.
    Aside,
}

/// An image that is to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// In which ring.
    pub ring: Ring,
    /// Where it stands.
    pub standing: Standing,
    /// Its application changes nothing at the moment.
    pub is_frozen: bool,
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between the last of a ring and the first of the next one, by the order of [`RINGS`]; that of the first ring is none.
    pub delays: [Duration; 4],
    /// Images that begin within an hour.
    pub per_hour: u64,
}

/// Why an image does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wait {
    /// The first one goes alone.
    #[error("the first image goes alone")]
    First,
    /// An earlier ring is not through.
    #[error("ring {} is not through", .0.as_str())]
    Ring(Ring),
    /// It is through, and its time has not passed.
    #[error("ring {} goes from {}", ring.as_str(), on_the_second(*from))]
    Delay {
        /// Which ring.
        ring: Ring,
        /// From when.
        from: OffsetDateTime,
    },
    /// One came out worse.
    #[error("an image of ring {} failed: somebody must look at it and reject it", .0.as_str())]
    Failed(Ring),
    /// Its application changes nothing at the moment.
    #[error("its application is frozen")]
    Frozen,
    /// [`Pace::per_hour`].
    #[error("{0} have begun within the last hour, which is the cap")]
    Cap(u64),
}

/// What follows of all that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Places of those that begin now.
    pub begin: Vec<usize>,
    /// Places of those that wait, and why.
    pub wait: Vec<(usize, Wait)>,
}

/// Whose turn it is. `begun`: how many have begun within the last hour, of all bases.
pub fn turn(candidates: &[Candidate], pace: &Pace, begun: u64, now: OffsetDateTime) -> Turn {
    let mut turn = Turn::default();
    let mut left = pace.per_hour.saturating_sub(begun);
    let has_begun = candidates
        .iter()
        .any(|other| matches!(other.standing, Standing::Runs | Standing::Followed(_)));
    let has_followed = candidates
        .iter()
        .any(|other| matches!(other.standing, Standing::Followed(_)));
    let mut is_first = !has_begun;
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|place| (candidates[*place].ring, *place));
    let closed = closed(candidates, pace, now);
    for place in order {
        let candidate = &candidates[place];
        if candidate.standing != Standing::Waits {
            continue;
        }
        let wait = if candidate.is_frozen {
            Some(Wait::Frozen)
        } else if let Some(wait) = closed[candidate.ring as usize] {
            Some(wait)
        } else if !has_followed && !is_first {
            Some(Wait::First)
        } else if left == 0 {
            Some(Wait::Cap(pace.per_hour))
        } else {
            None
        };
        if let Some(wait) = wait {
            turn.wait.push((place, wait));
        } else {
            turn.begin.push(place);
            left -= 1;
            is_first = false;
        }
    }
    turn
}

/// Why each ring is closed, if it is.
fn closed(candidates: &[Candidate], pace: &Pace, now: OffsetDateTime) -> [Option<Wait>; 4] {
    let rings: BTreeSet<Ring> = candidates.iter().map(|candidate| candidate.ring).collect();
    let mut closed = [None; 4];
    let mut opens: Option<OffsetDateTime> = None;
    let mut why: Option<Wait> = None;
    for ring in RINGS {
        let of_ring = || candidates.iter().filter(move |candidate| candidate.ring == ring);
        if of_ring().any(|candidate| candidate.standing == Standing::Failed) {
            why = Some(Wait::Failed(ring));
        }
        closed[ring as usize] = why.or_else(|| {
            let from = opens? + pace.delays[ring as usize];
            (now < from).then_some(Wait::Delay { ring, from })
        });
        if !rings.contains(&ring) || why.is_some() {
            continue;
        }
        // What is frozen holds up nobody: its own freeze would be everybody's.
        let is_open = |candidate: &Candidate| match candidate.standing {
            Standing::Waits => !candidate.is_frozen,
            Standing::Runs => true,
            _ => false,
        };
        if of_ring().any(is_open) {
            why = Some(Wait::Ring(ring));
        }
        let last = of_ring().filter_map(|candidate| match candidate.standing {
            Standing::Followed(at) => Some(at),
            _ => None,
        });
        opens = last.chain(opens).max();
    }
    closed
}

#[cfg(test)]
mod tests;
