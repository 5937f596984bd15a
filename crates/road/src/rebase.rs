//! An image on a newer release of its base, without building it again.
//!
//! The layers of the old release below the image are replaced with those of the new one, and what both the base and the
//! application wrote is merged. Whether that gives the image that a build would have given is decided by evidence from the
//! listings of the layers, as a [`SafetyClass`]; what stands against it are [`Obstacle`]s.
//!
//! Three steps, all of them values:
//!
//! 1. [`assess()`] compares an image of one platform with a [`BaseChange`], which is made once for all images on that base, and says
//!    which files must be read to go on ([`Assessment::wanted`]).
//! 2. [`merge()`] makes of these the one small layer that comes on top, if any.
//! 3. [`write()`] gives the bytes of configuration and manifest, [`write_index`] those of an index. The same arguments give the same
//!    bytes.
//!
//! Nothing counts on `history`, and nothing that an image says of itself lowers an obstacle.

mod archive;
mod assess;
mod config;
mod document;
mod history;
mod known;
mod lines;
mod loader_cache;
mod merge;
mod needs;
mod obstacle;
mod packages;
mod paths;
mod tree;
mod write;

use serde::{Deserialize, Serialize};

pub use archive::MAX_MEMBERS;
pub use assess::{Assessment, Contract, Image, Of, Side, WantedFile, assess};
pub use config::ConfigConflict;
pub use document::{DocumentError, Stored};
pub use known::Strategy;
pub use lines::MAX_TEXT_FILE_BYTES;
pub use loader_cache::{MAX_LIBRARIES, MAX_LIBRARY_TEXT_BYTES};
pub use merge::{FileContent, Files, Merged, merge};
pub use needs::Libraries;
pub use obstacle::Obstacle;
pub use packages::{
    MAX_COMPARISONS, MAX_DATABASE_BYTES, MAX_PACKAGES, MAX_PROVIDERS, MAX_RELATIONS, PackageChange,
};
pub use paths::{BaseChange, MAX_LINKS, MAX_NAMED_PATHS, PathEvidence};
pub use tree::{LayerPaths, Node, TooManyPaths, Tree};
pub use write::{BaseNamed, Replaced, TopLayer, Written, write_index};

/// Most bytes of a manifest: what the registry takes.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

/// Most bytes of a configuration: what is looked into.
pub const MAX_CONFIG_BYTES: usize = findings::CONFIG_BYTES;

/// Most paths of a stack of layers.
pub const MAX_PATHS: usize = 2_000_000;

/// Most environment variables, labels, ports and volumes of a configuration, each.
pub const MAX_SETTINGS: usize = 10_000;

/// Most obstacles that are told of one image.
pub const MAX_OBSTACLES: usize = 100;

/// How an image can follow its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SafetyClass {
    /// Splice: the application wrote nothing that is the base's, or only what the base leaves as it is.
    A,
    /// Merge: as A, but lists of packages, accounts and the like are made one, in a small layer on top.
    B,
    /// Rebuild: something stands against it, and the image says where its source is.
    C,
    /// Vendor: something stands against it, and nobody here has the source.
    D,
}

impl SafetyClass {
    /// Whether the image can follow without a rebuild.
    pub fn can_follow(self) -> bool {
        matches!(self, Self::A | Self::B)
    }
}

/// Writes what an image becomes on the new release.
///
/// # Errors
/// The image's own words cannot be followed.
pub fn write(image: &Image<'_>, top: Option<&TopLayer>, named: &BaseNamed) -> Result<Written, DocumentError> {
    let [app, old, new] = [image.app, image.old.stored, image.new.stored].map(document::Document::read);
    write::image(&app?, &old?, &new?, top, named)
}

#[cfg(test)]
mod tests;
