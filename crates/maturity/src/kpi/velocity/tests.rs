use super::*;
use crate::kpi::testing::{DAY, NOW, Story, ago, app, frame, place, proxy};
use crate::kpi::{Reading, Source};

/// In the last full week: two features, one rebase, one rollback, one configuration deploy. In the week before: one feature.
fn weeks() -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .image("a", "app1", "base1", "r1")
        .image("b", "app2", "base1", "r2")
        .image("c", "app2", "base2", "r2")
        .image("d", "app3", "base2", "r3")
        .ready(ago(10 * DAY), &shop, "a")
        .roll(ago(6 * DAY), &shop, "a", "b")
        .roll(ago(5 * DAY), &shop, "b", "c")
        .roll(ago(4 * DAY), &shop, "c", "d")
        .ready(ago(3 * DAY), &shop, "d")
        .roll(ago(2 * DAY), &shop, "d", "c");
    story
}

#[test]
fn counted_by_hand() {
    let kpi = velocity(&weeks().ships(), &frame(), None, 3);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (3, 3));
    let shown: Vec<_> = measured
        .value
        .weeks
        .iter()
        .map(|week| {
            let apart = (week.maintenance, week.rollbacks, week.configurations);
            (week.week.to_string(), week.features, apart)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("2026-W46".to_owned(), 0, (0, 0, 0)),
            ("2026-W47".to_owned(), 1, (0, 0, 0)),
            ("2026-W48".to_owned(), 2, (1, 1, 1)),
        ]
    );
    assert_eq!(kpi.caveats, Vec::<String>::new());
}

#[test]
fn one_application_alone() {
    let ships = weeks().ships();
    let numerator = |name: &str| {
        let kpi = velocity(&ships, &frame(), Some(&app(name)), 3);
        kpi.value()
            .unwrap()
            .weeks
            .iter()
            .map(|week| week.features)
            .sum::<u64>()
    };
    assert_eq!((numerator("shop"), numerator("office")), (3, 0));
}

#[test]
fn the_present_week_is_not_full() {
    let mut story = weeks();
    story
        .image("e", "app4", "base2", "r4")
        .roll(NOW - time::Duration::HOUR, &place("shop", "one"), "c", "e");
    // On the Tuesday after.
    let later = Frame {
        now: NOW + time::Duration::DAY,
        ..frame()
    };
    let ships = Ships::of(&story.asked(&later));
    let kpi = velocity(&ships, &later, None, 1);
    assert_eq!(kpi.value().unwrap().weeks[0].features, 3);
}

#[test]
fn what_is_not_known_is_said() {
    let mut story = Story::default();
    story.ready(ago(DAY), &place("shop", "one"), "x");
    let kpi = velocity(&story.ships(), &frame(), None, 1);
    assert_eq!(kpi.value().unwrap().weeks[0].unclassified, 1);
    assert!(kpi.caveats[0].contains("1 versions have neither"));
}

#[test]
fn weeks_have_an_end_and_a_beginning() {
    let ships = weeks().ships();
    let count = |weeks| {
        velocity(&ships, &frame(), None, weeks)
            .value()
            .map(|value| value.weeks.len())
    };
    assert_eq!(count(u32::MAX), Some(104));
    assert_eq!(count(0), None);
}

#[test]
fn published_is_not_shipped() {
    let mut story = weeks();
    story.push(ago(DAY), "shop", "a");
    let kpi = velocity(&Ships::of(&story.asked(&proxy())), &proxy(), None, 1);
    assert_eq!(kpi.source, Source::RegistryProxy);
    assert_eq!(kpi.value().unwrap().weeks[0].features, 1);
}

#[test]
fn rebuilds_that_differ_are_said() {
    let mut story = weeks();
    story
        .image("e", "app4", "base2", "r3")
        .roll(ago(DAY), &place("shop", "one"), "c", "e");
    let kpi = velocity(&story.ships(), &frame(), None, 1);
    let week = kpi.value().unwrap().weeks[0];
    assert_eq!((week.features, week.same_revision), (3, 1));
    assert!(kpi.caveats[0].contains("1 feature versions were built again"));
}
