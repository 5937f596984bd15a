use serde_json::json;

use super::*;
use crate::{PackageKind, Source, advisory::Advisory};

fn index(documents: &[serde_json::Value]) -> AdvisoryIndex {
    let advisories = documents
        .iter()
        .map(|document| Advisory::read(document.to_string().as_bytes(), "").unwrap());
    AdvisoryIndex::build(advisories).unwrap()
}

/// An advisory for one package that is fixed by `fixed`, or never.
fn advisory(id: &str, ecosystem: &str, name: &str, fixed: Option<&str>) -> serde_json::Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
    json!({"id": id, "modified": "2024-01-01T00:00:00Z", "affected": [{
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events}]}]})
}

fn os(id: &str, version: &str) -> OsRelease {
    OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        ..OsRelease::default()
    }
}

fn from_source(kind: PackageKind, name: &str, version: &str, source: (&str, &str)) -> Package {
    Package {
        source: Some(Source {
            name: source.0.to_owned(),
            version: source.1.to_owned(),
        }),
        ..Package::new(kind, name, version)
    }
}

fn ids(package: Package, os: Option<&OsRelease>, index: &AdvisoryIndex) -> Vec<String> {
    let found = match_packages(&[package], os, index);
    found
        .matches
        .iter()
        .map(|found| found.advisory.to_string())
        .collect()
}

#[test]
fn debian_is_judged_by_source_version_and_release() {
    let index = index(&[
        advisory("DSA-1", "Debian:12", "openssl", Some("3.0.11-1~deb12u2")),
        advisory("DLA-1", "Debian:10", "openssl", Some("99")),
    ]);
    let libssl =
        |version: &str, source: &str| from_source(PackageKind::Dpkg, "libssl3", version, ("openssl", source));
    let bookworm = os("debian", "12");
    // The binary was rebuilt (`+b1`), the source was not.
    assert_eq!(
        ids(
            libssl("3.0.11-1~deb12u2+b1", "3.0.11-1~deb12u1"),
            Some(&bookworm),
            &index
        ),
        ["DSA-1"]
    );
    assert!(
        ids(
            libssl("3.0.11-1~deb12u1", "3.0.11-1~deb12u2"),
            Some(&bookworm),
            &index
        )
        .is_empty()
    );
    assert_eq!(
        ids(libssl("1", "1"), Some(&os("debian", "10")), &index),
        ["DLA-1"]
    );
    assert_eq!(
        ids(
            Package::new(PackageKind::Dpkg, "openssl", "1"),
            Some(&bookworm),
            &index
        ),
        ["DSA-1"]
    );
    assert!(
        ids(
            Package::new(PackageKind::Dpkg, "libssl3", "1"),
            Some(&bookworm),
            &index
        )
        .is_empty()
    );
}

#[test]
fn alpine_is_judged_by_origin() {
    let index = index(&[advisory(
        "ALPINE-CVE-1",
        "Alpine:v3.11",
        "openssl",
        Some("1.1.1g-r0"),
    )]);
    let libcrypto = from_source(
        PackageKind::Apk,
        "libcrypto1.1",
        "1.1.1d-r3",
        ("openssl", "1.1.1d-r3"),
    );
    assert_eq!(
        ids(libcrypto.clone(), Some(&os("alpine", "3.11.6")), &index),
        ["ALPINE-CVE-1"]
    );
    assert!(ids(libcrypto, Some(&os("alpine", "3.12.0")), &index).is_empty());
}

#[test]
fn what_nothing_speaks_of_is_unknown() {
    let index = index(&[
        advisory("DSA-1", "Debian:12", "openssl", None),
        advisory("GHSA-1", "npm", "a", None),
    ]);
    let covered = |kind: PackageKind, os: Option<&OsRelease>| {
        let found = match_packages(&[Package::new(kind, "openssl", "1")], os, &index);
        (found.coverage[0].is_covered(), found.matches.len())
    };
    assert_eq!(covered(PackageKind::Dpkg, Some(&os("debian", "12"))), (true, 1));
    assert_eq!(covered(PackageKind::Dpkg, Some(&os("debian", "13"))), (false, 0));
    assert_eq!(covered(PackageKind::Dpkg, Some(&os("debian", ""))), (false, 0));
    assert_eq!(
        covered(PackageKind::Dpkg, Some(&os("unheard-of", "1"))),
        (false, 0)
    );
    assert_eq!(covered(PackageKind::Apk, Some(&os("debian", "12"))), (false, 0));
    assert_eq!(covered(PackageKind::Dpkg, None), (false, 0));
    assert_eq!(covered(PackageKind::Npm, None), (true, 0));
    assert_eq!(covered(PackageKind::Go, None), (false, 0));
    assert_eq!(covered(PackageKind::Java, None), (false, 0));
}

#[test]
fn headers_of_the_kernel_are_told_apart() {
    let index = index(&[advisory("DSA-1", "Debian:12", "linux", Some("6.1.99-1"))]);
    let headers = from_source(
        PackageKind::Dpkg,
        "linux-libc-dev",
        "6.1.90-1",
        ("linux", "6.1.90-1"),
    );
    let image = from_source(
        PackageKind::Dpkg,
        "linux-image-6.1.0-21-amd64",
        "6.1.90-1",
        ("linux", "6.1.90-1"),
    );
    let found = match_packages(&[headers, image], Some(&os("debian", "12")), &index);
    let apart: Vec<bool> = found.matches.iter().map(|found| found.is_headers_only).collect();
    assert_eq!(apart, [true, false]);
}

#[test]
fn the_module_of_an_rpm_must_be_the_advisorys() {
    let mut node16 = advisory(
        "ALSA-1",
        "AlmaLinux:8",
        "nodejs",
        Some("1:16.1-1.module_el8.5.0+1+a"),
    );
    node16["summary"] = json!("Important: nodejs:16 security update");
    let mut unnamed = advisory(
        "ALSA-2",
        "AlmaLinux:8",
        "nodejs",
        Some("1:16.1-1.module_el8.5.0+1+a"),
    );
    unnamed["summary"] = json!("Low: something security update");
    let plain = advisory("ALSA-3", "AlmaLinux:8", "nodejs", Some("1:99-1.el8"));
    let index = index(&[node16, unnamed, plain]);
    let alma = os("almalinux", "8.9");
    let of_module = |label: Option<&str>| {
        let package = Package {
            modularity: label.map(str::to_owned),
            ..Package::new(PackageKind::Rpm, "nodejs", "1:12.0-1.module_el8.4.0+1+b")
        };
        let found = match_packages(&[package], Some(&alma), &index);
        let certain = |found: &Match| (found.advisory.to_string(), found.uncertain.is_none());
        found.matches.iter().map(certain).collect::<Vec<_>>()
    };
    let owned = |list: &[(&str, bool)]| -> Vec<_> {
        list.iter().map(|(id, sure)| ((*id).to_owned(), *sure)).collect()
    };
    assert_eq!(
        of_module(Some("nodejs:16:8050:abc")),
        owned(&[("ALSA-1", true), ("ALSA-2", false)])
    );
    assert_eq!(of_module(Some("nodejs:12:8040:abc")), owned(&[("ALSA-2", false)]));
    assert_eq!(of_module(None), owned(&[("ALSA-3", true)]));
}

#[test]
fn languages_are_judged_by_their_own_names_and_orders() {
    let index = index(&[
        advisory("PYSEC-1", "PyPI", "Ruamel.Yaml", Some("0.15")),
        advisory("RUBYSEC-1", "RubyGems", "nokogiri", Some("1.13.2")),
        advisory("GO-1", "Go", "stdlib", Some("1.21.3")),
        advisory(
            "GO-2",
            "Go",
            "golang.org/x/net",
            Some("0.0.0-20220906165146-f3363e06e74c"),
        ),
        advisory(
            "GO-3",
            "Go",
            "github.com/docker/docker",
            Some("24.0.7+incompatible"),
        ),
        advisory("RUSTSEC-1", "crates.io", "serde_yaml", Some("0.8.4")),
        advisory(
            "DRUPAL-1",
            "Packagist:https://packages.drupal.org/8",
            "drupal/core",
            Some("9.0.0"),
        ),
    ]);
    for (kind, name, version, id) in [
        (PackageKind::Python, "ruamel-yaml", "0.14.9", Some("PYSEC-1")),
        (PackageKind::Python, "ruamel-yaml", "0.15.post1", None),
        (
            PackageKind::Gem,
            "nokogiri",
            "1.13.1-x86_64-linux",
            Some("RUBYSEC-1"),
        ),
        (PackageKind::Gem, "nokogiri", "1.13.2-java", None),
        (PackageKind::Go, "stdlib", "go1.21.2", Some("GO-1")),
        (PackageKind::Go, "stdlib", "go1.21.3", None),
        (
            PackageKind::Go,
            "golang.org/x/net",
            "v0.0.0-20220826154423-83b083e8dc8b",
            Some("GO-2"),
        ),
        (PackageKind::Go, "golang.org/x/net", "v0.1.0", None),
        (
            PackageKind::Go,
            "github.com/docker/docker",
            "v24.0.6+incompatible",
            Some("GO-3"),
        ),
        (
            PackageKind::Go,
            "github.com/docker/docker",
            "v24.0.7+incompatible",
            None,
        ),
        (PackageKind::Rust, "serde-yaml", "0.8.3", Some("RUSTSEC-1")),
        (PackageKind::Composer, "drupal/core", "8.9.1", Some("DRUPAL-1")),
    ] {
        let found = ids(Package::new(kind, name, version), None, &index);
        assert_eq!(found, id.into_iter().collect::<Vec<_>>(), "{name} {version}");
    }
    let devel = match_packages(
        &[Package::new(PackageKind::Go, "golang.org/x/net", "(devel)")],
        None,
        &index,
    );
    assert!(devel.matches[0].uncertain.is_some());
}

#[test]
fn withdrawn_advisories_are_not_matched() {
    let mut withdrawn = advisory("GHSA-1", "npm", "a", None);
    withdrawn["withdrawn"] = json!("2024-01-02T00:00:00Z");
    assert!(
        ids(
            Package::new(PackageKind::Npm, "a", "1.0.0"),
            None,
            &index(&[withdrawn])
        )
        .is_empty()
    );
}

#[test]
fn an_unfixed_state_is_said_with_its_reason() {
    let mut unfixed = advisory("DEBIAN-CVE-1", "Debian:12", "a", None);
    unfixed["affected"][0]["ecosystem_specific"] = json!({"urgency": "unimportant", "fix_state": "no-dsa"});
    let found = match_packages(
        &[Package::new(PackageKind::Dpkg, "a", "1")],
        Some(&os("debian", "12")),
        &index(&[unfixed]),
    );
    assert_eq!(found.matches[0].fix, Fix::Unfixed(Some("no-dsa".to_owned())));
    assert_eq!(found.matches[0].ratings[0].severity, crate::Severity::Negligible);
}

#[test]
fn a_text_that_is_no_version_is_uncertain() {
    let index = index(&[advisory("PYSEC-1", "PyPI", "a", Some("2.0"))]);
    let found = match_packages(
        &[Package::new(PackageKind::Python, "a", "not a version")],
        None,
        &index,
    );
    assert_eq!(
        found.matches[0].uncertain.as_deref(),
        Some("`not a version` is no version of PyPI")
    );
}

/// A layer of some kilobytes names thousands of packages of which each has many advisories.
#[test]
fn what_speaks_of_an_image_is_bounded_and_hides_no_other_package() {
    const NOISE: usize = 100;
    let mut documents: Vec<_> = (0..NOISE)
        .map(|number| advisory(&format!("DSA-{number}"), "Debian:12", "linux", None))
        .collect();
    documents.push(advisory("GHSA-1", "npm", "left-pad", Some("2.0.0")));
    let index = index(&documents);
    let mut packages: Vec<Package> = (0..=MATCHES / NOISE)
        .map(|number| from_source(PackageKind::Dpkg, &format!("linux-{number}"), "1", ("linux", "1")))
        .collect();
    packages.push(Package::new(PackageKind::Npm, "left-pad", "1.0.0"));
    let found = match_packages(&packages, Some(&os("debian", "12")), &index);
    assert!(found.is_cut);
    assert_eq!(found.matches.len(), MATCHES);
    assert_eq!(found.coverage.len(), packages.len());
    assert!(found.matches.iter().any(|found| *found.advisory == *"GHSA-1"));
    assert!(found.matches.is_sorted_by_key(|found| found.package));
    let one = match_packages(&packages[..1], Some(&os("debian", "12")), &index);
    assert!(!one.is_cut);
    assert_eq!(one.matches.len(), NOISE);
}
