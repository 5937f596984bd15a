//! Data that lie beside the workspace, where they do.

use std::path::PathBuf;

/// A path of the shared data; `None` with a line that says so where it is absent.
pub(crate) fn shared_path(name: &str) -> Option<PathBuf> {
    let bases = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/data"),
    ];
    let found = bases
        .iter()
        .map(|base| PathBuf::from(base).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: {name} is not there");
    }
    found
}

/// The bytes of a file of the shared data.
pub(crate) fn shared(name: &str) -> Option<Vec<u8>> {
    shared_path(name).map(|path| std::fs::read(path).unwrap())
}
