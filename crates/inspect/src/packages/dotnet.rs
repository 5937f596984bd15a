//! .NET: what a program was published with, and lockfiles.

use findings::{Package, PackageKind, UnitKind};
use serde::Deserialize;

use super::gather::{Gather, Pairs, Text, base_name, json, text_of};
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Reads `*.deps.json` and `packages.lock.json`.
pub(super) struct DotNet;

#[derive(Deserialize)]
struct Deps {
    /// By `name/version`.
    #[serde(default)]
    libraries: Pairs<Library>,
}

#[derive(Deserialize)]
struct Library {
    #[serde(default, rename = "type")]
    kind: Text,
}

#[derive(Deserialize)]
struct Lock {
    /// By framework, then by name.
    #[serde(default)]
    dependencies: Pairs<Pairs<Locked>>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default, rename = "type")]
    kind: Text,
    #[serde(default)]
    resolved: Text,
}

impl Cataloger for DotNet {
    fn kind(&self) -> UnitKind {
        UnitKind::DotNet
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        path.ends_with(".deps.json") || base_name(path) == "packages.lock.json"
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let mut gather = Gather { budget, facts };
        if file.path.ends_with(".deps.json") {
            return read_deps(&text, &mut gather);
        }
        let lock: Lock = json(&text)?;
        for (name, locked) in lock.dependencies.0.iter().flat_map(|(_, packages)| &packages.0) {
            // A project is another one of the same source tree.
            if locked.kind.as_str() != "Project" {
                gather.add(Package::new(PackageKind::NuGet, name, locked.resolved.as_str()))?;
            }
        }
        Ok(())
    }
}

fn read_deps(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    let deps: Deps = json(text)?;
    for (key, library) in &deps.libraries.0 {
        let Some((name, version)) = key.rsplit_once('/') else {
            continue;
        };
        let name = match library.kind.as_str() {
            "package" => name,
            "runtimepack" => name.strip_prefix("runtimepack.").unwrap_or(name),
            _ => continue,
        };
        gather.add(Package::new(PackageKind::NuGet, name, version))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
