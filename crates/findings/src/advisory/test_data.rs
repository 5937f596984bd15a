//! Data that lie beside the workspace, where they do, and programs of the machine.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Tests that have said that they did not run.
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says past the capture of the test runner, once, that a test could not run as a whole here; `./test` counts these lines.
pub(crate) fn impossible(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.insert(test.to_owned()) {
        let line = format!("NOT POSSIBLE: {test}: {why}\n");
        // Not `eprintln!`: the runner would keep it to itself.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

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
        impossible(&format!("{name} of the shared data is not there"));
    }
    found
}

/// The bytes of a file of the shared data.
pub(crate) fn shared(name: &str) -> Option<Vec<u8>> {
    shared_path(name).map(|path| std::fs::read(path).unwrap())
}
