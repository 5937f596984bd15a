//! What must hold for any input, one function per kind of evidence.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/generated.rs`. Each reads the input as
//! files of several names and asserts that what is found can be what it claims to be, and that reading it again finds the
//! same.

use std::{cell::RefCell, io::Cursor};

use findings::{ByteFinding, Package};
use inspect::malware::{self, Malware};
use inspect::packages::CATALOGERS;
use inspect::secrets::{Pack, SecretLimits, Secrets};
use inspect::{Budget, Content, Facts, File, Limits};

/// Small, so that inputs of a fuzzer can exceed them.
fn limits() -> Limits {
    Limits {
        archive_bytes: 1 << 22,
        archive_entries: 2_000,
        file_memory: 1 << 20,
        packages: 2_000,
        ..Limits::default()
    }
}

fn read(path: &str, data: &[u8]) -> (Facts, Vec<bool>) {
    let mut facts = Facts::default();
    let mut budget = Budget::new(limits());
    let mut are_read = Vec::new();
    let head = &data[..data.len().min(512)];
    for cataloger in CATALOGERS.iter().filter(|cataloger| cataloger.wants(path, head)) {
        let mut file = File {
            path,
            size: data.len() as u64,
            mode: 0o644,
            content: Content::of(data),
        };
        are_read.push(cataloger.read(&mut file, &mut budget, &mut facts).is_ok());
    }
    (facts, are_read)
}

fn check(package: &Package, limits: &Limits) {
    for word in [&package.name, &package.version] {
        assert!(!word.is_empty() && word.len() <= 512, "{package:?}");
        assert!(
            !word.contains(|c: char| c.is_control() || c.is_whitespace()),
            "{package:?}"
        );
    }
    assert!(package.licences.len() <= 20, "{package:?}");
    // Depth, then the place inside the innermost archive.
    assert!(
        package.inner_path.len() <= limits.archive_depth as usize + 1,
        "{package:?}"
    );
    if let Some((first, last)) = &package.version_range {
        assert!(first == &package.version && first != last, "{package:?}");
    }
    if !package.mitigations.is_empty() {
        assert_eq!(package.name, "org.apache.logging.log4j:log4j-core");
    }
}

/// Returns how many packages were found, for the test that inputs are not all refused.
fn holds(paths: &[&str], data: &[u8]) -> usize {
    let limits = limits();
    let mut found = 0;
    for path in paths {
        let (facts, are_read) = read(path, data);
        assert!(facts.packages.len() as u64 <= limits.packages);
        for package in &facts.packages {
            check(package, &limits);
        }
        let (again, are_read_again) = read(path, data);
        assert_eq!(
            (&facts.packages, are_read),
            (&again.packages, are_read_again),
            "{path}"
        );
        found += facts.packages.len();
    }
    found
}

/// Archives of Java.
pub(crate) fn java(data: &[u8]) -> usize {
    holds(
        &[
            "app/log4j-core-2.14.1.jar",
            "app/any",
            "META-INF/maven/a/b/pom.properties",
            "log4j/core/lookup/JndiLookup.class",
        ],
        data,
    )
}

/// Lists of Node.
pub(crate) fn node(data: &[u8]) -> usize {
    holds(
        &[
            "node_modules/a/package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
        ],
        data,
    )
}

/// Lists of Python.
pub(crate) fn python(data: &[u8]) -> usize {
    holds(
        &[
            "a.dist-info/METADATA",
            "conda-meta/a.json",
            "uv.lock",
            "pylock.toml",
            "Pipfile.lock",
            "requirements.txt",
        ],
        data,
    )
}

/// Lists of Ruby, PHP and .NET.
pub(crate) fn others(data: &[u8]) -> usize {
    holds(
        &[
            "specifications/a.gemspec",
            "Gemfile.lock",
            "composer.lock",
            "composer/installed.json",
            "a.deps.json",
            "packages.lock.json",
        ],
        data,
    )
}

/// Few enough to be exceeded.
const SECRETS: SecretLimits = SecretLimits {
    candidates: 50,
    findings: 10,
};

fn file(content: Content<'_>, size: usize) -> File<'_> {
    File {
        path: "srv/app/.env",
        size: size as u64,
        mode: 0o644,
        content,
    }
}

/// A finding shows no secret, and what it shows harms no terminal.
fn check_finding(finding: &ByteFinding) {
    let json = serde_json::to_string(finding).expect("it has no keys that are no texts");
    assert!(!json.contains('\u{1b}'));
    assert!(json.len() < 1 << 16);
}

/// Rules for secrets of the operator's: refused with a reason, or used on themselves.
pub(crate) fn secret_rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Pack::parse("pack", text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(pack) => {
            let secrets = Secrets::new(vec![pack], SECRETS);
            let found = secrets.scan_text("file", text);
            found.iter().for_each(check_finding);
        }
    }
}

/// Any file, by our own rules for secrets: the same from memory and from a spool.
pub(crate) fn secrets(data: &[u8]) {
    thread_local! {
        static OWN: RefCell<Secrets> =
            RefCell::new(Secrets::new(vec![Pack::own().expect("it is tested")], SECRETS));
    }
    let (mut held, mut spooled) = (Vec::new(), Vec::new());
    let look = |content, found: &mut Vec<ByteFinding>| {
        OWN.with_borrow_mut(|own| own.look(&mut file(content, data.len()), found).is_ok())
    };
    let from_memory = look(Content::of(data), &mut held);
    let mut spool = Cursor::new(data);
    let from_spool = look(Content::Spooled(&mut spool), &mut spooled);
    held.iter().for_each(check_finding);
    assert!(held.len() <= SECRETS.findings);
    assert_eq!(from_memory, from_spool);
    assert_eq!(held, spooled);
}

/// Any file, by our own rules for malware.
pub(crate) fn malware(data: &[u8]) {
    thread_local! {
        static OWN: RefCell<Malware> = RefCell::new(malware::compile(&malware::own_sources()).malware);
    }
    OWN.with_borrow_mut(|own| {
        let mut found = Vec::new();
        // Reading from memory cannot fail; too many findings may.
        let _ = own.look(&mut file(Content::of(data), data.len()), &mut found);
        found.iter().for_each(check_finding);
        assert!(found.len() <= own.rules());
    });
}
