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

fn commit(hours: i64, automated: bool) -> Commit {
    let at = ago(hours);
    Commit { at, automated }
}

fn key(image: &str) -> (App, Digest) {
    (app("shop"), digest(image))
}

/// Three feature versions, ready 100, 60 and 20 hours ago, each pushed an hour before.
fn three() -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    for (image, hours) in [("a", 100), ("b", 60), ("c", 20)] {
        story
            .image(image, image, "base", image)
            .push(ago(hours + 1), "shop", image)
            .ready(ago(hours), &shop, image);
    }
    story
}

fn asked(story: &Story, commits: &CommitsOf) -> Kpi<LeadTime> {
    let journal = story.journal();
    lead_time(&journal, &Ships::of(&journal), &frame(), commits, window())
}

#[test]
fn all_commits_since_the_revision_before() {
    let commits = CommitsOf::from([
        // 10, 20, 30 hours, and a machine's 2 hours.
        (
            key("a"),
            Commits::Range(vec![
                commit(110, false),
                commit(120, false),
                commit(130, false),
                commit(102, true),
            ]),
        ),
        (key("b"), Commits::Range(vec![commit(100, false)])),
        (key("c"), Commits::Range(vec![commit(70, false)])),
    ]);
    let kpi = asked(&three(), &commits);
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (3, 3));
    let series = |automated, n, median, p90| Series {
        measure: Measure::AllCommits,
        automated,
        spread: Spread {
            n,
            median_seconds: median * HOUR,
            p90_seconds: p90 * HOUR,
        },
    };
    // 10, 20, 30, 40, 50 hours.
    assert_eq!(
        measured.value.series,
        [series(false, 5, 30, 50), series(true, 1, 2, 2)]
    );
    assert_eq!(kpi.caveats, Vec::<String>::new());
}

#[test]
fn what_is_less_known_is_never_mixed_in() {
    let commits = CommitsOf::from([
        (key("a"), Commits::Range(vec![commit(110, false)])),
        (key("b"), Commits::Head(commit(64, false))),
    ]);
    let kpi = asked(&three(), &commits);
    let shown: Vec<_> = kpi
        .value()
        .unwrap()
        .series
        .iter()
        .map(|series| (series.measure, series.spread.median_seconds / HOUR))
        .collect();
    assert_eq!(
        shown,
        [
            (Measure::AllCommits, 10),
            (Measure::HeadCommit, 4),
            (Measure::PushOnly, 1)
        ]
    );
    assert!(kpi.caveats[0].contains("lower bound"));
    let Reading::Measured(measured) = &kpi.reading else {
        panic!("{kpi:?}")
    };
    assert_eq!((measured.numerator, measured.denominator), (2, 3));
}

#[test]
fn the_parts_of_the_way() {
    let mut story = three();
    let shop = place("shop", "one");
    let image = digest("a");
    story.scanned(ago(101) + time::Duration::minutes(10), "a").tell(
        ago(101) + time::Duration::minutes(30),
        What::Admitted {
            place: shop,
            digest: image,
        },
    );
    let commits = CommitsOf::from([(key("a"), Commits::Head(commit(103, false)))]);
    let stages = asked(&story, &commits).value().unwrap().stages;
    let minutes = |spread: Option<Spread>| spread.map(|spread| (spread.n, spread.median_seconds / 60));
    assert_eq!(minutes(stages.commit_to_push), Some((1, 120)));
    assert_eq!(minutes(stages.push_to_verdict), Some((1, 10)));
    assert_eq!(minutes(stages.verdict_to_admitted), Some((1, 20)));
    assert_eq!(minutes(stages.admitted_to_ready), Some((1, 30)));
}

#[test]
fn clocks_that_disagree_are_told() {
    let commits = CommitsOf::from([
        (key("a"), Commits::Head(commit(90, false))),
        (key("b"), Commits::Head(commit(61, false))),
    ]);
    let kpi = asked(&three(), &commits);
    assert!(
        kpi.caveats
            .iter()
            .any(|caveat| caveat.contains("1 times are left out"))
    );
}

#[test]
fn nothing_shipped_is_no_lead_time() {
    let kpi = asked(&Story::default(), &CommitsOf::new());
    assert!(kpi.withheld().unwrap().text().contains("no feature version"));
}

#[test]
fn the_way_begins_with_the_last_commit() {
    let commits = vec![commit(110, false), commit(104, false), commit(108, false)];
    let commits = CommitsOf::from([(key("a"), Commits::Range(commits))]);
    let kpi = asked(&three(), &commits);
    let first = kpi.value().unwrap().stages.commit_to_push.unwrap();
    // From 104 to 101 hours ago.
    assert_eq!((first.n, first.median_seconds), (1, 3 * HOUR));
}
