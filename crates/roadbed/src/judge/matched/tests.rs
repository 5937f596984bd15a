//! What is remembered of single packages is what is found in all of them at once.

use findings::{
    PackageKind,
    advisory::{Advisory, AdvisoryIndex},
};
use oci::{Algorithm, Digest};
use policy::Subject;
use serde_json::json;

use super::*;
use crate::judge::{Vex, subject::ask_of_all, tests::Chance};

const KINDS: [(PackageKind, &str); 4] = [
    (PackageKind::Npm, "npm"),
    (PackageKind::Java, "Maven"),
    (PackageKind::Python, "PyPI"),
    (PackageKind::Dpkg, "Debian:12"),
];

/// Facts of some advisories, several of which are about one vulnerability, or about several.
pub(in crate::judge) fn facts(chance: &mut Chance) -> Facts {
    let advisories = (0..chance.below(20)).map(|number| {
        let affected: Vec<_> = (0..=chance.below(3))
            .map(|_| {
                let (_, ecosystem) = KINDS[chance.below(KINDS.len())];
                json!({
                    "package": { "ecosystem": ecosystem, "name": format!("package{}", chance.below(6)) },
                    "ranges": [{ "type": "ECOSYSTEM", "events": [
                        { "introduced": "0" }, { "fixed": format!("{}.0", 1 + chance.below(4)) },
                    ] }],
                })
            })
            .collect();
        let severity = ["LOW", "HIGH", "CRITICAL"][chance.below(3)];
        let document = json!({
            "id": format!("GHSA-{number}"), "modified": "2026-01-01T00:00:00Z", "affected": affected,
            "aliases": [format!("CVE-2026-{}", chance.below(10))], "database_specific": { "severity": severity },
        });
        Advisory::read(document.to_string().as_bytes(), "test").unwrap()
    });
    Facts {
        index: Arc::new(AdvisoryIndex::build(advisories.collect::<Vec<_>>()).unwrap()),
        ..Facts::nothing()
    }
}

pub(in crate::judge) fn package(chance: &mut Chance) -> Package {
    let (kind, _) = KINDS[chance.below(KINDS.len())];
    let name = match kind {
        // A group, none, or one that several have.
        PackageKind::Java if chance.below(2) == 0 => format!("group:package{}", chance.below(6)),
        _ => format!("package{}", chance.below(6)),
    };
    Package::new(kind, name, format!("{}.{}", chance.below(4), chance.below(2)))
}

fn os(chance: &mut Chance) -> Option<OsRelease> {
    let (id, version) = [("debian", "12"), ("debian", "11"), ("alpine", "3.19")][chance.below(3)];
    (chance.below(4) > 0).then(|| OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        ..OsRelease::default()
    })
}

fn nobody() -> Subject {
    Subject::new("team/app".parse().unwrap(), Digest::of(Algorithm::Sha256, b"x"))
}

#[test]
fn one_by_one_is_all_at_once() {
    let mut chance = Chance::of(1);
    let mut found_any = 0;
    for _ in 0..60 {
        let facts = facts(&mut chance);
        // The same packages come again in other images, in other layers and under other systems.
        for _ in 0..8 {
            let packages: Vec<Package> = (0..chance.below(12)).map(|_| package(&mut chance)).collect();
            let placed: Vec<Placed<'_>> = packages
                .iter()
                .map(|package| {
                    (
                        package,
                        [None, Some(0), Some(3)][chance.below(3)],
                        ["a", "b/c"][chance.below(2)],
                    )
                })
                .collect();
            let os = os(&mut chance);
            let all = ask_of_all(&mut nobody(), &placed, os.as_ref(), &facts, &Vex::default());
            let remembered = facts.matched.of(&placed, os.as_ref(), &facts).unwrap().found();
            assert_eq!(remembered, all);
            found_any += usize::from(!all.findings.is_empty());
        }
    }
    assert!(found_any > 100, "{found_any}");
}

#[test]
fn what_is_remembered_is_bounded() {
    let facts = facts(&mut Chance::of(2));
    let matched = Matched::within(PARTS as u64 * 3 * PACKAGE as u64);
    let held = || {
        let parts = matched.parts.iter().map(|part| part.lock().unwrap().bytes);
        parts.sum::<usize>()
    };
    for number in 0..1_000 {
        let package = Package::new(PackageKind::Go, format!("a{number}"), "1");
        let found = matched.of(&[(&package, None, "")], None, &facts).unwrap().found();
        assert!(found.findings.is_empty());
        assert!(held() <= PARTS * 3 * PACKAGE);
    }
    assert!(held() > 0);
    let nothing = Matched::within(0);
    let package = Package::new(PackageKind::Go, "a", "1");
    assert!(nothing.of(&[(&package, None, "")], None, &facts).is_some());
    assert!(
        nothing
            .parts
            .iter()
            .all(|part| part.lock().unwrap().known.is_empty())
    );
}

#[test]
fn too_much_is_known_of_none_alone() {
    // Each of many packages has as many advisories as there are.
    let advisories = (0..300).map(|number| {
        let document = json!({
            "id": format!("CVE-2026-{number}"), "modified": "2026-01-01T00:00:00Z",
            "affected": [{
                "package": { "ecosystem": "npm", "name": "a" },
                "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }],
            }],
        });
        Advisory::read(document.to_string().as_bytes(), "test").unwrap()
    });
    let facts = Facts {
        index: Arc::new(AdvisoryIndex::build(advisories.collect::<Vec<_>>()).unwrap()),
        ..Facts::nothing()
    };
    let package = Package::new(PackageKind::Npm, "a", "1.0.0");
    let placed = |count: usize| vec![(&package, None, "p"); count];
    assert!(facts.matched.of(&placed(100), None, &facts).is_some());
    // 50,000 are kept of one image.
    assert!(facts.matched.of(&placed(200), None, &facts).is_none());
}
