//! Where one stands among others.
//!
//! By quartiles of what the others say, for each topic and figure that enough of them have. No overall place is made of that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::{Document, Key, Topic, Value};
use super::{LEAST_GROUP, MAX_LEVEL};
use crate::kpi::KpiId;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More.
    Higher,
    /// Less.
    Lower,
}

/// In which quarter of the others' values one's own lies, whichever way is better. At a quartile itself it is the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quarter {
    /// Up to the lower quartile.
    Lowest,
    /// Up to the median.
    Second,
    /// Up to the upper quartile.
    Third,
    /// Above.
    Highest,
}

/// Where one's own value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// Among enough others.
    Placed {
        /// One's own.
        own: u64,
        /// A quarter of the others have at most this.
        lower_quartile: u64,
        /// Half have.
        median: u64,
        /// Three quarters have.
        upper_quartile: u64,
        /// In which quarter one's own lies.
        quarter: Quarter,
        /// Among how many others.
        others: u64,
    },
    /// Fewer than [`LEAST_GROUP`] others have it: quartiles would tell who they are.
    TooFew {
        /// One's own.
        own: u64,
        /// How many others.
        others: u64,
    },
}

/// One topic from one level on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPlace {
    /// Which.
    pub topic: String,
    /// From which level on.
    pub level: u8,
    /// Applications on this level or above, in thousandths of those that have a level.
    pub per_mille: Standing,
}

/// What of a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Aspect {
    /// A share, in thousandths.
    Share,
    /// A number, in hundredths.
    Number,
    /// The median time, in seconds.
    Median,
    /// The time of nine in ten, in seconds.
    P90,
    /// What is over after so long, in thousandths.
    OverAfter {
        /// In seconds.
        seconds: u64,
    },
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FigurePlace {
    /// Which.
    pub kpi: KpiId,
    /// About what; only others that have merged alike are compared.
    pub keys: Vec<Key>,
    /// What of it.
    pub aspect: Aspect,
    /// Which way is better.
    pub better: Better,
    /// Where one's own lies.
    pub value: Standing,
}

/// Where one stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// With how many others.
    pub others: u64,
    /// Documents that were there twice, or are one's own.
    pub repeated: u64,
    /// Documents whose figures are from another source; what runs and what is published are not the same.
    pub other_source: u64,
    /// By topic and level.
    pub topics: Vec<TopicPlace>,
    /// By figure.
    pub figures: Vec<FigurePlace>,
}

/// Compares one's own document to those of others.
pub fn compare(own: &Document, others: &[Document]) -> Comparison {
    let mut distinct: Vec<&Document> = Vec::new();
    let (mut repeated, mut other_source) = (0, 0);
    for other in others {
        if other == own || distinct.contains(&other) {
            repeated += 1;
        } else if other.source == own.source {
            distinct.push(other);
        } else {
            other_source += 1;
        }
    }
    let topics = own.topics.iter().flat_map(|topic| places(topic, &distinct));
    let others_figures: Vec<_> = distinct.iter().map(|other| figures(other)).collect();
    let placed = figures(own)
        .into_iter()
        .map(|((kpi, keys, aspect), value)| FigurePlace {
            value: standing(
                value,
                others_figures
                    .iter()
                    .filter_map(|figures| figures.get(&(kpi, keys, aspect)).copied()),
            ),
            kpi,
            keys: keys.to_vec(),
            aspect,
            better: better(kpi, aspect),
        });
    Comparison {
        others: u64::try_from(distinct.len()).unwrap_or(u64::MAX),
        repeated,
        other_source,
        topics: topics.collect(),
        figures: placed.collect(),
    }
}

/// For every level from which on both oneself and others tell how many there are.
fn places(topic: &Topic, others: &[&Document]) -> Vec<TopicPlace> {
    let mut places = Vec::new();
    for level in 1..=MAX_LEVEL {
        let Some(own) = from_level_on(topic, level) else {
            continue;
        };
        let same = others.iter().filter_map(|other| {
            let same = other.topics.iter().find(|other| other.topic == topic.topic)?;
            from_level_on(same, level)
        });
        places.push(TopicPlace {
            topic: topic.topic.clone(),
            level,
            per_mille: standing(own, same),
        });
    }
    places
}

/// Applications on this level or above, in thousandths of those with a level; `None` where merged levels hide either, or where none
/// has a level.
fn from_level_on(topic: &Topic, level: u8) -> Option<u64> {
    let parts = || topic.rows.iter().flat_map(|row| &row.parts);
    let starts_at = |lowest: u8| parts().any(|part| part.lowest == Some(lowest));
    if !starts_at(0) || !starts_at(level) {
        return None;
    }
    let from = |lowest: u8| -> u64 {
        let at_least = parts().filter(|part| part.lowest >= Some(lowest));
        at_least.map(|part| part.applications).sum()
    };
    (from(level) * 1_000).checked_div(from(0))
}

/// Every comparable value of a document.
fn figures(document: &Document) -> BTreeMap<(KpiId, &[Key], Aspect), u64> {
    let mut found = BTreeMap::new();
    for figure in &document.figures {
        let mut note = |aspect: Aspect, value: Option<u64>| {
            if let Some(value) = value {
                found.insert((figure.kpi, figure.keys.as_slice(), aspect), value);
            }
        };
        match &figure.value {
            Value::Share { per_mille } => note(Aspect::Share, Some(*per_mille)),
            Value::Number { hundredths } => note(Aspect::Number, Some(*hundredths)),
            Value::Times {
                median_seconds,
                p90_seconds,
                over_after,
            } => {
                note(Aspect::Median, *median_seconds);
                note(Aspect::P90, *p90_seconds);
                for after in over_after {
                    let seconds = after.seconds;
                    note(Aspect::OverAfter { seconds }, after.per_mille);
                }
            }
        }
    }
    found
}

const fn better(kpi: KpiId, aspect: Aspect) -> Better {
    match (kpi, aspect) {
        (_, Aspect::Median | Aspect::P90)
        | (KpiId::ChangeFailureRate | KpiId::Recurrence | KpiId::ExposureWindow, Aspect::Share) => {
            Better::Lower
        }
        _ => Better::Higher,
    }
}

fn standing(own: u64, others: impl Iterator<Item = u64>) -> Standing {
    let mut sorted: Vec<u64> = others.collect();
    sorted.sort_unstable();
    let count = u64::try_from(sorted.len()).unwrap_or(u64::MAX);
    let quartile = |quarters: usize| {
        let rank = (sorted.len() * quarters).div_ceil(4);
        sorted.get(rank.checked_sub(1)?).copied()
    };
    let quartiles = (quartile(1), quartile(2), quartile(3));
    let (true, (Some(lower_quartile), Some(median), Some(upper_quartile))) =
        (count >= LEAST_GROUP, quartiles)
    else {
        return Standing::TooFew { own, others: count };
    };
    let quarter = match own {
        own if own <= lower_quartile => Quarter::Lowest,
        own if own <= median => Quarter::Second,
        own if own <= upper_quartile => Quarter::Third,
        _ => Quarter::Highest,
    };
    Standing::Placed {
        own,
        lower_quartile,
        median,
        upper_quartile,
        quarter,
        others: count,
    }
}
