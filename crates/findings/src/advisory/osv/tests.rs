use serde_json::json;

use super::*;
use crate::{Severity, advisory::limits};

fn read(value: &serde_json::Value) -> Result<Advisory, AdvisoryError> {
    Advisory::read(value.to_string().as_bytes(), "Feed")
}

fn with_affected(affected: &serde_json::Value) -> Result<Advisory, AdvisoryError> {
    read(&json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [affected]}))
}

fn with_events(events: &serde_json::Value) -> Result<Advisory, AdvisoryError> {
    with_affected(&json!({
        "package": {"ecosystem": "npm", "name": "a"},
        "ranges": [{"type": "SEMVER", "events": events}]
    }))
}

#[test]
fn all_that_matters_is_kept() {
    let advisory = read(&json!({
        "schema_version": "1.7.0", "id": "GHSA-aaaa", "modified": "2022-03-25T20:56:18Z", "published": "2021-12-10T00:40:56Z",
        "withdrawn": "2023-01-01T00:00:00.5Z", "aliases": ["CVE-2021-1", "CVE-2021-1"], "upstream": ["U-1"], "related": ["R-1"],
        "summary": " S ", "details": "d".repeat(limits::DETAILS_BYTES + 1), "unknown": {"deep": [1]},
        "severity": [
            {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"},
            {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:N/I:N/A:C"},
            {"type": "Ubuntu", "score": "medium"}, {"type": "CVSS_V4", "score": "nonsense"}
        ],
        "affected": [{
            "package": {"ecosystem": "Debian:12", "name": "a", "purl": "pkg:deb/debian/a"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"limit": "*"}]},
                       {"type": "GIT", "repo": "r", "events": [{"introduced": "0"}]}],
            "versions": ["1"], "ecosystem_specific": {"urgency": "unimportant"},
            "database_specific": {"unaffected_versions": ["1.2", ">= 3"], "fix_state": "no-dsa"}
        }],
        "database_specific": {"severity": "CRITICAL", "cvss_score": 9.9}
    })).unwrap();
    assert_eq!(advisory.database.as_str(), "GHSA");
    assert_eq!(advisory.aliases, ["CVE-2021-1"]);
    assert_eq!(
        (advisory.summary.as_str(), advisory.details.len()),
        ("S", limits::DETAILS_BYTES + 3)
    );
    assert!(advisory.withdrawn.is_some());
    let ratings: Vec<_> = advisory
        .ratings
        .iter()
        .map(|r| (r.scheme, r.tenths, r.severity))
        .collect();
    assert_eq!(
        ratings,
        [
            (Scheme::Word, None, Severity::Critical),
            (Scheme::Word, None, Severity::Medium),
            (Scheme::Score, Some(99), Severity::Critical),
            (Scheme::CvssV2, Some(78), Severity::High),
            (Scheme::CvssV3, Some(100), Severity::Critical),
            (Scheme::CvssV4, None, Severity::Unknown),
        ]
    );
    let affected = &advisory.affected[0];
    assert_eq!(
        (affected.ecosystem.as_str(), affected.name.as_str()),
        ("Debian:12", "a")
    );
    assert_eq!(
        affected.ranges[0].events,
        [Event::Introduced("0".into()), Event::Limit("*".into())]
    );
    assert_eq!(affected.ranges[1].kind, RangeKind::Git);
    assert_eq!(affected.unaffected_versions, ["1.2"]);
    assert_eq!(affected.fix_state.as_deref(), Some("no-dsa"));
    assert_eq!(affected.ratings[0].severity, Severity::Negligible);
    let stored = serde_json::to_vec(&advisory).unwrap();
    assert_eq!(serde_json::from_slice::<Advisory>(&stored).unwrap(), advisory);
}

#[test]
fn what_breaks_the_schema_is_refused_at_its_place() {
    for (document, place) in [
        (json!({"id": "X-1", "modified": "yesterday"}), "modified"),
        (json!({"id": "", "modified": "2024-01-01T00:00:00Z"}), "id"),
        (json!({"id": "X 1", "modified": "2024-01-01T00:00:00Z"}), "id"),
        (
            json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", "aliases": ["ok", ""]}),
            "aliases[1]",
        ),
    ] {
        let error = read(&document).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
    for (events, place) in [
        (json!([{"fixed": "1"}]), "affected[0].ranges[0].events"),
        (
            json!([{"introduced": "0"}, {"other": "1"}]),
            "affected[0].ranges[0].events[1]",
        ),
        (json!([{"introduced": ""}]), "affected[0].ranges[0].events[0]"),
        (
            json!([{"introduced": "1".repeat(limits::VERSION_BYTES + 1)}]),
            "affected[0].ranges[0].events[0]",
        ),
    ] {
        let error = with_events(&events).unwrap_err().to_string();
        assert!(error.starts_with("X-1: ") && error.contains(place), "{error}");
    }
    assert!(read(&json!({"id": "X-1"})).is_err());
    assert!(read(&json!([])).is_err());
    assert!(with_affected(&json!({"package": {"ecosystem": "npm", "name": ""}})).is_err());
    assert!(with_affected(&json!({"ranges": [{"type": "OTHER", "events": [{"introduced": "0"}]}]})).is_err());
}

#[test]
fn each_limit_refuses_what_exceeds_it() {
    let many = |element: serde_json::Value, count: usize| serde_json::Value::Array(vec![element; count]);
    let event = json!({"introduced": "0"});
    assert!(with_events(&many(event.clone(), limits::EVENTS)).is_ok());
    assert!(with_events(&many(event.clone(), limits::EVENTS + 1)).is_err());
    let range = json!({"type": "GIT", "events": [event]});
    assert!(with_affected(&json!({"ranges": many(range, limits::RANGES + 1)})).is_err());
    assert!(with_affected(&json!({"versions": many(json!("1"), limits::VERSIONS + 1)})).is_err());
    let head = |field: &str, list: serde_json::Value| {
        read(&json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", field: list}))
    };
    assert!(head("affected", many(json!({}), limits::AFFECTED)).is_ok());
    assert!(head("affected", many(json!({}), limits::AFFECTED + 1)).is_err());
    assert!(head("aliases", many(json!("A-1"), limits::ALIASES + 1)).is_err());
    assert!(
        head(
            "severity",
            many(json!({"type": "CVSS_V2", "score": ""}), limits::SEVERITIES + 1)
        )
        .is_err()
    );
    assert!(head("aliases", json!(["a".repeat(limits::ID_BYTES + 1)])).is_err());
    assert!(matches!(
        Advisory::read(&vec![b' '; OSV_DOCUMENT_BYTES + 1], ""),
        Err(AdvisoryError::TooLarge { .. })
    ));
}

#[test]
fn shared_ids_belong_to_the_feed() {
    for (id, home, database) in [
        ("CVE-2020-1--x", "DHI", "DHI"),
        ("GHSA-x", "Maven", "GHSA"),
        ("ALSA-2022:1", "AlmaLinux", "ALSA"),
        ("CVE-2020-1", "", "CVE"),
        ("odd", "mine", "MINE"),
    ] {
        assert_eq!(Database::of(id, home).as_str(), database);
    }
}

#[test]
fn streams_come_from_the_purl_or_the_summary() {
    let built = vec![Range {
        kind: RangeKind::Ecosystem,
        events: vec![Event::Fixed("1:16.1-1.module_el8.5.0+1+a".into())],
    }];
    let streams = |names: &[&str]| Modularity::Streams(names.iter().map(|name| (*name).to_owned()).collect());
    let summary = "Important: idm:DL1 and idm:client security update";
    assert_eq!(
        modularity(None, &built, summary),
        streams(&["idm:DL1", "idm:client"])
    );
    assert_eq!(
        modularity(None, &built, "Low: httpd:2.4/mod_http2 update"),
        streams(&["httpd:2.4"])
    );
    assert_eq!(
        modularity(None, &built, "container-tools bug fix update"),
        Modularity::Unnamed
    );
    assert_eq!(modularity(None, &[], summary), Modularity::None);
    let purl = "pkg:rpm/rocky-linux/nodejs?distro=rocky-linux-8&rpmmod=nodejs%3A16%3A805%3Aabc";
    assert_eq!(modularity(Some(purl), &[], summary), streams(&["nodejs:16"]));
}

#[test]
fn the_year_one_is_no_time() {
    let advisory = read(&json!({"id": "GO-1", "modified": "0001-01-01T00:00:00Z"})).unwrap();
    assert_eq!(advisory.modified, None);
    let advisory =
        read(&json!({"id": "GO-1", "modified": "1-01-01T00:00:00Z", "aliases": [" CVE-1 "]})).unwrap();
    assert_eq!(
        (advisory.modified, advisory.aliases),
        (None, vec!["CVE-1".to_owned()])
    );
}

/// Ids become parts of URLs, lines of logs and pages.
#[test]
fn hostile_ids_and_names_are_refused() {
    let modified = "2024-01-01T00:00:00Z";
    let of_id = |id: &str| read(&json!({"id": id, "modified": modified}));
    for id in [
        "../../etc/passwd",
        "a/b",
        "a\\b",
        ".hidden",
        "a..b",
        "a%2f",
        "a#b",
        "a\nb",
        "a\u{0}",
        "a\u{1b}[31m",
        "a\u{202e}b",
        "\u{200b}",
        "CVE\u{2011}2021",
        "<script>",
        "a\"b",
        "a,b",
        "a|b",
    ] {
        let error = of_id(id).unwrap_err().to_string();
        assert!(error.contains("an id has 1 to 256"), "{id:?}: {error}");
        assert!(
            error.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
            "{error:?}"
        );
    }
    assert!(of_id("ALSA-2022:0001").is_ok() && of_id("openSUSE-SU-2021:1234-1").is_ok());
    for alias in ["a b", "a\u{7}", "a\u{202e}b", "\u{feff}CVE-1"] {
        let error = read(&json!({"id": "X-1", "modified": modified, "related": [alias]})).unwrap_err();
        assert!(error.to_string().contains("related[0]"), "{error}");
    }
    for name in ["a\u{0}", "a\u{1b}[2J", "a\u{202e}b", "a\u{200b}"] {
        assert!(
            with_affected(&json!({"package": {"ecosystem": "npm", "name": name}})).is_err(),
            "{name:?}"
        );
        assert!(
            with_affected(&json!({"package": {"ecosystem": name, "name": "a"}})).is_err(),
            "{name:?}"
        );
        assert!(with_affected(&json!({"versions": [name]})).is_err(), "{name:?}");
        assert!(with_events(&json!([{"introduced": name}])).is_err(), "{name:?}");
    }
    let long = "n".repeat(limits::NAME_BYTES + 1);
    assert!(with_affected(&json!({"package": {"ecosystem": "npm", "name": long}})).is_err());
}

/// Dates far away are read, and neither wrap nor panic.
#[test]
fn dates_are_of_the_calendar() {
    for (date, is_read) in [
        ("9999-12-31T23:59:59.999999999Z", true),
        ("0000-01-01T00:00:00Z", true),
        ("10000-01-01T00:00:00Z", false),
        ("2024-02-30T00:00:00Z", false),
        ("2024-01-01T25:00:00Z", false),
        ("1704067200", false),
        ("2024-01-01", false),
    ] {
        for field in ["published", "withdrawn"] {
            let document = json!({"id": "X-1", "modified": "2024-01-01T00:00:00Z", field: date});
            assert_eq!(read(&document).is_ok(), is_read, "{field} {date}");
        }
        assert_eq!(
            read(&json!({"id": "X-1", "modified": date})).is_ok(),
            is_read,
            "{date}"
        );
    }
}

#[test]
fn nesting_is_bounded_or_costs_nothing() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let of = |field: &str, depth: usize| {
        let text = format!(
            r#"{{"id":"X-1","modified":"2024-01-01T00:00:00Z","{field}":{}}}"#,
            deep(depth)
        );
        Advisory::read(text.as_bytes(), "")
    };
    assert!(of("affected", limits::NESTING + 1).is_err());
    for field in ["unknown", "database_specific"] {
        assert!(of(field, 1_000_000).is_ok(), "{field}");
    }
}
