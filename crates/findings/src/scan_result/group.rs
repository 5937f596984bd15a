//! What one update fixes: the vulnerabilities of one version of a package in one layer that have one fix.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{PlacedPackage, ScanResult, Standing};
use crate::{Severity, advisory::VulnerabilityFinding};

/// Vulnerabilities that one update fixes, or that nothing fixes.
#[derive(Debug, Clone)]
pub(crate) struct UpdateGroup<'a> {
    /// The first package of the group.
    pub(crate) package: &'a PlacedPackage,
    /// Paths of all of its packages, each once.
    pub(crate) paths: Vec<String>,
    /// What to go to.
    pub(crate) fix: Option<&'a str>,
    /// The worst first, each once.
    pub(crate) findings: Vec<&'a VulnerabilityFinding>,
}

/// Larger is more urgent: exploited, then bad with a fix, then likely to be exploited, then bad without one.
type Urgency = (bool, Option<Severity>, u32, Severity);

impl UpdateGroup<'_> {
    pub(crate) fn is_exploited(&self) -> bool {
        self.findings.iter().any(|finding| finding.kev.is_some())
    }

    pub(crate) fn worst(&self) -> Severity {
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        worst.unwrap_or(Severity::Unknown)
    }

    /// The largest probability of exploitation, in thousandths of a percent: whole, to be ordered.
    fn probability(&self) -> u32 {
        let thousandths = |finding: &&VulnerabilityFinding| {
            let share = finding.epss.map_or(0.0, |score| score.probability);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float is cast to the nearest number that there is"
            )]
            let whole = (share * 100_000.0) as u32;
            whole
        };
        self.findings.iter().map(thousandths).max().unwrap_or_default()
    }

    fn urgency(&self) -> Urgency {
        let worst = self.worst();
        (
            self.is_exploited(),
            self.fix.map(|_| worst),
            self.probability(),
            worst,
        )
    }
}

/// Of all vulnerabilities that count, the most urgent group first.
pub(crate) fn update_groups(result: &ScanResult) -> Vec<UpdateGroup<'_>> {
    let mut groups: BTreeMap<_, UpdateGroup<'_>> = BTreeMap::new();
    let counted = result
        .vulnerabilities
        .iter()
        .filter(|finding| Standing::of(finding) == Standing::Counts);
    for finding in counted {
        let Some(placed) = result.package_of(finding) else {
            continue;
        };
        let package = &placed.package;
        let fix = finding.fix.version();
        let key = (placed.layer, package.kind, &package.name, &package.version, fix);
        let group = groups.entry(key).or_insert_with(|| UpdateGroup {
            package: placed,
            paths: Vec::new(),
            fix,
            findings: Vec::new(),
        });
        group.paths.push(placed.full_path());
        group.findings.push(finding);
    }
    let mut groups: Vec<UpdateGroup<'_>> = groups.into_values().map(tidied).collect();
    groups.sort_by_key(|group| Reverse(group.urgency()));
    groups
}

/// Each path and each vulnerability once: the same jar may lie at many places.
fn tidied(mut group: UpdateGroup<'_>) -> UpdateGroup<'_> {
    group.paths.sort_unstable();
    group.paths.dedup();
    group.findings.sort_by(|left, right| left.id.cmp(&right.id));
    group.findings.dedup_by(|left, right| left.id == right.id);
    group
        .findings
        .sort_by_key(|finding| Reverse((finding.kev.is_some(), finding.severity)));
    group
}
