//! What the tests of the catalogers share.

use findings::Package;

use crate::{Budget, Cataloger, Content, Facts, File, FileError, Limits};

/// Reads a file within limits, if the cataloger wants it.
pub(super) fn read_within(
    cataloger: &dyn Cataloger,
    path: &str,
    bytes: &[u8],
    limits: Limits,
) -> (Facts, Result<(), FileError>) {
    let mut facts = Facts::default();
    assert!(
        cataloger.wants(path, &bytes[..bytes.len().min(512)]),
        "{path} is not wanted"
    );
    let mut file = File {
        path,
        size: bytes.len() as u64,
        mode: 0o644,
        content: Content::of(bytes),
    };
    let result = cataloger.read(&mut file, &mut Budget::new(limits), &mut facts);
    (facts, result)
}

/// The packages of a file that can be read without a complaint, sorted.
pub(super) fn packages(cataloger: &dyn Cataloger, path: &str, text: &str) -> Vec<Package> {
    let (mut facts, result) = read_within(cataloger, path, text.as_bytes(), Limits::default());
    result.unwrap();
    assert_eq!(facts.skipped, []);
    facts.packages.sort();
    facts.packages
}

/// The same, as `name@version`.
pub(super) fn names(cataloger: &dyn Cataloger, path: &str, text: &str) -> Vec<String> {
    let packages = packages(cataloger, path, text);
    packages
        .iter()
        .map(|package| format!("{}@{}", package.name, package.version))
        .collect()
}

/// Whether the text is refused as malformed.
pub(super) fn is_malformed(cataloger: &dyn Cataloger, path: &str, text: &str) -> bool {
    let (_, result) = read_within(cataloger, path, text.as_bytes(), Limits::default());
    matches!(result, Err(FileError::Malformed(_)))
}
