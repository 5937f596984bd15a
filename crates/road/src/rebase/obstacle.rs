//! Why an image cannot be put on another base without a rebuild.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One reason, with its evidence. Paths are relative to the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Error)]
#[serde(tag = "obstacle", rename_all = "kebab-case")]
pub enum Obstacle {
    /// A whiteout over a path of the base.
    #[error("the application deletes `{path}` of the base")]
    Deletes {
        /// Which.
        path: String,
    },
    /// An opaque directory.
    #[error("the application hides all that the base has in `{path}`")]
    Hides {
        /// Which directory.
        path: String,
    },
    /// The base changes a file that the application has changed too.
    #[error("the application has its own `{path}`, which the new base changes")]
    Shadows {
        /// Which.
        path: String,
    },
    /// The base takes a file away that the application has changed.
    #[error("the application has its own `{path}`, which the new base no longer has")]
    ShadowsGone {
        /// Which.
        path: String,
    },
    /// The base brings a file that the application has brought.
    #[error("the application and the new base both bring `{path}`, with other content")]
    Collides {
        /// Which.
        path: String,
    },
    /// A directory on one side and none on the other.
    #[error("`{path}` is a directory on one side and none on the other")]
    Kind {
        /// Which.
        path: String,
    },
    /// Links above a file that lead elsewhere now.
    #[error("`{path}` lies below `{link}`, which leads elsewhere in the new base")]
    MovedBelow {
        /// Of the application.
        path: String,
        /// A link of the base.
        link: String,
    },
    /// A link of the application to what is gone.
    #[error("`{path}` leads to `{target}`, which the new base no longer has")]
    Dangles {
        /// A link of the application.
        path: String,
        /// Where to.
        target: String,
    },
    /// An rpm database in the application's layers.
    #[error("the application has installed rpm packages (`{path}`): their database cannot be merged")]
    Rpm {
        /// The database.
        path: String,
    },
    /// A package of the base that the application has replaced or removed.
    #[error("the application has {} of the base, which has {base}", match application { Some(version) => format!("its own version {version} of package `{package}`"), None => format!("removed package `{package}`") })]
    PackageReplaced {
        /// Which.
        package: String,
        /// What the base has.
        base: String,
        /// What the application has.
        application: Option<String>,
    },
    /// A package that both bring, in two versions.
    #[error(
        "package `{package}` comes with the new base as {base} and with the application as {application}"
    )]
    PackageTwice {
        /// Which.
        package: String,
        /// In the new base.
        base: String,
        /// In the application.
        application: String,
    },
    /// A dependency that nothing fulfils any more.
    #[error("package `{package}` of the application needs `{needs}`, which nothing provides on the new base")]
    Unmet {
        /// Of the application.
        package: String,
        /// As it says it.
        needs: String,
    },
    /// A package that another one does not stand.
    #[error("package `{package}` breaks with `{other}` on the new base (`{relation}`)")]
    Breaks {
        /// Who says so.
        package: String,
        /// Whom it does not stand.
        other: String,
        /// As it says it.
        relation: String,
    },
    /// A database that cannot be read.
    #[error("`{path}` cannot be merged: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// One line of a file that both have changed.
    #[error("the application and the new base both change `{entry}` in `{path}`")]
    Entry {
        /// Which file.
        path: String,
        /// What in it.
        entry: String,
    },
    /// A library that is not there.
    #[error("`{path}` needs `{library}`, which the new base lacks")]
    Library {
        /// Of the application.
        path: String,
        /// Its soname.
        library: String,
    },
    /// A library without what is needed of it.
    #[error("`{path}` needs `{version}` of `{library}`, which the new base's does not have")]
    SymbolVersion {
        /// Of the application.
        path: String,
        /// Its soname.
        library: String,
        /// Such as `GLIBC_2.38`.
        version: String,
    },
    /// Another kind of machine.
    #[error("the image is for {image} and the new base for {base}")]
    Platform {
        /// Of the image.
        image: String,
        /// Of the new base.
        base: String,
    },
    /// Another distribution, or another major version of it.
    #[error("the base goes from {old} to {new}: packages of one do not run on the other")]
    Distribution {
        /// Of the old base.
        old: String,
        /// Of the new base.
        new: String,
    },
    /// The catalogue says so.
    #[error(
        "the catalogue does not promise that `{base}` may be swapped: its owner sets `rebase.safe` (`roadbed base set … --rebase-safe`)"
    )]
    NoContract {
        /// Its name.
        base: String,
    },
    /// The catalogue's promise is another one.
    #[error("the catalogue promises {old} for the old base and {new} for the new one")]
    Abi {
        /// Of the old base.
        old: String,
        /// Of the new base.
        new: String,
    },
    /// The image does not begin with the layers of the base.
    #[error("the image does not stand on that release of the base")]
    NotOnBase,
    /// A layer that could not be looked into.
    #[error("layer {layer} could not be looked into as a whole: {why}")]
    NotRead {
        /// Counted from 1 at the bottom.
        layer: usize,
        /// Why.
        why: String,
    },
    /// The image's own words.
    #[error("{why}")]
    Document {
        /// In words.
        why: String,
    },
}

impl Obstacle {
    /// Whether packages of the application are in the way: what it has written to the package database.
    pub fn is_of_packages(&self) -> bool {
        matches!(
            self,
            Self::PackageReplaced { .. }
                | Self::PackageTwice { .. }
                | Self::Unmet { .. }
                | Self::Breaks { .. }
        )
    }

    /// The path of the application that is in the way, where it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Deletes { path }
            | Self::Hides { path }
            | Self::Shadows { path }
            | Self::ShadowsGone { path }
            | Self::Collides { path }
            | Self::Kind { path }
            | Self::MovedBelow { path, .. }
            | Self::Dangles { path, .. }
            | Self::Rpm { path }
            | Self::Unreadable { path, .. }
            | Self::Entry { path, .. }
            | Self::Library { path, .. }
            | Self::SymbolVersion { path, .. } => Some(path),
            _ => None,
        }
    }
}
