//! Whether a vulnerability counts, and how many of each severity do.

use serde::{Deserialize, Serialize};

use super::ScanResult;
use crate::{
    Severity,
    advisory::{State, VulnerabilityFinding},
};

/// Whether a vulnerability counts, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The package has it.
    Counts,
    /// No source can tell.
    Uncertain,
    /// Something that helps was seen.
    Mitigated,
    /// A trusted signer says that it does not matter here.
    Suppressed,
    /// The package holds headers of a kernel, not the kernel.
    HeadersOnly,
}

impl Standing {
    /// Of a finding.
    pub fn of(finding: &VulnerabilityFinding) -> Self {
        match finding.state {
            _ if finding.is_suppressed() => Self::Suppressed,
            _ if finding.is_headers_only => Self::HeadersOnly,
            State::Mitigated(_) => Self::Mitigated,
            State::Uncertain(_) => Self::Uncertain,
            State::Affected => Self::Counts,
        }
    }

    /// In words.
    pub fn why(self, finding: &VulnerabilityFinding) -> String {
        let trusted = || finding.vex.iter().find(|note| note.is_trusted);
        match (self, &finding.state) {
            (Self::Suppressed, _) => trusted()
                .and_then(|note| note.reason.clone().or_else(|| note.justification.clone()))
                .unwrap_or_else(|| "a trusted statement says that it does not matter here".to_owned()),
            (Self::HeadersOnly, _) => "headers of a kernel, not the kernel".to_owned(),
            (Self::Mitigated, State::Mitigated(mitigation)) => {
                format!("{}: {}", mitigation.seen, mitigation.why)
            }
            (Self::Uncertain, State::Uncertain(why)) => why.clone(),
            _ => String::new(),
        }
    }
}

/// How many there are of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityCounts {
    /// Of [`Severity::Critical`].
    pub critical: usize,
    /// Of [`Severity::High`].
    pub high: usize,
    /// Of [`Severity::Medium`].
    pub medium: usize,
    /// Of [`Severity::Low`].
    pub low: usize,
    /// Of [`Severity::Negligible`].
    pub negligible: usize,
    /// Of [`Severity::Unknown`].
    pub unknown: usize,
}

impl SeverityCounts {
    /// Counts.
    pub fn of(severities: impl IntoIterator<Item = Severity>) -> Self {
        let mut counts = Self::default();
        for severity in severities {
            *match severity {
                Severity::Critical => &mut counts.critical,
                Severity::High => &mut counts.high,
                Severity::Medium => &mut counts.medium,
                Severity::Low => &mut counts.low,
                Severity::Negligible => &mut counts.negligible,
                Severity::Unknown => &mut counts.unknown,
            } += 1;
        }
        counts
    }

    /// The worst first.
    pub const fn worst_first(&self) -> [(Severity, usize); 6] {
        [
            (Severity::Critical, self.critical),
            (Severity::High, self.high),
            (Severity::Medium, self.medium),
            (Severity::Low, self.low),
            (Severity::Negligible, self.negligible),
            (Severity::Unknown, self.unknown),
        ]
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.worst_first().iter().map(|(_, count)| count).sum()
    }
}

impl ScanResult {
    /// Vulnerabilities that count, by severity.
    pub fn counted(&self) -> SeverityCounts {
        let counted = self
            .vulnerabilities
            .iter()
            .filter(|finding| Standing::of(finding) == Standing::Counts);
        SeverityCounts::of(counted.map(|finding| finding.severity))
    }

    /// How many vulnerabilities stand so.
    pub fn standing(&self, standing: Standing) -> usize {
        self.vulnerabilities
            .iter()
            .filter(|finding| Standing::of(finding) == standing)
            .count()
    }
}
