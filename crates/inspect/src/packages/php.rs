//! PHP: what composer locked or installed.

use findings::{Package, PackageKind, UnitKind};
use serde::Deserialize;

use super::gather::{Gather, Items, Licences, Text, json, text_of};
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Reads `composer.lock` and `vendor/composer/installed.json`.
pub(super) struct Composer;

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    packages: Items<Locked>,
    #[serde(default, rename = "packages-dev")]
    packages_dev: Items<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    version: Text,
    #[serde(default)]
    license: Licences,
}

impl Cataloger for Composer {
    fn kind(&self) -> UnitKind {
        UnitKind::Composer
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        path == "composer.lock"
            || path.ends_with("/composer.lock")
            || path.ends_with("composer/installed.json")
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        // Composer 1 wrote a list of what is installed, composer 2 an object with one.
        let locked = if text.trim_start().starts_with('[') {
            json::<Items<Locked>>(&text)?.0
        } else {
            let listed: Listed = json(&text)?;
            listed
                .packages
                .0
                .into_iter()
                .chain(listed.packages_dev.0)
                .collect()
        };
        let mut gather = Gather { budget, facts };
        for Locked {
            name,
            version,
            license,
        } in locked
        {
            let mut package = Package::new(PackageKind::Composer, name.as_str(), plain(version.as_str()));
            package.licences = license.0;
            gather.add(package)?;
        }
        Ok(())
    }
}

/// A version without the `v` of a tag, as composer compares it.
fn plain(version: &str) -> &str {
    match version.strip_prefix('v') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => version,
    }
}

#[cfg(test)]
mod tests;
