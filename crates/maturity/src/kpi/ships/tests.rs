use super::*;
use crate::kpi::event::What;
use crate::kpi::testing::{NOW, Story, ago, app, digest, place, proxy};
use time::Duration;

fn kinds(story: &Story) -> Vec<Kind> {
    story
        .ships()
        .versions
        .iter()
        .map(|version| version.kind)
        .collect()
}

/// Five digests, one after the other in one place.
fn rolled(images: &[(&str, &str, &str, &str)]) -> Story {
    let mut story = Story::default();
    let shop = place("shop", "one");
    let mut before = None;
    for (hours, (image, layers, base, revision)) in (0_i64..).zip(images) {
        let at = ago(1_000 - 24 * hours);
        story.image(image, layers, base, revision);
        match before.replace(image) {
            Some(before) => story.roll(at, &shop, before, image),
            None => story.ready(at, &shop, image),
        };
    }
    story
}

#[test]
fn rebases_are_no_feature_versions() {
    use Kind::{Feature, Maintenance};
    let story = rolled(&[
        ("a", "app1", "base1", "r1"),
        // The same layers on another base: with the label as it was, and with what a machine committed.
        ("b", "app1", "base2", "r1"),
        ("c", "app1", "base3", "r2"),
        // New layers, a new revision that changes nothing in the image but its labels, and nothing new at all.
        ("d", "app2", "base3", "r3"),
        ("e", "app2", "base3", "r4"),
        ("f", "app2", "base3", "r4"),
    ]);
    assert_eq!(
        kinds(&story),
        [Feature, Maintenance, Maintenance, Feature, Feature, Maintenance]
    );
}

#[test]
fn a_build_that_differs_each_time_is_told() {
    let story = rolled(&[("a", "app1", "base1", "r1"), ("b", "app1-again", "base2", "r1")]);
    let versions = story.ships().versions;
    assert_eq!(
        (versions[1].kind, versions[1].same_revision),
        (Kind::Feature, true)
    );
    assert!(!versions[0].same_revision);
}

#[test]
fn what_is_not_known_counts_as_nothing() {
    let mut story = Story::default();
    story.ready(ago(50), &place("shop", "one"), "a");
    assert_eq!(kinds(&story), [Kind::Unclassified]);
    // By the revision alone.
    story.tell(
        ago(60),
        What::Label {
            digest: digest("a"),
            revision: Some("r1".parse().unwrap()),
            created: None,
        },
    );
    assert_eq!(kinds(&story), [Kind::Feature]);
}

#[test]
fn rollbacks_and_configuration_deploys_are_apart() {
    let mut story = rolled(&[("a", "app1", "base", "r1"), ("b", "app2", "base", "r2")]);
    let shop = place("shop", "one");
    story
        // The same digest again, then back to the first, and forward again.
        .ready(ago(500), &shop, "b")
        .roll(ago(400), &shop, "b", "a")
        .roll(ago(300), &shop, "a", "b");
    let ships = story.ships();
    assert_eq!(ships.versions.len(), 2);
    let shown = |list: &[Again]| -> Vec<_> { list.iter().map(|one| (one.at, one.from, one.to)).collect() };
    assert_eq!(
        shown(&ships.configurations),
        [(ago(500), digest("b"), digest("b"))]
    );
    assert_eq!(
        shown(&ships.rollbacks),
        [
            (ago(400), digest("b"), digest("a")),
            (ago(300), digest("a"), digest("b"))
        ]
    );
}

#[test]
fn a_rollback_to_what_never_left_is_one() {
    let mut story = Story::default();
    let shop = place("shop", "one");
    story
        .ready(ago(50), &shop, "a")
        .ready(ago(40), &shop, "b")
        .ready(ago(39), &shop, "a")
        .gone(ago(38), &shop, "b");
    assert_eq!(story.ships().rollbacks.len(), 1);
}

#[test]
fn many_clusters_count_once() {
    let mut story = Story::default();
    for (hours, cluster) in [(0, "one"), (1, "two"), (2, "three")] {
        let shop = place("shop", cluster);
        story
            .image("a", "app1", "base", "r1")
            .image("b", "app2", "base", "r2")
            .ready(ago(100 - hours), &shop, "a")
            .roll(ago(80 - hours), &shop, "a", "b")
            .ready(ago(60 - hours), &shop, "b")
            .roll(ago(40 - hours), &shop, "b", "a");
    }
    let ships = story.ships();
    let first: Vec<_> = ships.versions.iter().map(|version| version.at).collect();
    assert_eq!(first, [ago(100), ago(80)]);
    assert_eq!((ships.rollbacks.len(), ships.configurations.len()), (1, 1));
    // Another time in one of them is another rollback.
    let one = place("shop", "one");
    story.roll(ago(20), &one, "a", "b").roll(ago(10), &one, "b", "a");
    assert_eq!(story.ships().rollbacks.len(), 3);
}

#[test]
fn only_production_counts_and_only_what_holds() {
    let mut story = Story::default();
    let mut staging = place("shop", "one");
    staging.environment = "staging".parse().unwrap();
    let shop = place("shop", "one");
    story
        .ready(ago(50), &staging, "a")
        .ready(ago(40), &shop, "b")
        .gone(ago(40) + Duration::minutes(9), &shop, "b")
        .ready(NOW - Duration::minutes(5), &shop, "c");
    assert_eq!(story.ships().versions, []);
}

#[test]
fn applications_are_compared_to_themselves() {
    let mut story = Story::default();
    story
        .image("a", "app1", "base", "r1")
        .ready(ago(50), &place("shop", "one"), "a")
        .ready(ago(40), &place("office", "one"), "a");
    let versions = story.ships().versions;
    let apps: Vec<_> = versions
        .iter()
        .map(|version| (version.app.clone(), version.kind))
        .collect();
    assert_eq!(
        apps,
        [(app("shop"), Kind::Feature), (app("office"), Kind::Feature)]
    );
}

#[test]
fn without_clusters_release_pushes_stand_for_them() {
    let mut story = Story::default();
    story
        .image("a", "app1", "base", "r1")
        .image("b", "app2", "base", "r2")
        .push(ago(50), "shop", "a")
        // The same again, the next one, and the release tag put back.
        .push(ago(45), "shop", "a")
        .push(ago(40), "shop", "b")
        .push(ago(30), "shop", "a");
    let ships = Ships::of(&story.asked(&proxy()));
    assert_eq!(ships.versions.len(), 2);
    assert_eq!((ships.rollbacks.len(), ships.configurations.len()), (1, 0));
}
