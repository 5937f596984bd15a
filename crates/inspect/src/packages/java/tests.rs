//! What the archives of the replay and hostile ones are taken for.

mod builder;
mod hostile;
mod names;
mod replay;
mod table;

use findings::Package;

use super::JavaArchive;
use crate::{Budget, Cataloger as _, Content, Facts, File, FileError, Limits};

/// Reads bytes as a file of the layer.
fn read(path: &str, bytes: &[u8]) -> (Facts, Result<(), FileError>) {
    read_within(path, bytes, Limits::default())
}

fn read_within(path: &str, bytes: &[u8], limits: Limits) -> (Facts, Result<(), FileError>) {
    let mut facts = Facts::default();
    let mut file = File {
        path,
        size: bytes.len() as u64,
        mode: 0o644,
        content: Content::of(bytes),
    };
    let result = JavaArchive.read(&mut file, &mut Budget::new(limits), &mut facts);
    (facts, result)
}

/// The packages of an archive that can be read without a complaint.
fn packages(path: &str, bytes: &[u8]) -> Vec<Package> {
    let (mut facts, result) = read(path, bytes);
    result.unwrap();
    assert_eq!(facts.skipped, []);
    assert_eq!(facts.oddities, []);
    facts.packages.sort();
    facts.packages
}

/// `name@version` of each.
fn names(packages: &[Package]) -> Vec<String> {
    packages
        .iter()
        .map(|package| format!("{}@{}", package.name, package.version))
        .collect()
}
