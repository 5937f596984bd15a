//! What the tools say, one package a line, as they print it.

use std::{fs, path::Path};

use serde_json::Value;

/// Reads a list that was kept.
pub(super) fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join("lists").join(name)).unwrap()
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    assert!(!lines.is_empty(), "the tool listed nothing");
    lines
}

/// What `pip list --format=json` prints, under the names of the index.
pub(super) fn of_pip(text: &str) -> Vec<String> {
    let listed: Vec<Value> = serde_json::from_str(text).unwrap();
    sorted(listed.iter().map(|package| {
        let name = package["name"].as_str().unwrap().to_lowercase();
        format!(
            "{} {}",
            name.replace(['_', '.'], "-"),
            package["version"].as_str().unwrap()
        )
    }))
}

/// What `npm ls --parseable --long` prints: `path:name@version:…`, the project itself first.
pub(super) fn of_npm(text: &str) -> Vec<String> {
    sorted(text.lines().skip(1).map(|line| {
        let (name, version) = line.split(':').nth(1).unwrap().rsplit_once('@').unwrap();
        format!("{name} {version}")
    }))
}

/// What `go version -m` prints. A module without a release has no version; Go itself is `stdlib`, as its advisories call it.
pub(super) fn of_go(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let release = lines.next().unwrap().rsplit_once(": go").unwrap().1;
    let mut said = vec![format!("stdlib {}", release.split(' ').next().unwrap())];
    for line in lines {
        let fields: Vec<&str> = line.trim_start().split('\t').collect();
        match fields[..] {
            ["mod" | "dep", path, version, ..] => said.push(format!("{path} {}", released(version))),
            // A replacement takes the place of the line above it.
            ["=>", path, version, ..] => {
                said.pop();
                said.push(format!("{path} {}", released(version)));
            }
            _ => {}
        }
    }
    sorted(said.into_iter())
}

fn released(version: &str) -> &str {
    if version == "(devel)" { "" } else { version }
}

/// What `cargo tree --prefix none` prints: `name v1.2.3 (where)`.
pub(super) fn of_cargo(text: &str) -> Vec<String> {
    let mut lines = sorted(text.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        format!("{name} {}", version.trim_start_matches('v'))
    }));
    lines.dedup();
    lines
}

/// What `dpkg-query --search` prints: `package, package: path`. The first by name, with paths as an image has them.
pub(super) fn of_owners(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with("diversion "));
    lines
        .map(|line| {
            let (packages, path) = line.split_once(": /").unwrap();
            let mut packages: Vec<&str> = packages
                .split(", ")
                .map(|package| package.split(':').next().unwrap())
                .collect();
            packages.sort_unstable();
            (path.to_owned(), packages[0].to_owned())
        })
        .collect()
}
