//! How long something lasts, when not all of it is over (E. L. Kaplan, P. Meier: "Nonparametric Estimation from Incomplete
//! Observations", 1958).
//!
//! What is still open is not left out, which would flatter, but counts as *longer than this*. At equal times what ended counts
//! before what only lasted so long. Where the curve reaches a share exactly, the time is the first at which it does; R's
//! `survfit` gives the middle of the flat piece there.

use serde::{Deserialize, Serialize};

use super::numbers::{ROUNDING, count, exact};

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Observation {
    /// How long, in seconds.
    pub seconds: u64,
    /// Whether it ended then; otherwise it lasted longer, nobody knows how much.
    pub is_over: bool,
}

/// A point at which the curve falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// After how many seconds.
    pub seconds: u64,
    /// How many had not ended before and were still being watched.
    pub at_risk: u64,
    /// How many of them ended.
    pub ended: u64,
    /// Which share lasts longer.
    pub surviving: f64,
}

/// The product-limit estimate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Where it falls, in the order of time. Before the first it is 1.
    pub steps: Vec<Step>,
    /// How long the longest observation is, in seconds: beyond it nothing is known, unless all have ended.
    pub watched_seconds: Option<u64>,
}

impl Curve {
    /// Estimates it.
    pub fn of(observations: impl IntoIterator<Item = Observation>) -> Self {
        let mut ordered: Vec<Observation> = observations.into_iter().collect();
        ordered.sort_unstable();
        let mut at_risk = count(&ordered);
        let mut surviving = 1.0_f64;
        let mut steps = Vec::new();
        for same in ordered.chunk_by(|left, right| left.seconds == right.seconds) {
            let over: Vec<_> = same.iter().filter(|one| one.is_over).collect();
            let ended = count(&over);
            if let (Some(first), true) = (same.first(), ended > 0) {
                surviving *= exact(at_risk - ended) / exact(at_risk);
                steps.push(Step {
                    seconds: first.seconds,
                    at_risk,
                    ended,
                    surviving,
                });
            }
            at_risk -= count(same);
        }
        Self {
            steps,
            watched_seconds: ordered.last().map(|last| last.seconds),
        }
    }

    /// After how many seconds so much has ended, between 0 and 1; `None` while that is not known.
    pub fn ended_by(&self, share: f64) -> Option<u64> {
        self.steps
            .iter()
            .find(|step| step.surviving <= 1.0 - share + ROUNDING)
            .map(|step| step.seconds)
    }

    /// Which share has ended after so many seconds; `None` where nobody was watched for so long.
    pub fn share_ended(&self, seconds: u64) -> Option<f64> {
        let watched = self.watched_seconds?;
        let last = self.steps.iter().rev().find(|step| step.seconds <= seconds);
        let surviving = last.map_or(1.0, |step| step.surviving);
        let all_ended = surviving <= ROUNDING;
        (seconds <= watched || all_ended).then_some(1.0 - surviving)
    }
}

#[cfg(test)]
mod tests;
