//! Crates in a Rust binary, by the list that cargo-auditable leaves in it: compressed JSON in a section of its own.

#[cfg(test)]
mod tests;

use std::io::Read;

use findings::{Confidence, Package, PackageKind, UnitKind};
use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::executable::{Executable, is_executable};
use super::random_access::RandomAccess;
use crate::{Budget, Cataloger, Exceeded, Facts, File, FileError};

/// What the section is called now, and what it was called.
const SECTIONS: [&str; 3] = [".dep-v0", "rust-audit-info", ".rust-audit-info"];

/// `rust.list_bytes`: bytes of the list, compressed and not (bombs). Lists of large programs have some 100 KiB.
const MAX_LIST: usize = 8 << 20;

/// Any executable; those without the list are no fault.
pub(super) struct RustBinary;

impl Cataloger for RustBinary {
    fn kind(&self) -> UnitKind {
        UnitKind::RustBinary
    }

    fn wants(&self, _path: &str, head: &[u8]) -> bool {
        is_executable(head)
    }

    fn read(&self, file: &mut File<'_>, budget: &mut Budget, facts: &mut Facts) -> Result<(), FileError> {
        let mut source = RandomAccess::new(&mut file.content)?;
        let executable = match Executable::read(&mut source) {
            // What only begins like an executable is data.
            Err(FileError::Malformed(_)) => return Ok(()),
            read => read?,
        };
        let Some(section) = executable.section(&SECTIONS) else {
            return Ok(());
        };
        let size = usize::try_from(section.size).unwrap_or(usize::MAX);
        let compressed = source.read_some(section.offset, size.min(MAX_LIST))?;
        let json = inflated(&compressed, budget)?;
        let list: List = serde_json::from_slice(&json)
            .map_err(|error| FileError::malformed(format!("the list of crates cannot be read: {error}")))?;
        for package in list.packages.into_iter().filter_map(Crate::package) {
            facts.install(package, budget)?;
        }
        Ok(())
    }
}

fn inflated(compressed: &[u8], budget: &mut Budget) -> Result<Vec<u8>, FileError> {
    let mut json = Vec::new();
    let most = MAX_LIST as u64;
    ZlibDecoder::new(compressed)
        .take(most + 1)
        .read_to_end(&mut json)
        .map_err(|error| FileError::malformed(format!("the list of crates is not compressed: {error}")))?;
    budget.take_archive_bytes(json.len() as u64)?;
    if json.len() > MAX_LIST {
        return Err(FileError::Exceeded(Exceeded {
            limit: "rust.list_bytes",
            detail: format!("the list of crates has more than {MAX_LIST} bytes"),
        }));
    }
    Ok(json)
}

#[derive(Deserialize)]
struct List {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    /// `crates.io`, `git`, `local`, `registry`.
    #[serde(default)]
    source: String,
    /// `runtime` where it is left out.
    kind: Option<String>,
    #[serde(default)]
    root: bool,
}

impl Crate {
    /// Unless it only took part in the build. Advisories speak of crates of crates.io, which others may merely be called
    /// like.
    fn package(self) -> Option<Package> {
        let is_inside = self.kind.is_none_or(|kind| kind == "runtime");
        let is_public = self.source == "crates.io";
        is_inside.then(|| Package {
            is_root: self.root,
            confidence: if is_public {
                Confidence::High
            } else {
                Confidence::Medium
            },
            ..Package::new(PackageKind::Rust, self.name, self.version)
        })
    }
}
