//! How the road is taken up: who is on it, who is not, and which bases teams share without anybody having approved them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};

use crate::cohort::{Cohort, Verdict};
use crate::lineage::chain_ids;
use crate::names::{ApplicationName, Owner};

/// Teams that must share a base before it is proposed.
pub const TEAMS_THAT_PROPOSE: usize = 3;

/// Layers from the bottom that are looked at for what is shared.
pub const LAYERS_COMPARED: usize = 64;

/// Teams, repositories and images that one shared base names.
pub const NAMED: usize = 10;

/// The newest image of a repository, and where that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Where it lies.
    pub repository: RepoName,
    /// Which application's repository it is.
    pub application: Option<ApplicationName>,
    /// Whose.
    pub owner: Option<Owner>,
    /// Where it stands.
    pub verdict: Verdict,
    /// Its layers from the bottom up, as far as they are known.
    pub diff_ids: Vec<Digest>,
}

/// How many repositories are in each cohort.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bands(pub BTreeMap<Cohort, u64>);

impl Bands {
    /// Counts one more.
    pub fn add(&mut self, cohort: Cohort, count: u64) {
        *self.0.entry(cohort).or_default() += count;
    }

    /// How many are in a cohort.
    pub fn of(&self, cohort: Cohort) -> u64 {
        self.0.get(&cohort).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

/// By owner; those that belong to nobody under `None`.
pub fn by_owner<'s>(stands: impl IntoIterator<Item = &'s Stand>) -> BTreeMap<Option<Owner>, Bands> {
    let mut owners: BTreeMap<Option<Owner>, Bands> = BTreeMap::new();
    for stand in stands {
        let bands = owners.entry(stand.owner.clone()).or_default();
        bands.add(stand.verdict.cohort, 1);
    }
    owners
}

/// A stack of layers that several repositories stand on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedBase {
    /// Its chain id.
    pub chain: Digest,
    /// How many layers it has.
    pub layers: usize,
    /// How many repositories stand on it.
    pub repositories: u64,
    /// Who has these, at most [`NAMED`].
    pub teams: Vec<Owner>,
    /// How many teams there are.
    pub team_count: u64,
    /// Some of the repositories.
    pub examples: Vec<RepoName>,
    /// Images here that are this base and nothing else, as `repository:tag`.
    #[serde(default)]
    pub images: Vec<String>,
}

struct Group<'s> {
    layers: usize,
    below: Option<Digest>,
    owners: BTreeSet<&'s Owner>,
    repositories: Vec<&'s RepoName>,
}

/// What at least so many teams and so many repositories share, that most share first. Of two stacks with the same repositories on
/// them, the longer one.
pub fn shared<'s>(
    stands: impl IntoIterator<Item = &'s Stand>,
    least_teams: usize,
    least_repositories: usize,
) -> Vec<SharedBase> {
    let mut groups: HashMap<Digest, Group<'s>> = HashMap::new();
    for stand in stands {
        let compared = stand.diff_ids.len().min(LAYERS_COMPARED);
        let mut below = None;
        for (place, chain) in chain_ids(&stand.diff_ids[..compared]).enumerate() {
            let group = groups.entry(chain).or_insert_with(|| Group {
                layers: place + 1,
                below,
                owners: BTreeSet::new(),
                repositories: Vec::new(),
            });
            group.owners.extend(&stand.owner);
            group.repositories.push(&stand.repository);
            below = Some(chain);
        }
    }
    let fits = |group: &Group<'_>| {
        group.owners.len() >= least_teams && group.repositories.len() >= least_repositories
    };
    let mut shorter = BTreeSet::new();
    for group in groups.values().filter(|group| fits(group)) {
        let below = group.below.and_then(|below| Some((below, groups.get(&below)?)));
        if let Some((chain, below)) = below
            && below.repositories.len() == group.repositories.len()
        {
            shorter.insert(chain);
        }
    }
    let longest = groups
        .iter()
        .filter(|(chain, group)| fits(group) && !shorter.contains(*chain));
    let mut found: Vec<SharedBase> = longest.map(|(chain, group)| shown(*chain, group)).collect();
    found.sort_by_key(|base| {
        (
            std::cmp::Reverse((base.team_count, base.repositories, base.layers)),
            base.chain,
        )
    });
    found
}

fn shown(chain: Digest, group: &Group<'_>) -> SharedBase {
    let mut examples: Vec<&RepoName> = group.repositories.clone();
    examples.sort_unstable();
    SharedBase {
        chain,
        layers: group.layers,
        repositories: group.repositories.len() as u64,
        teams: group
            .owners
            .iter()
            .take(NAMED)
            .map(|owner| (*owner).clone())
            .collect(),
        team_count: group.owners.len() as u64,
        examples: examples.into_iter().take(NAMED).cloned().collect(),
        images: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
