//! The severity that is shown.

use serde::{Deserialize, Serialize};

use crate::{
    Severity,
    advisory::{
        epss::EpssScore,
        index::{AdvisoryIndex, Vulnerability},
        kev::KevEntry,
        matcher::Match,
        rating::Rating,
    },
};

/// A probability from which EPSS stands for a high severity where nobody gives one.
const EPSS_HIGH: f32 = 0.5;
/// A probability from which EPSS stands for a medium severity where nobody gives one.
const EPSS_MEDIUM: f32 = 0.1;

/// Where the severity that is shown comes from. This is the one rule; all sources' ratings stay beside it.
///
/// 1. Of the sources that mean the package, the one that rates it highest. Of one source's ratings the newest scheme counts
///    (CVSS 4, 3, 2, a bare score, a word), and what it says of this package counts before what it says of all.
/// 2. If none of them rates it: the highest rating of any source of the same vulnerability, whatever package it is about.
/// 3. If nobody rates it: high if it is known to be exploited (KEV); high from a probability of 0.5 and medium from 0.1
///    (EPSS). A small probability says nothing about how bad it is.
/// 4. Else it is unknown, which is neither low nor high.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeverityFrom {
    /// The advisory that means the package and rates it highest.
    Source(String),
    /// An advisory about the same vulnerability in another package.
    SameVulnerability(String),
    /// It is known to be exploited.
    Kev,
    /// It is likely to be exploited.
    Epss,
    /// Nobody says.
    Nobody,
}

pub(super) fn severity(
    sources: &[Match],
    vulnerability: &Vulnerability,
    index: &AdvisoryIndex,
    kev: Option<&KevEntry>,
    epss: Option<EpssScore>,
) -> (Severity, SeverityFrom) {
    let own = sources
        .iter()
        .map(|source| (source.advisory.as_ref(), source.ratings.as_slice()));
    if let Some((id, severity)) = highest(own) {
        return (severity, SeverityFrom::Source(id.to_owned()));
    }
    let any = index
        .advisories_of(vulnerability)
        .map(|advisory| (advisory.id.as_ref(), advisory.ratings.as_ref()));
    if let Some((id, severity)) = highest(any) {
        return (severity, SeverityFrom::SameVulnerability(id.to_owned()));
    }
    if kev.is_some() {
        return (Severity::High, SeverityFrom::Kev);
    }
    match severity_by_probability(epss.map(|score| score.probability)) {
        Severity::Unknown => (Severity::Unknown, SeverityFrom::Nobody),
        severity => (severity, SeverityFrom::Epss),
    }
}

/// What a probability of being exploited stands for where nobody gives a severity.
pub fn severity_by_probability(probability: Option<f32>) -> Severity {
    match probability {
        Some(probability) if probability >= EPSS_HIGH => Severity::High,
        Some(probability) if probability >= EPSS_MEDIUM => Severity::Medium,
        _ => Severity::Unknown,
    }
}

/// The first of those that rate highest.
fn highest<'a>(rated: impl Iterator<Item = (&'a str, &'a [Rating])>) -> Option<(&'a str, Severity)> {
    let rated = rated.filter_map(|(id, ratings)| Some((id, Rating::leading(ratings)?.severity)));
    rated.reduce(|best, next| if next.1 > best.1 { next } else { best })
}
