//! How what is said of one vulnerability has changed, for all images at once.

use std::collections::BTreeSet;

use findings::{
    Severity,
    advisory::{Conflict, Knowledge, VulnerabilityFinding},
};

use super::{Fleet, answer::Answer, scope::Scope};

/// Versions, packages and sources of each kind that a change names; there may be more.
pub const TOLD_VERSIONS: usize = 10;

/// What is otherwise than before. Images are counted, never listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Images that have it and had it not.
    pub newly: u64,
    /// Images that had it and have it no more.
    pub no_more: u64,
    /// Images that have it.
    pub affected: u64,
    /// Images that may have it.
    pub uncertain: u64,
    /// The worst that it is rated.
    pub rated: Severity,
    /// Versions that fix it.
    pub fixes: BTreeSet<String>,
    /// Versions that fix it, before and after, where some package has another fix than before.
    pub fix: Option<[BTreeSet<String>; 2]>,
    /// The worst that it is rated, before and after, where some package is rated otherwise.
    pub severity: Option<[Severity; 2]>,
    /// What sources have come to disagree about: `affected`, `fix`, `severity`.
    pub conflicts: BTreeSet<&'static str>,
    /// Packages that it is found in.
    pub packages: BTreeSet<String>,
    /// Databases that say so, and those that do not.
    pub sources: BTreeSet<String>,
}

impl Change {
    /// Whether nobody has to hear of it.
    pub fn is_nothing(&self) -> bool {
        self.newly == 0
            && self.no_more == 0
            && self.fix.is_none()
            && self.severity.is_none()
            && self.conflicts.is_empty()
    }
}

impl Fleet {
    /// What two states of advisories say of a vulnerability. `ids`: what it is called, in either. `None`: neither knows it.
    pub fn change_of(
        &self,
        ids: &[&str],
        before: &Knowledge<'_>,
        after: &Knowledge<'_>,
        scope: &Scope,
    ) -> Option<Change> {
        let find = |knowledge| {
            let mut ids = ids.iter();
            ids.find_map(|id| self.by_vulnerability(id, knowledge, scope))
        };
        let (then, now) = (find(before), find(after));
        if then.is_none() && now.is_none() {
            return None;
        }
        let nothing = || Answer::nothing(scope);
        Some(compare(
            &then.unwrap_or_else(nothing),
            &now.unwrap_or_else(nothing),
            self,
        ))
    }
}

fn compare(then: &Answer, now: &Answer, fleet: &Fleet) -> Change {
    let mut change = Change {
        newly: now.affected.len() - now.affected.intersection_len(&then.affected),
        no_more: then.affected.len() - now.affected.intersection_len(&then.affected),
        affected: now.affected.len(),
        uncertain: now.uncertain.len(),
        rated: Severity::Unknown,
        fixes: BTreeSet::new(),
        fix: None,
        severity: None,
        conflicts: BTreeSet::new(),
        packages: BTreeSet::new(),
        sources: BTreeSet::new(),
    };
    let (mut fixes, mut is_fixed_otherwise) = ([BTreeSet::new(), BTreeSet::new()], false);
    let (mut rated, mut is_rated_otherwise) = ([Severity::Unknown; 2], false);
    for (key, hit) in &now.hits.versions {
        let Some(finding) = hit.as_ref().and_then(|hit| hit.finding.as_deref()) else {
            continue;
        };
        change.name(fleet, key.0, finding);
        change.rated = change.rated.max(finding.severity);
        put(&mut change.fixes, finding.fix.version());
        let before = then.hits.versions.get(key).and_then(Option::as_ref);
        let before = before.and_then(|hit| hit.finding.as_deref());
        let known = before.map_or(&[][..], |before| before.conflicts.as_slice());
        change.note_conflicts(known, &finding.conflicts);
        let Some(before) = before else { continue };
        if before.fix.version() != finding.fix.version() {
            is_fixed_otherwise = true;
            for (names, finding) in fixes.iter_mut().zip([before, finding]) {
                put(names, finding.fix.version());
            }
        }
        is_rated_otherwise |= before.severity != finding.severity;
        for (worst, finding) in rated.iter_mut().zip([before, finding]) {
            *worst = (*worst).max(finding.severity);
        }
    }
    for ((version, _), hit) in &then.hits.versions {
        if let Some(finding) = hit.as_ref().and_then(|hit| hit.finding.as_deref()) {
            change.name(fleet, *version, finding);
        }
    }
    change.fix = is_fixed_otherwise.then_some(fixes);
    change.severity = is_rated_otherwise.then_some(rated);
    change
}

impl Change {
    fn name(&mut self, fleet: &Fleet, version: u32, finding: &VulnerabilityFinding) {
        let name = fleet.versions.get(version).map(|version| version.name);
        put(&mut self.packages, name.map(|name| fleet.strings.get(name)));
        let sources = finding.sources.iter().map(|source| source.database.as_str());
        let denied = finding.denied_by.iter().map(|denied| denied.database.as_str());
        for source in sources.chain(denied) {
            put(&mut self.sources, Some(source));
        }
    }

    /// What they disagree about now and did not before.
    fn note_conflicts(&mut self, before: &[Conflict], after: &[Conflict]) {
        let known: BTreeSet<_> = before.iter().map(about).collect();
        let new = after.iter().map(about).filter(|about| !known.contains(about));
        self.conflicts.extend(new);
    }
}

const fn about(conflict: &Conflict) -> &'static str {
    match conflict {
        Conflict::Affected { .. } => "affected",
        Conflict::Fix(_) => "fix",
        Conflict::Severity(_) => "severity",
    }
}

fn put(names: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name
        && names.len() < TOLD_VERSIONS
    {
        names.insert(name.to_owned());
    }
}
