//! One problem in one image.

use serde::{Deserialize, Serialize};

/// How bad it is. `Unknown` is a value of its own, neither good nor bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No source says.
    Unknown,
    /// Hardly a problem.
    Negligible,
    /// CVSS below 4.
    Low,
    /// CVSS from 4.
    Medium,
    /// CVSS from 7.
    High,
    /// CVSS from 9.
    Critical,
}

impl Severity {
    /// The spelling in reports and rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The qualitative rating of a CVSS score (CVSS 3.1 and 4.0, "Qualitative Severity Rating Scale").
    pub fn of_score(score: f64) -> Self {
        match score {
            score if score >= 9.0 => Self::Critical,
            score if score >= 7.0 => Self::High,
            score if score >= 4.0 => Self::Medium,
            score if score > 0.0 => Self::Low,
            _ => Self::Negligible,
        }
    }
}

/// What kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A package that an advisory speaks of.
    Vulnerability,
    /// A key, token or password.
    Secret,
    /// What a malware rule or clamd knows.
    Malware,
    /// How the image is made.
    Configuration,
}

/// One problem in one image, with where it lies and what fixes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// The CVE if there is one, else the advisory's id, else the rule's.
    pub id: String,
    /// All ids of the same problem, with the sources' own.
    pub aliases: Vec<String>,
    /// What it is, in a line.
    pub title: String,
    /// What is shown; by the one rule for sources that differ.
    pub severity: Severity,
    /// The layer that the evidence lies in, counted from 0 at the bottom; `None` for the image's configuration.
    pub layer: Option<usize>,
    /// Path of the evidence.
    pub path: String,
    /// Path inside the path.
    pub inner_path: Vec<String>,
    /// What fixes it, in words.
    pub fix: Option<String>,
}
