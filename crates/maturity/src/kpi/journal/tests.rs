use super::*;
use crate::kpi::event::What;
use crate::kpi::testing::{DAY, NOW, Story, ago, app, digest, frame, group, place, proxy};
use proptest::prelude::*;

#[test]
fn a_part_of_an_index_is_the_index() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    for part in ["amd64", "arm64"] {
        story.tell(
            ago(30),
            What::Push {
                app: app("shop"),
                digest: digest(part),
                index: Some(digest("index")),
                release: false,
            },
        );
    }
    story
        .ready(ago(20), &shop, "amd64")
        .ready(ago(19), &shop, "arm64");
    let journal = story.journal();
    let history = &journal.places[&shop];
    assert_eq!(history.stays.len(), 1);
    assert_eq!(history.stays[0].digest, digest("index"));
    assert_eq!(history.starts.len(), 2);
}

#[test]
fn an_index_has_what_any_of_its_parts_has() {
    let mut story = Story::default();
    for part in ["amd64", "arm64"] {
        story.tell(
            ago(30),
            What::Push {
                app: app("shop"),
                digest: digest(part),
                index: Some(digest("index")),
                release: false,
            },
        );
    }
    story
        .matched(ago(20), "amd64", "CVE-1", "2")
        .cleared(ago(20), "arm64", "CVE-1");
    let journal = story.journal();
    assert!(journal.matches[&group("CVE-1")].contains_key(&digest("index")));
    assert!(journal.cleared[&group("CVE-1")].is_empty());
}

#[test]
fn a_match_that_a_second_look_does_not_find_was_none() {
    let mut story = Story::default();
    story
        .matched(ago(20), "a", "CVE-1", "2")
        .cleared(ago(10), "a", "CVE-1");
    let journal = story.journal();
    assert!(!journal.matches.contains_key(&group("CVE-1")));
    assert_eq!(journal.cleared[&group("CVE-1")][&digest("a")], ago(10));
}

#[test]
fn events_are_the_same_after_json() {
    let mut story = told(&[
        (5, 0, 0, 0),
        (4, 3, 0, 0),
        (3, 2, 1, 1),
        (2, 4, 0, 0),
        (1, 5, 0, 0),
        (1, 6, 0, 0),
    ]);
    story
        .advisory(ago(9), "CVE-1")
        .fix(ago(8), "CVE-1", None)
        .rollout_failed(ago(7), &place("shop", "one"), "a")
        .scanned(ago(6), "a")
        .cleared(ago(6), "a", "CVE-1");
    for event in &story.0 {
        let json = serde_json::to_string(event).unwrap();
        assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
    }
    let json = serde_json::to_value(&story.0[0]).unwrap();
    assert_eq!(
        (&json["event"], &json["source"]),
        (&"ready".into(), &"cluster".into())
    );
    assert_eq!(json["cluster"], "one");
}

#[test]
fn what_is_later_than_now_does_not_count() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story.ready(ago(-1), &shop, "a");
    assert!(story.journal().places.is_empty());
}

#[test]
fn a_rollout_has_to_hold() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    let minutes = |minutes: i64| NOW - Duration::minutes(minutes);
    story
        .ready(minutes(60), &shop, "a")
        .gone(minutes(51), &shop, "a")
        .ready(minutes(50), &shop, "b")
        .gone(minutes(40), &shop, "b")
        .ready(minutes(9), &shop, "c");
    let held: Vec<bool> = story.journal().places[&shop]
        .starts
        .iter()
        .map(|start| start.held)
        .collect();
    assert_eq!(held, [false, true, false]);
}

#[test]
fn the_sources_are_never_mixed() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .push(ago(30), "shop", "a")
        .push(ago(20), "shop", "b")
        .ready(ago(10), &shop, "a");
    let clusters = story.journal();
    assert_eq!(clusters.places.keys().collect::<Vec<_>>(), [&shop]);
    let published = story.asked(&proxy());
    assert_eq!(published.places.len(), 1);
    let history = published.places.values().next().unwrap();
    let stays: Vec<_> = history
        .stays
        .iter()
        .map(|stay| (stay.digest, stay.until))
        .collect();
    assert_eq!(stays, [(digest("a"), Some(ago(20))), (digest("b"), None)]);
}

#[test]
fn alive_is_what_was_there_at_some_time() {
    let mut story = Story::default();
    story
        .ready(ago(100), &place("old", "one"), "a")
        .gone(ago(50), &place("old", "one"), "a")
        .ready(ago(20), &place("new", "one"), "b")
        .dormant(ago(90), &place("asleep", "one"), "c");
    let alive = |from, until| -> Vec<String> {
        let alive = story.journal().alive(ago(from), ago(until));
        alive.iter().map(ToString::to_string).collect()
    };
    assert_eq!(alive(80, 60), ["old"]);
    assert_eq!(alive(60, 10), ["new", "old"]);
    assert_eq!(alive(50, 20), Vec::<String>::new());
}

/// Whatever happens to a few images in two clusters.
fn stories() -> impl Strategy<Value = Vec<(i64, u8, u8, u8)>> {
    prop::collection::vec((1_i64..60 * DAY, 0_u8..7, 0_u8..2, 0_u8..4), 0..40)
}

fn told(list: &[(i64, u8, u8, u8)]) -> Story {
    let mut story = Story::default();
    for (hours, what, cluster, image) in list {
        let place = place("shop", ["one", "two"][usize::from(*cluster)]);
        let image = ["a", "b", "c", "d"][usize::from(*image)];
        let at = ago(*hours);
        match what {
            0 | 1 => story.ready(at, &place, image),
            2 => story.gone(at, &place, image),
            3 => story.dormant(at, &place, image),
            4 => story.push(at, "shop", image),
            5 => story.matched(at, image, "CVE-1", "2"),
            _ => story.image(image, image, "base", image),
        };
    }
    story
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters(list in stories(), seed in any::<u64>()) {
        let story = told(&list);
        let mut shuffled = story.0.clone();
        shuffled.extend(story.0.clone());
        // Some other order, the same for the same seed.
        shuffled.sort_by_key(|event| {
            let hours = (NOW - event.at).whole_hours().unsigned_abs();
            hours.wrapping_mul(seed | 1).rotate_left(17)
        });
        for frame in [frame(), proxy()] {
            let one = Journal::of(story.0.clone(), &frame);
            let other = Journal::of(shuffled.clone(), &frame);
            prop_assert_eq!(crate::kpi::ships::Ships::of(&one), crate::kpi::ships::Ships::of(&other));
            prop_assert_eq!(
                crate::kpi::exposure::exposures(&one),
                crate::kpi::exposure::exposures(&other)
            );
        }
    }

    #[test]
    fn exposures_do_not_overlap(list in stories()) {
        let journal = told(&list).journal();
        let exposures = crate::kpi::exposure::exposures(&journal);
        for pair in exposures.windows(2) {
            if pair[0].place == pair[1].place {
                prop_assert!(pair[0].clocks.gone.unwrap() + READY_FOR <= pair[1].start);
                prop_assert_eq!(pair[0].ordinal + 1, pair[1].ordinal);
            }
        }
    }

    #[test]
    fn each_digest_is_one_version(list in stories()) {
        let versions = told(&list).ships().versions;
        let digests: BTreeSet<_> = versions.iter().map(|version| version.digest).collect();
        prop_assert_eq!(digests.len(), versions.len());
    }
}
