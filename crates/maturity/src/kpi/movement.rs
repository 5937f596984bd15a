//! 3.8 Which levels moved, and how much of that is proven by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::event::App;
use super::numbers::{self, seconds};
use super::{Frame, Kpi, KpiId, Measured, Window, no_data, spread};

/// Why a level changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// An attestation ended.
    AttestationExpired,
    /// Anything else.
    Other,
}

/// One change of the level of an application in a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Whose.
    pub app: App,
    /// In which topic.
    pub topic: String,
    /// The level before.
    pub from: u8,
    /// The level after.
    pub to: u8,
    /// Why.
    pub why: Why,
}

/// What holds at the end of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Core criteria that are met, of all applications.
    pub core_met: u64,
    /// Those of them that are met by automatic evidence.
    pub core_met_automatically: u64,
    /// When each piece of evidence that counts was observed.
    pub evidence_observed_at: Vec<OffsetDateTime>,
    /// When each exemption that is in force ends.
    pub exemptions_until: Vec<OffsetDateTime>,
}

/// Applications of one topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// Higher at the end than at the start.
    pub up: u64,
    /// Lower, by what happened.
    pub down: u64,
    /// Lower, because an attestation ended.
    pub lapsed: u64,
    /// Moved, and back where they were.
    pub back: u64,
}

/// What moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    /// By topic; topics in which nothing moved are not in it.
    pub topics: BTreeMap<String, Moves>,
    /// Share of met core criteria that automatic evidence proves.
    pub automatic_share: f64,
    /// Half of the evidence is at most so old, in seconds.
    pub median_evidence_age_seconds: Option<u64>,
    /// Exemptions in force.
    pub exemptions_live: u64,
    /// Those of them that end within the time that was asked for.
    pub exemptions_expiring: u64,
}

/// From the start of a window to its end, and what holds then. `soon` says up to when an exemption is about to end.
pub fn movement(
    changes: &[Change],
    standing: &Standing,
    frame: &Frame<'_>,
    window: Window,
    soon: OffsetDateTime,
) -> Kpi<Movement> {
    Kpi::measure(KpiId::Movement, frame, |_| {
        let (proven, met) = (standing.core_met_automatically, standing.core_met);
        let automatic_share =
            numbers::share(proven, met).ok_or_else(|| no_data("no core criterion is met yet"))?;
        let ages = standing.evidence_observed_at.iter();
        let ages = ages.filter_map(|at| seconds(frame.now - *at));
        let live: Vec<_> = standing
            .exemptions_until
            .iter()
            .filter(|until| **until > frame.now)
            .collect();
        let expiring: Vec<_> = live.iter().filter(|until| ***until <= soon).collect();
        Ok(Measured {
            value: Movement {
                topics: moves(changes, window),
                automatic_share,
                median_evidence_age_seconds: spread(ages).map(|ages| ages.median_seconds),
                exemptions_live: numbers::count(&live),
                exemptions_expiring: numbers::count(&expiring),
            },
            numerator: proven,
            denominator: met,
        })
    })
}

/// By the level at both ends; what lies between does not count twice.
fn moves(changes: &[Change], window: Window) -> BTreeMap<String, Moves> {
    let mut ordered: Vec<&Change> = changes.iter().filter(|change| window.has(change.at)).collect();
    ordered.sort_unstable();
    let mut net: BTreeMap<(&str, &App), (u8, u8, bool)> = BTreeMap::new();
    for change in ordered {
        let lapsed = change.to < change.from && change.why == Why::AttestationExpired;
        let entry = net
            .entry((&change.topic, &change.app))
            .or_insert((change.from, change.to, lapsed));
        entry.1 = change.to;
        // What made it fall last.
        if change.to < change.from {
            entry.2 = lapsed;
        }
    }
    let mut topics: BTreeMap<String, Moves> = BTreeMap::new();
    for ((topic, _), (from, to, lapsed)) in net {
        let moves = topics.entry(topic.to_owned()).or_default();
        match from.cmp(&to) {
            std::cmp::Ordering::Less => moves.up += 1,
            std::cmp::Ordering::Greater if lapsed => moves.lapsed += 1,
            std::cmp::Ordering::Greater => moves.down += 1,
            std::cmp::Ordering::Equal => moves.back += 1,
        }
    }
    topics
}

#[cfg(test)]
mod tests;
