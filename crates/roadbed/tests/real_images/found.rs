//! What a scan finds.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::harness::server;

/// A package that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) path: String,
    pub(super) owned_by: Option<String>,
}

/// The result of `roadbed scan` with these arguments, from nobody's home.
pub(super) fn scan(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    run(&mut server::command(home.path()), arguments)
}

/// The same by a command with an environment of its own.
pub(super) fn run(command: &mut Command, arguments: &[&str]) -> Value {
    let output = command
        .arg("scan")
        .args(arguments)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scan {arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A path as an argument.
pub(super) fn argument(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The packages of a kind, without what a shell would not show.
pub(super) fn packages(result: &Value, kind: &str) -> Vec<Found> {
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let all = result["packages"].as_array().unwrap();
    all.iter()
        .filter(|package| package["kind"] == kind)
        .map(|package| Found {
            name: text(package, "name"),
            version: text(package, "version"),
            path: text(package, "path"),
            owned_by: package["owned_by"].as_str().map(str::to_owned),
        })
        .collect()
}

/// `name version` of each, in order.
pub(super) fn names<'a>(found: impl IntoIterator<Item = &'a Found>) -> Vec<String> {
    let mut names: Vec<String> = found
        .into_iter()
        .map(|found| format!("{} {}", found.name, found.version))
        .collect();
    names.sort_unstable();
    names
}
