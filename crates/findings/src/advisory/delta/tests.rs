//! What an import touches is found from what changed alone, and is never less than what judges otherwise.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    OsRelease, Package, PackageKind,
    advisory::{Knowledge, find_vulnerabilities},
};

fn advisory(id: &str, aliases: &[&str], packages: &[(&str, &str)], more: &serde_json::Value) -> Advisory {
    let affected: Vec<_> = packages
        .iter()
        .map(|(ecosystem, name)| {
            json!({
                "package": { "ecosystem": ecosystem, "name": name },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "2" }] }],
            })
        })
        .collect();
    let mut document = json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "aliases": aliases, "affected": affected,
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    Advisory::read(document.to_string().as_bytes(), "test").unwrap()
}

fn names(touched: &Touched) -> Vec<&str> {
    touched.packages.iter().map(|(_, name)| name.as_ref()).collect()
}

fn index(advisories: &[Advisory]) -> AdvisoryIndex {
    AdvisoryIndex::build(advisories.to_vec()).unwrap()
}

fn touched(before: &[Advisory], after: &[Advisory]) -> Touched {
    let changed = after
        .iter()
        .filter_map(|after| {
            let before = before.iter().find(|before| before.id == after.id).cloned();
            (before.as_ref() != Some(after)).then(|| Changed {
                before,
                after: after.clone(),
            })
        })
        .collect();
    Delta::of(changed).unwrap().touched(&index(after), [])
}

#[test]
fn a_new_advisory_touches_its_packages_and_those_of_its_aliases() {
    let before = [
        advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &json!({})),
        advisory("GHSA-2", &["CVE-2026-2"], &[("npm", "b")], &json!({})),
    ];
    let mut after = before.to_vec();
    after.push(advisory("PYSEC-1", &["CVE-2026-1"], &[("npm", "c")], &json!({})));
    let touched = touched(&before, &after);
    assert_eq!(names(&touched), ["a", "c"]);
    let vulnerabilities: Vec<_> = touched.vulnerabilities.iter().map(AsRef::as_ref).collect();
    assert_eq!(vulnerabilities, ["CVE-2026-1"]);
    assert!(touched.ecosystems.is_empty());
}

#[test]
fn where_only_ranges_change_no_other_package_is_touched() {
    let other = advisory("GHSA-2", &["CVE-2026-1"], &[("npm", "b")], &json!({}));
    let before = advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &json!({}));
    let after = advisory(
        "GHSA-1",
        &["CVE-2026-1"],
        &[("npm", "a"), ("npm", "c")],
        &json!({}),
    );
    let ranges = touched(&[before.clone(), other.clone()], &[after, other.clone()]);
    assert_eq!(names(&ranges), ["a", "c"]);
    let rated = json!({ "database_specific": { "severity": "HIGH" } });
    let rated = advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &rated);
    assert_eq!(
        names(&touched(&[before, other.clone()], &[rated, other])),
        ["a", "b"]
    );
}

#[test]
fn what_was_called_the_same_is_touched_when_it_is_no_more() {
    let left = advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &json!({}));
    let bridge = advisory("GHSA-2", &["CVE-2026-1", "CVE-2026-2"], &[], &json!({}));
    let right = advisory("GHSA-3", &["CVE-2026-2"], &[("npm", "b")], &json!({}));
    let parted = advisory("GHSA-2", &["CVE-2026-1"], &[], &json!({}));
    let before = [left.clone(), bridge, right.clone()];
    let touched = touched(&before, &[left, parted, right]);
    assert_eq!(names(&touched), ["a", "b"]);
    assert_eq!(touched.vulnerabilities.len(), 2);
}

#[test]
fn what_is_taken_back_touches_what_it_named() {
    let before = advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &json!({}));
    let after = advisory(
        "GHSA-1",
        &["CVE-2026-1"],
        &[("npm", "a")],
        &json!({ "withdrawn": "2026-02-01T00:00:00Z" }),
    );
    let other = advisory("GHSA-2", &[], &[("npm", "b")], &json!({}));
    let touched = touched(&[before, other.clone()], &[after, other]);
    assert_eq!(names(&touched), ["a"]);
    assert_eq!(
        touched.vulnerabilities.first().map(AsRef::as_ref),
        Some("CVE-2026-1")
    );
    // Others of the ecosystem are still there.
    assert!(touched.ecosystems.is_empty());
}

#[test]
fn an_ecosystem_that_comes_or_goes_touches_all_of_its_packages() {
    let first = advisory("GHSA-1", &[], &[("npm", "a")], &json!({}));
    let came = touched(&[], std::slice::from_ref(&first));
    assert_eq!(came.ecosystems.iter().collect::<Vec<_>>(), [&Ecosystem::Npm]);
    let taken_back = advisory(
        "GHSA-1",
        &[],
        &[("npm", "a")],
        &json!({ "withdrawn": "2026-02-01T00:00:00Z" }),
    );
    let gone = touched(&[first], &[taken_back]);
    assert_eq!(gone.ecosystems.iter().collect::<Vec<_>>(), [&Ecosystem::Npm]);
}

#[test]
fn what_else_has_changed_of_a_vulnerability_touches_its_packages() {
    let after = [advisory("GHSA-1", &["CVE-2026-1"], &[("npm", "a")], &json!({}))];
    let delta = Delta::of(Vec::new()).unwrap();
    let touched = delta.touched(&index(&after), ["CVE-2026-1", "CVE-2026-9"]);
    assert_eq!(names(&touched), ["a"]);
    assert!(delta.touched(&index(&after), []).is_empty());
}

fn any_advisory(number: usize) -> impl Strategy<Value = Option<Advisory>> {
    let parts = (
        proptest::collection::vec(0..4_usize, 0..3),
        proptest::collection::vec((0..2_usize, 0..4_usize), 0..3),
        0..4_u8,
        any::<bool>(),
    );
    proptest::option::weighted(0.8, parts).prop_map(move |parts| {
        let (aliases, packages, rating, is_withdrawn) = parts?;
        let aliases: Vec<String> = aliases.iter().map(|alias| format!("CVE-2026-{alias}")).collect();
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
        let packages: Vec<(&str, &str)> = packages
            .iter()
            .map(|(ecosystem, name)| (["npm", "Debian:12"][*ecosystem], ["a", "b", "c", "d"][*name]))
            .collect();
        let mut more = json!({});
        if rating > 1 {
            let severity = ["LOW", "HIGH"][usize::from(rating - 2)];
            more["database_specific"] = json!({ "severity": severity });
        }
        if is_withdrawn {
            more["withdrawn"] = json!("2026-02-01T00:00:00Z");
        }
        Some(advisory(&format!("GHSA-{number}"), &aliases, &packages, &more))
    })
}

fn sets() -> impl Strategy<Value = Vec<Vec<Option<Advisory>>>> {
    let one = || (0..5_usize).map(any_advisory).collect::<Vec<_>>();
    proptest::collection::vec(one(), 2)
}

proptest! {
    /// Whatever is matched otherwise is touched: nothing else has to be looked at again.
    #[test]
    fn what_is_not_touched_is_judged_as_before(sets in sets()) {
        // Nobody forgets an advisory: one that is not in the second set is as it was.
        let before: Vec<Advisory> = sets[0].iter().flatten().cloned().collect();
        let after: Vec<Advisory> = sets[0]
            .iter()
            .zip(&sets[1])
            .filter_map(|(before, after)| after.as_ref().or(before.as_ref()).cloned())
            .collect();
        let touched = touched(&before, &after);
        let (before, after) = (index(&before), index(&after));
        let os = OsRelease { id: "debian".to_owned(), version: "12".to_owned(), ..OsRelease::default() };
        for (kind, ecosystem) in [(PackageKind::Npm, Ecosystem::Npm), (PackageKind::Dpkg, Ecosystem::Debian)] {
            for name in ["a", "b", "c", "d"] {
                if touched.ecosystems.contains(&ecosystem)
                    || touched.packages.contains(&(ecosystem, Arc::from(name)))
                {
                    continue;
                }
                let package = [Package::new(kind, name, "1")];
                // As JSON: which number an advisory has in an index says nothing of it.
                let judge = |index| {
                    let known = Knowledge { index, kev: None, epss: None };
                    serde_json::to_value(find_vulnerabilities(&package, Some(&os), &known)).unwrap()
                };
                prop_assert_eq!(judge(&before), judge(&after), "{:?} {}", kind, name);
            }
        }
    }

    /// An index that took in what changed is one that was built from all.
    #[test]
    fn an_index_that_took_in_what_changed_says_what_a_new_one_says(sets in sets()) {
        let before: Vec<Advisory> = sets[0].iter().flatten().cloned().collect();
        let after: Vec<Advisory> = sets[0]
            .iter()
            .zip(&sets[1])
            .filter_map(|(before, after)| after.as_ref().or(before.as_ref()).cloned())
            .collect();
        let changed = after.iter().filter_map(|after| {
            let before = before.iter().find(|before| before.id == after.id).cloned();
            (before.as_ref() != Some(after)).then(|| Changed { before, after: after.clone() })
        });
        let changed: Vec<Changed> = changed.collect();
        let old = index(&before);
        let names: Vec<Box<str>> = changed.iter().flat_map(Changed::names).collect();
        let mut ids = old.beside(names.iter().map(AsRef::as_ref));
        ids.extend(changed.iter().map(|one| Arc::from(one.after.id.as_str())));
        let present = after.iter().filter(|one| ids.contains(one.id.as_str())).cloned().collect();
        let updated = old.updated(names.iter().map(AsRef::as_ref), present).unwrap();
        let built = index(&after);
        let os = OsRelease { id: "debian".to_owned(), version: "12".to_owned(), ..OsRelease::default() };
        for kind in [PackageKind::Npm, PackageKind::Dpkg] {
            for name in ["a", "b", "c", "d"] {
                let package = [Package::new(kind, name, "1")];
                let judge = |index| {
                    let known = Knowledge { index, kev: None, epss: None };
                    serde_json::to_value(find_vulnerabilities(&package, Some(&os), &known)).unwrap()
                };
                prop_assert_eq!(judge(&updated), judge(&built));
            }
        }
        for number in 0..5 {
            for id in [format!("CVE-2026-{number}"), format!("GHSA-{number}")] {
                let known = |index: &AdvisoryIndex| index.vulnerability(&id).map(|known| known.ids.to_vec());
                prop_assert_eq!(known(&updated), known(&built), "{}", id);
            }
        }
        prop_assert_eq!(updated.stats().entries, built.stats().entries);
        prop_assert_eq!(updated.stats().vulnerabilities, built.stats().vulnerabilities);
    }
}
