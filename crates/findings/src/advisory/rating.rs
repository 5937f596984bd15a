//! How bad a source finds a vulnerability, kept in its own words.

use serde::{Deserialize, Serialize};

use super::cvss;
use crate::Severity;

/// By which measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scheme {
    /// A word of the source's own (`Important`, `HIGH`, `unimportant`).
    Word,
    /// A CVSS score without its vector.
    Score,
    /// A vector of CVSS 2.0.
    CvssV2,
    /// A vector of CVSS 3.0 or 3.1.
    CvssV3,
    /// A vector of CVSS 4.0.
    CvssV4,
}

/// One statement of one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rating {
    /// By which measure.
    pub scheme: Scheme,
    /// As stated.
    pub text: String,
    /// Tenths of the base score, where there is one (`98` is 9.8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenths: Option<u8>,
    /// What it comes to.
    pub severity: Severity,
}

impl Rating {
    /// From a vector. One that cannot be read is kept as it is, with an unknown severity.
    pub fn of_vector(scheme: Scheme, vector: &str) -> Self {
        let tenths = match scheme {
            Scheme::CvssV2 => cvss::v2_base_tenths(vector),
            Scheme::CvssV3 => cvss::v3_base_tenths(vector),
            Scheme::CvssV4 => cvss::v4_base_tenths(vector),
            Scheme::Word | Scheme::Score => None,
        };
        Self::with_tenths(scheme, vector, tenths)
    }

    /// From a score from 0 to 10 in text.
    pub fn of_score(text: &str) -> Option<Self> {
        let score: f64 = text.trim().parse().ok()?;
        if !(0.0..=10.0).contains(&score) {
            return None;
        }
        Some(Self::with_tenths(
            Scheme::Score,
            text,
            Some(cvss::tenths_of(score)),
        ))
    }

    /// From a word; `None` if it says nothing (`Unknown`, `not yet assigned`).
    pub fn of_word(word: &str) -> Option<Self> {
        let severity = match word.trim().trim_end_matches('*').to_ascii_lowercase().as_str() {
            "critical" => Severity::Critical,
            "high" | "important" => Severity::High,
            "medium" | "moderate" => Severity::Medium,
            "low" => Severity::Low,
            "negligible" | "unimportant" | "none" => Severity::Negligible,
            _ => return None,
        };
        Some(Self {
            scheme: Scheme::Word,
            text: word.trim().to_owned(),
            tenths: None,
            severity,
        })
    }

    fn with_tenths(scheme: Scheme, text: &str, tenths: Option<u8>) -> Self {
        let severity = tenths.map_or(Severity::Unknown, |tenths| {
            Severity::of_score(f64::from(tenths) / 10.0)
        });
        Self {
            scheme,
            text: text.to_owned(),
            tenths,
            severity,
        }
    }

    /// The one of a source's ratings that counts: the newest scheme whose severity is known.
    pub fn leading(ratings: &[Self]) -> Option<&Self> {
        ratings
            .iter()
            .filter(|rating| rating.severity != Severity::Unknown)
            .max_by_key(|rating| (rating.scheme, rating.severity))
    }
}
