//! However few judgements are made at once, all of them are made, and come to the same.

use std::{collections::BTreeSet, sync::Arc};

use store::{JobKind, JobPriority, Point, Store, Which};

use super::*;
use crate::judge::{
    JudgeLimits, LEASE,
    tests::{decided, open, push, start_within},
};

const IMAGES: usize = 7;

async fn plant(store: &Store) -> Vec<(RepoName, Digest)> {
    let mut images = Vec::new();
    for number in 0..IMAGES {
        let repo: RepoName = format!("team/app{number}").parse().unwrap();
        let digest = push(store, &repo, &[]).await;
        images.push((repo, digest));
    }
    images
}

/// What is decided within limits of images whose judgements nobody waits for.
async fn within(limits: JudgeLimits) -> BTreeSet<(Arc<str>, Arc<str>)> {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let images = plant(&store).await;
    // As after an import: nobody waits.
    while let Some(job) = store.claim_job(JobKind::Judge, "test", LEASE).await.unwrap() {
        store.drop_job(&job).await.unwrap();
    }
    let asked = store.request_judgements(Which::All, JobPriority::Backfill);
    assert_eq!(asked.await.unwrap(), IMAGES as u64);
    let (_loops, knowledge) = start_within(&store, LEASE, limits);
    let following = tokio::spawn(knowledge.follow());
    let mut bodies = BTreeSet::new();
    for (repo, digest) in &images {
        decided(&store, repo, digest).await;
        let [pull, push] =
            [Point::Pull, Point::Push].map(|point| store.decision_with_text(repo, digest, point));
        let (_, pull) = pull.await.unwrap().unwrap();
        let (_, push) = push.await.unwrap().unwrap();
        bodies.insert((pull, push));
    }
    following.abort();
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_change_nothing_but_how_many_are_made_at_once() {
    let usual = JudgeLimits::default();
    let all = within(usual).await;
    assert_eq!(all.len(), 1, "the images are alike");
    for limits in [
        JudgeLimits { batch: 1, ..usual },
        JudgeLimits { batch: 3, ..usual },
        // No report is read with others: each image is judged by itself.
        JudgeLimits {
            batch_memory: 0,
            ..usual
        },
        // There is time for the first of each batch.
        JudgeLimits {
            batch_time: Duration::ZERO,
            ..usual
        },
        JudgeLimits {
            package_memory: 0,
            ..usual
        },
    ] {
        assert_eq!(within(limits).await, all, "{limits:?}");
    }
}

#[test]
fn as_many_are_claimed_as_there_was_time_for() {
    let size = Size::at_most(100);
    size.note(40, 60);
    assert_eq!(size.now(), 40);
    size.note(40, 0);
    assert_eq!(size.now(), 80);
    // The end of a queue says nothing of how long a judgement takes.
    size.note(3, 0);
    assert_eq!(size.now(), 80);
    size.note(80, 0);
    assert_eq!(size.now(), 100);
    size.note(0, 100);
    assert_eq!(size.now(), FEWEST);
    let one = Size::at_most(1);
    one.note(0, 1);
    assert_eq!(one.now(), 1);
}
