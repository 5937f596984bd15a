//! The document. All numbers in it are whole, so that its bytes are the same everywhere.

use serde::{Deserialize, Serialize};
use time::Date;

use super::canonical;
use crate::kpi::{Cohort, KpiId, Severity, Source};

/// Distributions and figures without names. Made by [`export`](super::export) or read by [`Document::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: String,
    /// Which time it is about.
    pub period: Period,
    /// Where the figures come from.
    pub source: Source,
    /// How much of what runs is known, in whole percent, rounded down.
    pub coverage_percent: u8,
    /// Levels by topic, in the order of their names.
    pub topics: Vec<Topic>,
    /// How many topics are left out because only this organisation has them.
    pub topics_left_out: u64,
    /// Where applications stand on the road.
    pub road: Vec<RoadPart>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Figures of too few applications.
    pub figures_withheld: Vec<KpiId>,
}

/// Dates in UTC, written `2026-10-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first day.
    #[serde(with = "day")]
    pub from: Date,
    /// The first day after it.
    #[serde(with = "day")]
    pub until: Date,
}

/// The levels of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Which, by a public model.
    pub topic: String,
    /// By tiers, or one row for all.
    pub rows: Vec<Row>,
    /// How many are on their target; `None` where a group is too small.
    pub on_target: Option<OnTarget>,
}

/// The levels of the applications of some tiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Which tiers, 0 for those without one; empty for all.
    pub tiers: Vec<u8>,
    /// The levels, from the lowest to the highest.
    pub parts: Vec<Part>,
}

/// Applications between two levels. `None` is below level 0: nothing of the topic applies to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The lowest level.
    pub lowest: Option<u8>,
    /// The highest level.
    pub highest: Option<u8>,
    /// How many: none, or at least [`LEAST_GROUP`](super::LEAST_GROUP).
    pub applications: u64,
}

/// Targets of one topic. Those without a target are the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnTarget {
    /// On their target.
    pub on: u64,
    /// Below it.
    pub below: u64,
}

/// Applications in some cohorts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoadPart {
    /// Which.
    pub cohorts: Vec<Cohort>,
    /// How many: none, or at least [`LEAST_GROUP`](super::LEAST_GROUP).
    pub applications: u64,
}

/// What a figure is about. `None` is everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Of this severity.
    pub severity: Option<Severity>,
    /// In this cohort.
    pub cohort: Option<Cohort>,
}

/// One figure of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Which.
    pub kpi: KpiId,
    /// About what; several where groups were merged.
    pub keys: Vec<Key>,
    /// About at least so many applications, rounded down to fives.
    pub applications_at_least: u64,
    /// What came out.
    pub value: Value,
}

/// What came out, in whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Value {
    /// A share.
    Share {
        /// In thousandths.
        per_mille: u64,
    },
    /// A number, such as a fold or versions per week.
    Number {
        /// In hundredths.
        hundredths: u64,
    },
    /// Durations, by Kaplan-Meier.
    Times {
        /// In seconds, two digits; `None` while not known.
        median_seconds: Option<u64>,
        /// In seconds, two digits; `None` while not known.
        p90_seconds: Option<u64>,
        /// Shares that are over after a time.
        over_after: Vec<ShareAfter>,
    },
}

/// A share that is over after a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareAfter {
    /// After how many seconds.
    pub seconds: u64,
    /// In thousandths; `None` where nothing was watched for so long.
    pub per_mille: Option<u64>,
}

impl Document {
    /// Its canonical bytes: what is signed. The same document gives the same bytes everywhere.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical::bytes(self)
    }
}

mod day {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use time::Date;
    use time::format_description::well_known::Iso8601;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
    pub(super) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    /// Exactly `YYYY-MM-DD`: ISO 8601 has other forms of the same day.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date = Date::parse(&text, &Iso8601::DATE).ok();
        date.filter(|date| date.to_string() == text)
            .ok_or_else(|| D::Error::custom("a date is written as 2026-10-01"))
    }
}
