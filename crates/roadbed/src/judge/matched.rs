//! What is known against single packages, remembered for as long as the advisories are the same.
//!
//! The packages of a base are those of all images that stand on it, and those of an application are the same in build after build. What
//! is found in an image is what is found in each of its packages, as long as all of it is within the limits on one image; where it is
//! not, nothing is remembered and the image is asked about as a whole.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, PoisonError},
};

use findings::{
    OsRelease, Package,
    advisory::{Effort, find_in_package},
};
use oci::{Algorithm, Digest, Hasher};
use policy::JudgedFinding;

use super::{JudgeLimits, knowledge::Facts, subject};

/// Parts of it, each with a lock of its own.
const PARTS: usize = 16;

/// Bytes of a finding of a package with all its texts, roughly.
const FINDING: usize = 900;

/// Bytes of a package, roughly.
const PACKAGE: usize = 700;

/// A package where it lies: its layer, counted from 0 at the bottom, and its path.
pub(super) type Placed<'a> = (&'a Package, Option<usize>, &'a str);

/// What is remembered.
pub(crate) struct Matched {
    parts: [Mutex<Part>; PARTS],
    /// Bytes that each part may take.
    most: usize,
}

impl Default for Matched {
    fn default() -> Self {
        Self::within(JudgeLimits::default().package_memory)
    }
}

#[derive(Default)]
struct Part {
    known: HashMap<u64, Arc<Known>>,
    bytes: usize,
}

/// What is known of one package in one place.
struct Known {
    os: Option<OsRelease>,
    package: Package,
    layer: Option<usize>,
    path: String,
    findings: Vec<JudgedFinding>,
    marks: Vec<Mark>,
    /// Stands for all that the findings say. `None`: there are none.
    said: Option<Digest>,
    is_covered: bool,
    effort: Effort,
}

/// What stands for a finding: its [key](JudgedFinding::key), and [all that lasts of it](JudgedFinding::lasting).
pub(super) type Mark = (u64, Digest);

pub(super) fn mark(finding: &JudgedFinding) -> Mark {
    (finding.key(), finding.lasting())
}

fn said(findings: &[JudgedFinding]) -> Option<Digest> {
    if findings.is_empty() {
        return None;
    }
    // Dates that no text of their own has are the only thing that JSON may not have.
    let text = serde_json::to_vec(findings).unwrap_or_else(|_| format!("{findings:?}").into_bytes());
    Some(Digest::of(Algorithm::Sha256, &text))
}

/// What is known of each package of an image.
pub(super) struct Among(Vec<Arc<Known>>);

impl Among {
    /// Stands for all that the findings of all packages say, in their order.
    pub(super) fn said(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for said in self.0.iter().filter_map(|known| known.said.as_ref()) {
            hasher.update(said.bytes());
        }
        hasher.finish()
    }

    /// Kinds of packages of which nothing is known, as package URLs call them.
    pub(super) fn uncovered(&self) -> BTreeSet<&'static str> {
        let uncovered = self.0.iter().filter(|known| !known.is_covered);
        uncovered.map(|known| known.package.kind.purl_type()).collect()
    }

    /// All of it.
    pub(super) fn found(&self) -> Found {
        let known = || self.0.iter();
        Found {
            findings: known().flat_map(|known| known.findings.iter().cloned()).collect(),
            marks: known().flat_map(|known| known.marks.iter().copied()).collect(),
            uncovered: self.uncovered(),
        }
    }
}

/// What is known of all packages of an image.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// In the order of the packages, the worst of a package first.
    pub(super) findings: Vec<JudgedFinding>,
    /// What stands for each of them.
    pub(super) marks: Vec<Mark>,
    /// Kinds of packages of which nothing is known, as package URLs call them.
    pub(super) uncovered: BTreeSet<&'static str>,
}

impl Matched {
    /// Remembers so many bytes, estimated. What comes on top takes the place of what was there.
    pub(super) fn within(bytes: u64) -> Self {
        Self {
            parts: Default::default(),
            most: usize::try_from(bytes).unwrap_or(usize::MAX) / PARTS,
        }
    }

    /// What is known of packages of an image whose VEX says nothing. `None`: it is too much to be known one by one.
    pub(super) fn of(&self, placed: &[Placed<'_>], os: Option<&OsRelease>, facts: &Facts) -> Option<Among> {
        let (mut among, mut effort) = (Vec::with_capacity(placed.len()), Effort::default());
        for one in placed {
            let known = self.one(*one, os, facts);
            effort = effort.and(known.effort);
            if !effort.is_within_limits() {
                return None;
            }
            among.push(known);
        }
        Some(Among(among))
    }

    fn one(&self, placed: Placed<'_>, os: Option<&OsRelease>, facts: &Facts) -> Arc<Known> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((placed, os));
        let part = &self.parts[usize::try_from(hash % PARTS as u64).unwrap_or(0)];
        let lock = || part.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().known.get(&hash).map(Arc::clone);
        if let Some(known) = known.filter(|known| known.is_about(placed, os)) {
            return known;
        }
        let known = Arc::new(Known::find(placed, os, facts));
        lock().keep(hash, &known, self.most);
        known
    }
}

impl Part {
    fn keep(&mut self, hash: u64, known: &Arc<Known>, most: usize) {
        if known.bytes() > most {
            return;
        }
        if self.bytes + known.bytes() > most {
            *self = Self::default();
        }
        self.bytes += known.bytes();
        if let Some(before) = self.known.insert(hash, Arc::clone(known)) {
            self.bytes -= before.bytes();
        }
    }
}

impl Known {
    fn find((package, layer, path): Placed<'_>, os: Option<&OsRelease>, facts: &Facts) -> Self {
        let (report, effort) = find_in_package(package, os, &facts.knowledge());
        let findings = report.findings.iter();
        let judged = findings.map(|finding| subject::judged(finding, (package, os), (layer, path), facts));
        let judged: Vec<JudgedFinding> = judged.collect();
        Self {
            os: os.cloned(),
            package: package.clone(),
            layer,
            path: path.to_owned(),
            marks: judged.iter().map(mark).collect(),
            said: said(&judged),
            findings: judged,
            is_covered: report
                .coverage
                .iter()
                .all(findings::advisory::Coverage::is_covered),
            effort,
        }
    }

    /// Two that have the same hash are still two.
    fn is_about(&self, (package, layer, path): Placed<'_>, os: Option<&OsRelease>) -> bool {
        self.package == *package && self.path == path && self.layer == layer && self.os.as_ref() == os
    }

    fn bytes(&self) -> usize {
        PACKAGE + self.path.len() + self.findings.len() * FINDING
    }
}

#[cfg(test)]
pub(super) mod tests;
