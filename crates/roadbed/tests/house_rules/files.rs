//! How files are named, how long they may get, and how they start.

use super::checkout::{SourceFile, assert_none, root, rust_files};

/// Lines at which a file is too long to be read at once.
const MAX_FILE_LINES: usize = 600;

/// Tables and generated files that may be longer.
const LONG_TABLES: [&str; 0] = [];

/// Lines of prose at the top of a library.
const MIN_LIBRARY_PROSE_LINES: usize = 5;

#[test]
fn no_file_is_too_long() {
    let too_long = |file: &SourceFile| {
        let lines = file.text.lines().count();
        let excepted = LONG_TABLES.contains(&file.path.as_str());
        (lines > MAX_FILE_LINES && !excepted).then(|| format!("{}: {lines} lines", file.path))
    };
    let violations: Vec<String> = rust_files().iter().filter_map(too_long).collect();
    assert_none(
        &format!("a file is longer than {MAX_FILE_LINES} lines: split it"),
        &violations,
    );
}

#[test]
fn modules_are_named_by_their_file() {
    // Cargo would take `tests/harness.rs` for a test of its own, so a module that tests share has to be a `mod.rs`.
    let is_shared_by_tests = |path: &str| path.split('/').nth(2) == Some("tests");
    let files = rust_files();
    let wrong = files
        .iter()
        .filter(|file| file.name() == "mod.rs" && !is_shared_by_tests(&file.path));
    let violations: Vec<String> = wrong.map(|file| file.path.clone()).collect();
    assert_none(
        "a module is `mod.rs`: call it `name.rs` beside `name/`",
        &violations,
    );
}

#[test]
fn every_crate_opens_with_prose() {
    let mut violations = Vec::new();
    for file in rust_files() {
        let depth = file.path.split('/').count();
        let wanted = match file.name() {
            "lib.rs" => MIN_LIBRARY_PROSE_LINES,
            "main.rs" => 1,
            // The top of a test, benchmark or example.
            _ if depth == 4 && !file.path.contains("/src/") => 1,
            _ => 0,
        };
        let prose = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        if prose < wanted {
            violations.push(format!(
                "{}: {prose} lines of `//!`, {wanted} are wanted",
                file.path
            ));
        }
    }
    assert_none("a crate does not say at its top what it is for", &violations);
}

#[test]
fn lints_are_the_workspaces() {
    let mut violations = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("the checkout can be read") {
        let manifest = entry.expect("the checkout can be read").path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap_or_default();
        if !text.contains("[lints]\nworkspace = true") {
            violations.push(manifest.display().to_string());
        }
    }
    assert_none("a crate does not take the workspace's lints", &violations);
}

#[test]
fn silenced_lints_are_expected_and_say_why() {
    // Put together so that this file does not find itself.
    let (allow, expect) = (["[", "allow("].concat(), ["[", "expect("].concat());
    let mut violations = Vec::new();
    for file in rust_files() {
        for (number, line) in file.text.lines().enumerate() {
            let place = || format!("{}:{}: {}", file.path, number + 1, line.trim());
            let is_attribute = |what: &str| {
                ["#", "#!"]
                    .iter()
                    .any(|start| line.trim_start().starts_with(&format!("{start}{what}")))
            };
            let rest = file
                .text
                .lines()
                .skip(number)
                .take(5)
                .collect::<Vec<_>>()
                .join(" ");
            let closed = rest.split(']').next().unwrap_or_default().contains("reason");
            if is_attribute(&allow) || is_attribute(&expect) && !closed {
                violations.push(place());
            }
        }
    }
    assert_none("a lint is silenced without `expect` and `reason`", &violations);
}
