use std::sync::Arc;

use super::*;
use crate::assessment::Assessment;
use crate::evidence::EvidenceLimits;
use crate::organisation::{TierWeights, whole};

#[test]
fn the_same_seed_makes_the_same_organisation() {
    let model = Model::cnmm().unwrap();
    let few = Parameters {
        apps: 5,
        images: 50,
        days: 40,
        ..Parameters::SMALL
    };
    let make = |seed| Organisation::new(Parameters { seed, ..few }, &model).collect::<Vec<_>>();
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}

#[test]
fn it_is_taken_as_it_comes_and_has_all_its_images() {
    let model = Arc::new(Model::cnmm().unwrap());
    let mut assessment = Assessment::new(Arc::clone(&model), EvidenceLimits::default());
    let (mut images, mut last) = (0, None);
    for entry in Organisation::new(Parameters::SMALL, &model) {
        if let EntryKind::Seen(seen) = &entry.kind {
            images += u32::from(seen.fact == crate::signal::Fact::ImageSigned);
        }
        assert!(last.replace(entry.at).is_none_or(|last| last < entry.at));
        let refusal = assessment.apply(entry).refusal;
        assert_eq!(refusal, None);
    }
    assert_eq!(images, Parameters::SMALL.images);
    let whole = whole(&assessment, &TierWeights::default());
    assert_eq!(whole.apps.apps, 12);
    let spread = whole.topics.iter().map(|topic| topic.by_level.len()).max();
    assert!(spread > Some(1), "applications stand at different levels");
    assert!(
        assessment
            .history()
            .changes()
            .iter()
            .any(crate::history::Change::is_regression)
    );
}
