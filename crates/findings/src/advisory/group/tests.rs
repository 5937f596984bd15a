use serde_json::json;

use super::*;
use crate::{PackageKind, advisory::Advisory};

fn document(id: &str, extra: &serde_json::Value) -> Advisory {
    let mut value = json!({"id": id, "modified": "2024-01-01T00:00:00Z", "affected": [{
        "package": {"ecosystem": "npm", "name": "a"},
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]}]});
    for (key, extra) in extra.as_object().unwrap() {
        value[key] = extra.clone();
    }
    Advisory::read(value.to_string().as_bytes(), "").unwrap()
}

fn other_package(name: &str) -> serde_json::Value {
    json!([{"package": {"ecosystem": "npm", "name": name}, "versions": ["1.0.0"]}])
}

fn find(advisories: Vec<Advisory>, kev: Option<&Kev>, epss: Option<&Epss>) -> Vec<VulnerabilityFinding> {
    let index = AdvisoryIndex::build(advisories).unwrap();
    let knowledge = Knowledge {
        index: &index,
        kev,
        epss,
    };
    find_vulnerabilities(&[Package::new(PackageKind::Npm, "a", "1.0.0")], None, &knowledge).findings
}

#[test]
fn one_update_is_a_source_of_each_vulnerability_that_it_fixes() {
    let findings = find(
        vec![
            document("GHSA-1", &json!({"aliases": ["CVE-2020-1"], "summary": "one"})),
            document("DSA-1", &json!({"upstream": ["CVE-2020-1", "CVE-2020-2"]})),
        ],
        None,
        None,
    );
    let sources: Vec<_> = findings
        .iter()
        .map(|finding| (finding.id.as_ref(), finding.sources.len()))
        .collect();
    assert_eq!(sources, [("CVE-2020-1", 2), ("CVE-2020-2", 1)]);
    assert_eq!(findings[0].title.as_ref(), "one");
    let ids: Vec<&str> = findings[0].aliases.iter().map(AsRef::as_ref).collect();
    assert_eq!(ids, ["CVE-2020-1", "DSA-1", "GHSA-1"]);
    let finding = findings[0].to_finding(Some(2), "app/a.js", &[]);
    assert_eq!(
        (finding.id.as_str(), finding.fix.as_deref(), finding.layer),
        ("CVE-2020-1", Some("2.0.0"), Some(2))
    );
}

#[test]
fn the_severity_follows_the_rule() {
    let own = json!({"aliases": ["CVE-2020-1"]});
    let rated = json!({"aliases": ["CVE-2020-1"], "database_specific": {"severity": "LOW"}});
    let elsewhere = json!({"aliases": ["CVE-2020-1"], "database_specific": {"severity": "CRITICAL"},
        "affected": other_package("b")});
    let kev = Kev::read(
        br#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2020-1","dateAdded":"2021-01-01"}]}"#,
    );
    let kev = kev.unwrap();
    let epss = |probability: &str| Epss::read(format!("CVE-2020-1,{probability},0.5").as_bytes()).unwrap();
    let shown = |advisories: Vec<Advisory>, kev: Option<&Kev>, epss: Option<&Epss>| {
        let finding = find(advisories, kev, epss).remove(0);
        (finding.severity, finding.severity_from)
    };
    assert_eq!(
        shown(
            vec![document("X-1", &rated), document("X-2", &elsewhere)],
            Some(&kev),
            None
        ),
        (Severity::Low, SeverityFrom::Source("X-1".to_owned()))
    );
    assert_eq!(
        shown(
            vec![document("X-1", &own), document("X-2", &elsewhere)],
            Some(&kev),
            None
        ),
        (
            Severity::Critical,
            SeverityFrom::SameVulnerability("X-2".to_owned())
        )
    );
    let alone = || vec![document("X-1", &own)];
    assert_eq!(
        shown(alone(), Some(&kev), Some(&epss("0.9"))),
        (Severity::High, SeverityFrom::Kev)
    );
    assert_eq!(
        shown(alone(), None, Some(&epss("0.5"))),
        (Severity::High, SeverityFrom::Epss)
    );
    assert_eq!(
        shown(alone(), None, Some(&epss("0.2"))),
        (Severity::Medium, SeverityFrom::Epss)
    );
    assert_eq!(
        shown(alone(), None, Some(&epss("0.01"))),
        (Severity::Unknown, SeverityFrom::Nobody)
    );
}

#[test]
fn a_report_survives_being_stored() {
    let findings = find(
        vec![document("GHSA-1", &json!({"aliases": ["CVE-2020-1"]}))],
        None,
        None,
    );
    let json = serde_json::to_string(&findings).unwrap();
    let mut read: Vec<VulnerabilityFinding> = serde_json::from_str(&json).unwrap();
    read[0].sources[0].number = findings[0].sources[0].number;
    assert_eq!(read, findings);
}

#[test]
fn a_source_without_a_fix_does_not_hide_another_ones() {
    let unfixed = json!({"aliases": ["CVE-2020-1"], "affected": other_package("a")});
    let findings = find(
        vec![
            document("X-1", &json!({"aliases": ["CVE-2020-1"]})),
            document("X-2", &unfixed),
        ],
        None,
        None,
    );
    assert_eq!(findings[0].fix, Fix::Version("2.0.0".to_owned()));
    assert!(matches!(findings[0].conflicts.as_slice(), [Conflict::Fix(fixes)] if fixes.len() == 2));
}
