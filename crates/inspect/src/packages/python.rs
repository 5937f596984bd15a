//! Python: what is installed, by the metadata that installers leave, and lockfiles of source trees.
//!
//! Names are normalised as the index does (PEP 503), so that one spelling is matched.

mod locks;
mod metadata;

use findings::{Package, PackageKind, UnitKind};

use super::gather::{Gather, base_name, extension, text_of};
use crate::{Budget, Cataloger, Facts, File, FileError};

/// Reads `*.dist-info/METADATA`, `*.egg-info` and `conda-meta/*.json`.
pub(super) struct PythonInstalled;

/// Reads lockfiles and pinned requirements.
pub(super) struct PythonLock;

impl Cataloger for PythonInstalled {
    fn kind(&self) -> UnitKind {
        UnitKind::PythonInstalled
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        is_metadata(path) || is_conda(path)
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let package = if is_conda(file.path) {
            metadata::conda(&text)?
        } else {
            metadata::headers(&text)
        };
        match package {
            Some(package) => Ok(Gather { budget, facts }.add(package)?),
            None => Ok(()),
        }
    }
}

impl Cataloger for PythonLock {
    fn kind(&self) -> UnitKind {
        UnitKind::PythonLock
    }

    fn wants(&self, path: &str, _head: &[u8]) -> bool {
        locks::reader(base_name(path)).is_some()
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let text = text_of(file, budget)?;
        let mut gather = Gather { budget, facts };
        match locks::reader(base_name(file.path)) {
            Some(read) => read(&text, &mut gather),
            None => Ok(()),
        }
    }
}

fn is_metadata(path: &str) -> bool {
    path.ends_with(".dist-info/METADATA")
        || path.ends_with(".egg-info/PKG-INFO")
        || path.ends_with("EGG-INFO/PKG-INFO")
        || path.ends_with(".egg-info")
}

fn is_conda(path: &str) -> bool {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    base_name(directory) == "conda-meta" && extension(path) == "json"
}

/// A package under its normalised name (PEP 503): lower case, and one `-` for each run of `-`, `_` and `.`.
fn package(name: &str, version: &str) -> Package {
    let mut normalised = String::with_capacity(name.len());
    for c in name.trim().chars() {
        match c {
            '-' | '_' | '.' if normalised.ends_with('-') => {}
            '-' | '_' | '.' => normalised.push('-'),
            c => normalised.push(c.to_ascii_lowercase()),
        }
    }
    Package::new(PackageKind::Python, normalised, version.trim())
}

#[cfg(test)]
mod tests;
