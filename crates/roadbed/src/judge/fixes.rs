//! When a fix was first known here, from the generations in which sources changed what they say.
//!
//! Days of grace count from the later of publication and fix known here. What a source says now it may say since the first
//! import or since the last one; the store keeps every state, and those that differ in what is affected are kept here, each
//! as an index of its own that is asked like the present one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use findings::{
    OsRelease, Package,
    advisory::{Advisory, AdvisoryIndex, Changed, VulnerabilityFinding, match_packages},
};
use store::Store;
use time::OffsetDateTime;

use super::{moment, touched::readable};

/// Rows that are read at a time.
const PAGE: usize = 10_000;

/// States of one advisory that are kept, the earliest. Whoever changes their mind more often has named a fix by then, or none.
const STATES: usize = 32;

/// How much of the history of all advisories is held in memory. Whoever makes a source change what it says of everything, again
/// and again, must not fill the memory of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FixLimits {
    /// States of all advisories together. Default 100,000.
    pub(super) states: usize,
    /// Bytes of them, estimated. Default 512 MiB.
    pub(super) bytes: usize,
    /// Changes of one advisory that are looked at, the earliest. Default 256.
    pub(super) changes: usize,
}

impl Default for FixLimits {
    fn default() -> Self {
        Self {
            states: 100_000,
            bytes: 512 << 20,
            changes: 256,
        }
    }
}

/// What is known of the history of advisories.
#[derive(Clone, Default)]
pub(crate) struct Fixes {
    /// When each generation was imported.
    moments: BTreeMap<u64, OffsetDateTime>,
    /// In which generation an advisory came that has said the same since, where that is not the first one.
    came: HashMap<Box<str>, u64>,
    /// States of the others, the earliest first.
    states: HashMap<Box<str>, Arc<[State]>>,
    /// Which of those have ever spoken of a vulnerability, by each of its names: one that was taken back may have named the fix
    /// that another one names now.
    of_vulnerability: HashMap<Box<str>, BTreeSet<Box<str>>>,
    /// How many those are, and their bytes.
    held: (usize, usize),
    /// Advisories whose states are more than is held.
    left_out: usize,
}

/// Changes of one advisory that are read at a time.
const CHANGES: usize = 256;

/// Names of one advisory that are kept: a kernel's update fixes some hundreds. Their bytes count as held.
const NAMES: usize = 1_000;

/// Advisories of one name that are asked: each distribution has one or two for each of its releases.
const OF_A_NAME: usize = 128;

impl Fixes {
    /// Reads it.
    ///
    /// # Errors
    /// The store failed, or the clock of an import is beyond any calendar.
    pub(super) async fn read(store: &Store) -> Result<Self> {
        Self::read_within(store, FixLimits::default(), None).await
    }

    /// The same with what lies under a generation that does not count yet, as if it did from now on.
    ///
    /// # Errors
    /// As of [`Fixes::read`].
    pub(super) async fn staged(store: &Store, generation: u64) -> Result<Self> {
        Self::read_within(store, FixLimits::default(), Some(generation)).await
    }

    /// The same once these advisories changed, without reading what is known of all others. `staged`: as of [`Fixes::staged`].
    ///
    /// # Errors
    /// As of [`Fixes::read`].
    pub(super) async fn updated(
        &self,
        store: &Store,
        changed: &BTreeSet<String>,
        staged: Option<u64>,
    ) -> Result<Self> {
        let (mut fixes, limits) = (self.clone(), FixLimits::default());
        let present = fixes.read_moments(store, staged).await?;
        for id in changed {
            fixes.came.remove(id.as_str());
            if let Some(states) = fixes.states.remove(id.as_str()) {
                fixes.held.0 = fixes.held.0.saturating_sub(states.len());
                fixes.held.1 = fixes.held.1.saturating_sub(bytes_of(&states));
            }
            let of_id = store.advisory_generations(present, (id, 0), CHANGES).await?;
            let generations: Vec<u64> = of_id
                .into_iter()
                .take_while(|(of, _)| of == id)
                .map(|(_, generation)| generation)
                .collect();
            let found = (!generations.is_empty()).then(|| (id.clone(), generations));
            fixes.sort_in(store, found, limits).await?;
        }
        Ok(fixes)
    }

    /// Answers up to which generation advisories count.
    async fn read_moments(&mut self, store: &Store, staged: Option<u64>) -> Result<u64> {
        for (generation, at) in store.generations().await? {
            self.moments.insert(generation, moment(at)?);
        }
        if let Some(staged) = staged {
            self.moments.insert(staged, moment(store.now())?);
        }
        Ok(self.moments.keys().next_back().copied().unwrap_or_default())
    }

    async fn read_within(store: &Store, limits: FixLimits, staged: Option<u64>) -> Result<Self> {
        let mut fixes = Self::default();
        let present = fixes.read_moments(store, staged).await?;
        let mut current: Option<(String, Vec<u64>)> = None;
        let mut after = (String::new(), 0);
        loop {
            let page = store
                .advisory_generations(present, (&after.0, after.1), PAGE)
                .await?;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            for (id, generation) in page {
                match &mut current {
                    Some((of, generations)) if *of == id => {
                        if generations.len() < limits.changes {
                            generations.push(generation);
                        }
                    }
                    _ => {
                        let before = current.replace((id, vec![generation]));
                        fixes.sort_in(store, before, limits).await?;
                    }
                }
            }
        }
        fixes.sort_in(store, current, limits).await?;
        if fixes.left_out > 0 {
            tracing::warn!(
                advisories = fixes.left_out,
                states = limits.states,
                bytes = limits.bytes,
                "sources have changed too many advisories for all of it to be remembered: their fixes count as known since the \
                 advisory came, so grace ends early"
            );
        }
        Ok(fixes)
    }

    async fn sort_in(
        &mut self,
        store: &Store,
        found: Option<(String, Vec<u64>)>,
        limits: FixLimits,
    ) -> Result<()> {
        let Some((id, generations)) = found else {
            return Ok(());
        };
        let Some(came) = generations.first().copied() else {
            return Ok(());
        };
        let first = self.moments.keys().next().copied();
        if generations.len() > 1 {
            let (states_held, bytes_held) = self.held;
            if states_held < limits.states && bytes_held < limits.bytes {
                let found = states(store, &id, &generations).await?;
                self.hold(&id, found);
                return Ok(());
            }
            // Grace that ends early is asked for again; one that never ends is noticed by nobody.
            self.left_out += 1;
        }
        if Some(came) != first {
            self.came.insert(id.into(), came);
        }
        Ok(())
    }

    fn hold(&mut self, id: &str, (states, names): States) {
        self.held.0 += states.len();
        self.held.1 += bytes_of(&states);
        for name in names {
            let of = self.of_vulnerability.entry(name.into()).or_default();
            if of.len() < OF_A_NAME && of.insert(id.into()) {
                self.held.1 += 2 * id.len();
            }
        }
        self.states.insert(id.into(), states.into());
    }

    /// As it would be if these advisories, which the store does not have, were imported at a moment as the next generation.
    ///
    /// # Errors
    /// One of them cannot be asked.
    pub(super) fn foreseen(&self, changed: &[Changed], at: OffsetDateTime) -> Result<Self> {
        self.foreseen_within(changed, at, FixLimits::default())
    }

    fn foreseen_within(&self, changed: &[Changed], at: OffsetDateTime, limits: FixLimits) -> Result<Self> {
        let mut fixes = self.clone();
        let first = self.moments.keys().next().copied();
        let next = self.moments.keys().next_back().map_or(1, |present| present + 1);
        fixes.moments.insert(next, at);
        for Changed { before, after } in changed {
            let id = after.id.as_str();
            let Some(before) = before else {
                fixes.came.insert(id.into(), next);
                continue;
            };
            let is_same = (&before.affected, before.withdrawn) == (&after.affected, after.withdrawn);
            let is_full = fixes.held.0 >= limits.states || fixes.held.1 >= limits.bytes;
            // What is held of it already is told more of; of others there may be no room, and they count since they came.
            let known = fixes.states.get(id).map(|states| states.to_vec());
            if is_same || (known.is_none() && is_full) {
                continue;
            }
            let came = fixes.came.remove(id).or(first).unwrap_or(next);
            let mut states = match known {
                Some(known) => {
                    fixes.held.0 = fixes.held.0.saturating_sub(known.len());
                    fixes.held.1 = fixes.held.1.saturating_sub(bytes_of(&known));
                    known
                }
                None => vec![(came, index_of(before)?)],
            };
            if states.len() < STATES {
                states.push((next, index_of(after)?));
            }
            let names = [before, after].into_iter().flat_map(Advisory::names);
            let names = names.take(NAMES).map(str::to_owned).collect();
            fixes.hold(id, (states, names));
        }
        Ok(fixes)
    }

    /// When the first of the sources of a finding that name a fix has named one, or an advisory that has spoken of the same
    /// vulnerability before: under a new id a fix is as old as it was.
    pub(super) fn known_at(
        &self,
        finding: &VulnerabilityFinding,
        package: &Package,
        os: Option<&OsRelease>,
    ) -> Option<OffsetDateTime> {
        let naming = finding
            .sources
            .iter()
            .filter(|source| source.fix.version().is_some());
        let now = naming
            .filter_map(|source| self.named_at(&source.advisory, package, os))
            .min()?;
        let names = finding.aliases.iter().chain([&finding.id]);
        let others = names.filter_map(|name| self.of_vulnerability.get(name.as_ref()));
        let others: BTreeSet<&Box<str>> = others.flatten().collect();
        let before = others
            .into_iter()
            .filter_map(|other| self.once_named_at(other, package, os))
            .min();
        Some(before.map_or(now, |before| before.min(now)))
    }

    /// When an advisory, which may be taken back by now, has first named a fix.
    fn once_named_at(
        &self,
        advisory: &str,
        package: &Package,
        os: Option<&OsRelease>,
    ) -> Option<OffsetDateTime> {
        let states = self.states.get(advisory)?;
        let (generation, _) = states.iter().find(|(_, index)| names_fix(index, package, os))?;
        self.moments.get(generation).copied()
    }

    fn named_at(&self, advisory: &str, package: &Package, os: Option<&OsRelease>) -> Option<OffsetDateTime> {
        let generation = match (self.states.get(advisory), self.came.get(advisory)) {
            // Where more has changed than is kept, none of the kept states may name the fix that there is.
            (Some(states), _) => {
                let names = states.iter().find(|(_, index)| names_fix(index, package, os));
                names.or(states.first())?.0
            }
            (None, Some(came)) => *came,
            (None, None) => *self.moments.keys().next()?,
        };
        self.moments.get(&generation).copied()
    }
}

fn names_fix(index: &AdvisoryIndex, package: &Package, os: Option<&OsRelease>) -> bool {
    let found = match_packages(std::slice::from_ref(package), os, index);
    found.matches.iter().any(|found| found.fix.version().is_some())
}

fn bytes_of(states: &[State]) -> usize {
    let bytes = |(_, index): &State| size_of::<AdvisoryIndex>() + index.stats().bytes;
    states.iter().map(bytes).sum()
}

fn index_of(advisory: &Advisory) -> Result<Arc<AdvisoryIndex>> {
    let index = AdvisoryIndex::build([advisory.clone()]);
    index
        .map(Arc::new)
        .context("a state of an advisory cannot be read")
}

/// What an advisory has said since a generation.
type State = (u64, Arc<AdvisoryIndex>);

/// States of an advisory, and the names of what it has ever spoken of.
type States = (Vec<State>, BTreeSet<String>);

/// The states of an advisory that differ in what they say is affected, the latest among them.
async fn states(store: &Store, id: &str, generations: &[u64]) -> Result<States> {
    let mut states: Vec<State> = Vec::new();
    let mut names = BTreeSet::new();
    let mut before: Option<Advisory> = None;
    for &generation in generations {
        let Some(row) = store.advisory_as_of(id, generation).await? else {
            continue;
        };
        let Some(advisory) = readable(&row) else { continue };
        for name in advisory.names() {
            if names.len() < NAMES {
                names.insert(name.to_owned());
            }
        }
        let is_same = before.as_ref().is_some_and(|before| {
            (&before.affected, before.withdrawn) == (&advisory.affected, advisory.withdrawn)
        });
        if is_same || states.len() >= STATES {
            continue;
        }
        states.push((generation, index_of(&advisory)?));
        before = Some(advisory);
    }
    names.insert(id.to_owned());
    Ok((states, names))
}

#[cfg(test)]
mod tests;
