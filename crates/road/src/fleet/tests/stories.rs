//! An index that was kept current says the same as one that was built again.

use std::collections::BTreeMap;

use findings::{Confidence, Package, PackageKind, Source, UnitKind};
use proptest::{collection::vec, prelude::*};

use super::super::{Fleet, ImageFacts, Moment, PlacedUnit, load};
use super::*;

/// One of a few packages, so that images share them.
fn packages() -> Vec<Package> {
    let mut packages = vec![
        Package::new(PackageKind::Npm, "a", "1"),
        Package::new(PackageKind::Npm, "A", "1"),
        Package::new(PackageKind::Java, "org.x:b", "2"),
        Package::new(PackageKind::Java, "b", "2"),
        Package::new(PackageKind::Dpkg, "libssl3", "3.0"),
    ];
    packages[2].inner_path = vec![
        "war\0jar".to_owned(),
        "x/log4j/core/lookup/JndiLookup.class".to_owned(),
    ];
    packages[3].confidence = Confidence::Low;
    packages[3].version_range = Some(("2".to_owned(), "3".to_owned()));
    packages[3].mitigations = vec!["JndiLookup.class removed".to_owned()];
    packages[4].source = Some(Source {
        name: "openssl".to_owned(),
        version: "3.1".to_owned(),
    });
    packages
}

fn a_unit() -> impl Strategy<Value = PlacedUnit> {
    (0..3_usize, vec(0..5_usize, 0..4), any::<bool>()).prop_map(|(path, chosen, is_owned)| {
        let all = packages();
        let chosen = chosen.into_iter().map(|number| all[number].clone());
        let mut placed = unit(["a", "b", "c"][path], UnitKind::JavaArchive, chosen.collect());
        placed.owned_by = is_owned.then(|| "owner".to_owned());
        placed
    })
}

fn some_layers() -> impl Strategy<Value = Vec<Arc<LayerFacts>>> {
    vec((0..3_usize, vec(a_unit(), 0..4)), 6).prop_map(|layers| {
        layers
            .into_iter()
            .map(|(blob, units)| layer(&blob.to_string(), units))
            .collect()
    })
}

/// The layers by number, what is hidden by number, the operating system, whether all was looked into.
type Shape = (Vec<usize>, Vec<(u32, u32)>, usize, bool);

fn a_shape() -> impl Strategy<Value = Shape> {
    (
        vec(0..6_usize, 0..5),
        vec((0..5_u32, 0..4_u32), 0..4),
        0..3_usize,
        any::<bool>(),
    )
}

fn facts_of(shape: &Shape, layers: &[Arc<LayerFacts>]) -> ImageFacts {
    let (chosen, hidden, system, is_scannable) = shape;
    let chosen: Vec<_> = chosen.iter().map(|number| layers[*number].clone()).collect();
    ImageFacts {
        os: [None, Some(os("debian", "12")), Some(os("alpine", "3.20"))][*system].clone(),
        is_scannable: *is_scannable,
        ..facts(&chosen, hidden)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(Shape),
    Remove,
    Tag(Vec<usize>),
    Base(u32),
    Forget(i64),
    Reload,
}

fn a_step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        6 => a_shape().prop_map(Step::Add),
        3 => Just(Step::Remove),
        2 => vec(0..3_usize, 0..3).prop_map(Step::Tag),
        1 => (0..4_u32).prop_map(Step::Base),
        1 => (0..10_i64).prop_map(Step::Forget),
        1 => Just(Step::Reload),
    ];
    (0..6_usize, step)
}

/// What a store would know of an image.
#[derive(Debug, Clone, Default)]
struct Known {
    facts: ImageFacts,
    lives: Vec<(i64, Option<i64>)>,
    tags: Vec<&'static str>,
}

impl Known {
    fn is_there(&self) -> bool {
        self.lives.last().is_some_and(|(_, until)| until.is_none())
    }
}

fn name(image: usize) -> ImageKey {
    key(["team/x", "team/y"][image % 2], &(image / 2).to_string())
}

fn carry_out(
    fleet: &mut Fleet,
    store: &mut BTreeMap<usize, Known>,
    layers: &[Arc<LayerFacts>],
    now: i64,
    (image, step): &(usize, Step),
) {
    let key = name(*image);
    match step {
        Step::Add(shape) => {
            let facts = facts_of(shape, layers);
            fleet.add_image(&key, &facts, Moment(now));
            let known = store.entry(*image).or_default();
            known.facts = facts;
            if !known.is_there() {
                known.lives.push((now, None));
            }
        }
        Step::Remove => {
            fleet.remove_image(&key, Moment(now));
            if let Some(known) = store.get_mut(image).filter(|known| known.is_there()) {
                known.lives.last_mut().unwrap().1 = Some(now);
                known.tags.clear();
            }
        }
        Step::Tag(tags) => {
            let tags: Vec<&str> = tags.iter().map(|tag| ["latest", "1.0", "1.1"][*tag]).collect();
            fleet.set_tags(&key, tags.iter().copied());
            if let Some(known) = store.get_mut(image).filter(|known| known.is_there()) {
                known.tags = tags;
            }
        }
        Step::Base(count) => {
            fleet.set_base_layers(&key, *count);
            if let Some(known) = store.get_mut(image) {
                known.facts.base_layers = *count;
            }
        }
        Step::Forget(age) => {
            fleet.forget(Moment(now - age));
            for known in store.values_mut() {
                known
                    .lives
                    .retain(|(_, until)| until.is_none_or(|until| until > now - age));
            }
            store.retain(|_, known| !known.lives.is_empty());
        }
        Step::Reload => *fleet = load(&fleet.encode(7)).unwrap().0,
    }
}

/// Built from what the store knows, in another order.
fn built_again(store: &BTreeMap<usize, Known>) -> Fleet {
    let mut fleet = Fleet::default();
    for (image, known) in store.iter().rev() {
        let key = name(*image);
        for (from, until) in &known.lives {
            fleet.add_image(&key, &known.facts, Moment(*from));
            if let Some(until) = until {
                fleet.remove_image(&key, Moment(*until));
            }
        }
        fleet.set_tags(&key, known.tags.iter().copied());
    }
    fleet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_kept_current_is_what_is_built_again(
        layers in some_layers(),
        steps in vec(a_step(), 0..40),
    ) {
        let mut fleet = Fleet::default();
        let mut store = BTreeMap::new();
        for (now, step) in (100..).zip(&steps) {
            carry_out(&mut fleet, &mut store, &layers, now, step);
        }
        let again = built_again(&store);
        prop_assert_eq!(fleet.dump(), again.dump());
        prop_assert_eq!(fleet.sizes(), again.sizes());
        let (loaded, event) = load(&fleet.encode(7)).unwrap();
        prop_assert_eq!(event, 7);
        prop_assert_eq!(loaded.dump(), again.dump());
    }
}

#[test]
fn whoever_pushes_and_deletes_all_day_fills_no_memory() {
    let mut fleet = Fleet::default();
    let key = key("team/x", "1");
    for day in 0..1_000 {
        fleet.add_image(&key, &facts(&[], &[]), Moment(2 * day));
        fleet.remove_image(&key, Moment(2 * day + 1));
    }
    let number = fleet.number_of(&key).unwrap();
    assert_eq!(fleet.images.get(number).unwrap().lives.len(), super::super::LIVES);
    assert_eq!(fleet.forget(Moment(5_000)), 1);
    assert_eq!(fleet.sizes(), [0; 4]);
}
