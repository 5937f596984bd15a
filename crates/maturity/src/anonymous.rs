//! What an organisation can show to others without showing itself: distributions and figures, no names.
//!
//! `roadbed maturity export --anonymous` writes such a [`Document`] and signs its [canonical bytes](Document::to_bytes);
//! [`compare()`] tells where one stands among those of others, under the Chatham House Rule.
//!
//! # What keeps it anonymous
//!
//! - Every text in it comes from a closed list: topics of public models, cohorts, severities, figures. Topics of an
//!   organisation's own models are left out and only counted.
//! - No count between 1 and [`LEAST_GROUP`] − 1 is in it. Levels are merged with the next ones, groups of figures with the next
//!   smallest, until each has at least that many applications.
//! - **Nothing can be subtracted.** All topics are about the same applications, those without a level included. All tiers of a
//!   topic have the same merged levels, and tiers are merged alike in all topics, so that the difference of any two sums is a sum
//!   of published cells. A figure is there for one partition only and without its total; how many applications it is about is
//!   rounded down to fives.
//! - Durations are rounded to two digits, shares to a thousandth: the length of one exposure recognises nobody.
//!
//! What it cannot prevent: two documents of the same organisation at different times can be compared by whoever has both. So
//! export whole quarters, not days.

mod canonical;
pub mod compare;
mod document;
mod kpis;
mod measured;
mod merge;
mod parse;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use time::UtcOffset;

use crate::kpi::survival::Observation;
use crate::kpi::{App, Cohort, Coverage, KpiId, Source, Window};

pub use compare::compare;
pub use document::{Document, Figure, Key, OnTarget, Part, Period, RoadPart, Row, ShareAfter, Topic, Value};
pub use measured::{quotient, time_to_remediate};
pub use parse::{DocumentError, MAX_APPLICATIONS, MAX_DOCUMENT_BYTES, MAX_FIGURES, MAX_TOPICS};

/// The version of the document.
pub const SCHEMA: &str = "roadbed.maturity.anonymous/1";

/// The published JSON Schema of [`SCHEMA`].
pub const SCHEMA_TEXT: &str = include_str!("../models/anonymous.schema.json");

/// The fewest applications that a group may have.
pub const LEAST_GROUP: u64 = 5;

/// The highest level of a topic.
pub const MAX_LEVEL: u8 = 5;

/// One application, as it goes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Which; it does not come out.
    pub app: App,
    /// How much depends on it: 1 is most. `None` where nobody said.
    pub tier: Option<u8>,
    /// Where it stands on the road.
    pub cohort: Cohort,
    /// Its levels; of topics of which nothing applies there is none.
    pub levels: BTreeMap<String, u8>,
    /// Whether it is on its target, for topics that have one.
    pub on_target: BTreeMap<String, bool>,
}

/// Applications with something in common, and what was counted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<D> {
    /// What they have in common.
    pub key: Key,
    /// Which; they do not come out.
    pub apps: BTreeSet<App>,
    /// What was counted.
    pub data: D,
}

/// Numerator and denominator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quotient {
    /// What was counted.
    pub numerator: u64,
    /// Out of what.
    pub denominator: u64,
}

/// A figure, as it goes in. Its groups must not have data in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// A share, a rate or a fold.
    Quotients {
        /// Which.
        kpi: KpiId,
        /// By what.
        groups: Vec<Group<Quotient>>,
    },
    /// Durations, of which some may not be over.
    Times {
        /// Which.
        kpi: KpiId,
        /// By what.
        groups: Vec<Group<Vec<Observation>>>,
    },
}

impl Measured {
    const fn kpi(&self) -> KpiId {
        match self {
            Self::Quotients { kpi, .. } | Self::Times { kpi, .. } => *kpi,
        }
    }
}

/// All that goes in.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Which time it is about; only its dates come out.
    pub window: Window,
    /// Where the figures come from.
    pub source: Source,
    /// How much of what runs is known.
    pub coverage: Coverage,
    /// Every application.
    pub applications: &'a [Application],
    /// Topics of models that everybody has; others are left out.
    pub public_topics: &'a BTreeSet<String>,
    /// Whether levels are told by tier. The more rows there are, the more levels have to be merged.
    pub by_tier: bool,
    /// Figures that are not withheld, each once.
    pub measured: &'a [Measured],
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError {
    /// Fewer applications than one group needs.
    #[error("there are {0} applications: an anonymous document needs at least {LEAST_GROUP}")]
    TooFew(u64),
    /// The same application twice.
    #[error("an application is in the input twice: each counts once")]
    Twice,
    /// The same figure twice: what is in one partition and not in the other could be subtracted.
    #[error("the figure {0:?} is there twice: give each figure in one partition only")]
    FigureTwice(KpiId),
    /// More topics or figures than a document may have.
    #[error("the document would have {count} {what}: at most {limit} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
}

/// Makes the document.
pub fn export(input: &Input<'_>) -> Result<Document, ExportError> {
    let apps: BTreeSet<&App> = input.applications.iter().map(|one| &one.app).collect();
    if apps.len() != input.applications.len() {
        return Err(ExportError::Twice);
    }
    let count = u64::try_from(apps.len()).unwrap_or(u64::MAX);
    if count < LEAST_GROUP {
        return Err(ExportError::TooFew(count));
    }
    let (topics, topics_left_out) = topics::topics(input);
    let (figures, figures_withheld) = kpis::figures(input.measured)?;
    let within = |what: &'static str, count: usize, limit: usize| {
        let error = ExportError::TooMany { what, count, limit };
        if count > limit { Err(error) } else { Ok(()) }
    };
    within("topics", topics.len(), MAX_TOPICS)?;
    within("figures", figures.len(), MAX_FIGURES)?;
    let date = |at: time::OffsetDateTime| at.to_offset(UtcOffset::UTC).date();
    Ok(Document {
        schema: SCHEMA.to_owned(),
        period: Period {
            from: date(input.window.from),
            until: date(input.window.until),
        },
        source: input.source,
        coverage_percent: percent(input.coverage),
        topics,
        topics_left_out,
        road: topics::road(input.applications),
        figures,
        figures_withheld,
    })
}

fn percent(coverage: Coverage) -> u8 {
    let percent = u128::from(coverage.known) * 100 / u128::from(coverage.running.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests;
