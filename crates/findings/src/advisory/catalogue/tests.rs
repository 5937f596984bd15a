//! What newer catalogues change, and for whom it matters.

use serde_json::json;

use super::*;
use crate::advisory::Advisory;

fn kev(cves: &[&str]) -> Kev {
    let entries: Vec<_> = cves
        .iter()
        .map(|cve| json!({ "cveID": cve, "dateAdded": "2026-01-01", "vulnerabilityName": "x" }))
        .collect();
    let text = json!({ "title": "KEV", "catalogVersion": "1", "vulnerabilities": entries }).to_string();
    Kev::read(text.as_bytes()).unwrap()
}

fn epss(scores: &[(&str, &str)]) -> Epss {
    let lines: Vec<String> = scores
        .iter()
        .map(|(cve, score)| format!("{cve},{score},0.5\n"))
        .collect();
    let lines = lines.concat();
    let text = format!(
        "#model_version:v2025.03.14,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\n{lines}"
    );
    Epss::read(text.as_bytes()).unwrap()
}

fn advisory(id: &str, severity: Option<&str>) -> Advisory {
    let mut document = json!({
        "id": id, "modified": "2026-01-01T00:00:00Z",
        "affected": [{
            "package": { "ecosystem": "npm", "name": "a" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }],
        }],
    });
    if let Some(severity) = severity {
        document["database_specific"] = json!({ "severity": severity });
    }
    Advisory::read(document.to_string().as_bytes(), "test").unwrap()
}

#[test]
fn only_what_differs_is_changed() {
    let change = CatalogueChange::of_kev(
        &kev(&["CVE-2026-1000", "CVE-2026-2000"]),
        &kev(&["CVE-2026-2000"]),
    );
    assert_eq!(change.kev.iter().collect::<Vec<_>>(), ["CVE-2026-1000"]);
    let before = epss(&[
        ("CVE-2026-1000", "0.01"),
        ("CVE-2026-2000", "0.01"),
        ("CVE-2026-3000", "0.5"),
    ]);
    let after = epss(&[
        ("CVE-2026-1000", "0.99"),
        ("CVE-2026-2000", "0.011"),
        ("CVE-2026-3000", "0.5"),
    ]);
    let of_epss = CatalogueChange::of_epss(&before, &after);
    assert_eq!(
        of_epss.epss.iter().collect::<Vec<_>>(),
        ["CVE-2026-1000", "CVE-2026-2000"]
    );
    assert_eq!(
        of_epss.epss_severity.iter().collect::<Vec<_>>(),
        ["CVE-2026-1000"]
    );
    let both = change.clone().and(of_epss.clone());
    assert_eq!((both.kev, both.epss), (change.kev, of_epss.epss));
}

#[test]
fn a_probability_matters_where_rules_read_it_or_nobody_rates() {
    let present = AdvisoryIndex::build([
        advisory("CVE-2026-1000", None),
        advisory("CVE-2026-2000", Some("HIGH")),
    ])
    .unwrap();
    let change = CatalogueChange::of_epss(
        &Epss::default(),
        &epss(&[
            ("CVE-2026-1000", "0.99"),
            ("CVE-2026-2000", "0.99"),
            ("CVE-2026-3000", "0.99"),
        ]),
    );
    let mattering = |is_read| {
        change
            .mattering(&present, is_read)
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(mattering(false), ["CVE-2026-1000"]);
    assert_eq!(
        mattering(true),
        ["CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"]
    );
    let listed = CatalogueChange::of_kev(&Kev::default(), &kev(&["CVE-2026-9000"]));
    assert_eq!(listed.mattering(&present, false).len(), 1);
}
