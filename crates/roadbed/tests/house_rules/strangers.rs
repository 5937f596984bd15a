//! What belongs to somebody's machine and not into a repository that everybody builds from.

use super::checkout::{SourceFile, assert_none, text_files};

/// The only place that dependencies come from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Last parts of names that only a local resolver knows.
const LOCAL_DOMAINS: [&str; 3] = ["internal", "corp", "lan"];

/// Directories that exist on one machine only. Put together so that this file does not find itself.
fn machine_paths() -> [String; 5] {
    ["/ro~ot/", "/wo~rk/", "/Us~ers/", "/ho~me/", "/tmp/~rb/"].map(|path| path.replace('~', ""))
}

/// Settings that send a build to a mirror instead of to where everybody gets it from.
fn mirror_settings() -> [String; 7] {
    [
        "replace-~with",
        "GOPROXY~=http",
        "index-~url",
        "GONOSUM~DB=*",
        "registry.~npmjs.mirror",
        "CARGO_REGISTRIES~_",
        "PIP_~INDEX",
    ]
    .map(|setting| setting.replace('~', ""))
}

/// `host` of every `scheme://host` in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)))
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

/// Addresses of private networks (RFC 1918) and names that only a local resolver knows.
fn is_private(host: &str) -> bool {
    let second = host.split('.').nth(1).and_then(|part| part.parse::<u8>().ok());
    let is_address = host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok());
    let private_address = is_address
        && (host.starts_with("10.")
            || host.starts_with("192.168.")
            || host.starts_with("172.") && second.is_some_and(|part| (16..32).contains(&part)));
    private_address || LOCAL_DOMAINS.contains(&host.rsplit('.').next().unwrap_or(host))
}

fn violations_in(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let mut complain = |what: &str| found.push(format!("{}:{}: {what}", file.path, number + 1));
        machine_paths()
            .iter()
            .filter(|path| line.contains(*path))
            .for_each(|path| complain(path));
        mirror_settings()
            .iter()
            .filter(|setting| line.contains(*setting))
            .for_each(|setting| complain(setting));
        hosts(line)
            .filter(|host| is_private(host))
            .for_each(&mut complain);
    }
    found
}

#[test]
fn nothing_names_a_machine_or_a_mirror() {
    let violations: Vec<String> = text_files().iter().flat_map(violations_in).collect();
    assert_none(
        "a path of a machine or the host of a mirror is in the repository",
        &violations,
    );
}

#[test]
fn every_dependency_comes_from_crates_io() {
    let files = text_files();
    let lock = files
        .iter()
        .find(|file| file.path == "Cargo.lock")
        .expect("the lock file is in the repository");
    let sources = lock
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("source = "));
    let others: Vec<String> = sources
        .filter(|source| source.trim_matches('"') != CRATES_IO)
        .map(str::to_owned)
        .collect();
    assert_none("a dependency does not come from crates.io", &others);
}
