//! `pnpm-lock.yaml`, versions 5 to 9.

use serde::Deserialize;

use super::add;
use crate::FileError;
use crate::packages::gather::{Gather, Pairs, Text, is_version, split_at_sign, yaml};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Pairs<Locked>,
}

/// Has name and version of its own only if it comes from elsewhere than a registry.
#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
}

/// Reads a lockfile.
pub(super) fn read(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let lock: Lock = yaml(text)?;
    for (key, locked) in &lock.packages.0 {
        if let (Some(name), Some(version)) = (&locked.name.0, &locked.version.0) {
            add(gather, name, version)?;
        } else if let Some((name, version)) = split(key) {
            add(gather, name, version)?;
        }
    }
    Ok(())
}

/// `/name/1.0.0_peer@1` (5), `/name@1.0.0(peer@1)` (6), `name@1.0.0` (9).
fn split(key: &str) -> Option<(&str, &str)> {
    let key = key.split('(').next()?;
    let key = key.strip_prefix('/').unwrap_or(key);
    if let Some((name, rest)) = key.rsplit_once('/') {
        let version = rest.split('_').next()?;
        if is_version(version) && !version.contains('@') {
            return Some((name, version));
        }
    }
    split_at_sign(key)
}
