//! What is counted apart: what does not count by somebody's word, and what only lies in a lower layer.

use std::collections::BTreeSet;

use findings::advisory::Knowledge;

use super::answers::{LOG4SHELL, advisories, ask, log4j_fleet, repositories};
use super::*;
use crate::fleet::{Counts, Excuse, Stale, State};

const CVE: &str = "CVE-2021-44228";

#[test]
fn what_somebody_vouches_for_is_counted_apart() {
    let mut fleet = log4j_fleet();
    let vex = [("cve-2021-44228", Excuse::Vex), ("CVE-1", Excuse::Waiver)];
    fleet.set_excuses(&key("paved/p1", "p1"), vex);
    // The weaker word counts.
    let both = [(CVE, Excuse::Vex), (CVE, Excuse::Waiver)];
    fleet.set_excuses(&key("own/o3", "o3"), both);
    // Nothing is to be excused there, and of what is not known nothing is kept.
    fleet.set_excuses(&key("paved/p3", "p3"), [(CVE, Excuse::Vex)]);
    fleet.set_excuses(&key("own/o11", "o11"), [(CVE, Excuse::Vex)]);
    fleet.set_excuses(&key("nobody", "nothing"), [(CVE, Excuse::Vex)]);
    let (all, index) = (fleet.scope(|_| true, None), advisories(LOG4SHELL));
    let knowledge = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let mut answer = fleet.by_vulnerability(CVE, &knowledge, &all).unwrap();
    let before = answer.counts();
    fleet.excuse(&mut answer, ["GHSA-jfh8-c2jp-5v3q", CVE]).unwrap();
    let counts = answer.counts();
    assert_eq!(
        counts,
        Counts {
            affected: before.affected - 2,
            not_affected: 1,
            waived: 1,
            ..before
        }
    );
    assert_eq!((counts.affected, counts.hidden), (3, 1));
    let page = fleet.page(&answer, None, 100).unwrap();
    let row = |name: &str| page.rows.iter().find(|row| row.key.repository == name).unwrap();
    assert_eq!(row("paved/p1").excuse, Some(Excuse::Vex));
    assert_eq!(row("own/o3").excuse, Some(Excuse::Waiver));
    assert_eq!(row("own/o2").excuse, None);
    // Nobody has to do anything about them.
    let open: Vec<&str> = fleet
        .by_repository(&answer)
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(open, ["own/o2", "own/o4", "own/o7", "paved/p2"]);
    assert_eq!(answer.clone().only(&[State::Mitigated]).counts().not_affected, 0);
}

#[test]
fn an_excuse_ends_with_its_word_and_with_its_image() {
    let mut fleet = log4j_fleet();
    let (p1, index) = (key("paved/p1", "p1"), advisories(LOG4SHELL));
    let excused = |fleet: &Fleet| {
        let knowledge = Knowledge {
            index: &index,
            kev: None,
            epss: None,
        };
        let all = fleet.scope(|_| true, None);
        let mut answer = fleet.by_vulnerability(CVE, &knowledge, &all).unwrap();
        fleet.excuse(&mut answer, [CVE]).unwrap();
        answer.counts().waived
    };
    fleet.set_excuses(&p1, [(CVE, Excuse::Waiver)]);
    assert_eq!(excused(&fleet), 1);
    // Another look at the same bytes takes nothing back.
    let base = layer(
        "base",
        vec![jar("opt/lib/log4j-core-2.14.1.jar", "log4j-core", "2.14.1")],
    );
    fleet.add_image(&p1, &facts(&[base], &[]), Moment(60));
    assert_eq!(excused(&fleet), 1);
    fleet.set_excuses(&p1, []);
    assert_eq!(excused(&fleet), 0);
    fleet.set_excuses(&p1, [(CVE, Excuse::Waiver)]);
    fleet.remove_image(&p1, Moment(70));
    fleet.forget(Moment(80));
    // Its number is another image's now.
    let other = layer("other", vec![jar("a.jar", "log4j-core", "2.14.1")]);
    fleet.add_image(&key("new", "new"), &facts(&[other], &[]), Moment(90));
    assert_eq!(excused(&fleet), 0);
    let mut answer = ask(&fleet, "log4j-core", &fleet.scope(|_| true, None));
    fleet.remove_image(&key("new", "new"), Moment(99));
    assert_eq!(fleet.excuse(&mut answer, [CVE]), Err(Stale));
}

#[test]
fn what_is_hidden_is_said_to_lie_in_a_lower_layer() {
    let fleet = log4j_fleet();
    let all = fleet.scope(|_| true, None);
    for text in [
        "log4j-core",
        "log4j-core@2.14.1",
        "org.apache.logging.log4j.core.lookup.JndiLookup",
    ] {
        let answer = ask(&fleet, text, &all);
        assert_eq!(
            repositories(&fleet, &answer, State::Hidden),
            ["own/o11"],
            "{text}"
        );
        let page = fleet.page(&answer, None, 100).unwrap();
        let row = page
            .rows
            .iter()
            .find(|row| row.key.repository == "own/o11")
            .unwrap();
        assert_eq!((row.state, row.places.len()), (State::Hidden, 1));
        assert_eq!((row.places[0].state, row.places[0].layer), (State::Hidden, 0));
        assert!(
            fleet
                .by_repository(&answer)
                .unwrap()
                .iter()
                .all(|(name, _)| *name != "own/o11")
        );
    }
    // A database that an upper layer replaced tells of nothing that is there, a wish of nothing that ever was.
    let status = |version: &str| {
        let package = Package::new(PackageKind::Dpkg, "openssl", version);
        unit("var/lib/dpkg/status", UnitKind::DpkgStatus, vec![package])
    };
    let lock = unit(
        "app/package-lock.json",
        UnitKind::NodeLock,
        vec![Package::new(PackageKind::Npm, "left-pad", "1.0")],
    );
    let layers = [
        layer("old", vec![status("1"), lock]),
        layer("new", vec![status("2")]),
    ];
    let fleet = super::fleet(&[("a", "1", facts(&layers, &[(0, 0), (0, 1)]))]);
    let all = fleet.scope(|_| true, None);
    for text in ["openssl@1", "left-pad"] {
        assert_eq!(ask(&fleet, text, &all).counts(), Counts::default(), "{text}");
    }
}

#[test]
fn layers_lead_to_images_and_to_what_lies_above() {
    let [low, middle, top] = ["low", "middle", "top"].map(|blob| layer(blob, Vec::new()));
    let fleet = fleet(&[
        ("a", "1", facts(&[low.clone(), middle.clone(), top.clone()], &[])),
        ("b", "2", facts(&[top, low.clone()], &[])),
        ("c", "3", facts(&[middle], &[])),
    ]);
    let with = BTreeSet::from([digest("low")]);
    let above = |names: &dyn Fn(&str) -> bool| {
        let scope = fleet.scope(names, None);
        fleet
            .layers_above(&with, &scope)
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        above(&|_| true),
        BTreeSet::from([digest("middle"), digest("top")])
    );
    assert_eq!(above(&|name| name == "b"), BTreeSet::new());
    let all = fleet.scope(|_| true, None);
    let answer = fleet.by_layers(&with, &all, |stack| match stack {
        [_, above @ ..] if above.contains(&Some(digest("middle"))) => State::Hidden,
        _ => State::Affected,
    });
    assert_eq!(repositories(&fleet, &answer, State::Hidden), ["a"]);
    assert_eq!(repositories(&fleet, &answer, State::Affected), ["b"]);
}
