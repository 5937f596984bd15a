use super::*;
use oci::Algorithm;

use crate::cohort::Because;

fn layer(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

fn stand(repository: &str, owner: Option<&str>, cohort: Cohort, layers: &[&str]) -> Stand {
    Stand {
        repository: repository.parse().unwrap(),
        application: None,
        owner: owner.map(|owner| owner.parse().unwrap()),
        verdict: Verdict {
            cohort,
            because: Because::NoBase,
            exempt: None,
        },
        diff_ids: layers.iter().map(|name| layer(name)).collect(),
    }
}

fn four() -> Vec<Stand> {
    vec![
        stand("a/one", Some("a"), Cohort::OwnRoad, &["os", "node", "one"]),
        stand("a/two", Some("a"), Cohort::OwnRoad, &["os", "node", "two"]),
        stand("b/one", Some("b"), Cohort::OwnRoad, &["os", "node", "three"]),
        stand("c/one", Some("c"), Cohort::OwnRoad, &["os", "other"]),
    ]
}

#[test]
fn the_longest_stack_that_enough_teams_share_is_found() {
    let found = shared(&four(), 3, 2);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].layers, found[0].repositories, found[0].team_count),
        (1, 4, 3)
    );
    let found = shared(&four(), 2, 2);
    let shown: Vec<_> = found
        .iter()
        .map(|base| (base.layers, base.repositories))
        .collect();
    assert_eq!(shown, [(1, 4), (2, 3)]);
    assert_eq!(found[1].examples[0].as_str(), "a/one");
}

#[test]
fn of_two_stacks_with_the_same_images_the_longer_one_is_told() {
    let only: Vec<Stand> = four().into_iter().take(3).collect();
    let found = shared(&only, 2, 2);
    assert_eq!(found.iter().map(|base| base.layers).collect::<Vec<_>>(), [2]);
}

#[test]
fn one_team_alone_proposes_nothing() {
    let alone = [
        stand("a/one", Some("a"), Cohort::OwnRoad, &["os"]),
        stand("x/one", None, Cohort::OwnRoad, &["os"]),
    ];
    assert_eq!(shared(&alone, TEAMS_THAT_PROPOSE, 2), []);
    assert_eq!(shared(&alone, 0, 2).len(), 1);
}

#[test]
fn hostile_stacks_are_cut() {
    let names: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let two = [
        stand("a/one", Some("a"), Cohort::OwnRoad, &names),
        stand("b/one", Some("b"), Cohort::OwnRoad, &names),
    ];
    assert_eq!(shared(&two, 2, 2)[0].layers, LAYERS_COMPARED);
    assert_eq!(
        shared(&[stand("a/one", Some("a"), Cohort::OwnRoad, &[])], 0, 0),
        []
    );
}

#[test]
fn bands_are_counted_by_owner() {
    let mut stands = four();
    stands.push(stand("a/three", Some("a"), Cohort::Paved, &["os"]));
    stands.push(stand("x/one", None, Cohort::Unknown, &[]));
    let bands = by_owner(&stands);
    let a = &bands[&Some("a".parse().unwrap())];
    assert_eq!((a.of(Cohort::OwnRoad), a.of(Cohort::Paved), a.all()), (2, 1, 3));
    assert_eq!(bands[&None].of(Cohort::Unknown), 1);
    assert_eq!(serde_json::to_string(a).unwrap(), r#"{"paved":1,"own-road":2}"#);
}
