//! What of an incident is over and what is not, by severity: "the critical part is resolved, the medium part is open".

use findings::Severity;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Incident;
use crate::names::VulnerabilityId;

/// All vulnerabilities of the group that are rated alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How.
    pub severity: Severity,
    /// Which.
    pub vulnerabilities: Vec<VulnerabilityId>,
    /// How many tags and images somebody has to do something about because of them.
    pub open: usize,
    /// How many are affected by them, and mitigated or waived.
    pub relieved: usize,
    /// Not all images are covered: there may be more.
    #[serde(default)]
    pub at_least: bool,
}

impl Incident {
    /// By severity, the worst first; those of which the group has one.
    pub fn parts(&self, now: OffsetDateTime) -> Vec<Part> {
        let mut severities: Vec<Severity> = self.vulnerabilities.iter().map(|known| known.severity).collect();
        severities.sort_unstable();
        severities.dedup();
        let part = |severity: Severity| {
            let places = self.vulnerabilities.iter().enumerate();
            let of_it = places.filter(|(_, known)| known.severity == severity);
            let mask = of_it.fold(0_u64, |mask, (place, _)| mask | 1 << place);
            let affected = self.lines().filter(|line| line.exposed() & mask != 0);
            let (open, relieved): (Vec<_>, Vec<_>) =
                affected.partition(|line| line.pressing(now) & mask != 0);
            Part {
                severity,
                vulnerabilities: self.ids(mask),
                open: open.len(),
                relieved: relieved.len(),
                at_least: !self.coverage.is_whole(),
            }
        };
        severities.into_iter().rev().map(part).collect()
    }
}

impl Part {
    /// `open`, or `resolved`: nobody has to do anything about it now. That an incident is closed is somebody's word.
    pub const fn state(&self) -> &'static str {
        if self.open == 0 { "resolved" } else { "open" }
    }

    /// In words: `critical part (CVE-2021-44228) resolved`, `medium part (CVE-2021-45105) open: at least 3 affected`.
    pub fn words(&self) -> String {
        let ids: Vec<&str> = self.vulnerabilities.iter().map(VulnerabilityId::as_str).collect();
        let relieved = match self.relieved {
            0 => String::new(),
            count => format!(", {count} mitigated or waived"),
        };
        let state = match self.open {
            0 => self.state().to_owned(),
            open if self.at_least => format!("open: at least {open} affected"),
            open => format!("open: {open} affected"),
        };
        format!(
            "{} part ({}) {state}{relieved}",
            self.severity.as_str(),
            ids.join(", ")
        )
    }
}
