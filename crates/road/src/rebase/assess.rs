//! Whether an image can follow its base, and by what evidence.

use std::collections::BTreeSet;

use findings::{Linkage, OsRelease};
use serde::{Deserialize, Serialize};

use super::document::{Document, Stored};
use super::known::{LOADER_CACHE, Strategy};
use super::needs::{Libraries, missing};
use super::obstacle::Obstacle;
use super::paths::{BaseChange, PathEvidence, compare};
use super::tree::LayerPaths;
use super::{MAX_OBSTACLES, SafetyClass};

/// What the catalogue says about a base.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contract {
    /// Its name.
    pub base: String,
    /// Whether its owner promises that it may be swapped.
    pub is_safe: bool,
    /// What stays the same: `glibc-2.36`.
    pub abi: Option<String>,
}

/// A release of a base, for the platform of an image.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Its bytes.
    pub stored: Stored<'a>,
    /// Which operating system it has, if any.
    pub os: Option<&'a OsRelease>,
    /// What is promised of it.
    pub contract: &'a Contract,
    /// What it offers to programs.
    pub libraries: &'a Libraries,
}

/// An image of one platform, and where it is to go.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Its bytes.
    pub app: Stored<'a>,
    /// The release that it stands on.
    pub old: Side<'a>,
    /// The release to go to.
    pub new: Side<'a>,
    /// Both releases by path.
    pub change: &'a BaseChange,
    /// The paths of its own layers, lowest first; or why one cannot be known, with its number from 1 at the bottom.
    pub layers: Result<&'a [LayerPaths], (usize, &'a str)>,
    /// What its own programs and libraries need.
    pub linkages: &'a [Linkage],
    /// It says where its source is and which revision of it.
    pub has_source: bool,
}

/// Which image a file is to be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The release that the image stands on.
    Old,
    /// The release to go to.
    New,
    /// The image itself.
    App,
}

/// A file whose bytes are needed to go on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WantedFile {
    /// Of which image.
    pub of: Of,
    /// Relative to the root.
    pub path: String,
}

/// What was found about an image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// How it can follow.
    pub class: SafetyClass,
    /// What stands against it, at most [`MAX_OBSTACLES`].
    pub obstacles: Vec<Obstacle>,
    /// How many more.
    pub more_obstacles: usize,
    /// What was seen.
    pub evidence: PathEvidence,
    /// Files that must be read for [`merge()`](super::merge()). One that is not there counts as empty.
    pub wanted: Vec<WantedFile>,
}

impl Assessment {
    pub(super) fn of(obstacles: BTreeSet<Obstacle>, evidence: PathEvidence, has_source: bool) -> Self {
        let class = match () {
            () if obstacles.is_empty() && evidence.merged.is_empty() => SafetyClass::A,
            () if obstacles.is_empty() => SafetyClass::B,
            () if has_source => SafetyClass::C,
            () => SafetyClass::D,
        };
        let more_obstacles = obstacles.len().saturating_sub(MAX_OBSTACLES);
        let wanted = if class == SafetyClass::B {
            wanted(&evidence)
        } else {
            Vec::new()
        };
        Self {
            class,
            obstacles: obstacles.into_iter().take(MAX_OBSTACLES).collect(),
            more_obstacles,
            evidence,
            wanted,
        }
    }
}

fn wanted(evidence: &PathEvidence) -> Vec<WantedFile> {
    let all = evidence.merged.keys().flat_map(|path| {
        [Of::Old, Of::New, Of::App].map(|of| WantedFile {
            of,
            path: path.clone(),
        })
    });
    all.collect()
}

/// Compares an image with a change of its base.
pub fn assess(image: &Image<'_>) -> Assessment {
    let mut obstacles = documents(image);
    obstacles.extend(promises(&image.old, &image.new));
    let (evidence, seen) = match image.layers {
        Ok(layers) => paths(image, layers),
        Err((layer, why)) => {
            let why = policy::yaml::one_line(why, 200);
            (
                PathEvidence::default(),
                BTreeSet::from([Obstacle::NotRead { layer, why }]),
            )
        }
    };
    obstacles.extend(seen);
    Assessment::of(obstacles, evidence, image.has_source)
}

fn paths(image: &Image<'_>, layers: &[LayerPaths]) -> (PathEvidence, BTreeSet<Obstacle>) {
    let (mut evidence, mut obstacles, tree) = match compare(image.change, layers) {
        Ok(compared) => compared,
        Err(error) => {
            let obstacle = Obstacle::Document {
                why: error.to_string(),
            };
            return (PathEvidence::default(), BTreeSet::from([obstacle]));
        }
    };
    let own = Libraries::of(&tree, image.linkages);
    let (old, new) = (image.old.libraries, image.new.libraries);
    obstacles.extend(missing(image.linkages, &own, old, new));
    // The cache that `ldconfig` wrote for the application names the old base's libraries.
    if tree.get(LOADER_CACHE).is_some() && image.change.old != image.change.new {
        evidence
            .merged
            .insert(LOADER_CACHE.to_owned(), Strategy::LoaderCache);
    }
    (evidence, obstacles)
}

/// What the manifests and configurations say.
fn documents(image: &Image<'_>) -> BTreeSet<Obstacle> {
    let mut obstacles = BTreeSet::new();
    let documents = [image.app, image.old.stored, image.new.stored].map(Document::read);
    let [Ok(app), Ok(old), Ok(new)] = documents else {
        let errors = documents.into_iter().filter_map(Result::err);
        return errors
            .map(|error| Obstacle::Document {
                why: error.to_string(),
            })
            .collect();
    };
    let count = old.diff_ids.len();
    if app.diff_ids.get(..count) != Some(&old.diff_ids[..]) {
        obstacles.insert(Obstacle::NotOnBase);
    }
    if app.diff_ids.len() - count.min(app.diff_ids.len()) + new.diff_ids.len() + 1
        > crate::lineage::MAX_LAYERS
    {
        let why = format!("it would have more than {} layers", crate::lineage::MAX_LAYERS);
        obstacles.insert(Obstacle::Document { why });
    }
    let platform = |document: &Document| {
        let [os, arch, variant] =
            ["os", "architecture", "variant"].map(|name| document.text(name).to_owned());
        (os, arch, variant)
    };
    let ((os, arch, variant), (new_os, new_arch, new_variant)) = (platform(&app), platform(&new));
    // A base that says nothing of the variant is for all of them.
    let is_variant = variant == new_variant || new_variant.is_empty();
    if os != new_os || arch != new_arch || !is_variant || os != "linux" {
        obstacles.insert(Obstacle::Platform {
            image: shown_platform([&os, &arch, &variant]),
            base: shown_platform([&new_os, &new_arch, &new_variant]),
        });
    }
    for layer in &new.layers {
        if let Err(error) = new.layer_for(layer, &app) {
            obstacles.insert(Obstacle::Document {
                why: error.to_string(),
            });
        }
    }
    obstacles
}

fn shown_platform(parts: [&str; 3]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    policy::yaml::one_line(&parts.join("/"), 80)
}

/// What is known and promised of the two releases.
fn promises(old: &Side<'_>, new: &Side<'_>) -> BTreeSet<Obstacle> {
    let mut obstacles = BTreeSet::new();
    for contract in [old.contract, new.contract] {
        if !contract.is_safe {
            obstacles.insert(Obstacle::NoContract {
                base: contract.base.clone(),
            });
        }
    }
    let [was, is] = [old.contract, new.contract].map(|contract| contract.abi.clone());
    if was != is {
        let shown = |abi: Option<String>| abi.unwrap_or_else(|| "nothing".to_owned());
        obstacles.insert(Obstacle::Abi {
            old: shown(was),
            new: shown(is),
        });
    }
    let [was, is] = [old.os, new.os].map(|os| os.map(line_of));
    if was != is {
        let shown = |os: Option<String>| os.unwrap_or_else(|| "no known system".to_owned());
        obstacles.insert(Obstacle::Distribution {
            old: shown(was),
            new: shown(is),
        });
    }
    obstacles
}

/// The line of releases within which packages fit together: `debian 12`, `alpine 3.20`, `ubuntu 24.04`.
fn line_of(os: &OsRelease) -> String {
    let id = os.id.as_str();
    // These break between what stands before and behind the first dot.
    let parts = match id {
        "alpine" | "ubuntu" | "wolfi" | "opensuse-leap" | "sles" => 2,
        _ => 1,
    };
    let version: Vec<&str> = os.version.split('.').take(parts).collect();
    policy::yaml::one_line(format!("{id} {}", version.join(".")).trim_end(), 80)
}
