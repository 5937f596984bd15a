//! What an import asks to be looked at again, and what is told of it.

use findings::{
    Ecosystem, Severity,
    advisory::{Advisory, AdvisoryIndex, Changed, Delta, Knowledge, Touched},
};
use serde_json::json;

use super::super::{Change, Scope};
use super::{answers::log4j_fleet, *};

fn advisory(id: &str, package: &str, fixed: &str, severity: &str) -> Advisory {
    let document = json!({
        "id": id, "modified": "2021-12-10T00:40:00Z", "aliases": ["CVE-2021-44228"],
        "affected": [{
            "package": { "ecosystem": "Maven", "name": package },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "2.0-beta9" }, { "fixed": fixed }] }],
        }],
        "database_specific": { "severity": severity },
    });
    Advisory::read(document.to_string().as_bytes(), "").unwrap()
}

fn core(fixed: &str, severity: &str) -> Advisory {
    advisory("GHSA-1", "org.apache.logging.log4j:log4j-core", fixed, severity)
}

fn index(advisories: &[Advisory]) -> AdvisoryIndex {
    AdvisoryIndex::build(advisories.to_vec()).unwrap()
}

fn change(fleet: &Fleet, before: &[Advisory], after: &[Advisory], scope: &Scope) -> Option<Change> {
    let (before, after) = (index(before), index(after));
    let knowledge = |index| Knowledge {
        index,
        kev: None,
        epss: None,
    };
    fleet.change_of(
        &["CVE-2021-44228"],
        &knowledge(&before),
        &knowledge(&after),
        scope,
    )
}

#[test]
fn only_what_holds_a_package_that_is_touched_is_looked_at_again() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let after = [core("2.15.0", "HIGH")];
    let delta = Delta::of(vec![Changed {
        before: Some(core("2.16.0", "HIGH")),
        after: after[0].clone(),
    }]);
    let touched = delta.unwrap().touched(&index(&after), []);
    let mut found: Vec<String> = fleet
        .keys(&fleet.holding(&touched, &all))
        .unwrap()
        .into_iter()
        .map(|key| key.repository)
        .collect();
    found.sort_unstable();
    // Those whose own package it is, affected or not; not what is hidden, nor what the distribution owns.
    let holding = ["own/o2", "own/o3", "own/o4", "own/o7", "paved/p1", "paved/p2"];
    assert_eq!(found, holding);
    let other = Touched {
        packages: [(Ecosystem::Npm, "lodash".into())].into_iter().collect(),
        ..Touched::default()
    };
    assert!(fleet.keys(&fleet.holding(&other, &all)).unwrap().is_empty());
}

#[test]
fn an_ecosystem_that_comes_to_be_spoken_of_touches_all_that_has_packages_of_it() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let touched = |ecosystem| Touched {
        ecosystems: [ecosystem].into_iter().collect(),
        ..Touched::default()
    };
    let java = fleet.holding(&touched(Ecosystem::Maven), &all);
    assert_eq!(java.counts().uncertain, 8);
    assert_eq!(
        fleet.holding(&touched(Ecosystem::Npm), &all).counts().uncertain,
        0
    );
}

#[test]
fn newly_affected_and_no_longer_affected_are_counted() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let came = change(&fleet, &[], &[core("2.15.0", "HIGH")], &all).unwrap();
    assert_eq!((came.newly, came.no_more, came.affected), (5, 0, 5));
    assert!(came.packages.contains("org.apache.logging.log4j:log4j-core"));
    assert_eq!(came.sources.iter().collect::<Vec<_>>(), ["GHSA"]);
    assert!(came.fix.is_none() && came.severity.is_none());
    let went = change(&fleet, &[core("2.15.0", "HIGH")], &[], &all).unwrap();
    assert_eq!((went.newly, went.no_more, went.affected), (0, 5, 0));
    // 2.14.0 to 2.14.1 may be either now.
    let narrowed = change(&fleet, &[core("2.15.0", "HIGH")], &[core("2.14.1", "HIGH")], &all).unwrap();
    assert_eq!((narrowed.newly, narrowed.no_more, narrowed.uncertain), (0, 2, 1));
    assert_eq!(change(&fleet, &[], &[], &all), None);
}

#[test]
fn another_fix_and_another_severity_are_told_with_both() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let told = change(&fleet, &[core("2.15.0", "HIGH")], &[core("2.17.1", "HIGH")], &all).unwrap();
    let [before, after] = told.fix.clone().unwrap();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(before.contains("2.15.0") && after.contains("2.17.1"));
    assert!(told.severity.is_none() && told.newly == 0);
    let told = change(
        &fleet,
        &[core("2.15.0", "HIGH")],
        &[core("2.15.0", "CRITICAL")],
        &all,
    )
    .unwrap();
    assert_eq!(told.severity, Some([Severity::High, Severity::Critical]));
    assert!(told.fix.is_none());
    let same = change(&fleet, &[core("2.15.0", "HIGH")], &[core("2.15.0", "HIGH")], &all).unwrap();
    assert!(same.is_nothing());
}

#[test]
fn sources_that_come_to_disagree_are_told_once() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let first = core("2.15.0", "HIGH");
    let second = advisory("OTHER-2", "org.apache.logging.log4j:log4j-core", "2.17.0", "HIGH");
    let both = [first.clone(), second];
    let told = change(&fleet, &[first], &both, &all).unwrap();
    assert_eq!(told.conflicts.iter().collect::<Vec<_>>(), [&"fix"]);
    assert_eq!(told.sources.len(), 2);
    let again = change(&fleet, &both, &both, &all).unwrap();
    assert!(again.conflicts.is_empty());
}
