//! The look at all blob files: once per time of grace, a little at a time, and it always comes to its end.

use std::fs;
use std::time::Duration;

use oci::{Algorithm, Digest};

use crate::files::Location;
use crate::testing::Kit;

const FILES: u64 = 300;
/// Steps per time of grace.
const STEPS: u32 = 100;

/// A store with files that no row names.
async fn with_orphans() -> Kit {
    let mut kit = Kit::new().await;
    for number in 0..FILES {
        let digest = Digest::of(Algorithm::Sha256, &number.to_le_bytes());
        let path = kit
            .path()
            .join(Location::new(digest, uuid::Uuid::now_v7()).path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    // Directories that appear are known from the next start on.
    kit.restart().await;
    kit
}

async fn looked_at(kit: &Kit) -> u64 {
    kit.store.inner.collector.sweep.lock().await.looked_at
}

#[tokio::test]
async fn a_round_begins_once_per_grace_and_is_spread_over_it() {
    let kit = with_orphans().await;
    let tick = kit.grace() / STEPS;
    let mut most = 0;
    for round in 1..=3 {
        for _ in 0..STEPS {
            let before = looked_at(&kit).await;
            kit.store.gc_step_spread(500).await.unwrap();
            most = most.max(looked_at(&kit).await - before);
            kit.advance(tick);
        }
        // The files are young in the first round, go in the second, and are gone in the third.
        let expected = FILES * round.min(2);
        let seen = looked_at(&kit).await;
        // A round begins up to two steps late; the directories it has not come to (eleven of 512) were at most three
        // steps (of five or six directories) of the first round, which began elsewhere.
        assert!(
            seen.abs_diff(expected) <= 3 * most,
            "{seen} files in round {round}"
        );
    }
    assert!(most <= FILES / 10, "{most} files in one step");
    assert_eq!(super::blob_files(&kit), 0);
}

#[tokio::test]
async fn a_sweep_that_is_behind_goes_on_in_small_steps_until_it_is_not() {
    let kit = with_orphans().await;
    kit.store.gc_step_spread(500).await.unwrap();
    kit.advance(kit.grace());
    let mut orphans = 0;
    for _ in 0..FILES {
        let before = looked_at(&kit).await;
        let step = kit.store.gc_step_spread(7).await.unwrap();
        assert!(!step.more || looked_at(&kit).await - before == 7);
        orphans += step.orphans;
        if !step.more {
            break;
        }
    }
    assert!(orphans >= FILES - 10, "{orphans} of them went");
    let before = looked_at(&kit).await;
    // The next round is due by now, and is in no hurry.
    kit.store.gc_step_spread(500).await.unwrap();
    kit.advance(Duration::from_secs(1));
    kit.store.gc_step_spread(500).await.unwrap();
    assert!(looked_at(&kit).await - before <= 10);
}

#[tokio::test]
async fn whoever_asks_for_a_collection_gets_all_of_it() {
    let kit = with_orphans().await;
    kit.store.gc_step_spread(500).await.unwrap();
    kit.advance(kit.grace());
    // The first of the two finishes the round that had begun.
    let orphans = kit.collect().await.orphans + kit.collect().await.orphans;
    assert_eq!((orphans, super::blob_files(&kit)), (FILES, 0));
}
