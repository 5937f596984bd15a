//! A decision as pulls read it.

use super::text::TextPlace;
use super::{Judgement, Outcome};
use crate::Timestamp;

/// A decision as it is kept; its reasons are read where they are asked for ([`decision_with_text`](crate::Store::decision_with_text)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What was decided.
    pub outcome: Outcome,
    /// [`Judgement::line`].
    pub line: String,
    /// Digest of the policy.
    pub policy: String,
    /// Fingerprint of the facts.
    pub evidence: String,
    /// The advisories that confirmed it.
    pub generation: u64,
    /// When it must be looked at again.
    pub review_at: Option<Timestamp>,
    /// When outcome or reasons last changed.
    pub decided_at: Timestamp,
    /// Whether its reasons list findings that do not count; of a row whose marks are stale: whether they may.
    pub waives: bool,
    pub(super) text: TextPlace,
}

impl Decided {
    /// As it will be read.
    pub(super) fn of(judgement: &Judgement, decided_at: i64) -> Self {
        Self {
            outcome: judgement.outcome,
            line: judgement.line.clone(),
            policy: judgement.policy.clone(),
            evidence: judgement.evidence.clone(),
            generation: judgement.generation,
            review_at: judgement.review_at,
            decided_at: Timestamp(decided_at),
            waives: judgement.waives,
            text: TextPlace::of(String::new(), Some(judgement.body.said().to_owned())),
        }
    }

    /// Bytes in memory.
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.line, &self.policy, &self.evidence];
        size_of_val(self) + texts.map(String::len).into_iter().sum::<usize>() + self.text.weight()
    }
}
