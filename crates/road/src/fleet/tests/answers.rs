//! What is asked, on a small fleet with the traps of that day in it.

use findings::{
    Confidence, ImageReport, LayerReport, Listing, ListingEntry, Package, PackageKind, Source, Unit,
    UnitKind,
    advisory::{Advisory, AdvisoryIndex, Knowledge},
};

use super::super::{Answer, Counts, PLACES, Row, Scope, Stale, State};
use super::*;
use crate::question::{PackageQuestion, Question};

const CORE: &str = "org.apache.logging.log4j:log4j-core";

fn core(version: &str) -> Package {
    Package::new(PackageKind::Java, CORE, version)
}

fn archive(path: &str, package: Package) -> PlacedUnit {
    unit(path, UnitKind::JavaArchive, vec![package])
}

/// P1 and O1 to O11 of that day, as far as they are images.
pub(super) fn log4j_fleet() -> Fleet {
    let mut nested = core("2.12.1");
    nested.inner_path = vec![
        "WEB-INF/lib/x.jar".to_owned(),
        "lib/log4j-core-2.12.1.jar".to_owned(),
    ];
    let mut shaded = core("2.14.0");
    shaded.inner_path = vec!["com/x/shaded/log4j/core/lookup/JndiLookup.class".to_owned()];
    shaded.confidence = Confidence::Medium;
    shaded.version_range = Some(("2.14.0".to_owned(), "2.14.1".to_owned()));
    let mut renamed = core("2.12.0");
    renamed.inner_path = vec!["agent/log4j/core/lookup/JndiLookup.esclazz".to_owned()];
    renamed.confidence = Confidence::Low;
    let mut removed = core("2.14.1");
    removed.mitigations = vec!["JndiLookup.class removed".to_owned()];
    let mut owned = jar("usr/share/java/log4j-core.jar", "log4j-core", "2.14.1");
    owned.owned_by = Some("dpkg liblog4j2-java".to_owned());
    let base = layer(
        "base",
        vec![jar("opt/lib/log4j-core-2.14.1.jar", "log4j-core", "2.14.1")],
    );
    let clean = layer("clean", Vec::new());
    let own = |what: &str, placed: PlacedUnit| facts(&[clean.clone(), layer(what, vec![placed])], &[]);
    fleet(&[
        ("paved/p1", "p1", facts(std::slice::from_ref(&base), &[])),
        (
            "paved/p2",
            "p2",
            facts(
                &[
                    base.clone(),
                    layer("p2", vec![archive("app.jar", nested.clone())]),
                ],
                &[],
            ),
        ),
        ("paved/p3", "p3", facts(std::slice::from_ref(&clean), &[])),
        ("own/o2", "o2", own("o2", archive("app.jar", shaded))),
        ("own/o3", "o3", own("o3", archive("app.war", nested))),
        ("own/o4", "o4", own("o4", archive("agent.jar", renamed))),
        ("own/o5", "o5", own("o5", jar("api.jar", "log4j-api", "2.14.1"))),
        (
            "own/o6",
            "o6",
            own(
                "o6",
                archive(
                    "old.jar",
                    Package::new(PackageKind::Java, "log4j:log4j", "1.2.17"),
                ),
            ),
        ),
        ("own/o7", "o7", own("o7", archive("patched.jar", removed))),
        (
            "own/o11",
            "o11",
            facts(&[base, layer("whiteout", Vec::new())], &[(0, 0)]),
        ),
        ("own/owned", "owned", own("owned", owned)),
    ])
}

pub(super) fn advisories(text: &str) -> AdvisoryIndex {
    AdvisoryIndex::build([Advisory::read(text.as_bytes(), "").unwrap()]).unwrap()
}

pub(super) const LOG4SHELL: &str = r#"{"id": "GHSA-jfh8-c2jp-5v3q", "modified": "2021-12-10T00:40:00Z", "aliases": ["CVE-2021-44228"],
  "affected": [{"package": {"ecosystem": "Maven", "name": "org.apache.logging.log4j:log4j-core"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0-beta9"}, {"fixed": "2.15.0"}]}]}]}"#;

pub(super) fn repositories(fleet: &Fleet, answer: &Answer, state: State) -> Vec<String> {
    let answer = answer.clone().only(&[state]);
    let keys = fleet.keys(&answer).unwrap().into_iter();
    keys.map(|key| key.repository).collect()
}

pub(super) fn ask(fleet: &Fleet, text: &str, scope: &Scope) -> Answer {
    match text.parse::<Question>().unwrap() {
        Question::Package(question) => fleet.by_package(&question, scope),
        Question::Class(class) => fleet.by_class(&class, scope),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_advisory_finds_its_images_and_no_others() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let index = advisories(LOG4SHELL);
    let knowledge = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let answer = fleet
        .by_vulnerability("CVE-2021-44228", &knowledge, &all)
        .unwrap();
    assert_eq!(
        repositories(&fleet, &answer, State::Affected),
        ["own/o2", "own/o3", "own/o4", "paved/p1", "paved/p2"]
    );
    assert_eq!(repositories(&fleet, &answer, State::Mitigated), ["own/o7"]);
    assert!(repositories(&fleet, &answer, State::Uncertain).is_empty());
    assert_eq!(repositories(&fleet, &answer, State::Hidden), ["own/o11"]);
    assert!(
        fleet
            .by_vulnerability("CVE-2021-45046", &knowledge, &all)
            .is_none()
    );
    let page = fleet.page(&answer, None, 100).unwrap();
    let row = |repository: &str| {
        page.rows
            .iter()
            .find(|row| row.key.repository == repository)
            .unwrap()
    };
    let places = &row("paved/p2").places;
    assert_eq!(places.len(), 2);
    assert!(places[0].is_from_base && !places[1].is_from_base);
    assert_eq!(
        places[1].inner_path,
        ["WEB-INF/lib/x.jar", "lib/log4j-core-2.12.1.jar"]
    );
    let finding = places[1].finding.unwrap();
    assert_eq!(finding.fix.version(), Some("2.15.0"));
    let shaded = &row("own/o2").places[0];
    assert_eq!(
        (shaded.confidence, shaded.last_version.as_deref()),
        (Confidence::Medium, Some("2.14.1"))
    );
    assert_eq!(answer.fixes().into_iter().collect::<Vec<_>>(), ["2.15.0"]);
    // A package of the distribution is the distribution's to judge, but it is there.
    let touched = fleet.touched(["CVE-2021-44228"], &knowledge, &all);
    assert_eq!(touched.counts().uncertain, 6);
}

#[test]
fn a_package_is_found_before_any_advisory_names_it() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let table = [
        (
            "log4j-core",
            vec![
                "own/o2",
                "own/o3",
                "own/o4",
                "own/o7",
                "own/owned",
                "paved/p1",
                "paved/p2",
            ],
        ),
        ("log4j-core@<2.13", vec!["own/o3", "own/o4", "paved/p2"]),
        (
            "log4j-core@2.14.1",
            vec!["own/o7", "own/owned", "paved/p1", "paved/p2"],
        ),
        ("maven:org.apache.logging.log4j:log4j-api", vec!["own/o5"]),
        ("pkg:maven/log4j/log4j@1.2.17", vec!["own/o6"]),
        ("npm:log4j-core", vec![]),
        ("org.other:log4j-core", vec![]),
    ];
    for (text, expected) in table {
        let answer = ask(&fleet, text, &all);
        assert_eq!(repositories(&fleet, &answer, State::Affected), expected, "{text}");
    }
    let exact = ask(&fleet, "log4j-core@2.14.1", &all);
    assert_eq!(repositories(&fleet, &exact, State::Uncertain), ["own/o2"]);
}

#[test]
fn a_class_is_found_where_it_was_seen() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    let answer = ask(&fleet, "org.apache.logging.log4j.core.lookup.JndiLookup", &all);
    let affected = repositories(&fleet, &answer, State::Affected);
    assert_eq!(
        affected,
        ["own/o2", "own/o3", "own/o4", "own/owned", "paved/p1", "paved/p2"]
    );
    assert_eq!(repositories(&fleet, &answer, State::Mitigated), ["own/o7"]);
    assert_eq!(fleet.page(&answer, None, 9).unwrap().rows[0].places.len(), 1);
    let other = ask(&fleet, "org.apache.logging.log4j.spi.LoggerContext", &all);
    let may_have = repositories(&fleet, &other, State::Uncertain);
    assert!(may_have.contains(&"own/o5".to_owned()) && !may_have.contains(&"own/o6".to_owned()));
}

#[test]
fn only_what_the_caller_may_pull_is_counted() {
    let fleet = log4j_fleet();
    let paved = fleet.scope(|name| name.starts_with("paved/"), None);
    let answer = ask(&fleet, "log4j-core", &paved);
    assert_eq!(
        answer.counts(),
        Counts {
            affected: 2,
            ..Counts::default()
        }
    );
    assert_eq!(
        fleet.by_repository(&answer).unwrap(),
        [("paved/p1", 1), ("paved/p2", 1)]
    );
    assert_eq!(fleet.coverage(&paved).images, 3);
    assert!(fleet.scope(|_| false, None).is_empty());
}

#[test]
fn a_moment_has_the_images_that_were_there() {
    let mut fleet = log4j_fleet();
    fleet.remove_image(&key("paved/p1", "p1"), Moment(50));
    let then = |fleet: &Fleet, at| {
        let scope = fleet.scope(|_| true, Some(Moment(at)));
        ask(fleet, "log4j-core@2.14.1", &scope).counts().affected
    };
    let now = fleet.scope(|_| true, None);
    assert_eq!(ask(&fleet, "log4j-core@2.14.1", &now).counts().affected, 3);
    assert_eq!([0, 1, 2, 49, 50].map(|at| then(&fleet, at)), [0, 1, 2, 4, 3]);
    assert_eq!(fleet.forget(Moment(50)), 1);
    assert_eq!(then(&fleet, 49), 3);
}

#[test]
fn pages_go_on_where_they_ended_and_an_old_answer_is_told() {
    let mut fleet = log4j_fleet();
    fleet.set_tags(&key("own/o2", "o2"), ["latest", "1.0", "latest"]);
    let all = fleet.scope(|_| true, None);
    let answer = ask(&fleet, "log4j-core", &all);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = fleet.page(&answer, after.as_ref(), 2).unwrap();
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.iter().map(|row| row.key.clone()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, fleet.keys(&answer).unwrap());
    let page = fleet.page(&answer, None, 2).unwrap();
    assert_eq!(page.rows[0].state, State::Hidden);
    assert_eq!(page.rows[1].tags, ["1.0", "latest"]);
    assert_eq!(page.rows[1].first_seen, Some(Moment(4)));
    fleet.remove_image(&key("paved/p1", "p1"), Moment(99));
    assert_eq!(fleet.page(&answer, None, 1).unwrap_err(), Stale);
}

#[test]
fn a_row_has_a_bounded_number_of_places() {
    let many = (0..PLACES + 5).map(|number| jar(&format!("{number}.jar"), "log4j-core", "2.14.1"));
    let fleet = fleet(&[("a", "1", facts(&[layer("x", many.collect())], &[]))]);
    let answer = ask(&fleet, "log4j-core", &fleet.scope(|_| true, None));
    let page = fleet.page(&answer, None, 1).unwrap();
    assert_eq!((page.rows[0].places.len(), page.rows[0].more_places), (PLACES, 5));
}

#[test]
fn a_package_of_a_distribution_is_judged_on_the_release_that_runs() {
    let mut libssl = Package::new(PackageKind::Dpkg, "libssl3", "3.0.9-1");
    libssl.source = Some(Source {
        name: "openssl".to_owned(),
        version: "3.0.9-1".to_owned(),
    });
    let shared = layer(
        "shared",
        vec![unit("var/lib/dpkg/status", UnitKind::DpkgStatus, vec![libssl])],
    );
    let on = |id: &str, version: &str| ImageFacts {
        os: Some(os(id, version)),
        ..facts(std::slice::from_ref(&shared), &[])
    };
    let fleet = fleet(&[
        ("a/twelve", "1", on("debian", "12")),
        ("b/eleven", "2", on("debian", "11")),
        ("c/other", "3", on("alpine", "3.20")),
    ]);
    let index = advisories(
        r#"{"id": "DSA-1-1", "modified": "2023-01-01T00:00:00Z", "upstream": ["CVE-2023-1"],
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssl"},
          "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.11-1"}]}]}]}"#,
    );
    let knowledge = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let all = fleet.scope(|_| true, None);
    let answer = fleet.by_vulnerability("CVE-2023-1", &knowledge, &all).unwrap();
    assert_eq!(repositories(&fleet, &answer, State::Affected), ["a/twelve"]);
    for text in ["deb:openssl@<3.0.11", "deb:libssl3", "openssl"] {
        assert_eq!(ask(&fleet, text, &all).counts().affected, 3, "{text}");
    }
    let on_eleven = ask(&fleet, "pkg:deb/debian/openssl?distro=debian-11", &all);
    assert_eq!(repositories(&fleet, &on_eleven, State::Affected), ["b/eleven"]);
}

#[test]
fn a_package_of_a_list_that_is_written_again_is_the_bases() {
    let status = |versions: &[(&str, &str)]| {
        let packages = versions.iter();
        let packages = packages.map(|(name, version)| Package::new(PackageKind::Dpkg, *name, *version));
        unit("var/lib/dpkg/status", UnitKind::DpkgStatus, packages.collect())
    };
    let base = layer("base", vec![status(&[("openssl", "3.0.11"), ("tar", "1.34")])]);
    let own = layer(
        "own",
        vec![status(&[
            ("curl", "7.88"),
            ("openssl", "3.0.11"),
            ("tar", "1.35"),
        ])],
    );
    let mut facts = facts(&[base, layer("empty", Vec::new()), own], &[(0, 0)]);
    facts.base_layers = 1;
    let fleet = fleet(&[("team/app", "app", facts)]);
    let all = fleet.scope(|_| true, None);
    let place = |package: &str| {
        let answer = ask(&fleet, package, &all);
        let page = fleet.page(&answer, None, 10).unwrap();
        let places = &page.rows[0].places;
        assert_eq!(places.len(), 1, "{package}");
        (places[0].layer, places[0].is_from_base)
    };
    assert_eq!(place("openssl"), (0, true));
    assert_eq!(place("curl"), (2, false));
    assert_eq!(place("tar"), (2, false), "the application has replaced it");
}

#[test]
fn a_unit_counts_unless_it_is_hidden_wherever_its_layer_lies() {
    let twice = layer("twice", vec![jar("a.jar", "log4j-core", "2.14.1")]);
    let stack = [twice.clone(), twice];
    let of = |rows: &[Row<'_>], state: State| {
        let places = rows.iter().flat_map(|row| &row.places);
        places.filter(|place| place.state == state).count()
    };
    let counts = |hidden: &[(u32, u32)]| {
        let fleet = fleet(&[("a", "1", facts(&stack, hidden))]);
        let answer = fleet.by_package(
            &PackageQuestion::named("log4j-core"),
            &fleet.scope(|_| true, None),
        );
        let rows = fleet.page(&answer, None, 9).unwrap().rows;
        (
            answer.counts().affected,
            of(&rows, State::Affected),
            of(&rows, State::Hidden),
        )
    };
    assert_eq!(counts(&[]), (1, 2, 0));
    assert_eq!(counts(&[(0, 0)]), (1, 1, 0));
    assert_eq!(counts(&[(0, 0), (1, 0), (9, 9)]), (0, 0, 2));
}

#[test]
fn facts_follow_the_overlay() {
    let found = |path: &str, version: &str| findings::FoundUnit {
        path: path.to_owned(),
        unit: Unit::of_packages(UnitKind::JavaArchive, vec![core(version)]),
        owned_by: None,
    };
    let report = |blob: &str, units: Vec<findings::FoundUnit>, whiteouts: &[&str]| {
        let entries: Vec<ListingEntry> = units
            .iter()
            .map(|unit| ListingEntry {
                path: unit.path.clone(),
                kind: '0',
                mode: 0o644,
                size: 1,
                content: String::new(),
            })
            .collect();
        Arc::new(LayerReport {
            units,
            whiteouts: whiteouts.iter().map(|path| (*path).to_owned()).collect(),
            listing: Listing::of(&entries),
            ..super::report(blob)
        })
    };
    let image = ImageReport {
        layers: vec![
            report(
                "lower",
                vec![found("a.jar", "2.14.1"), found("b.jar", "2.3")],
                &[],
            ),
            report("upper", vec![found("c.jar", "2.17.1")], &["a.jar"]),
        ],
    };
    let facts = ImageFacts::of(&image, |report| Arc::new(LayerFacts::of(report))).unwrap();
    assert_eq!(facts.hidden, [Hidden { layer: 0, unit: 0 }]);
    let fleet = fleet(&[("a", "1", facts)]);
    let all = fleet.scope(|_| true, None);
    let counts = |text| ask(&fleet, text, &all).counts().affected;
    assert_eq!(
        ["log4j-core@2.14.1", "log4j-core@2.3", "log4j-core@2.17.1"].map(counts),
        [0, 1, 1]
    );
}
