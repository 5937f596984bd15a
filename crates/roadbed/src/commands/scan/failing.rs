//! What makes the command fail, and what is shown.

use std::fmt;
use std::str::FromStr;

use findings::{ByteFindingKind, ScanResult, Severity, Standing};

/// What `--fail-on` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailOn {
    /// A vulnerability that counts and is at least this bad.
    Severity(Severity),
    /// A vulnerability that counts and is known to be exploited.
    Kev,
    /// The policy refuses.
    Refuse,
    /// A secret, in whichever layer.
    Secret,
    /// Malware, in whichever layer.
    Malware,
}

const SEVERITIES: [Severity; 6] = [
    Severity::Critical,
    Severity::High,
    Severity::Medium,
    Severity::Low,
    Severity::Negligible,
    Severity::Unknown,
];

/// As users write it.
pub(super) fn severity(text: &str) -> Result<Severity, String> {
    SEVERITIES
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| {
            format!("{text:?} is no severity; there are critical, high, medium, low, negligible and unknown")
        })
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kev" => Ok(Self::Kev),
            "refuse" => Ok(Self::Refuse),
            "secret" => Ok(Self::Secret),
            "malware" => Ok(Self::Malware),
            text => severity(text)
                .map(Self::Severity)
                .map_err(|error| format!("{error}; or kev, refuse, secret and malware")),
        }
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Severity(severity) => severity.as_str(),
            Self::Kev => "kev",
            Self::Refuse => "refuse",
            Self::Secret => "secret",
            Self::Malware => "malware",
        })
    }
}

impl FailOn {
    /// From which severity vulnerabilities fail, if it is about that.
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Severity(severity) => Some(severity),
            _ => None,
        }
    }

    fn is_in(self, result: &ScanResult) -> bool {
        let mut counting = result
            .vulnerabilities
            .iter()
            .filter(|finding| Standing::of(finding) == Standing::Counts);
        // Examples are warned about and never refused.
        let has = |kind| {
            result
                .files
                .iter()
                .any(|file| file.finding.kind == kind && !file.finding.is_example)
        };
        match self {
            Self::Severity(least) => counting.any(|finding| finding.severity >= least),
            Self::Kev => counting.any(|finding| finding.kev.is_some()),
            Self::Refuse => result
                .decision
                .as_ref()
                .is_some_and(|decision| decision.outcome == policy::Outcome::Refuse.as_str()),
            Self::Secret => has(ByteFindingKind::Secret),
            Self::Malware => has(ByteFindingKind::Malware),
        }
    }
}

/// What of `fail_on` there is.
pub(super) fn found(fail_on: &[FailOn], result: &ScanResult) -> Vec<FailOn> {
    fail_on
        .iter()
        .copied()
        .filter(|what| what.is_in(result))
        .collect()
}

/// Leaves out what is less bad.
pub(super) fn keep(result: &mut ScanResult, least: Severity) {
    result.vulnerabilities.retain(|finding| finding.severity >= least);
    result.files.retain(|file| file.finding.severity >= least);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_written_alike() {
        for word in [
            "critical", "high", "unknown", "kev", "refuse", "secret", "malware",
        ] {
            assert_eq!(word.parse::<FailOn>().unwrap().to_string(), word);
        }
        assert!("bad".parse::<FailOn>().unwrap_err().contains("malware"));
    }
}
