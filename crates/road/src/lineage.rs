//! Which base an image stands on: the longest known base by a prefix of diff ids.
//!
//! A *chain id* (OCI image specification, "Layer `ChainID`") is the digest of a stack of diff ids from the bottom up, so that one
//! look-up per layer finds every known base below. Annotations say nothing here: they are hints, and held against what was
//! found.

mod chain;
mod hint;
mod images;
mod pushed;

use std::collections::{BTreeSet, HashMap};

use findings::Severity;
use oci::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::names::BaseName;

pub use chain::{chain_id, chain_ids};
pub use findings::LayerOrigin;
pub use hint::BaseHint;
pub use images::ImageChains;
pub use pushed::{Pushed, releases};

/// Most layers of a release; deeper ones no runtime unpacks.
pub const MAX_LAYERS: usize = 500;

/// Most releases of all bases that are known at a time.
pub const MAX_RELEASES: usize = 200_000;

/// By whose word a release is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Its base declares a signer who has not signed it: it does not count.
    Nobody,
    /// Its base declares no signer.
    #[default]
    Pusher,
    /// The declared signer has signed it.
    Signer,
}

impl Word {
    /// Whether anything is on the road by it.
    pub fn counts(self) -> bool {
        self != Self::Nobody
    }
}

/// That a newer release took the place of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The worst problem that the newer one is without: decides which promise counts.
    pub worst_fixed: Severity,
}

/// One release of a base, for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Of which base.
    pub base: BaseName,
    /// Its manifest.
    pub digest: Digest,
    /// What it is called, such as its tag.
    pub version: String,
    /// Its layers from the bottom up, by what was computed of them.
    pub diff_ids: Vec<Digest>,
    /// `linux/amd64`.
    #[serde(default)]
    pub platform: String,
    /// Since when it is known.
    #[serde(with = "time::serde::rfc3339")]
    pub released_at: OffsetDateTime,
    /// What came after it; nothing: it is current.
    pub superseded: Option<Superseded>,
    /// Whether images follow to it: it is current, in the channel `stable` where the base has one, and signed as the catalogue wants.
    #[serde(default)]
    pub is_target: bool,
    /// By whose word it is one.
    #[serde(default)]
    pub word: Word,
}

/// Why a release cannot be known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReleaseError {
    /// Everything would stand on it.
    #[error("release {0} of a base has no layers: everything would stand on it")]
    Empty(Digest),
    /// [`MAX_LAYERS`].
    #[error("release {digest} of a base has {layers} layers: at most {MAX_LAYERS} are allowed")]
    Deep {
        /// Which.
        digest: Digest,
        /// How many.
        layers: usize,
    },
    /// [`MAX_RELEASES`].
    #[error("{MAX_RELEASES} releases of bases are known: forget old ones first")]
    TooMany,
}

/// One base that an image stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which base.
    pub base: BaseName,
    /// Which release of it.
    pub release: Digest,
    /// What that is called.
    pub version: String,
    /// How many layers from the bottom are its.
    pub layers: usize,
    /// What came after it.
    pub superseded: Option<Superseded>,
    /// By whose word the release is one.
    #[serde(default)]
    pub word: Word,
}

/// What an image stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// All known bases below it, the longest last: java17 stands on debian12 itself.
    pub stack: Vec<Standing>,
    /// How many layers it has.
    pub layers: usize,
    /// How many layers from the bottom are known by their diff id. Less than `layers`: there may be a longer base.
    pub known: usize,
}

impl Lineage {
    /// The longest known base.
    pub fn base(&self) -> Option<&Standing> {
        self.stack.last()
    }

    /// Whether every layer is known.
    pub fn is_complete(&self) -> bool {
        self.known == self.layers
    }

    /// Whose the layer is, counted from the bottom.
    pub fn origin(&self, layer: usize) -> LayerOrigin {
        match self.base() {
            Some(base) if layer < base.layers => LayerOrigin::Base,
            _ if self.is_complete() => LayerOrigin::Own,
            _ => LayerOrigin::Unknown,
        }
    }

    /// Findings or anything else that names its layer, as "from the base", "yours" and unknown.
    pub fn split<T>(
        &self,
        things: impl IntoIterator<Item = T>,
        layer: impl Fn(&T) -> Option<usize>,
    ) -> Split<T> {
        let mut split = Split::default();
        for thing in things {
            let origin = layer(&thing).map_or(LayerOrigin::Unknown, |layer| self.origin(layer));
            match origin {
                LayerOrigin::Base => split.base.push(thing),
                LayerOrigin::Own => split.own.push(thing),
                LayerOrigin::Unknown => split.unknown.push(thing),
            }
        }
        split
    }
}

/// Things by whose layer they are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Split<T> {
    /// From the base.
    pub base: Vec<T>,
    /// Yours.
    pub own: Vec<T>,
    /// Nobody knows.
    pub unknown: Vec<T>,
}

impl<T> Default for Split<T> {
    fn default() -> Self {
        Self {
            base: Vec::new(),
            own: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

/// All known releases of bases, by their chain ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseIndex {
    releases: Vec<Release>,
    by_chain: HashMap<Digest, Vec<u32>>,
    /// One of each base at most: a copy in another base takes nothing away.
    by_digest: HashMap<Digest, Vec<(u32, Digest)>>,
}

impl BaseIndex {
    /// From releases in any order.
    pub fn build(releases: Vec<Release>) -> Result<Self, ReleaseError> {
        let mut index = Self::default();
        for release in releases {
            index.add(release)?;
        }
        Ok(index)
    }

    /// Adds one, or replaces what is known of the same digest in the same base; answers its chain id, by which [`ImageChains::on`] names the
    /// images to look at again.
    pub fn add(&mut self, release: Release) -> Result<Digest, ReleaseError> {
        let (digest, layers) = (release.digest, release.diff_ids.len());
        if layers > MAX_LAYERS {
            return Err(ReleaseError::Deep { digest, layers });
        }
        let chain = chain_id(&release.diff_ids).ok_or(ReleaseError::Empty(digest))?;
        let same = self.by_digest.get(&digest).into_iter().flatten().copied();
        let place = match { same }.find(|(place, _)| self.releases[*place as usize].base == release.base) {
            Some((place, old)) => {
                if let Some(places) = self.by_chain.get_mut(&old) {
                    places.retain(|other| *other != place);
                }
                self.releases[place as usize] = release;
                place
            }
            None if self.releases.len() >= MAX_RELEASES => return Err(ReleaseError::TooMany),
            None => {
                self.releases.push(release);
                u32::try_from(self.releases.len() - 1).map_err(|_| ReleaseError::TooMany)?
            }
        };
        let same = self.by_digest.entry(digest).or_default();
        same.retain(|(other, _)| *other != place);
        same.push((place, chain));
        self.by_chain.entry(chain).or_default().push(place);
        Ok(chain)
    }

    /// The images that stand on a release: to look at again when it is added, superseded or forgotten.
    pub fn images_to_look_at_again(&self, release: &Digest, images: &ImageChains) -> Vec<u32> {
        let chains: BTreeSet<Digest> = self.same(release).map(|(_, chain)| *chain).collect();
        chains.iter().flat_map(|chain| images.on(chain)).collect()
    }

    /// What is known of a release; of the same one in several bases, the one that counts for images that stand on it.
    pub fn release(&self, digest: &Digest) -> Option<&Release> {
        let same = self.same(digest);
        first_of(same.filter_map(|(place, _)| self.releases.get(*place as usize)))
    }

    fn same(&self, digest: &Digest) -> impl Iterator<Item = &(u32, Digest)> {
        self.by_digest.get(digest).into_iter().flatten()
    }

    /// The releases of one base, in no order.
    pub fn of_base<'a>(&'a self, base: &'a BaseName) -> impl Iterator<Item = &'a Release> {
        self.releases.iter().filter(move |release| release.base == *base)
    }

    /// How many releases are known.
    pub fn len(&self) -> usize {
        self.releases.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty()
    }

    /// What an image with these diff ids stands on: from the bottom up, as computed (never as claimed), `None` for a layer that
    /// could not be read. One look-up per layer.
    pub fn lineage(&self, diff_ids: &[Option<Digest>]) -> Lineage {
        let known: Vec<Digest> = diff_ids.iter().map_while(|id| *id).collect();
        let chains = chain_ids(&known).enumerate();
        let stack = chains.filter_map(|(place, chain)| self.standing(&chain, place + 1));
        Lineage {
            stack: stack.collect(),
            layers: diff_ids.len(),
            known: known.len(),
        }
    }

    /// Equal layers are equal content, and of the base that [`first_of`] says. Of its releases with the same ones what counts goes
    /// first, then a current release, else the one that was superseded last.
    fn standing(&self, chain: &Digest, layers: usize) -> Option<Standing> {
        let places = self.by_chain.get(chain)?;
        let releases = || {
            let places = places.iter();
            places.filter_map(|place| self.releases.get(*place as usize))
        };
        let base = &first_of(releases())?.base;
        let releases = releases().filter(|release| release.base == *base);
        let release = releases.max_by_key(|release| {
            let superseded = release.superseded.map(|superseded| superseded.at);
            (
                release.word,
                superseded.is_none(),
                superseded,
                release.released_at,
                release.digest,
            )
        })?;
        Some(Standing {
            base: release.base.clone(),
            release: release.digest,
            version: release.version.clone(),
            layers,
            superseded: release.superseded,
            word: release.word,
        })
    }
}

/// Of releases with the same layers the one whose base they are of: by the word of a declared signer before any other, then the
/// first. Whoever copies a release of another base into an own one gets nothing by that.
fn first_of<'a>(releases: impl Iterator<Item = &'a Release>) -> Option<&'a Release> {
    releases.min_by_key(|release| {
        let word = std::cmp::Reverse(release.word);
        (word, release.released_at, &release.base, release.digest)
    })
}

#[cfg(test)]
pub(crate) mod tests;
