mod properties;
mod signatures;
mod table;

use findings::{FindingKind, Severity};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::JudgedFinding;

pub(super) const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

/// A policy of these rules, each given by its keys after `id`.
pub(super) fn policy(rules: &[&str]) -> Policy {
    let rules: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(place, keys)| format!("  - {{id: r{place}, {keys}}}\n"))
        .collect();
    let rules = if rules.is_empty() {
        "  []".to_owned()
    } else {
        rules.concat()
    };
    Policy::parse("test.yaml", &format!("version: 1\nrules:\n{rules}")).unwrap()
}

pub(super) fn log4j() -> JudgedFinding {
    let mut finding = JudgedFinding::new(FindingKind::Vulnerability, "CVE-2021-44228", Severity::Critical);
    finding.aliases = vec!["GHSA-jfh8-c2jp-5v3q".into()];
    finding.package = "log4j-core".into();
    finding.version = "2.14.1".into();
    finding.fix = Some("upgrade to 2.17.1".into());
    finding.path = "app/app.jar".into();
    finding.kev = true;
    finding.published = Some(NOW - Duration::days(100));
    finding.fix_known_at = Some(NOW - Duration::days(90));
    finding
}

pub(super) fn subject(findings: Vec<JudgedFinding>) -> Subject {
    let mut subject = Subject::default();
    subject.repo.name = "shop/cart".parse().unwrap();
    subject.findings = findings;
    subject
}

pub(super) fn waiver(change: &str) -> Waiver {
    let base = serde_json::json!({
        "id": "w1", "findings": ["CVE-2021-44228"], "repositories": ["shop/**"], "reason": "behind a wall",
        "requester": "ann", "approver": "bob", "from": "2026-11-01", "until": "2026-12-31",
    });
    let mut form = base;
    let change: serde_json::Value = serde_json::from_str(change).unwrap();
    for (key, value) in change.as_object().unwrap() {
        form[key] = value.clone();
    }
    serde_json::from_value(form).unwrap()
}

pub(super) fn pull(policy: &Policy, waivers: &[Waiver], subject: &Subject) -> Decision {
    decide(policy, waivers, subject, Point::Pull, NOW)
}
