use super::*;
use crate::kpi::event::What;
use crate::kpi::testing::{DAY, HOUR, Story, ago, app, digest, frame, place};
use crate::kpi::{Reading, Window};

fn window() -> Window {
    Window {
        from: ago(30 * DAY),
        until: ago(0),
    }
}

/// Ten versions, two days apart, the last two days ago.
fn ten() -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    for n in 0..10 {
        let image = n.to_string();
        story.image(&image, &image, "base", &image);
        let at = ago(2 * DAY * (10 - n));
        if n == 0 {
            story.ready(at, &shop, &image);
        } else {
            story.roll(at, &shop, &(n - 1).to_string(), &image);
        }
    }
    story
}

fn rate(story: &Story, records: IncidentRecords) -> Kpi<FailureRate> {
    let journal = story.journal();
    change_failure_rate(&journal, &Ships::of(&journal), &frame(), window(), records)
}

fn recovered(story: &Story) -> Kpi<Recovery> {
    let journal = story.journal();
    recovery(&journal, &Ships::of(&journal), &frame(), window())
}

fn incident(story: &mut Story, at: OffsetDateTime, image: &str) {
    let what = What::Incident {
        app: app("shop"),
        digest: digest(image),
    };
    story.tell(at, what);
}

#[test]
fn counted_by_hand() {
    let mut story = ten();
    let shop = place("shop", "one");
    // Version 2 was ready 16 days ago: rolled back after three hours, and there was an incident after one.
    story.roll(ago(16 * DAY - 3), &shop, "2", "1");
    incident(&mut story, ago(16 * DAY - 1), "2");
    // Version 5, 10 days ago: a deadline. Version 6, 8 days ago: an incident, but after more than a day.
    story.rollout_failed(ago(10 * DAY - 2), &shop, "5");
    incident(&mut story, ago(8 * DAY - 25), "6");
    // Never ready in production.
    story.rollout_failed(ago(7 * DAY), &shop, "broken");
    let kpi = rate(&story, IncidentRecords::Connected);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (2, 10));
    let value = &measured.value;
    assert!((value.rate - 0.2).abs() < 1e-12);
    assert_eq!((value.band, value.pending, value.never_ready), (Band::To45, 0, 1));
    let causes = [
        (Cause::RolledBack, 1),
        (Cause::DeadlineExceeded, 1),
        (Cause::Incident, 1),
    ];
    assert_eq!(value.causes, BTreeMap::from(causes));
    assert_eq!(kpi.caveats, Vec::<String>::new());
    let lower = rate(&story, IncidentRecords::Missing);
    assert!(lower.caveats[0].contains("lower bound"));
}

#[test]
fn what_is_too_young_is_not_judged() {
    let mut story = ten();
    story
        .image("x", "x", "base", "x")
        .roll(ago(23), &place("shop", "one"), "9", "x");
    let kpi = rate(&story, IncidentRecords::Connected);
    assert_eq!(kpi.value().unwrap().pending, 1);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!(measured.denominator, 10);
}

#[test]
fn bands_are_those_of_fourkeys() {
    for (failed, shipped, band) in [
        (0, 7, Band::To15),
        (15, 100, Band::To15),
        (151, 1_000, Band::To45),
        (45, 100, Band::To45),
        (60, 100, Band::To60),
        (601, 1_000, Band::Above),
    ] {
        assert_eq!(Band::of(failed, shipped), band, "{failed} of {shipped}");
    }
}

#[test]
fn recovered_by_a_rollback_and_by_the_next_version() {
    let mut story = ten();
    let shop = place("shop", "one");
    // Noticed after one hour, back after three: two hours.
    incident(&mut story, ago(16 * DAY - 1), "2");
    story.roll(ago(16 * DAY - 3), &shop, "2", "1");
    // Noticed after two hours; the next version came after 48: 46 hours.
    story.rollout_failed(ago(10 * DAY - 2), &shop, "5");
    let kpi = recovered(&story);
    let wanted = Recovery {
        median_seconds: Some(2 * HOUR),
        p90_seconds: Some(46 * HOUR),
        recovered: 2,
        open: 0,
        undetected: 0,
    };
    assert_eq!(kpi.value(), Some(&wanted));
}

#[test]
fn a_failure_that_lasts_is_censored() {
    let mut story = ten();
    incident(&mut story, ago(2 * DAY - 1), "9");
    let kpi = recovered(&story);
    let value = kpi.value().unwrap();
    assert_eq!((value.recovered, value.open, value.median_seconds), (0, 1, None));
}

#[test]
fn one_that_fails_in_turn_is_no_recovery() {
    let mut story = ten();
    incident(&mut story, ago(10 * DAY - 2), "5");
    incident(&mut story, ago(8 * DAY - 1), "6");
    let kpi = recovered(&story);
    // Version 7, six days ago, ends both: after 94 and 47 hours.
    let value = kpi.value().unwrap();
    assert_eq!(
        (value.median_seconds, value.p90_seconds),
        (Some(47 * HOUR), Some(94 * HOUR))
    );
}

#[test]
fn a_rollback_alone_does_not_say_when() {
    let mut story = ten();
    story.roll(ago(16 * DAY - 3), &place("shop", "one"), "2", "1");
    assert!(recovered(&story).withheld().is_some());
    incident(&mut story, ago(10 * DAY - 2), "5");
    assert_eq!(recovered(&story).value().unwrap().undetected, 1);
}

#[test]
fn another_cluster_does_not_recover_this_one() {
    let mut story = ten();
    let (one, two) = (place("shop", "one"), place("shop", "two"));
    story.rollout_failed(ago(10 * DAY - 2), &one, "5");
    story.ready(ago(10 * DAY - 3), &two, "4");
    assert_eq!(recovered(&story).value().unwrap().median_seconds, Some(46 * HOUR));
}
