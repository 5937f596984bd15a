//! Jobs: claimed once, lost with their lease, done once more when they were caused again.

use super::*;
use crate::testing::Kit;

const LEASE: Duration = Duration::from_secs(60);

async fn claim(kit: &Kit, worker: &str) -> Option<Job> {
    kit.store.claim_job(JobKind::Scan, worker, LEASE).await.unwrap()
}

async fn request(kit: &Kit, subject: &str, priority: JobPriority) {
    kit.store
        .request_job(JobKind::Scan, subject, priority)
        .await
        .unwrap();
}

async fn finish(kit: &Kit, job: &Job) {
    let job = job.clone();
    kit.store
        .write(move |tx| Box::pin(async move { super::finish(tx, &job).await }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_job_is_claimed_by_one_in_the_order_of_priority_and_age() {
    let kit = Kit::new().await;
    request(&kit, "old", JobPriority::Push).await;
    kit.advance(Duration::from_secs(1));
    request(&kit, "new", JobPriority::Push).await;
    request(&kit, "backfill", JobPriority::Backfill).await;
    request(&kit, "asked", JobPriority::Asked).await;
    request(&kit, "old", JobPriority::Backfill).await;
    let mut claimed = Vec::new();
    while let Some(job) = claim(&kit, "w").await {
        claimed.push(job.subject);
    }
    assert_eq!(claimed, ["asked", "old", "new", "backfill"]);
    assert!(
        kit.store
            .claim_job(JobKind::Judge, "w", LEASE)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn who_dies_loses_the_job_and_who_renews_keeps_it() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    let job = claim(&kit, "a").await.unwrap();
    kit.advance(LEASE / 2);
    assert!(kit.store.renew_job(&job, "a", LEASE).await.unwrap());
    kit.advance(LEASE / 2 + Duration::from_secs(1));
    assert!(claim(&kit, "b").await.is_none(), "it was renewed");
    kit.advance(LEASE);
    let again = claim(&kit, "b").await.unwrap();
    assert_eq!(again.attempts, 2);
    assert!(!kit.store.renew_job(&job, "a", LEASE).await.unwrap());
}

#[tokio::test]
async fn what_is_caused_again_meanwhile_is_done_again() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    let job = claim(&kit, "a").await.unwrap();
    request(&kit, "x", JobPriority::Push).await;
    assert!(claim(&kit, "b").await.is_none(), "somebody works on it");
    finish(&kit, &job).await;
    let again = claim(&kit, "b").await.unwrap();
    finish(&kit, &again).await;
    assert_eq!(
        kit.store.job_counts(JobKind::Scan).await.unwrap(),
        JobCounts::default()
    );
}

#[tokio::test]
async fn a_job_that_failed_waits_its_time() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    let job = claim(&kit, "a").await.unwrap();
    kit.store
        .return_job(&job, Duration::from_secs(10), Some("the worker died"))
        .await
        .unwrap();
    assert!(claim(&kit, "a").await.is_none());
    kit.advance(Duration::from_secs(11));
    assert_eq!(claim(&kit, "a").await.unwrap().attempts, 2);
}
