//! Documents of others, which anybody may have made.

use std::collections::BTreeSet;

use thiserror::Error;

use super::document::{Document, Figure, Row, Topic, Value};
use super::kpis::is_number;
use super::merge::may_be_shown;
use super::{LEAST_GROUP, MAX_LEVEL, SCHEMA};
use crate::kpi::{Cohort, KpiId};

/// Largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Most topics of a document.
pub const MAX_TOPICS: usize = 200;

/// Most figures of a document.
pub const MAX_FIGURES: usize = 500;

/// Most applications that a document may be about.
pub const MAX_APPLICATIONS: u64 = 1_000_000;

/// Longest name of a topic, in bytes.
const MAX_TOPIC_BYTES: usize = 64;

/// Most rows of a topic: every tier and those without one.
const MAX_ROWS: usize = 256;

/// Why a document is not taken.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// [`MAX_DOCUMENT_BYTES`].
    #[error("the document has {0} bytes: at most {MAX_DOCUMENT_BYTES} are read")]
    Large(usize),
    /// Not JSON of this form.
    #[error("the document cannot be read: it is no {SCHEMA}")]
    Form(#[source] serde_json::Error),
    /// Of another version.
    #[error("the document is of another version than {SCHEMA}: export it with the present release")]
    Schema,
    /// It ends before it begins.
    #[error("the period of the document is empty: its end must be later than its beginning")]
    Period,
    /// A list without end.
    #[error("the document has more than {limit} {what}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A group that would show somebody.
    #[error(
        "{what} has a group of fewer than {LEAST_GROUP} applications: such a document must not be passed on"
    )]
    Small {
        /// Where.
        what: &'static str,
    },
    /// Something that cannot be.
    #[error("{what} cannot be right: {problem}")]
    Wrong {
        /// Where.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

fn wrong(what: &'static str, problem: &'static str) -> DocumentError {
    DocumentError::Wrong { what, problem }
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), DocumentError> {
    if count > limit {
        return Err(DocumentError::Many { what, limit });
    }
    Ok(())
}

impl Document {
    /// Reads what [`Document::to_bytes`] writes, and nothing that such a document cannot say.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::Large(bytes.len()));
        }
        let document: Self = serde_json::from_slice(bytes).map_err(DocumentError::Form)?;
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.schema != SCHEMA {
            return Err(DocumentError::Schema);
        }
        if self.period.from >= self.period.until {
            return Err(DocumentError::Period);
        }
        if self.coverage_percent > 100 {
            return Err(wrong("the coverage", "it is above 100 percent"));
        }
        within("topics", self.topics.len(), MAX_TOPICS)?;
        within("figures", self.figures.len(), MAX_FIGURES)?;
        within("figures withheld", self.figures_withheld.len(), KpiId::ALL.len())?;
        let all = self.road()?;
        let mut names = BTreeSet::new();
        for topic in &self.topics {
            if !names.insert(&topic.topic) {
                return Err(wrong("a topic", "it is there twice"));
            }
            check_topic(topic, all)?;
        }
        let mut keys = BTreeSet::new();
        for figure in &self.figures {
            check_figure(figure)?;
            if !figure.keys.iter().all(|key| keys.insert((figure.kpi, *key))) {
                return Err(wrong("a figure", "it speaks of the same twice"));
            }
        }
        Ok(())
    }

    /// How many applications there are.
    fn road(&self) -> Result<u64, DocumentError> {
        const WHAT: &str = "the road";
        let mut cohorts: Vec<Cohort> = self
            .road
            .iter()
            .flat_map(|part| part.cohorts.iter().copied())
            .collect();
        cohorts.sort_unstable();
        if cohorts != Cohort::ALL || self.road.iter().any(|part| part.cohorts.is_empty()) {
            return Err(wrong(WHAT, "each cohort has to be there once"));
        }
        total(WHAT, self.road.iter().map(|part| part.applications))
    }
}

/// The sum of cells that may be shown.
fn total(what: &'static str, cells: impl Iterator<Item = u64>) -> Result<u64, DocumentError> {
    let mut sum = 0_u64;
    for cell in cells {
        if !may_be_shown(cell) {
            return Err(DocumentError::Small { what });
        }
        sum = sum.saturating_add(cell);
    }
    if sum > MAX_APPLICATIONS {
        return Err(wrong(what, "it is about more than a million applications"));
    }
    Ok(sum)
}

fn check_topic(topic: &Topic, all: u64) -> Result<(), DocumentError> {
    const WHAT: &str = "a topic";
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b" -_.,/()".contains(&byte);
    if !(1..=MAX_TOPIC_BYTES).contains(&topic.topic.len()) || !topic.topic.bytes().all(is_name) {
        return Err(wrong(
            WHAT,
            "its name has to be 1 to 64 letters, digits, spaces and -_.,/()",
        ));
    }
    within("rows of a topic", topic.rows.len(), MAX_ROWS)?;
    let levels = |row: &Row| -> Vec<_> {
        let parts = row.parts.iter();
        parts.map(|part| (part.lowest, part.highest)).collect()
    };
    let Some(first) = topic.rows.first() else {
        return Err(wrong(WHAT, "it has no levels"));
    };
    check_levels(first)?;
    let mut tiers = BTreeSet::new();
    for row in &topic.rows {
        let is_new = row.tiers.iter().all(|tier| tiers.insert(*tier));
        if !is_new || row.tiers.is_empty() && topic.rows.len() > 1 {
            return Err(wrong(WHAT, "a tier has to be in one row"));
        }
        if levels(row) != levels(first) {
            return Err(wrong(WHAT, "all tiers have to be told by the same levels"));
        }
    }
    let cells = topic
        .rows
        .iter()
        .flat_map(|row| &row.parts)
        .map(|part| part.applications);
    if total(WHAT, cells)? != all {
        return Err(wrong(
            WHAT,
            "it has to be about the same applications as the others",
        ));
    }
    if let Some(target) = topic.on_target {
        let rest = all
            .checked_sub(target.on.saturating_add(target.below))
            .ok_or_else(|| wrong(WHAT, "more applications have a target than there are"))?;
        total(WHAT, [target.on, target.below, rest].into_iter())?;
    }
    Ok(())
}

/// From no level to the highest, without gaps.
fn check_levels(row: &Row) -> Result<(), DocumentError> {
    let mut expected = None;
    for part in &row.parts {
        if part.lowest != expected || part.highest < part.lowest {
            return Err(wrong("a topic", "its levels have gaps or overlap"));
        }
        expected = Some(part.highest.map_or(0, |highest| highest.saturating_add(1)));
    }
    if expected != Some(MAX_LEVEL + 1) {
        return Err(wrong("a topic", "its levels do not end at 5"));
    }
    Ok(())
}

fn check_figure(figure: &Figure) -> Result<(), DocumentError> {
    const WHAT: &str = "a figure";
    if figure.keys.is_empty() {
        return Err(wrong(WHAT, "it does not say what it is about"));
    }
    if figure.applications_at_least < LEAST_GROUP {
        return Err(DocumentError::Small { what: WHAT });
    }
    if figure.applications_at_least > MAX_APPLICATIONS
        || !figure.applications_at_least.is_multiple_of(LEAST_GROUP)
    {
        return Err(wrong(
            WHAT,
            "its applications are not a multiple of five up to a million",
        ));
    }
    match &figure.value {
        Value::Share { per_mille } => share(*per_mille),
        Value::Number { .. } if is_number(figure.kpi) => Ok(()),
        Value::Number { .. } => Err(wrong(WHAT, "only a fold and versions per week are numbers")),
        Value::Times { over_after, .. } => {
            within("times of a figure", over_after.len(), MAX_TIMES)?;
            over_after
                .iter()
                .filter_map(|after| after.per_mille)
                .try_for_each(share)
        }
    }
}

/// Most times after which a share is told.
const MAX_TIMES: usize = 32;

fn share(per_mille: u64) -> Result<(), DocumentError> {
    if per_mille > 1_000 {
        return Err(wrong("a share", "it is above 1000 thousandths"));
    }
    Ok(())
}
