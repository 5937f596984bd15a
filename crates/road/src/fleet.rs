//! The fleet index: package → version → unit → layer → images.
//!
//! A package is found by its name, a version of it by the order of its ecosystem; a version knows the units that state it, a
//! unit the layers that it lies in, a layer the images that it is part of. A thousand images on one base share its layers and so
//! all that the base says; what is particular to an image is which of its layers' units something above hides. Everything has
//! a dense number, and a question is a union of sets of numbers.
//!
//! The index holds no bytes and no listings. Digests of single files are searched in the listings of layers
//! ([`files_with`]), which are too large to be held here.
//!
//! # Moments
//!
//! An image is known from a moment on and, once it was deleted, until another. It stays until [`Fleet::forget`] is called with
//! a later one, so that [`Fleet::scope`] can ask as of a moment. What was known of vulnerabilities then is the caller's to bring:
//! every question about one takes the advisories as an argument. Facts about bytes have no moment: a better analyser replaces
//! what an older one found. Tags are those of now.
//!
//! Read first: `fleet/facts.rs` (what goes in), `fleet/change.rs` (how), `fleet/query.rs` (what is asked).

mod answer;
mod change;
mod changed;
mod class;
mod common_fix;
mod dump;
mod excuse;
mod facts;
mod files;
mod holding;
mod image;
mod layer;
mod memory;
mod moment;
mod page;
mod posting;
mod query;
mod scope;
mod short;
mod slots;
mod snapshot;
mod strings;
#[cfg(test)]
mod tests;
mod unit;
mod version;
mod vulnerability;

use std::collections::{BTreeMap, HashMap};

use findings::{OsRelease, PackageKind};
use roaring::RoaringBitmap;

pub use answer::{Answer, Counts, State};
pub use changed::{Change, TOLD_VERSIONS};
pub use common_fix::{CommonFix, common_fix};
pub use excuse::Excuse;
pub use facts::{FactsError, Hidden, ImageFacts, ImageKey, LayerFacts, PlacedUnit};
pub use files::{files_with, hidden_by};
pub use image::LIVES;
pub use moment::Moment;
pub use page::{PLACES, Page, Place, Row, Stale};
pub use scope::{Coverage, Named, Scope};
pub use snapshot::{SnapshotError, load};
pub use vulnerability::is_fix_superseded;

use excuse::Excuses;
use image::Image;
use layer::Layer;
use posting::Posting;
use slots::Slots;
use strings::Strings;
use unit::{Spots, Unit};
use version::Version;

/// Stands where there is no number.
const NONE: u32 = u32::MAX;

/// All images that are known, by what is in them.
#[derive(Debug, Default)]
pub struct Fleet {
    strings: Strings,
    /// Operating systems by their number.
    os: Vec<OsRelease>,
    os_numbers: HashMap<OsRelease, u32>,
    versions: Slots<Version>,
    /// For each version, the units that state it.
    version_units: Vec<Posting>,
    /// Versions by kind and folded name: their own, their source's; for Java the artifact alone and the group with a colon.
    by_name: HashMap<(PackageKind, u32), Posting>,
    units: Slots<Unit>,
    /// Units of Java archives by the simple names of the classes that their packages lie at.
    classes: HashMap<u32, Posting>,
    /// For each unit, where it lies; sorted.
    unit_spots: Vec<Spots>,
    layers: Slots<Layer>,
    /// For each layer, its images.
    layer_images: Vec<Posting>,
    /// For each layer, the images that hide a place of it; sorted by place.
    layer_hidden: Vec<Vec<(u32, Posting)>>,
    images: Slots<Image>,
    /// For each image, the number of its operating system.
    image_os: Vec<u32>,
    /// Images of each repository, deleted ones too.
    repositories: BTreeMap<Box<str>, RoaringBitmap>,
    /// Images that were not deleted.
    present: RoaringBitmap,
    /// Images of which something could not be looked into.
    not_scannable: RoaringBitmap,
    /// What does not count, by somebody's word.
    excuses: Excuses,
    /// Counts changes: numbers of images mean something only until the next one.
    epoch: u64,
}

impl Fleet {
    /// Images that were not deleted.
    pub fn len(&self) -> u64 {
        self.present.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// How many images, layers, units and package versions are held, deleted images included.
    pub fn sizes(&self) -> [usize; 4] {
        [
            self.images.len(),
            self.layers.len(),
            self.units.len(),
            self.versions.len(),
        ]
    }

    /// Whether an image is known and was not deleted.
    pub fn has(&self, key: &ImageKey) -> bool {
        self.number_of(key)
            .is_some_and(|number| self.present.contains(number))
    }

    /// Changes whenever anything in it does: answers hold until then.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    fn number_of(&self, key: &ImageKey) -> Option<u32> {
        let repository = self.strings.find(&key.repository)?;
        let digest = short::Short::find(&key.digest, &self.strings)?;
        self.images.find(&(repository, digest))
    }
}

/// The number of what comes next. There is not enough memory for as many as `u32` has numbers.
fn dense(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}
