use super::*;
use crate::kpi::Reading;
use crate::kpi::event::What;
use crate::kpi::testing::{DAY, HOUR, NOW, Story, ago, app, coverage, digest, frame, group, place, proxy};

const CVE: &str = "CVE-2021-44228";

fn window() -> Window {
    Window {
        from: ago(30 * DAY),
        until: NOW,
    }
}

fn asked(story: &Story, window: Window) -> Kpi<Exposed> {
    exposure_window(&story.journal(), &frame(), window)
}

/// Two replicas inside from 20 days ago, published 10 days ago; a day later scaled to six; gone another day later.
fn scaled() -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .ready(ago(20 * DAY), &shop, "old")
        .advisory(ago(10 * DAY), CVE)
        .matched(ago(10 * DAY), "old", CVE, "2")
        .tell(
            ago(9 * DAY),
            What::Scaled {
                place: shop.clone(),
                digest: digest("old"),
                replicas: 6,
            },
        )
        .gone(ago(8 * DAY), &shop, "old");
    story
}

fn mitigate(story: &mut Story, from: OffsetDateTime, until: OffsetDateTime) {
    let what = What::Mitigate {
        app: app("shop"),
        group: group(CVE),
        until,
    };
    story.tell(from, what);
}

#[test]
fn replicas_times_hours() {
    let kpi = asked(&scaled(), window());
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    // 2 × 24 + 6 × 24.
    let wanted = ReplicaSeconds {
        open: 192 * HOUR,
        mitigated: 0,
    };
    assert_eq!(measured.value.total, wanted);
    assert_eq!(
        measured.value.by_facing,
        BTreeMap::from([(Facing::Internal, wanted)])
    );
    assert_eq!((measured.numerator, measured.denominator), (192, 192));
    let (open, mitigated) = wanted.hours();
    assert!((open - 192.0).abs() < 1e-9 && mitigated.abs() < 1e-9);
}

#[test]
fn mitigated_time_is_apart_and_counts_once() {
    let mut story = scaled();
    // Twelve hours with two replicas and twelve with six; the second lies within the first.
    mitigate(&mut story, ago(10 * DAY - 12), ago(9 * DAY - 12));
    mitigate(&mut story, ago(9 * DAY), ago(9 * DAY - 1));
    // One that ends before it begins.
    mitigate(&mut story, ago(9 * DAY - 20), ago(9 * DAY));
    let kpi = asked(&story, window());
    let total = kpi.value().unwrap().total;
    assert_eq!((total.open, total.mitigated), (96 * HOUR, 96 * HOUR));
}

#[test]
fn only_what_lies_in_the_window() {
    let last = Window {
        from: ago(8 * DAY + 1),
        until: ago(7 * DAY),
    };
    assert_eq!(asked(&scaled(), last).value().unwrap().total.open, 6 * HOUR);
    let after = Window {
        from: ago(7 * DAY),
        until: NOW,
    };
    assert_eq!(asked(&scaled(), after).value().unwrap(), &Exposed::default());
}

#[test]
fn what_is_dormant_is_not_exposed() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .ready(ago(20 * DAY), &shop, "old")
        .advisory(ago(10 * DAY), CVE)
        .matched(ago(10 * DAY), "old", CVE, "2")
        .dormant(ago(10 * DAY - 1), &shop, "old");
    assert_eq!(asked(&story, window()).value().unwrap().total.open, 2 * HOUR);
}

#[test]
fn by_who_can_reach_it() {
    let mut story = Story::default();
    for (name, facing) in [
        ("in", Facing::Internal),
        ("out", Facing::Internet),
        ("who", Facing::Unknown),
    ] {
        story.tell(
            ago(10),
            What::Ready {
                place: place(name, "one"),
                digest: digest("old"),
                replicas: 1,
                facing,
            },
        );
    }
    story.advisory(ago(10), CVE).matched(ago(10), "old", CVE, "2");
    let kpi = asked(&story, window());
    let hours: Vec<_> = kpi
        .value()
        .unwrap()
        .by_facing
        .iter()
        .map(|(facing, seconds)| (*facing, seconds.open / HOUR))
        .collect();
    assert_eq!(
        hours,
        [
            (Facing::Internet, 10),
            (Facing::Internal, 10),
            (Facing::Unknown, 10)
        ]
    );
}

#[test]
fn the_registry_knows_no_replicas() {
    let kpi = exposure_window(&scaled().asked(&proxy()), &proxy(), window());
    assert!(kpi.withheld().unwrap().text().contains("only known in clusters"));
}

fn again(story: &Story) -> Option<(u64, u64)> {
    match recurrence(&story.journal(), &frame()).reading {
        Reading::Measured(measured) => Some((measured.numerator, measured.denominator)),
        Reading::Withheld(_) => None,
    }
}

#[test]
fn what_came_back() {
    let mut story = scaled();
    assert_eq!(again(&story), Some((0, 1)));
    // Rolled back, and gone again.
    let shop = place("shop", "one");
    story.ready(ago(5 * DAY), &shop, "old");
    assert_eq!(again(&story), Some((1, 1)));
    story.gone(ago(4 * DAY), &shop, "old");
    assert_eq!(again(&story), Some((1, 2)));
}

#[test]
fn an_application_has_closed_when_its_last_place_has() {
    let mut story = scaled();
    let two = place("shop", "two");
    // Where it ran all the time: nothing has come back.
    story
        .ready(ago(20 * DAY), &two, "old")
        .ready(ago(5 * DAY), &place("shop", "one"), "old")
        .gone(ago(4 * DAY), &place("shop", "one"), "old");
    assert_eq!(again(&story), None);
    story.gone(ago(3 * DAY), &two, "old");
    assert_eq!(again(&story), Some((0, 1)));
}

#[test]
fn without_coverage_nothing_is_said() {
    let frame = Frame {
        coverage: coverage(7, 10),
        ..frame()
    };
    let journal = scaled().journal();
    assert!(exposure_window(&journal, &frame, window()).value().is_none());
    assert!(recurrence(&journal, &frame).value().is_none());
}
