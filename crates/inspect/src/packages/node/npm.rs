//! `package-lock.json` and `npm-shrinkwrap.json`, versions 1 to 3.

use serde::Deserialize;

use super::add;
use crate::FileError;
use crate::packages::gather::{Gather, Pairs, Text, json, split_at_sign};

#[derive(Deserialize)]
struct Lock {
    /// From version 2 on, by the place in the tree.
    #[serde(default)]
    packages: Pairs<Placed>,
    /// Up to version 2, by name.
    #[serde(default)]
    dependencies: Pairs<Nested>,
}

#[derive(Deserialize)]
struct Placed {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    version: Text,
    #[serde(default)]
    dependencies: Pairs<Nested>,
}

/// Reads a lockfile.
pub(super) fn read(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let lock: Lock = json(text)?;
    for (place, package) in &lock.packages.0 {
        // Others than those in `node_modules` are the project itself and its workspaces.
        let Some((_, name)) = place.rsplit_once("node_modules/") else {
            continue;
        };
        let name = package.name.0.as_deref().unwrap_or(name);
        add(gather, name, package.version.as_str())?;
    }
    if lock.packages.0.is_empty() {
        add_nested(gather, &lock.dependencies)?;
    }
    Ok(())
}

/// Recursion is bounded by the parser's.
fn add_nested(gather: &mut Gather<'_>, dependencies: &Pairs<Nested>) -> Result<(), FileError> {
    for (name, package) in &dependencies.0 {
        let version = package.version.as_str();
        match version.strip_prefix("npm:").and_then(split_at_sign) {
            Some((name, version)) => add(gather, name, version)?,
            None => add(gather, name, version)?,
        }
        add_nested(gather, &package.dependencies)?;
    }
    Ok(())
}
