use std::time::Instant;

use serde_json::json;

use super::*;
use crate::advisory::osv::export;

pub(crate) fn advisory(value: &serde_json::Value) -> Advisory {
    Advisory::read(value.to_string().as_bytes(), "Feed").unwrap()
}

fn about(id: &str, aliases: &[&str], extra: &serde_json::Value) -> Advisory {
    let mut value = json!({"id": id, "modified": "2024-01-01T00:00:00Z", "aliases": aliases,
        "affected": [{"package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]});
    for (key, extra) in extra.as_object().unwrap() {
        value[key] = extra.clone();
    }
    advisory(&value)
}

#[test]
fn aliases_are_closed_over_all_advisories() {
    let index = AdvisoryIndex::build([
        about("GHSA-1", &["CVE-2020-1"], &json!({})),
        about("RUSTSEC-1", &["GHSA-1"], &json!({})),
        about("DSA-1", &[], &json!({"upstream": ["CVE-2020-1", "CVE-2020-2"]})),
        about("ALSA-1", &[], &json!({"related": ["CVE-2020-2", "RHSA-1"]})),
        about("ALBA-1", &[], &json!({})),
        about(
            "GHSA-9",
            &["CVE-2020-1"],
            &json!({"withdrawn": "2024-01-01T00:00:00Z"}),
        ),
        about(
            "X-1",
            &[],
            &json!({"affected": [{"package": {"ecosystem": "Nowhere", "name": "a"}}]}),
        ),
    ])
    .unwrap();
    let first = index.vulnerability("RUSTSEC-1").unwrap();
    assert_eq!(first.id.as_ref(), "CVE-2020-1");
    let advisories = |id| -> Vec<String> {
        let vulnerability = index.vulnerability(id).unwrap();
        index
            .advisories_of(vulnerability)
            .map(|advisory| advisory.id.to_string())
            .collect()
    };
    // In the order of their ids, whatever they came in.
    assert_eq!(advisories("GHSA-1"), ["DSA-1", "GHSA-1", "RUSTSEC-1"]);
    assert_eq!(advisories("CVE-2020-2"), ["ALSA-1", "DSA-1"]);
    assert!(index.vulnerability("GHSA-9").is_none());
    let stats = index.stats();
    assert_eq!(
        (stats.advisories, stats.withdrawn, stats.ordinary_updates),
        (5, 1, 1)
    );
    assert_eq!(stats.unknown_ecosystems["Nowhere"], 1);
    assert_eq!(index.packages_of(first), [(Ecosystem::Npm, "a".into())]);
}

#[test]
fn names_are_those_of_their_ecosystem() {
    for (ecosystem, name, canonical) in [
        (Ecosystem::PyPi, "Ruamel.YAML__x-.y", "ruamel-yaml-x-y"),
        (Ecosystem::PyPi, "plain-name", "plain-name"),
        (Ecosystem::NuGet, "Newtonsoft.Json", "newtonsoft.json"),
        (Ecosystem::Go, "github.com/Azure/x", "github.com/Azure/x"),
        (Ecosystem::CratesIo, "a_b", "a-b"),
        (Ecosystem::Debian, "libX", "libX"),
    ] {
        assert_eq!(canonical_name(ecosystem, name), canonical);
    }
}

#[test]
fn the_stored_form_builds_the_same_index() {
    let advisories = [
        about("GHSA-1", &["CVE-2020-1"], &json!({"details": "long"})),
        about("DSA-1", &[], &json!({})),
    ];
    let blob = encode(&advisories);
    let loaded = AdvisoryIndex::load(&blob).unwrap();
    assert_eq!(loaded.stats(), AdvisoryIndex::build(advisories).unwrap().stats());
    let damaged = |bytes: &[u8]| matches!(AdvisoryIndex::load(bytes), Err(AdvisoryError::Damaged(_)));
    assert!(damaged(b"") && damaged(b"no zlib") && damaged(&blob[..blob.len() / 2]));
    assert!(damaged(&super::blob::tests_only_deflate(b"advisories 2\n")));
    assert!(damaged(&super::blob::tests_only_deflate(b"advisories 1\n{}\n")));
}

/// The whole export makes a small index; a part of it is stored and loaded.
#[test]
fn the_export_makes_an_index() {
    let Some(export) = export() else { return };
    let start = Instant::now();
    let index = AdvisoryIndex::build(export.advisories.iter().cloned()).unwrap();
    println!("built in {:?}: {:?}", start.elapsed(), index.stats());
    let stats = index.stats();
    assert_eq!(
        stats.advisories + stats.withdrawn + stats.ordinary_updates,
        export.advisories.len()
    );
    assert!(stats.bytes < 100 << 20, "{} bytes", stats.bytes);
    assert_eq!(
        index.vulnerability("GHSA-jfh8-c2jp-5v3q").unwrap().id.as_ref(),
        "CVE-2021-44228"
    );
    crate::advisory::matcher::speed::assert_fast(&index);

    let blob = encode(export.advisories.iter().step_by(20));
    let loaded = AdvisoryIndex::load(&blob).unwrap();
    let built = AdvisoryIndex::build(export.advisories.iter().step_by(20).cloned()).unwrap();
    assert_eq!(loaded.stats(), built.stats());
}

#[test]
fn an_index_stops_at_each_limit() {
    use super::{IndexBuilder, IndexLimits};
    let advisory = |number: usize| {
        let value = serde_json::json!({"id": format!("X-{number}"), "modified": "2024-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1"]},
            {"package": {"ecosystem": "npm", "name": "b"}, "versions": ["1"]},
        ]});
        Advisory::read(value.to_string().as_bytes(), "").unwrap()
    };
    let all = IndexLimits::default();
    for (limits, what) in [
        (IndexLimits { advisories: 2, ..all }, "more than 2 advisories"),
        (IndexLimits { entries: 5, ..all }, "more than 5 packages"),
        (IndexLimits { bytes: 1_000, ..all }, "more than 1000 bytes"),
    ] {
        let mut builder = IndexBuilder::within(limits);
        let error = (0..1_000)
            .find_map(|number| builder.add(advisory(number)).err())
            .unwrap();
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}
