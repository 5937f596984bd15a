//! From advisories to an index.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    AdvisoryIndex, Entry, IndexStats, IndexedAdvisory, SortedRange, Vulnerability,
    aliases::{AliasSets, best_known},
    canonical_name,
    intern::Interner,
};
use crate::{
    Ecosystem,
    advisory::{
        error::AdvisoryError,
        limits::{INDEX_ADVISORIES, INDEX_BYTES, INDEX_ENTRIES},
        record::{Advisory, Affected, Database, Modularity},
    },
};

/// How large an index may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexLimits {
    /// Advisories.
    pub advisories: usize,
    /// Packages that they speak of, over all of them.
    pub entries: usize,
    /// Bytes in memory, estimated from what is held.
    pub bytes: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            advisories: INDEX_ADVISORIES,
            entries: INDEX_ENTRIES,
            bytes: INDEX_BYTES,
        }
    }
}

/// Takes advisories one by one, so that they need not all be in memory beside the index.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    limits: IndexLimits,
    texts: Interner,
    databases: HashMap<Database, Arc<Database>>,
    aliases: AliasSets,
    advisories: Vec<IndexedAdvisory>,
    entries: Vec<Entry>,
    by_name: HashMap<Ecosystem, HashMap<Arc<str>, Vec<u32>>>,
    covered: HashMap<(Ecosystem, Option<Arc<str>>), usize>,
    own_ids: Vec<(Arc<str>, u32)>,
    stats: IndexStats,
}

impl IndexBuilder {
    /// One that stops at other limits than the default ones.
    pub fn within(limits: IndexLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// One that has all that another index holds but these advisories, which are all that are about some vulnerabilities.
    pub(super) fn keeping(old: &AdvisoryIndex, replaced: &BTreeSet<Arc<str>>) -> Result<Self, AdvisoryError> {
        let mut builder = Self {
            texts: Interner::beside(old.text_bytes),
            ..Self::default()
        };
        // Where each advisory of before is now, and what it is about by the numbers of here.
        let mut places: Vec<Option<u32>> = vec![None; old.advisories.len()];
        let mut groups: Vec<Option<u32>> = vec![None; old.vulnerabilities.len()];
        for (advisory, place) in old.advisories.iter().zip(&mut places) {
            if replaced.contains(advisory.id.as_ref()) {
                continue;
            }
            let number = number_below(builder.advisories.len(), builder.limits.advisories, "advisories")?;
            *place = Some(number);
            let mut vulnerabilities = Vec::with_capacity(advisory.vulnerabilities.len());
            for vulnerability in &advisory.vulnerabilities {
                vulnerabilities.extend(builder.group(old, *vulnerability, &mut groups));
            }
            builder.keep_advisory(advisory, vulnerabilities);
        }
        for entry in &old.entries {
            if let Some(advisory) = places.get(entry.advisory as usize).copied().flatten() {
                let entry = Entry {
                    advisory,
                    ..entry.clone()
                };
                builder.put_entry(entry)?;
            }
        }
        Ok(builder)
    }

    fn keep_advisory(&mut self, advisory: &IndexedAdvisory, vulnerabilities: Vec<u32>) {
        if let [only] = vulnerabilities.as_slice() {
            self.own_ids.push((advisory.id.clone(), *only));
        }
        let database = advisory.database.as_ref().clone();
        self.databases
            .entry(database)
            .or_insert_with(|| advisory.database.clone());
        self.stats.bytes += size_of::<IndexedAdvisory>() + size_of_val(advisory.ratings.as_ref());
        self.advisories.push(IndexedAdvisory {
            vulnerabilities: vulnerabilities.into(),
            ..advisory.clone()
        });
    }

    /// The number of one of the ids of a vulnerability of another index, all of which mean the same here too.
    fn group(&mut self, old: &AdvisoryIndex, number: u32, known: &mut [Option<u32>]) -> Option<u32> {
        let place = known.get_mut(number as usize)?;
        if place.is_none() {
            let mut first = None;
            for id in &old.vulnerability_number(number)?.ids {
                let own = self.aliases.number(id);
                match first {
                    None => first = Some(own),
                    Some(first) => self.aliases.join(first, own),
                }
            }
            *place = first;
        }
        *place
    }

    /// Adds an advisory. Of two with one id of one database both count: that is the caller's to prevent.
    ///
    /// # Errors
    /// The index is full.
    pub fn add(&mut self, advisory: Advisory) -> Result<(), AdvisoryError> {
        if advisory.withdrawn.is_some() {
            self.stats.withdrawn += 1;
            return Ok(());
        }
        let fixed = advisory.vulnerabilities_fixed();
        if advisory.database.lists_ordinary_updates() && fixed.is_empty() {
            self.stats.ordinary_updates += 1;
            return Ok(());
        }
        let number = number_below(self.advisories.len(), self.limits.advisories, "advisories")?;
        let vulnerabilities = self.vulnerabilities(&advisory, &fixed);
        for affected in &advisory.affected {
            self.add_entry(number, affected)?;
        }
        let database = self.databases.entry(advisory.database.clone());
        let database = database
            .or_insert_with(|| Arc::new(advisory.database.clone()))
            .clone();
        let id = self.texts.intern(&advisory.id);
        if let [only] = vulnerabilities.as_ref() {
            self.own_ids.push((id.clone(), *only));
        }
        self.stats.bytes += size_of::<IndexedAdvisory>() + size_of_val(advisory.ratings.as_slice());
        self.advisories.push(IndexedAdvisory {
            id,
            database,
            summary: advisory.summary.into(),
            published: advisory.published,
            modified: advisory.modified,
            ratings: advisory.ratings.into(),
            vulnerabilities,
        });
        self.check_bytes()
    }

    /// Ends the building.
    ///
    /// # Errors
    /// None today; the index may one day be too large only when it is whole.
    pub fn finish(self) -> Result<AdvisoryIndex, AdvisoryError> {
        let (sets, set_of) = self.aliases.into_sets();
        let mut advisories = self.advisories;
        let mut by_set: Vec<Vec<u32>> = vec![Vec::new(); sets.len()];
        for (number, advisory) in advisories.iter_mut().enumerate() {
            let mut sets: Vec<u32> = advisory
                .vulnerabilities
                .iter()
                .map(|id| set_of[*id as usize])
                .collect();
            sets.sort_unstable();
            sets.dedup();
            for set in &sets {
                by_set[*set as usize].push(u32::try_from(number).unwrap_or(u32::MAX));
            }
            advisory.vulnerabilities = sets.into();
        }
        // Whatever order they came in: what is said of a vulnerability does not depend on it.
        for about in &mut by_set {
            about.sort_by(|left, right| advisories[*left as usize].id.cmp(&advisories[*right as usize].id));
        }
        let mut by_id = HashMap::new();
        for (number, set) in sets.iter().enumerate() {
            by_id.extend(
                set.iter()
                    .map(|id| (id.clone(), u32::try_from(number).unwrap_or(u32::MAX))),
            );
        }
        for (id, number) in self.own_ids {
            by_id.entry(id).or_insert(set_of[number as usize]);
        }
        let vulnerabilities: Vec<Vulnerability> = sets
            .into_iter()
            .zip(by_set)
            .filter_map(|(ids, advisories)| {
                Some(Vulnerability {
                    id: best_known(&ids)?,
                    ids: ids.into(),
                    advisories: advisories.into(),
                })
            })
            .collect();
        let mut stats = self.stats;
        stats.advisories = advisories.len();
        stats.entries = self.entries.len();
        stats.vulnerabilities = vulnerabilities.len();
        stats.bytes +=
            self.texts.bytes() + by_id.len() * 40 + vulnerabilities.len() * size_of::<Vulnerability>();
        let by_name = self.by_name.into_iter().map(|(ecosystem, names)| {
            let names = names
                .into_iter()
                .map(|(name, entries)| (name, entries.into_boxed_slice()));
            (ecosystem, names.collect::<HashMap<_, _>>())
        });
        let by_name: HashMap<_, HashMap<_, _>> = by_name.collect();
        Ok(AdvisoryIndex {
            by_artifact: artifacts(by_name.get(&Ecosystem::Maven)),
            advisories,
            entries: self.entries,
            vulnerabilities,
            by_name,
            by_id,
            covered: self.covered,
            text_bytes: self.texts.bytes(),
            stats,
        })
    }

    /// Numbers of the ids that the advisory is about.
    fn vulnerabilities(&mut self, advisory: &Advisory, fixed: &[&str]) -> Box<[u32]> {
        if !fixed.is_empty() {
            return fixed.iter().map(|id| self.alias_number(id)).collect();
        }
        let own = self.alias_number(&advisory.id);
        for alias in &advisory.aliases {
            let alias = self.alias_number(alias);
            self.aliases.join(own, alias);
        }
        Box::new([own])
    }

    fn alias_number(&mut self, id: &str) -> u32 {
        let id = self.texts.intern(id);
        self.aliases.number(&id)
    }

    fn add_entry(&mut self, advisory: u32, affected: &Affected) -> Result<(), AdvisoryError> {
        let Ok((ecosystem, release)) = Ecosystem::parse_with_release(&affected.ecosystem) else {
            *self
                .stats
                .unknown_ecosystems
                .entry(affected.ecosystem.clone())
                .or_default() += 1;
            return Ok(());
        };
        let release = release
            .filter(|_| !is_registry(ecosystem))
            .map(|release| self.texts.intern(release));
        let name = self.texts.intern(&canonical_name(ecosystem, &affected.name));
        let mut entry = self.entry(ecosystem, name, affected);
        entry.advisory = advisory;
        entry.release = release;
        self.put_entry(entry)
    }

    fn put_entry(&mut self, entry: Entry) -> Result<(), AdvisoryError> {
        let number = number_below(self.entries.len(), self.limits.entries, "packages")?;
        self.stats.with_commits += usize::from(entry.has_commits);
        self.stats.unordered_ranges += entry.ranges.iter().filter(|range| range.is_unordered()).count();
        self.stats.bytes += entry.bytes();
        self.by_name
            .entry(entry.ecosystem)
            .or_default()
            .entry(entry.name.clone())
            .or_default()
            .push(number);
        let covered = self.covered.entry((entry.ecosystem, entry.release.clone()));
        *covered.or_default() += 1;
        self.entries.push(entry);
        Ok(())
    }

    fn entry(&mut self, ecosystem: Ecosystem, name: Arc<str>, affected: &Affected) -> Entry {
        let texts = &mut self.texts;
        let ranges: Vec<SortedRange> = affected
            .ranges
            .iter()
            .filter_map(|range| SortedRange::of(ecosystem, range, texts))
            .collect();
        let mut versions: Vec<Arc<str>> = affected
            .versions
            .iter()
            .map(|version| texts.intern(version))
            .collect();
        versions.sort_unstable();
        Entry {
            advisory: 0,
            release: None,
            ecosystem,
            name,
            modularity: (affected.modularity != Modularity::None)
                .then(|| Box::new(affected.modularity.clone())),
            ratings: affected.ratings.clone().into(),
            has_commits: ranges.len() < affected.ranges.len(),
            ranges: ranges.into(),
            versions: versions.into(),
            unaffected: affected
                .unaffected_versions
                .iter()
                .map(|version| texts.intern(version))
                .collect(),
            fix_state: affected.fix_state.as_deref().map(|state| texts.intern(state)),
        }
    }

    fn check_bytes(&self) -> Result<(), AdvisoryError> {
        if self.stats.bytes + self.texts.bytes() > self.limits.bytes {
            return Err(AdvisoryError::IndexTooLarge {
                what: "bytes",
                limit: self.limits.bytes as u64,
            });
        }
        Ok(())
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of::<u32>()
            + self.ranges.iter().map(SortedRange::bytes).sum::<usize>()
            + size_of_val(self.versions.as_ref())
            + size_of_val(self.unaffected.as_ref())
            + size_of_val(self.ratings.as_ref())
    }
}

fn number_below(count: usize, limit: usize, what: &'static str) -> Result<u32, AdvisoryError> {
    let number = u32::try_from(count).ok().filter(|_| count < limit);
    number.ok_or(AdvisoryError::IndexTooLarge {
        what,
        limit: limit as u64,
    })
}

/// Behind the colon these have the address of a registry, not a release (`Packagist:https://packages.drupal.org/8`).
const fn is_registry(ecosystem: Ecosystem) -> bool {
    matches!(
        ecosystem,
        Ecosystem::Packagist
            | Ecosystem::Maven
            | Ecosystem::Npm
            | Ecosystem::PyPi
            | Ecosystem::RubyGems
            | Ecosystem::CratesIo
            | Ecosystem::NuGet
            | Ecosystem::Go
            | Ecosystem::Hex
            | Ecosystem::Pub
    )
}

fn artifacts(maven: Option<&HashMap<Arc<str>, Box<[u32]>>>) -> HashMap<Arc<str>, Box<[Arc<str>]>> {
    let mut artifacts: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
    for name in maven.into_iter().flat_map(HashMap::keys) {
        if let Some((_, artifact)) = name.split_once(':') {
            artifacts.entry(artifact.into()).or_default().push(name.clone());
        }
    }
    artifacts
        .into_iter()
        .map(|(artifact, mut names)| {
            names.sort_unstable();
            (artifact, names.into_boxed_slice())
        })
        .collect()
}
