use super::*;
use crate::application::ImageWords;
use crate::base::Bases;
use crate::base::tests::base;
use oci::Algorithm;
use proptest::prelude::*;
use time::macros::datetime;

pub(crate) fn layer(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

pub(crate) fn release(base: &str, version: &str, layers: &[&str]) -> Release {
    Release {
        base: base.parse().unwrap(),
        digest: layer(&format!("{base}:{version}")),
        version: version.to_owned(),
        diff_ids: layers.iter().map(|name| layer(name)).collect(),
        platform: "linux/amd64".to_owned(),
        released_at: datetime!(2026-11-01 0:00 UTC),
        superseded: None,
        is_target: true,
        word: Word::Pusher,
    }
}

pub(crate) fn layers(names: &[&str]) -> Vec<Option<Digest>> {
    names.iter().map(|name| Some(layer(name))).collect()
}

fn index() -> BaseIndex {
    BaseIndex::build(vec![
        release("debian12", "12.1", &["d1"]),
        release("java17", "17.1", &["d1", "j1"]),
        release("java17", "17.2", &["d2", "j2"]),
    ])
    .unwrap()
}

#[test]
fn the_chain_id_is_the_specifications() {
    let [a, b] = ["a", "b"].map(layer);
    assert_eq!(chain_id(&[a]), Some(a));
    assert_eq!(
        chain_id(&[a, b]),
        Some(Digest::of(Algorithm::Sha256, format!("{a} {b}").as_bytes()))
    );
    assert_eq!(chain_id(&[]), None);
}

#[test]
fn the_longest_known_base_counts() {
    let index = index();
    for (names, wanted, length) in [
        (&["d1", "j1", "app"][..], &["debian12", "java17"][..], 2),
        (&["d1", "app"], &["debian12"], 1),
        (&["d2", "j2"], &["java17"], 2),
        (&["j1", "d1"], &[], 0),
        (&["d2", "app"], &[], 0),
        (&[], &[], 0),
    ] {
        let lineage = index.lineage(&layers(names));
        let found: Vec<&str> = lineage
            .stack
            .iter()
            .map(|standing| standing.base.as_str())
            .collect();
        assert_eq!(found, wanted, "{names:?}");
        assert_eq!(lineage.base().map_or(0, |base| base.layers), length);
    }
}

#[test]
fn a_layer_that_cannot_be_read_is_not_the_end_of_the_truth() {
    use LayerOrigin::{Base, Unknown};

    let mut known = layers(&["d1", "j1", "app", "more"]);
    known[2] = None;
    let lineage = index().lineage(&known);
    assert_eq!(lineage.base().unwrap().base.as_str(), "java17");
    assert!(!lineage.is_complete());
    let origins: Vec<_> = (0..4).map(|layer| lineage.origin(layer)).collect();
    assert_eq!(origins, [Base, Base, Unknown, Unknown]);
}

#[test]
fn findings_are_split_by_layer() {
    let lineage = index().lineage(&layers(&["d1", "j1", "app"]));
    let split = lineage.split(
        [("a", Some(0)), ("b", Some(2)), ("c", Some(1)), ("d", None)],
        |thing| thing.1,
    );
    let names = |things: &[(&'static str, _)]| things.iter().map(|thing| thing.0).collect::<String>();
    assert_eq!(
        (names(&split.base), names(&split.own), names(&split.unknown)),
        ("ac".into(), "b".into(), "d".into())
    );
}

#[test]
fn equal_layers_are_the_current_release() {
    let mut old = release("java17", "17.1", &["x"]);
    old.superseded = Some(Superseded {
        at: datetime!(2026-11-02 0:00 UTC),
        worst_fixed: Severity::Critical,
    });
    let index = BaseIndex::build(vec![old.clone(), release("java17", "17.1-relabelled", &["x"])]).unwrap();
    let found = index.lineage(&layers(&["x", "app"]));
    assert_eq!(found.base().unwrap().version, "17.1-relabelled");
    // Also by its own annotation it stands where it says.
    let (words, _) = ImageWords::read([("org.opencontainers.image.base.digest", &*old.digest.to_string())]);
    let hint = BaseHint::check(&words, &found, &index, &Bases::default());
    assert!(matches!(hint, BaseHint::Agrees { .. }), "{hint:?}");
}

#[test]
fn whoever_copies_a_release_of_another_base_gets_nothing_by_it() {
    let mut own = release("java17", "17.1", &["d", "j"]);
    let at = datetime!(2026-11-02 0:00 UTC);
    own.superseded = Some(Superseded {
        at,
        worst_fixed: Severity::Critical,
    });
    let copy = Release {
        base: "toys".parse().unwrap(),
        released_at: at,
        superseded: None,
        ..own.clone()
    };
    let longer = release("tomcat", "9", &["d", "j", "t"]);
    for all in [
        vec![own.clone(), copy.clone(), longer.clone()],
        vec![copy.clone(), longer.clone(), own.clone()],
    ] {
        let index = BaseIndex::build(all).unwrap();
        assert_eq!(index.len(), 3);
        assert_eq!(index.release(&own.digest).unwrap().base, own.base);
        let found = index.lineage(&layers(&["d", "j", "app"]));
        let base = found.base().unwrap();
        assert_eq!((&base.base, base.superseded), (&own.base, own.superseded));
        let found = index.lineage(&layers(&["d", "j", "t", "app"]));
        let names: Vec<&str> = found
            .stack
            .iter()
            .map(|standing| standing.base.as_str())
            .collect();
        assert_eq!(names, ["java17", "tomcat"]);
    }
    // Nor by having been there before the signed one.
    let (early, mut signed) = (
        Release {
            released_at: at - time::Duration::DAY * 9,
            ..copy
        },
        own,
    );
    signed.word = Word::Signer;
    let index = BaseIndex::build(vec![early, signed]).unwrap();
    assert_eq!(
        index.lineage(&layers(&["d", "j"])).base().unwrap().base.as_str(),
        "java17"
    );
}

#[test]
fn a_new_base_names_the_images_to_look_at() {
    let mut images = ImageChains::default();
    images.add(7, &layers(&["d1", "j1", "app"]));
    images.add(3, &layers(&["d1", "j1"]));
    images.add(4, &layers(&["d1", "x"]));
    images.add(5, &layers(&["y"]));
    let mut index = BaseIndex::default();
    let java = release("java17", "17.1", &["d1", "j1"]);
    let chain = index.add(java.clone()).unwrap();
    assert_eq!(images.on(&chain), [3, 7]);
    assert_eq!(index.images_to_look_at_again(&java.digest, &images), [3, 7]);
    images.remove(7);
    images.add(3, &layers(&["y"]));
    assert_eq!(images.on(&chain), [0_u32; 0]);
    assert_eq!(images.len(), 3);
    assert!(index.images_to_look_at_again(&layer("other"), &images).is_empty());
}

#[test]
fn annotations_are_only_hints() {
    let (index, bases) = (
        index(),
        Bases::build(vec![base("java17"), base("debian12")]).unwrap(),
    );
    let (java, lineage) = (release("java17", "17.2", &[]).digest.to_string(), |names| {
        index.lineage(&layers(names))
    });
    let check = |key, value: &str, lineage: &Lineage| {
        let (words, _) = ImageWords::read([(key, value)]);
        BaseHint::check(&words, lineage, &index, &bases)
    };
    let (by_digest, by_name) = (
        "org.opencontainers.image.base.digest",
        "org.opencontainers.image.base.name",
    );
    let hint = check(by_digest, &java, &lineage(&["d2", "j2", "app"]));
    assert!(matches!(hint, BaseHint::Agrees { .. }));
    let hint = check(by_digest, &java, &lineage(&["d1", "miner"]));
    assert!(matches!(hint, BaseHint::Lies { found: Some(found), .. } if found.as_str() == "debian12"));
    assert_eq!(
        check(by_digest, &layer("?").to_string(), &lineage(&["d1"])),
        BaseHint::Silent
    );
    let name = "registry.local:5000/base/java17:stable@sha256:0";
    assert!(matches!(
        check(by_name, name, &lineage(&["d1", "j1"])),
        BaseHint::Agrees { .. }
    ));
    assert!(matches!(
        check(by_name, name, &lineage(&["z"])),
        BaseHint::NotBorneOut { found: None, .. }
    ));
    let mut hole = layers(&["z"]);
    hole.push(None);
    assert_eq!(check(by_name, name, &index.lineage(&hole)), BaseHint::Silent);
    assert_eq!(check(by_name, "Not A Name", &lineage(&["z"])), BaseHint::Silent);
}

#[test]
fn a_lie_is_one_wherever_it_stands() {
    let (index, bases) = (index(), Bases::default());
    let java = release("java17", "17.1", &["d1", "j1"]).digest.to_string();
    let by_digest = "org.opencontainers.image.base.digest";
    let words = |values: &[&str]| ImageWords::read(values.iter().map(|value| (by_digest, *value))).0;
    let lineage = index.lineage(&layers(&["d1", "miner"]));
    let other = layer("?").to_string();
    for (label, annotation) in [(&java, &other), (&other, &java)] {
        let hint = BaseHint::check_both(
            &words(&[label, annotation]),
            &words(&[label]),
            &lineage,
            &index,
            &bases,
        );
        assert!(matches!(hint, BaseHint::Lies { .. }), "{hint:?}");
    }
    let silent = BaseHint::check_both(&words(&[&other]), &words(&[]), &lineage, &index, &bases);
    assert_eq!(silent, BaseHint::Silent);
}

#[test]
fn releases_beyond_the_limits_are_refused() {
    let mut index = BaseIndex::default();
    let names: Vec<String> = (0..=MAX_LAYERS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let deep = index.add(release("a", "1", &names)).unwrap_err();
    assert!(matches!(deep, ReleaseError::Deep { layers: 501, .. }));
    assert!(matches!(
        index.add(release("a", "1", &[])),
        Err(ReleaseError::Empty(_))
    ));
    for n in 0..MAX_RELEASES {
        index.add(release("a", &n.to_string(), &["x"])).unwrap();
    }
    assert_eq!(
        index.add(release("a", "one more", &["x"])),
        Err(ReleaseError::TooMany)
    );
    // One that is known already may change.
    index.add(release("a", "7", &["y"])).unwrap();
    assert_eq!(index.lineage(&layers(&["y"])).base().unwrap().version, "7");
}

proptest! {
    #[test]
    fn the_index_finds_what_comparing_finds(
        bases in prop::collection::vec(prop::collection::vec(0_u8..3, 1..4), 0..6),
        image in prop::collection::vec(0_u8..3, 0..6),
    ) {
        let name = |n: &u8| layer(&n.to_string());
        let mut index = BaseIndex::default();
        let mut images = ImageChains::default();
        let ids: Vec<Option<Digest>> = image.iter().map(|n| Some(name(n))).collect();
        images.add(1, &ids);
        for (place, stack) in bases.iter().enumerate() {
            let mut release = release("b", &place.to_string(), &["x"]);
            release.diff_ids = stack.iter().map(name).collect();
            let chain = index.add(release).unwrap();
            prop_assert_eq!(images.on(&chain) == [1], image.starts_with(stack));
        }
        let longest = bases.iter().filter(|stack| image.starts_with(stack)).map(Vec::len).max();
        prop_assert_eq!(index.lineage(&ids).base().map(|base| base.layers), longest);
    }
}
