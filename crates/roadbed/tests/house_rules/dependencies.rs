//! Who may use whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use super::checkout::{assert_none, root};

/// The table of ARCHITECTURE.md: a crate of ours and which others of ours it may use.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("oci", &[]),
    ("access", &["oci"]),
    ("findings", &["oci"]),
    ("inspect", &["oci", "findings"]),
    ("maturity", &["oci"]),
    ("policy", &["oci", "findings"]),
    ("road", &["oci", "findings", "policy"]),
    ("signatures", &["oci"]),
    (
        "store",
        &["oci", "access", "findings", "policy", "road", "signatures"],
    ),
    ("outbound", &["oci"]),
    ("registry", &["oci", "access", "store"]),
    (
        "web",
        &[
            "oci",
            "access",
            "findings",
            "maturity",
            "policy",
            "road",
            "signatures",
            "store",
        ],
    ),
    (
        "roadbed",
        &[
            "oci",
            "access",
            "findings",
            "inspect",
            "maturity",
            "policy",
            "road",
            "signatures",
            "store",
            "outbound",
            "registry",
            "web",
        ],
    ),
];

/// Crates without input, output or clock.
const PURE: [&str; 8] = [
    "oci",
    "access",
    "findings",
    "inspect",
    "maturity",
    "policy",
    "road",
    "signatures",
];

/// What a pure crate must not reach, not even through others.
const IMPURE: [&str; 14] = [
    "axum",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "sea-orm",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tokio",
];

/// What only these crates of ours may use directly.
const RESERVED: [(&str, &[&str]); 6] = [
    ("sea-orm", &["store"]),
    ("sea-orm-migration", &["store"]),
    ("sqlx", &["store"]),
    // Connections that come in, and those of mail that go out.
    ("tokio-rustls", &["registry", "outbound"]),
    ("utoipa", &["web"]),
    ("clap", &["roadbed"]),
];

/// One TLS provider in the whole tree (aws-lc-rs): two, and none installed, panic at run time.
const OTHER_TLS: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "schannel"];

/// Targets for which the tree is looked at; `deny.toml` names the same.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A crate of ours and the names of what it uses directly.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// What the manifests of our crates declare; with or without what only tests need.
fn declared(with_tests: bool) -> Uses {
    let metadata = cargo(&["metadata", "--format-version=1", "--locked", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    let mut uses = Uses::new();
    for package in metadata["packages"].as_array().expect("cargo lists packages") {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let wanted = dependencies.filter(|dependency| with_tests || dependency["kind"] != "dev");
        uses.insert(
            text(&package["name"]),
            wanted.map(|dependency| text(&dependency["name"])).collect(),
        );
    }
    uses
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Everything that a crate is built from, also through others. `cargo tree` resolves features as a build does, which
/// `cargo metadata` does not: there, a feature that nobody enables drags in what it names.
fn built_from(package: &str, target: &str) -> BTreeSet<String> {
    let arguments = [
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--target",
        target,
    ];
    let tree = cargo(&[&["tree", "--package", package], arguments.as_slice()].concat());
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// What of `unwanted` a crate is built from, on any target.
fn reached(package: &str, unwanted: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for target in TARGETS {
        let tree = built_from(package, target);
        let names = unwanted.iter().filter(|name| tree.contains(**name));
        found.extend(
            names.map(|name| format!("{package}: see `cargo tree -p {package} -i {name} --target {target}`")),
        );
    }
    found
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let uses = declared(true);
    let mut violations = Vec::new();
    for (name, used) in &uses {
        let Some((_, allowed)) = MAY_USE.iter().find(|(row, _)| row == name) else {
            violations.push(format!("{name} is not in the table: write down what it may use"));
            continue;
        };
        // A crate's tests may use the crate itself, with other features.
        let wrong = used
            .iter()
            .filter(|used| uses.contains_key(*used) && *used != name);
        let wrong = wrong.filter(|used| !allowed.contains(&used.as_str()));
        violations.extend(wrong.map(|used| format!("{name} uses {used}")));
    }
    assert_none("a crate uses what it must not", &violations);
}

#[test]
fn pure_crates_reach_no_input_or_output() {
    let violations: Vec<String> = PURE.iter().flat_map(|name| reached(name, &IMPURE)).collect();
    assert_none("a pure crate reaches input, output or a clock", &violations);
}

#[test]
fn reserved_dependencies_stay_in_their_crate() {
    let uses = declared(false);
    let mut violations = Vec::new();
    for (dependency, owners) in RESERVED {
        let wrong = uses
            .iter()
            .filter(|(name, used)| !owners.contains(&name.as_str()) && used.contains(dependency));
        violations
            .extend(wrong.map(|(name, _)| format!("{name} uses {dependency}, which only {owners:?} may")));
    }
    assert_none("a dependency is used outside of its crate", &violations);
}

#[test]
fn there_is_one_tls_provider() {
    let violations = reached("roadbed", &OTHER_TLS);
    assert_none("another TLS provider than aws-lc-rs is in the tree", &violations);
}
