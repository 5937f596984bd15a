//! What people and spreadsheets are shown.

use serde_json::json;

use super::*;

fn report(items: usize) -> AffectedReport {
    let image = |number: usize| {
        json!({
            "repository": format!("team/app{number}"), "digest": format!("sha256:{}", "0".repeat(64)),
            "tags": ["1.0", "latest"], "state": "affected", "scannable": true, "decision": "refuse",
            "owner": "group:default/payments", "application": "=shop",
            "places": [{
                "layer": 3, "origin": "own", "path": "app/a.jar", "inner_path": ["lib/log4j-core.jar"], "state": "affected",
                "package": {
                    "kind": "maven", "name": "log4j-core", "version": "2.14.1", "confidence": "high",
                },
                "finding": {
                    "severity": "critical", "fix": "2.15.0", "fix_words": "update to 2.15.0", "confidence": "high",
                    "kev": true, "epss": 0.97,
                    "sources": [{ "source": "GHSA", "advisory": "GHSA-jfh8-c2jp-5v3q", "severity": "critical" }],
                },
            }],
        })
    };
    let report = json!({
        "question": "CVE-2021-44228", "kind": "vulnerability", "headline": "CVE-2021-44228: 3 of 9 images affected",
        "counts": { "affected": 3, "mitigated": 0, "uncertain": 0 },
        "coverage": {
            "images": 9, "not_scannable": 0, "without_os": 0, "waiting": 0, "without_owner": 0, "indexed_percent": 100,
        },
        "owners": [{
            "owner": "group:default/payments", "application": "=shop", "images": 3, "repositories": ["team/app0"],
            "actions": ["update log4j-core to 2.15.0 and push again (3 images)"],
        }],
        "items": (0..items).map(image).collect::<Vec<_>>(),
    });
    serde_json::from_value(report).unwrap()
}

#[test]
fn a_person_reads_the_answer_first_then_owners_with_what_to_do() {
    let text = describe(&report(2), false);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "CVE-2021-44228: 3 of 9 images affected");
    assert_eq!(lines[2], "group:default/payments, =shop: 3 images");
    assert_eq!(
        lines[3],
        "  to do: update log4j-core to 2.15.0 and push again (3 images)"
    );
    assert!(
        lines[5].starts_with("team/app0:1.0 (+1)  affected  refuse  log4j-core  2.14.1"),
        "{text}"
    );
    assert!(lines[5].ends_with("app/a.jar!lib/log4j-core.jar"), "{text}");
    assert_eq!(lines[7], "… and 1 image more (--all, --csv)");
}

#[test]
fn cells_of_csv_are_no_formulas_and_as_many_as_columns() {
    let rows = csv_rows(&report(1).items[0]);
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("\"'=shop\""), "{}", rows[0]);
    assert_eq!(rows[0].matches("\",\"").count() + 1, COLUMNS.len());
    let mut bare = report(1).items.remove(0);
    bare.places.clear();
    assert_eq!(csv_rows(&bare)[0].matches("\",\"").count() + 1, COLUMNS.len());
}
