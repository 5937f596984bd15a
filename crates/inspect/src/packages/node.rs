//! Node: what lies in `node_modules`, and lockfiles of source trees.
//!
//! A `package.json` outside of `node_modules` is what somebody wrote about a program of theirs: its name may be anybody's in the
//! registry, so it is no package. The exception is a directory that is named as a package and its version
//! (`opt/yarn-v1.22.19`), as images of Node have it.

mod bun;
mod npm;
mod pnpm;
mod yarn;

use findings::{Confidence, Package, PackageKind, UnitKind};
use serde::Deserialize;

use super::gather::{Gather, Licences, Text, base_name, is_version, json, text_of};
use crate::{Budget, Cataloger, Exceeded, Facts, File, FileError};

/// Reads `node_modules/**/package.json`, and those of modules that Debian packages.
pub(super) struct NodeModule;

/// Reads lockfiles.
pub(super) struct NodeLock;

#[derive(Deserialize)]
struct PackageJson {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(default)]
    license: Licences,
    #[serde(default)]
    licenses: Licences,
}

impl Cataloger for NodeModule {
    fn kind(&self) -> UnitKind {
        UnitKind::NodeModule
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        directory(path).is_some_and(|directory| is_module(directory) || is_versioned(directory))
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let Some(directory) = directory(file.path) else {
            return Ok(());
        };
        let stated: PackageJson = json(&text)?;
        let (name, version) = (stated.name.as_str(), stated.version.as_str());
        let is_module = is_module(directory);
        if !is_module && !is_called(base_name(directory), name, version) {
            return Ok(());
        }
        let mut package = Package::new(PackageKind::Npm, name, version);
        package.licences = [stated.license.0, stated.licenses.0].concat();
        if !is_module {
            package.confidence = Confidence::Medium;
        }
        Ok(Gather { budget, facts }.add(package)?)
    }
}

impl Cataloger for NodeLock {
    fn kind(&self) -> UnitKind {
        UnitKind::NodeLock
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        // npm's own lists of what it installed lie among the modules, and so do lockfiles that packages were published with.
        !path.split('/').any(|component| component == "node_modules") && reader(path).is_some()
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let mut gather = Gather { budget, facts };
        match reader(file.path) {
            Some(read) => read(&text, &mut gather),
            None => Ok(()),
        }
    }
}

type Reader = fn(&str, &mut Gather<'_>) -> Result<(), FileError>;

fn reader(path: &str) -> Option<Reader> {
    Some(match base_name(path) {
        "package-lock.json" | "npm-shrinkwrap.json" => npm::read,
        "yarn.lock" => yarn::read,
        "pnpm-lock.yaml" => pnpm::read,
        "bun.lock" => bun::read,
        _ => return None,
    })
}

/// Adds what a lockfile names, unless it comes from elsewhere than a registry.
fn add(gather: &mut Gather<'_>, name: &str, version: &str) -> Result<(), Exceeded> {
    if !is_version(version) {
        return Ok(());
    }
    gather.add(Package::new(PackageKind::Npm, name, version))
}

/// The directory of a `package.json`.
fn directory(path: &str) -> Option<&str> {
    path.strip_suffix("/package.json")
}

/// Whether a directory is `node_modules/name` or `node_modules/@scope/name`, or lies where Debian's Node looks for modules of
/// the distribution.
fn is_module(directory: &str) -> bool {
    let Some((above, name)) = directory.rsplit_once('/') else {
        return false;
    };
    if name.starts_with(['@', '.']) {
        return false;
    }
    let root = match above.rsplit_once('/') {
        Some((root, scope)) if scope.starts_with('@') => root,
        _ => above,
    };
    base_name(root) == "node_modules" || is_of_distribution(root)
}

/// `usr/share/nodejs`, `usr/lib/nodejs` and `usr/lib/<architecture>/nodejs` (Debian's Javascript policy).
fn is_of_distribution(root: &str) -> bool {
    let Some(root) = root.strip_prefix("usr/") else {
        return false;
    };
    let architecture = root
        .strip_prefix("lib/")
        .and_then(|rest| rest.strip_suffix("/nodejs"));
    matches!(root, "share/nodejs" | "lib/nodejs") || architecture.is_some_and(|name| !name.contains('/'))
}

/// Whether a directory's name ends with what may be a version.
fn is_versioned(directory: &str) -> bool {
    base_name(directory)
        .split_once('-')
        .is_some_and(|(_, rest)| rest.contains(|c: char| c.is_ascii_digit()))
}

fn is_called(directory: &str, name: &str, version: &str) -> bool {
    let rest = directory
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.strip_prefix('v').unwrap_or(rest) == version)
}

#[cfg(test)]
mod tests;
