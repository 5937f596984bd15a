//! The figures: how fast, how safe, how fresh, each by one formula.
//!
//! Facts come in as [`event`]s, a [`journal::Journal`] puts them in order, and each module below has one figure as a pure
//! function of it. What all of them keep to:
//!
//! - They count **digests**, never tags. Times are UTC. There is no figure about a person, and no type here that could hold one.
//! - A [`Kpi`] carries its value, numerator, denominator, [`Coverage`], [`Source`], definition and caveats. Where less than
//!   [`COVERAGE_FLOOR_PERCENT`] of what runs is known, or where there is nothing to count, it carries the reason instead.
//! - Until a cluster is connected the registry's pushes stand for what runs. That is the [`Source::RegistryProxy`], and it is
//!   written on the figure: *published (proxy)*.
//! - The same events, in any order and however often they come, give the same figure.
//!
//! Read first: [`event`], then [`ships`] for what counts as a version, then [`survival`] for why open exposures are not left out.

pub mod adoption;
mod coverage;
mod definition;
pub mod event;
pub mod exposure;
pub mod failure;
pub mod fold;
pub mod freshness;
pub mod journal;
pub mod lead_time;
pub mod movement;
mod numbers;
pub mod remediation;
pub mod ships;
pub mod survival;
#[cfg(test)]
pub(crate) mod testing;
pub mod velocity;
pub mod week;
pub mod window;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use coverage::{COVERAGE_FLOOR_PERCENT, Coverage, Part};
pub use definition::KpiId;
pub use event::{App, Cluster, Environment, NameError, Place, VulnerabilityGroup};
pub(crate) use numbers::exact;
pub use numbers::{Spread, spread};

/// Where the facts of a figure come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From what runs in connected clusters.
    Cluster,
    /// From what was pushed and pulled here, in place of what runs.
    RegistryProxy,
}

impl Source {
    /// What is written beside the figure.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cluster => "measured in clusters",
            Self::RegistryProxy => "published (proxy)",
        }
    }
}

/// Where an application stood on the road. The same words as everywhere else; what was frozen at an incident's start stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cohort {
    /// On a supported, current, approved base.
    Paved,
    /// On one that has been superseded for too long.
    Stale,
    /// Off the road by a live exemption.
    Exempt,
    /// On no approved base.
    OwnRoad,
    /// Nobody knows.
    Unknown,
}

impl Cohort {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Paved,
        Self::Stale,
        Self::Exempt,
        Self::OwnRoad,
        Self::Unknown,
    ];
}

/// How bad a vulnerability is, by what policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No source says.
    Unknown,
    /// CVSS below 4, or called so by its source.
    Low,
    /// Below 7.
    Medium,
    /// Below 9; other sources call it important.
    High,
    /// From 9 on.
    Critical,
}

/// A span of time: from its start, up to its end and without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first moment.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// The first moment after it.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Window {
    /// Whether a moment lies in it.
    pub fn has(&self, at: OffsetDateTime) -> bool {
        self.from <= at && at < self.until
    }
}

/// Under which circumstances a figure is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The moment of asking. Events after it do not count.
    pub now: OffsetDateTime,
    /// Which facts to count: those of clusters or those of the registry. They are never mixed.
    pub source: Source,
    /// How much of what runs is known.
    pub coverage: Coverage,
    /// Which environments customers use.
    pub production: &'a BTreeSet<Environment>,
}

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Withheld {
    /// Too little of what runs is known; see [`COVERAGE_FLOOR_PERCENT`].
    Coverage {
        /// How many workloads are known in full.
        known: u64,
        /// How many run.
        running: u64,
        /// The least share that a figure needs, in percent.
        floor_percent: u64,
    },
    /// Nothing runs that could be counted.
    NothingRuns,
    /// There is nothing to count.
    NoData {
        /// What is missing and what would bring it.
        what: String,
    },
}

impl Withheld {
    /// The reason as a sentence, with what would help.
    pub fn text(&self) -> String {
        match self {
            Self::Coverage {
                known,
                running,
                floor_percent,
            } => format!(
                "withheld: {known} of {running} running workloads are known in full, {floor_percent} % are needed: \
                 say whose they are, and push or pull them through the registry with a revision label"
            ),
            Self::NothingRuns => {
                "withheld: nothing is known to run: connect a cluster, or push something".to_owned()
            }
            Self::NoData { what } => format!("withheld: {what}"),
        }
    }
}

/// A figure that may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured<V> {
    /// What came out.
    pub value: V,
    /// What was counted, as the definition says.
    pub numerator: u64,
    /// Out of what.
    pub denominator: u64,
}

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<V> {
    /// The figure.
    Measured(Measured<V>),
    /// The reason.
    Withheld(Withheld),
}

/// A figure with all that is needed to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kpi<V> {
    /// Which one.
    pub kpi: KpiId,
    /// What it is defined as.
    pub definition: String,
    /// From where.
    pub source: Source,
    /// What to write beside it: [`Source::label`].
    pub source_label: String,
    /// How much of what runs is known.
    pub coverage: Coverage,
    /// The figure or the reason.
    #[serde(flatten)]
    pub reading: Reading<V>,
    /// What to bear in mind.
    pub caveats: Vec<String>,
}

impl<V> Kpi<V> {
    /// The value, unless it is withheld.
    pub fn value(&self) -> Option<&V> {
        match &self.reading {
            Reading::Measured(measured) => Some(&measured.value),
            Reading::Withheld(_) => None,
        }
    }

    /// Why it is withheld.
    pub fn withheld(&self) -> Option<&Withheld> {
        match &self.reading {
            Reading::Measured(_) => None,
            Reading::Withheld(why) => Some(why),
        }
    }

    /// With the floor of coverage kept: where it is not reached, nothing is computed.
    pub(crate) fn measure(
        kpi: KpiId,
        frame: &Frame<'_>,
        measure: impl FnOnce(&mut Vec<String>) -> Result<Measured<V>, Withheld>,
    ) -> Self {
        let mut caveats = Vec::new();
        if frame.source == Source::RegistryProxy {
            caveats.push("published (proxy): counted from pushes, not from what runs".to_owned());
        }
        let reading = match frame.coverage.withheld() {
            Some(why) => Reading::Withheld(why),
            None => measure(&mut caveats).map_or_else(Reading::Withheld, Reading::Measured),
        };
        Self {
            kpi,
            definition: kpi.definition().to_owned(),
            source: frame.source,
            source_label: frame.source.label().to_owned(),
            coverage: frame.coverage,
            reading,
            caveats,
        }
    }
}

/// There is nothing to count, and what would help.
pub(crate) fn no_data(what: &str) -> Withheld {
    Withheld::NoData {
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
