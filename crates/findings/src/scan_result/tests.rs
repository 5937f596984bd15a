//! A result for every test that needs one, and what a result says of itself.

pub(crate) mod sample;

use super::*;
use crate::{PackageKind, Severity};

#[test]
fn owned_packages_are_not_asked_about_and_keep_their_place() {
    let result = sample::scanned();
    let owned: Vec<_> = result
        .packages
        .iter()
        .filter(|placed| placed.owned_by.is_some())
        .collect();
    assert_eq!(owned.len(), 1);
    assert_eq!(owned[0].coverage, None);
    assert_eq!(result.judged_packages().len(), result.packages.len() - 1);
    for finding in &result.vulnerabilities {
        let package = &result.package_of(finding).unwrap().package;
        assert_ne!(package.name, "pyyaml", "{}", finding.id);
    }
    let log4j = result
        .vulnerabilities
        .iter()
        .find(|finding| &*finding.id == "CVE-2021-45105")
        .unwrap();
    assert_eq!(result.package_of(log4j).unwrap().package.kind, PackageKind::Java);
}

#[test]
fn what_does_not_count_is_not_counted() {
    let result = sample::scanned();
    assert_eq!(result.standing(Standing::Mitigated), 1);
    assert_eq!(result.standing(Standing::HeadersOnly), 1);
    assert_eq!(result.counted().total(), result.standing(Standing::Counts));
    assert_eq!(result.counted().critical, 1);
    assert_eq!(result.uncovered(), 1);
}

#[test]
fn one_update_is_one_group_and_the_exploited_come_first() {
    let result = sample::scanned();
    let groups = update_groups(&result);
    assert_eq!(groups[0].package.package.name, "busybox");
    assert!(groups[0].is_exploited());
    let openssl = groups
        .iter()
        .find(|group| group.package.package.name == "libssl3")
        .unwrap();
    assert_eq!(openssl.findings.len(), 2);
    assert_eq!(openssl.worst(), Severity::Critical);
    assert_eq!(groups.last().unwrap().fix, None);
}

#[test]
fn a_result_comes_back_from_its_own_json() {
    let result = sample::scanned();
    let json = serde_json::to_string(&result).unwrap();
    let back: ScanResult = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    assert_eq!(back.packages, result.packages);
}
