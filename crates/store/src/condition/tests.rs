use super::*;
use crate::JobPriority;
use crate::testing::Kit;

const MINUTE: Duration = Duration::from_mins(1);

async fn ask_for_a_scan(kit: &Kit) {
    let digest = oci::Digest::of(oci::Algorithm::Sha256, b"layer");
    let asked = kit.store.request_scan(&digest, JobPriority::Push).await;
    asked.unwrap();
}

#[tokio::test]
async fn jobs_that_nobody_takes_are_told_until_somebody_does() {
    let kit = Kit::new().await;
    kit.store.look_for_workers(MINUTE).await.unwrap();
    assert_eq!(kit.store.condition().unclaimed, None, "there is none");
    ask_for_a_scan(&kit).await;
    let since = kit.store.now();
    kit.store.look_for_workers(MINUTE).await.unwrap();
    assert_eq!(kit.store.condition().unclaimed, None, "it has just come");
    kit.advance(MINUTE);
    kit.store.look_for_workers(MINUTE).await.unwrap();
    assert_eq!(
        kit.store.condition().unclaimed,
        Some(Unclaimed { jobs: 1, since })
    );
    let job = kit.store.claim_job(JobKind::Scan, "w", 5 * MINUTE).await.unwrap();
    assert!(job.is_some());
    assert_eq!(kit.store.condition().unclaimed, None);
}

#[tokio::test]
async fn a_worker_that_works_for_long_is_not_away() {
    let kit = Kit::new().await;
    ask_for_a_scan(&kit).await;
    kit.store
        .claim_job(JobKind::Scan, "w", 10 * MINUTE)
        .await
        .unwrap();
    let other = oci::Digest::of(oci::Algorithm::Sha256, b"other");
    kit.store.request_scan(&other, JobPriority::Push).await.unwrap();
    kit.advance(5 * MINUTE);
    kit.store.look_for_workers(MINUTE).await.unwrap();
    assert_eq!(kit.store.condition().unclaimed, None);
    kit.advance(6 * MINUTE);
    kit.store.look_for_workers(MINUTE).await.unwrap();
    let unclaimed = kit.store.condition().unclaimed.unwrap();
    assert_eq!(unclaimed.jobs, 2, "its lease is over");
}

#[tokio::test]
async fn without_the_database_what_is_remembered_is_served_and_the_rest_refused_at_once() {
    let kit = Kit::new().await;
    let caller = kit.all("ann").await;
    let pull = kit.pull(&caller, "team/app");
    let manifest = kit.push_image(&caller, "team/app", "seed", &["v1"]).await;
    let known = oci::Reference::Tag("v1".parse().unwrap());
    kit.store.manifest(&pull, &known).await.unwrap().unwrap();
    let (file, aside) = (kit.path().join("roadbed.db"), kit.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    kit.store.inner.db.look(kit.store.now()).await;
    let condition = kit.store.condition();
    assert_eq!(condition.reads.map(|away| away.reason), Some(AwayReason::Missing));
    assert!(condition.writes.is_some());
    let calls = kit.store.metrics().database_calls;
    let served = kit.store.manifest(&pull, &known).await.unwrap().unwrap();
    assert_eq!(served.digest, manifest);
    assert_eq!(kit.store.metrics().database_calls, calls);
    let unknown = oci::Reference::Tag("v2".parse().unwrap());
    let refused = kit.store.manifest(&pull, &unknown).await;
    assert!(matches!(refused, Err(StoreError::Away)), "{refused:?}");
    std::fs::rename(&aside, &file).unwrap();
    kit.store.inner.db.look(kit.store.now()).await;
    assert_eq!(kit.store.manifest(&pull, &unknown).await.unwrap(), None);
    assert_eq!(kit.store.condition().reads, None);
}

#[tokio::test]
async fn a_hundred_cold_pulls_of_one_manifest_are_one_question() {
    const PULLS: usize = 100;
    let mut kit = Kit::new().await;
    let caller = kit.all("ann").await;
    kit.push_image(&caller, "team/app", "seed", &["v1"]).await;
    kit.restart().await;
    let pull = kit.pull(&caller, "team/app");
    let before = kit.store.metrics().database_calls;
    let pulls: Vec<_> = (0..PULLS)
        .map(|_| {
            let (store, pull) = (kit.store.clone(), pull.clone());
            let tag = oci::Reference::Tag("v1".parse().unwrap());
            tokio::spawn(async move { store.manifest(&pull, &tag).await.unwrap().unwrap().digest })
        })
        .collect();
    for pull in pulls {
        pull.await.unwrap();
    }
    let asked = kit.store.metrics().database_calls - before;
    assert!(asked <= 2, "{PULLS} pulls asked the database {asked} times");
}
