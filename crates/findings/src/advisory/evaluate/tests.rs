use std::fmt::Write as _;

use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use serde_json::json;

use crate::{
    Package, PackageKind,
    advisory::{Advisory, AdvisoryIndex, Event, Fix, match_packages},
};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    }
}

fn index(affected: &serde_json::Value) -> AdvisoryIndex {
    let value = json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": affected});
    AdvisoryIndex::build([Advisory::read(value.to_string().as_bytes(), "").unwrap()]).unwrap()
}

fn npm(ranges: &serde_json::Value) -> serde_json::Value {
    let ranges: Vec<_> = ranges
        .as_array()
        .unwrap()
        .iter()
        .map(|events| json!({"type": "SEMVER", "events": events}))
        .collect();
    json!({"package": {"ecosystem": "npm", "name": "a"}, "ranges": ranges})
}

/// `Some(fix)` where affected.
fn judged(index: &AdvisoryIndex, version: &str) -> Option<Fix> {
    let found = match_packages(&[Package::new(PackageKind::Npm, "a", version)], None, index);
    assert!(found.matches.len() <= 1);
    found.matches.into_iter().next().map(|found| found.fix)
}

fn to(version: &str) -> Fix {
    Fix::Version(version.to_owned())
}

#[test]
fn events_need_not_be_sorted() {
    let index = index(&json!([npm(&json!([[
        {"introduced": "3.0.0"}, {"fixed": "2.1.0"}, {"introduced": "0"}, {"fixed": "3.4.0"}
    ]]))]));
    for (version, fix) in [
        ("0.0.0-0", Some(to("2.1.0"))),
        ("2.0.9", Some(to("2.1.0"))),
        ("2.1.0", None),
        ("3.0.0-rc.1", None),
        ("3.0.0", Some(to("3.4.0"))),
        ("3.4.0", None),
        ("9.0.0", None),
    ] {
        assert_eq!(judged(&index, version), fix, "{version}");
    }
}

#[test]
fn last_affected_and_limit_end_a_range() {
    let unfixed = Some(Fix::Unfixed(None));
    let last = index(&json!([npm(
        &json!([[{"introduced": "1.0.0"}, {"last_affected": "1.5.0"}]])
    )]));
    for (version, fix) in [
        ("0.9.0", None),
        ("1.5.0", unfixed.clone()),
        ("1.5.1-a", None),
        ("1.5.1", None),
    ] {
        assert_eq!(judged(&last, version), fix, "{version}");
    }
    let limit = index(&json!([npm(&json!([[{"introduced": "0"}, {"limit": "2.0.0"}]]))]));
    assert_eq!(
        (judged(&limit, "1.9.9"), judged(&limit, "2.0.0")),
        (unfixed.clone(), None)
    );
    let endless = index(&json!([npm(&json!([[{"introduced": "0"}, {"limit": "*"}]]))]));
    assert_eq!(judged(&endless, "99.0.0"), unfixed);
}

#[test]
fn entries_and_ranges_are_ored_and_fixes_lead_out_of_all() {
    let overlapping = npm(&json!([
        [{"introduced": "1.0.0"}, {"fixed": "1.4.0"}], [{"introduced": "1.3.0"}, {"fixed": "1.8.0"}]
    ]));
    let index = index(&json!([
        overlapping,
        npm(&json!([[{"introduced": "1.7.0"}, {"fixed": "2.0.0"}]]))
    ]));
    assert_eq!(judged(&index, "1.1.0"), Some(to("2.0.0")));
    assert_eq!(judged(&index, "2.0.0"), None);
}

#[test]
fn versions_are_literal_and_fixed_by_what_is_unaffected() {
    let index = index(
        &json!([{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.9", "odd one"],
        "database_specific": {"unaffected_versions": ["1.12.0", "1.10.0", "1.2.0"]}}]),
    );
    assert_eq!(judged(&index, "1.9"), Some(to("1.10.0")));
    assert_eq!(judged(&index, "odd one"), Some(Fix::Unfixed(None)));
    assert_eq!(judged(&index, "1.9.0"), None);
    let index = super::tests::index(
        &json!([{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.9.0"],
        "database_specific": {"unaffected_versions": ["1.12.0", "1.10.0", "1.2.0"]}}]),
    );
    assert_eq!(judged(&index, "1.9.0"), Some(to("1.10.0")));
}

#[test]
fn what_cannot_be_ordered_is_uncertain_and_never_silent() {
    let index = index(&json!([npm(
        &json!([[{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]])
    )]));
    for version in ["(devel)", "", "nightly"] {
        assert_eq!(judged(&index, version), Some(Fix::Unknown), "{version}");
    }
    let odd = super::tests::index(&json!([npm(&json!([[{"introduced": "0"}, {"fixed": "next"}]]))]));
    assert_eq!(judged(&odd, "1.0.0"), Some(Fix::Unknown));
    let commits = super::tests::index(&json!([{"package": {"ecosystem": "npm", "name": "a"},
        "ranges": [{"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]}]}]));
    assert_eq!(judged(&commits, "1.0.0"), Some(Fix::Unknown));
    let every = super::tests::index(&json!([npm(&json!([[{"introduced": "0"}]]))]));
    assert_eq!(judged(&every, "(devel)"), Some(Fix::Unfixed(None)));
}

/// OSV's evaluation, word by word, on versions that are small integers.
fn naive(events: &[Event], version: u32) -> bool {
    let number = |event: &Event| {
        event
            .version()
            .split('.')
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap_or(u32::MAX)
    };
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| number(event));
    let mut is_affected = false;
    for event in sorted {
        match event {
            Event::Introduced(_) if version >= number(event) => is_affected = true,
            Event::Fixed(_) | Event::Limit(_) if version >= number(event) => is_affected = false,
            Event::LastAffected(_) if version > number(event) => is_affected = false,
            _ => {}
        }
    }
    is_affected
}

fn event() -> impl Strategy<Value = Event> {
    (0..4u8, 1..20u32).prop_map(|(kind, number)| {
        let version = format!("{number}.0.0");
        match kind {
            0 => Event::Introduced(version),
            1 => Event::Fixed(version),
            2 => Event::LastAffected(version),
            _ => Event::Limit(version),
        }
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn evaluation_is_that_of_the_specification(mut events in vec(event(), 0..8), from_zero in any::<bool>(), version in 0..22u32) {
        let first = if from_zero { "0" } else { "5.0.0" };
        events.push(Event::Introduced(first.to_owned()));
        let json = events.iter().map(|event| match event {
            Event::Introduced(version) => json!({"introduced": version}),
            Event::Fixed(version) => json!({"fixed": version}),
            Event::LastAffected(version) => json!({"last_affected": version}),
            Event::Limit(version) => json!({"limit": version}),
        });
        let index = index(&json!([npm(&json!([json.collect::<Vec<_>>()]))]));
        let fix = judged(&index, &format!("{version}.0.0"));
        prop_assert_eq!(fix.is_some(), naive(&events, version));
        if let Some(Fix::Version(fix)) = fix {
            prop_assert_eq!(judged(&index, &fix), None);
        }
    }

    #[test]
    fn nothing_panics_on_odd_versions(
        texts in vec("[0-9a-z.:~^+*_ -]{0,12}", 1..8),
        ecosystem in proptest::sample::select(&["npm", "PyPI", "Maven", "Go", "RubyGems", "NuGet", "Packagist", "crates.io"][..]),
        running in "[0-9a-z.:~^+*_ -]{0,12}",
    ) {
        let events: Vec<_> = texts.iter().filter(|text| !text.is_empty()).enumerate().map(|(number, text)| {
            if number % 2 == 0 { json!({"introduced": text}) } else { json!({"fixed": text}) }
        }).collect();
        let value = json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [{
            "package": {"ecosystem": ecosystem, "name": "a:b"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}]}]});
        if let Ok(advisory) = Advisory::read(value.to_string().as_bytes(), "") {
            let index = AdvisoryIndex::build([advisory]).unwrap();
            for kind in [PackageKind::Npm, PackageKind::Java, PackageKind::Python, PackageKind::Go, PackageKind::Gem,
                PackageKind::NuGet, PackageKind::Composer, PackageKind::Rust] {
                match_packages(&[Package::new(kind, "a:b", running.as_str())], None, &index);
            }
        }
    }

    #[test]
    fn no_document_panics(pieces in vec(proptest::sample::select(PIECES), 0..30)) {
        let mut text = String::new();
        for piece in pieces {
            write!(text, "{piece}").unwrap();
        }
        let _ = Advisory::read(text.as_bytes(), "x");
        let _ = crate::advisory::VexDocument::read(text.as_bytes());
        let _ = crate::advisory::Kev::read(text.as_bytes());
        let _ = crate::advisory::recognise("x", text.as_bytes());
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"id\"",
    "\"X-1\"",
    "\"modified\"",
    "\"2024-01-01T00:00:00Z\"",
    "\"affected\"",
    "{\"id\":\"X-1\",\"modified\":\"2024-01-01T00:00:00Z\",\"affected\":[",
    "{\"package\":{\"ecosystem\":\"npm\",\"name\":\"a\"}",
    "\"ranges\":[{\"type\":\"SEMVER\",\"events\":[",
    "{\"introduced\":\"0\"}",
    "]}]",
    "null",
    "1",
    "\"\\ud800\"",
    "\"é",
];
