//! Advisories as the matcher wants them: by ecosystem and name, ranges sorted, vulnerabilities known by all of their ids.
//!
//! Built once from [`Advisory`]s; from then on a look-up parses nothing but the versions that it compares. Texts are held
//! once each, however many advisories say them.

mod aliases;
mod blob;
mod build;
mod intern;
mod names;
mod sorted;
mod update;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use time::OffsetDateTime;

pub use blob::encode;
pub use build::{IndexBuilder, IndexLimits};
pub(crate) use names::canonical_name;
pub(crate) use sorted::{Inside, SortedRange};

use super::{
    error::AdvisoryError,
    rating::Rating,
    record::{Advisory, Database, Modularity},
};
use crate::{Ecosystem, Release};

/// An advisory, without what it says of single packages.
#[derive(Debug, Clone)]
pub struct IndexedAdvisory {
    /// As its source calls it.
    pub id: Arc<str>,
    /// Whose it is.
    pub database: Arc<Database>,
    /// A line.
    pub summary: Arc<str>,
    /// When it came out.
    pub published: Option<OffsetDateTime>,
    /// When it last changed.
    pub modified: Option<OffsetDateTime>,
    /// What its source rates it.
    pub ratings: Box<[Rating]>,
    /// Numbers of the vulnerabilities that it is about: one, or all that an update fixes.
    pub(crate) vulnerabilities: Box<[u32]>,
}

/// One vulnerability, whatever it is called.
#[derive(Debug, Clone)]
pub struct Vulnerability {
    /// The CVE if there is one, else the GHSA, else the first of its ids.
    pub id: Arc<str>,
    /// All of its ids, sorted.
    pub ids: Box<[Arc<str>]>,
    /// Numbers of the advisories that are about it.
    pub(crate) advisories: Box<[u32]>,
}

/// What an advisory says of one package.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) advisory: u32,
    ecosystem: Ecosystem,
    /// Canonical.
    name: Arc<str>,
    pub(crate) release: Option<Arc<str>>,
    pub(crate) modularity: Option<Box<Modularity>>,
    pub(crate) ratings: Box<[Rating]>,
    pub(crate) ranges: Box<[SortedRange]>,
    /// Sorted as texts.
    pub(crate) versions: Box<[Arc<str>]>,
    pub(crate) unaffected: Box<[Arc<str>]>,
    pub(crate) fix_state: Option<Arc<str>>,
    /// It has ranges of commits, which are not evaluated.
    pub(crate) has_commits: bool,
}

/// What went into an index, and what did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Advisories that can be matched.
    pub advisories: usize,
    /// Packages of these, over all of them.
    pub entries: usize,
    /// Vulnerabilities that they are about.
    pub vulnerabilities: usize,
    /// Advisories that were taken back.
    pub withdrawn: usize,
    /// Updates of distributions that fix no vulnerability.
    pub ordinary_updates: usize,
    /// Entries of ecosystems that are not known, by their names.
    pub unknown_ecosystems: BTreeMap<String, usize>,
    /// Entries that name commits only, or commits beside versions.
    pub with_commits: usize,
    /// Ranges with a version that has no place in its ecosystem's order; what they say is uncertain.
    pub unordered_ranges: usize,
    /// Bytes in memory, estimated from what is held.
    pub bytes: usize,
}

/// All advisories, ready for matching.
#[derive(Debug, Default)]
pub struct AdvisoryIndex {
    advisories: Vec<IndexedAdvisory>,
    entries: Vec<Entry>,
    vulnerabilities: Vec<Vulnerability>,
    by_name: HashMap<Ecosystem, HashMap<Arc<str>, Box<[u32]>>>,
    /// Maven: names by their artifact.
    by_artifact: HashMap<Arc<str>, Box<[Arc<str>]>>,
    by_id: HashMap<Arc<str>, u32>,
    /// How many entries there are of a release (`None`: of all releases).
    covered: HashMap<(Ecosystem, Option<Arc<str>>), usize>,
    /// Bytes of texts, of those too that are held no more since an update.
    text_bytes: usize,
    stats: IndexStats,
}

impl AdvisoryIndex {
    /// Builds an index.
    ///
    /// # Errors
    /// There are more advisories, entries or bytes than an index may have.
    pub fn build(advisories: impl IntoIterator<Item = Advisory>) -> Result<Self, AdvisoryError> {
        let mut builder = IndexBuilder::default();
        for advisory in advisories {
            builder.add(advisory)?;
        }
        builder.finish()
    }

    /// Builds an index from what [`encode`] wrote.
    ///
    /// # Errors
    /// The bytes are damaged or of another version, or the index would be too large.
    pub fn load(blob: &[u8]) -> Result<Self, AdvisoryError> {
        blob::load(blob)
    }

    /// What is in it.
    pub const fn stats(&self) -> &IndexStats {
        &self.stats
    }

    /// The vulnerability with this id, whichever of its ids it is.
    pub fn vulnerability(&self, id: &str) -> Option<&Vulnerability> {
        self.by_id
            .get(id)
            .and_then(|number| self.vulnerabilities.get(*number as usize))
    }

    /// The advisories that are about a vulnerability.
    pub fn advisories_of<'a>(
        &'a self,
        vulnerability: &'a Vulnerability,
    ) -> impl Iterator<Item = &'a IndexedAdvisory> {
        vulnerability
            .advisories
            .iter()
            .filter_map(|number| self.advisory(*number))
    }

    /// Names of packages that the advisories about a vulnerability speak of, with their ecosystem: what to look for in a fleet.
    pub fn packages_of(&self, vulnerability: &Vulnerability) -> Vec<(Ecosystem, Arc<str>)> {
        let entries = self.entries_about(vulnerability);
        let mut packages: Vec<_> = entries
            .map(|entry| (entry.ecosystem, entry.name.clone()))
            .collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }

    /// Every package that any advisory speaks of, by its canonical name.
    pub fn packages(&self) -> impl Iterator<Item = (Ecosystem, Arc<str>)> {
        let names = |(ecosystem, names): (&Ecosystem, &HashMap<Arc<str>, Box<[u32]>>)| {
            let ecosystem = *ecosystem;
            let names: Vec<_> = names.keys().map(|name| (ecosystem, name.clone())).collect();
            names
        };
        self.by_name.iter().flat_map(names)
    }

    /// Whether any source rates the vulnerability as a whole: then it is never rated by how it is exploited.
    pub fn is_rated(&self, vulnerability: &Vulnerability) -> bool {
        let mut advisories = self.advisories_of(vulnerability);
        advisories.any(|advisory| Rating::leading(&advisory.ratings).is_some())
    }

    /// Releases of ecosystems that are spoken of, with how many packages of each.
    pub(crate) fn spoken_of(&self) -> impl Iterator<Item = ((Ecosystem, Option<Arc<str>>), usize)> {
        self.covered.iter().map(|(of, count)| (of.clone(), *count))
    }

    pub(crate) fn count_spoken_of(&self, ecosystem: Ecosystem, release: Option<&Arc<str>>) -> usize {
        let counted = self.covered.get(&(ecosystem, release.cloned()));
        counted.copied().unwrap_or_default()
    }

    /// Versions that the advisories about a vulnerability name as those with the fix, each with its package.
    pub fn fixes_of(&self, vulnerability: &Vulnerability) -> Vec<(Ecosystem, Arc<str>, Arc<str>)> {
        let fixes = self.entries_about(vulnerability).flat_map(|entry| {
            let named = entry.ranges.iter().flat_map(SortedRange::fixed);
            named.map(|version| (entry.ecosystem, entry.name.clone(), version.clone()))
        });
        let mut fixes: Vec<_> = fixes.collect();
        fixes.sort_unstable();
        fixes.dedup();
        fixes
    }

    /// What the advisories about a vulnerability say of single packages.
    fn entries_about<'a>(&'a self, vulnerability: &'a Vulnerability) -> impl Iterator<Item = &'a Entry> {
        vulnerability.advisories.iter().flat_map(|advisory| {
            // Those of one advisory lie beside each other, in the order of advisories.
            let first = self.entries.partition_point(|entry| entry.advisory < *advisory);
            let entries = self.entries[first..].iter();
            entries.take_while(|entry| entry.advisory == *advisory)
        })
    }

    /// Whether any advisory speaks of the release of an ecosystem.
    pub fn covers(&self, ecosystem: Ecosystem, release: Option<&Release>) -> bool {
        self.covered.keys().any(|(covered, of)| {
            *covered == ecosystem
                && release.is_none_or(|release| ecosystem.release_matches(of.as_deref(), release))
        })
    }

    pub(crate) fn advisory(&self, number: u32) -> Option<&IndexedAdvisory> {
        self.advisories.get(number as usize)
    }

    pub(crate) fn vulnerability_number(&self, number: u32) -> Option<&Vulnerability> {
        self.vulnerabilities.get(number as usize)
    }

    /// Entries of a package by its canonical name, those of one advisory beside each other.
    pub(crate) fn entries_of(&self, ecosystem: Ecosystem, name: &str) -> impl Iterator<Item = &Entry> {
        let numbers = self.by_name.get(&ecosystem).and_then(|names| names.get(name));
        let numbers = numbers.map(AsRef::as_ref).unwrap_or_default();
        numbers
            .iter()
            .filter_map(|number| self.entries.get(*number as usize))
    }

    /// How many there are.
    pub(crate) fn count_entries_of(&self, ecosystem: Ecosystem, name: &str) -> usize {
        let names = self.by_name.get(&ecosystem);
        names
            .and_then(|names| names.get(name))
            .map_or(0, |numbers| numbers.len())
    }

    /// `group:artifact` of every group that has such an artifact.
    pub(crate) fn names_of_artifact(&self, artifact: &str) -> &[Arc<str>] {
        self.by_artifact
            .get(artifact)
            .map(AsRef::as_ref)
            .unwrap_or_default()
    }
}
