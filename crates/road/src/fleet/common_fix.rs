//! The one version to go to that is without all of a group of vulnerabilities.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use findings::{
    Ecosystem, OsRelease, Package,
    advisory::{Knowledge, State, Vulnerability, find_vulnerability},
    version,
};

use super::{Fleet, page::Place};

/// Versions that are tried: each vulnerability of the largest group can name another one, and some twice.
const TRIED: usize = 128;

/// What helps a package against a group of vulnerabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommonFix {
    /// The lowest version of the line in use, or after it, that is without all that anything fixes. `None`: nothing fixes any of it.
    pub version: Option<String>,
    /// What is there in that version still, for nothing fixes it yet.
    pub leaves: BTreeSet<Arc<str>>,
}

/// The lowest version to go to. Each vulnerability names the lowest one that is without it; of these the latest is tried, and what
/// that has is asked for again: a version that fixes the first problem is often known for the second one.
pub fn common_fix<'i>(
    package: &Package,
    os: Option<&OsRelease>,
    ids: impl IntoIterator<Item = &'i str>,
    knowledge: &Knowledge<'_>,
) -> CommonFix {
    let group: Vec<&Vulnerability> = ids
        .into_iter()
        .filter_map(|id| knowledge.index.vulnerability(id))
        .collect();
    let of_os = || os.and_then(Ecosystem::of_os).map(|(ecosystem, _)| ecosystem);
    let Some(ecosystem) = package.kind.language_ecosystem().or_else(of_os) else {
        return CommonFix::default();
    };
    let is_after =
        |left: &str, right: &str| version::compare(ecosystem, left, right) == Ok(Ordering::Greater);
    let (mut tried, mut fix) = (package.clone(), CommonFix::default());
    for _ in 0..TRIED {
        fix.leaves.clear();
        let mut next: Option<String> = None;
        for vulnerability in &group {
            let report = find_vulnerability(std::slice::from_ref(&tried), os, knowledge, vulnerability);
            let mut found = report.findings.into_iter();
            let found = found.find(|finding| finding.state == State::Affected && !finding.is_headers_only);
            let Some(found) = found else { continue };
            let is_later = |version: &&str| {
                let before = fix.version.as_deref();
                before.is_none_or(|before| is_after(version, before))
            };
            match found.fix.version().filter(is_later) {
                Some(version) if next.as_deref().is_none_or(|next| is_after(version, next)) => {
                    next = Some(version.to_owned());
                }
                Some(_) => {}
                None => {
                    fix.leaves.insert(found.id);
                }
            }
        }
        let Some(next) = next else { break };
        tried = at(package, &next);
        fix.version = Some(next);
    }
    fix
}

/// The package as it will be: nothing is known of what may help in it.
fn at(package: &Package, version: &str) -> Package {
    let mut package = package.clone();
    version.clone_into(&mut package.version);
    if let Some(source) = &mut package.source {
        version.clone_into(&mut source.version);
    }
    package.version_range = None;
    package.mitigations.clear();
    package
}

impl Fleet {
    /// The package at a place of an answer, as advisories are asked about it.
    pub fn package_at(&self, place: &Place<'_>) -> Option<Package> {
        self.versions
            .get(place.version_number)
            .map(|version| self.package(version))
    }
}
