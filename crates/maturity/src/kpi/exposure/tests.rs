use super::*;
use crate::kpi::event::What;
use crate::kpi::testing::{DAY, NOW, Story, ago, digest, group, place, proxy};
use time::Duration;

const CVE: &str = "CVE-2021-44228";

/// Running since 50 days, published 10 days ago, matched an hour and told two hours later, fixed for its line after five hours,
/// patched 20 hours after the advisory.
fn log4j() -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .push(ago(51 * DAY), "shop", "old")
        .ready(ago(50 * DAY), &shop, "old")
        .advisory(ago(10 * DAY), CVE)
        .matched(ago(10 * DAY - 1), "old", CVE, "2.12")
        .tell(
            ago(10 * DAY - 2),
            What::Notify {
                app: "shop".parse().unwrap(),
                group: group(CVE),
            },
        )
        .fix(ago(10 * DAY - 3), CVE, Some("2.15"))
        .fix(ago(10 * DAY - 5), CVE, Some("2.12"))
        .push(ago(10 * DAY - 8), "shop", "new")
        .scanned(ago(10 * DAY - 9), "new")
        .ready(ago(10 * DAY - 19), &shop, "new")
        .gone(ago(10 * DAY - 20), &shop, "old")
        .cleared(ago(10 * DAY - 30), "new", CVE);
    story
}

#[test]
fn all_clocks() {
    let found = exposures(&log4j().journal());
    assert_eq!(found.len(), 1);
    let hours = |hours: i64| ago(10 * DAY - hours);
    assert_eq!(found[0].start, hours(0));
    assert_eq!((found[0].severity, found[0].ordinal), (Severity::Critical, 0));
    let wanted = Clocks {
        advisory: hours(0),
        fix: Some(hours(5)),
        matched: hours(1),
        notified: Some(hours(2)),
        pushed: Some(hours(8)),
        patched: Some(hours(19)),
        gone: Some(hours(20)),
        confirmed: Some(hours(30)),
    };
    assert_eq!(found[0].clocks, wanted);
}

#[test]
fn what_began_later_starts_later() {
    let mut story = Story::default();
    story
        .advisory(ago(50 * DAY), CVE)
        .matched(ago(20 * DAY), "old", CVE, "2")
        .ready(ago(10 * DAY), &place("shop", "one"), "old");
    let found = exposures(&story.journal());
    assert_eq!(found[0].start, ago(10 * DAY));
    assert_eq!(
        (found[0].clocks.advisory, found[0].clocks.gone),
        (ago(50 * DAY), None)
    );
}

#[test]
fn what_was_gone_before_the_advisory_was_no_exposure() {
    let mut story = Story::default();
    story
        .ready(ago(50 * DAY), &place("shop", "one"), "old")
        .gone(ago(20 * DAY), &place("shop", "one"), "old")
        .advisory(ago(10 * DAY), CVE)
        .matched(ago(10 * DAY), "old", CVE, "2");
    assert_eq!(exposures(&story.journal()), []);
}

#[test]
fn something_dormant_keeps_it_open() {
    let mut story = log4j();
    let shop = place("shop", "one");
    // The monthly job is scaled to zero instead of gone.
    story.0.retain(|event| !matches!(event.what, What::Gone { .. }));
    story.dormant(ago(10 * DAY - 20), &shop, "old");
    let found = exposures(&story.journal());
    assert_eq!((found.len(), found[0].clocks.gone), (1, None));
    // It is deleted.
    story.gone(ago(DAY), &shop, "old");
    let found = exposures(&story.journal());
    assert_eq!((found.len(), found[0].clocks.gone), (1, Some(ago(DAY))));
}

#[test]
fn a_rollback_opens_another_one() {
    let mut story = log4j();
    let shop = place("shop", "one");
    story.ready(ago(5 * DAY), &shop, "old");
    let found = exposures(&story.journal());
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.ordinal, one.start, one.is_over()))
        .collect();
    assert_eq!(shown, [(0, ago(10 * DAY), true), (1, ago(5 * DAY), false)]);
}

#[test]
fn a_restart_does_not_close_it() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .advisory(ago(50 * DAY), CVE)
        .matched(ago(50 * DAY), "old", CVE, "2")
        .matched(ago(50 * DAY), "older", CVE, "2")
        .ready(ago(40 * DAY), &shop, "older")
        .gone(ago(30 * DAY), &shop, "older")
        .ready(ago(30 * DAY) + Duration::minutes(9), &shop, "old")
        .gone(ago(20 * DAY), &shop, "old")
        .ready(ago(20 * DAY) + Duration::minutes(10), &shop, "old");
    let found = exposures(&story.journal());
    let starts: Vec<_> = found.iter().map(|one| one.start).collect();
    assert_eq!(starts, [ago(40 * DAY), ago(20 * DAY) + Duration::minutes(10)]);
}

#[test]
fn every_affected_line_needs_its_fix() {
    let mut story = log4j();
    story.matched(ago(10 * DAY - 1), "old", CVE, "2.3");
    assert_eq!(exposures(&story.journal())[0].clocks.fix, None);
    story.fix(ago(10 * DAY - 6), CVE, Some("2.3"));
    assert_eq!(exposures(&story.journal())[0].clocks.fix, Some(ago(10 * DAY - 6)));
    // One for every line, and earlier.
    story.fix(ago(10 * DAY - 4), CVE, None);
    assert_eq!(exposures(&story.journal())[0].clocks.fix, Some(ago(10 * DAY - 4)));
}

#[test]
fn what_nobody_looked_at_is_not_patched() {
    let mut story = log4j();
    story
        .0
        .retain(|event| !matches!(event.what, What::Cleared { .. } | What::Scanned { .. }));
    let clocks = exposures(&story.journal())[0].clocks;
    assert_eq!(
        (clocks.pushed, clocks.patched, clocks.confirmed),
        (None, None, None)
    );
    assert!(clocks.gone.is_some());
}

#[test]
fn a_patch_that_was_only_pushed() {
    let mut story = log4j();
    let new = digest("new");
    story.0.retain(|event| match event.what {
        What::Gone { .. } => false,
        What::Ready { digest, .. } => digest != new,
        _ => true,
    });
    let clocks = exposures(&story.journal())[0].clocks;
    assert_eq!(
        (clocks.pushed, clocks.patched, clocks.gone),
        (Some(ago(10 * DAY - 8)), None, None)
    );
}

#[test]
fn removed_is_over_too() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .ready(ago(20 * DAY), &shop, "old")
        .advisory(ago(10 * DAY), CVE)
        .matched(ago(10 * DAY), "old", CVE, "2")
        .gone(ago(9 * DAY), &shop, "old");
    let clocks = exposures(&story.journal())[0].clocks;
    assert_eq!(
        (clocks.gone, clocks.confirmed),
        (Some(ago(9 * DAY)), Some(ago(9 * DAY)))
    );
}

#[test]
fn without_an_advisory_the_match_is_the_beginning() {
    let mut story = Story::default();
    story
        .ready(ago(20 * DAY), &place("shop", "one"), "old")
        .matched(ago(10 * DAY), "old", CVE, "2");
    assert_eq!(exposures(&story.journal())[0].start, ago(10 * DAY));
}

#[test]
fn each_place_is_one() {
    let mut story = log4j();
    story.ready(ago(30 * DAY), &place("shop", "two"), "old");
    let found = exposures(&story.journal());
    assert_eq!(
        found.iter().map(Exposure::is_over).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn published_ends_when_another_is_published() {
    let found = exposures(&log4j().asked(&proxy()));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].clocks.gone, Some(ago(10 * DAY - 8)));
    assert!(found[0].clocks.gone < Some(NOW));
}

#[test]
fn what_was_there_for_no_time_was_no_exposure() {
    let mut story = log4j();
    let shop = place("shop", "one");
    story
        .ready(ago(5 * DAY), &shop, "old")
        .gone(ago(5 * DAY), &shop, "old");
    assert_eq!(exposures(&story.journal()).len(), 1);
}
