//! Jobs: claimed once, lost with their lease, done once more when they were caused again.

use std::time::Duration;

use super::*;
use crate::testing::Kit;

mod model;

const LEASE: Duration = Duration::from_mins(1);

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
    assert!(kit.store.renew_job(&job, LEASE).await.unwrap());
    kit.advance(LEASE / 2 + Duration::from_secs(1));
    assert!(claim(&kit, "b").await.is_none(), "it was renewed");
    kit.advance(LEASE);
    let again = claim(&kit, "b").await.unwrap();
    assert_eq!(again.attempts, 2);
    assert!(!kit.store.renew_job(&job, LEASE).await.unwrap());
}

async fn judge(kit: &Kit, worker: &str) -> Option<Job> {
    kit.store.claim_job(JobKind::Judge, worker, LEASE).await.unwrap()
}

async fn request_judgement(kit: &Kit, subject: &str) {
    kit.store
        .request_job(JobKind::Judge, subject, JobPriority::Push)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_caused_again_meanwhile_is_done_again() {
    let kit = Kit::new().await;
    request_judgement(&kit, "x").await;
    let job = judge(&kit, "a").await.unwrap();
    request_judgement(&kit, "x").await;
    assert!(judge(&kit, "b").await.is_none(), "somebody works on it");
    finish(&kit, &job).await;
    let again = judge(&kit, "b").await.unwrap();
    finish(&kit, &again).await;
    assert_eq!(
        kit.store.job_counts(JobKind::Judge).await.unwrap(),
        JobCounts::default()
    );
}

#[tokio::test]
async fn asking_for_a_blob_again_gives_it_no_more_tries_and_does_not_hurry_it() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    let job = claim(&kit, "a").await.unwrap();
    request(&kit, "x", JobPriority::Asked).await;
    let wait = Duration::from_secs(10);
    kit.store.return_job(&job, wait, Some("it died")).await.unwrap();
    request(&kit, "x", JobPriority::Asked).await;
    assert!(claim(&kit, "a").await.is_none(), "it waits its time");
    kit.advance(wait);
    let again = claim(&kit, "a").await.unwrap();
    assert_eq!(again.attempts, 2);
    request(&kit, "x", JobPriority::Asked).await;
    finish(&kit, &again).await;
    assert!(claim(&kit, "a").await.is_none(), "its bytes are what they were");
}

#[tokio::test]
async fn who_lost_a_job_does_not_take_it_from_the_next() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    let lost = claim(&kit, "a").await.unwrap();
    kit.advance(LEASE * 2);
    let job = claim(&kit, "b").await.unwrap();
    kit.store.return_job(&lost, Duration::ZERO, None).await.unwrap();
    finish(&kit, &lost).await;
    assert!(claim(&kit, "c").await.is_none(), "b works on it");
    assert!(kit.store.renew_job(&job, LEASE).await.unwrap());
    finish(&kit, &job).await;
    assert_eq!(
        kit.store.job_counts(JobKind::Scan).await.unwrap(),
        JobCounts::default()
    );
}

#[tokio::test]
async fn a_start_waits_for_no_lease_of_the_dead() {
    let kit = Kit::new().await;
    request(&kit, "x", JobPriority::Push).await;
    claim(&kit, "a").await.unwrap();
    assert_eq!(kit.store.release_jobs().await.unwrap(), 1);
    assert_eq!(claim(&kit, "b").await.unwrap().attempts, 2);
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

/// As if the server had been ended: nobody says what became of the job. Every start asks for the judgement once more.
async fn die(kit: &Kit) {
    kit.store.release_jobs().await.unwrap();
    request_judgement(kit, "x").await;
}

#[tokio::test]
async fn a_job_that_nobody_survives_is_known_as_such_however_often_it_is_caused() {
    let kit = Kit::new().await;
    request_judgement(&kit, "x").await;
    for losses in 1..=LOSSES {
        let job = judge(&kit, "a").await.unwrap();
        assert_eq!((job.losses, job.is_fatal()), (losses, false));
        die(&kit).await;
    }
    let job = judge(&kit, "a").await.unwrap();
    assert!(job.is_fatal());
    let rest = Duration::from_hours(24);
    kit.store.give_up_job(&job, rest).await.unwrap();
    request_judgement(&kit, "x").await;
    assert!(judge(&kit, "a").await.is_none(), "nothing hurries it");
    kit.advance(rest);
    assert!(!judge(&kit, "a").await.unwrap().is_fatal(), "one try more");
    die(&kit).await;
    assert!(judge(&kit, "a").await.unwrap().is_fatal());
}

#[tokio::test]
async fn who_says_what_became_of_a_job_is_no_loss_and_neither_is_a_stop_in_good_order() {
    let kit = Kit::new().await;
    request_judgement(&kit, "x").await;
    for _ in 0..2 * LOSSES {
        let job = judge(&kit, "a").await.unwrap();
        assert_eq!(job.losses, 1);
        kit.store.return_job(&job, Duration::ZERO, None).await.unwrap();
        judge(&kit, "a").await.unwrap();
        kit.store.give_back_jobs().await.unwrap();
    }
}

#[tokio::test]
async fn the_last_try_is_made_beside_no_other_last_try() {
    let kit = Kit::new().await;
    request_judgement(&kit, "x").await;
    request_judgement(&kit, "y").await;
    for _ in 1..LOSSES {
        judge(&kit, "a").await.unwrap();
        judge(&kit, "a").await.unwrap();
        die(&kit).await;
    }
    request_judgement(&kit, "innocent").await;
    let last = judge(&kit, "a").await.unwrap();
    assert_eq!((last.subject.as_str(), last.losses), ("x", LOSSES));
    assert_eq!(judge(&kit, "a").await.unwrap().subject, "innocent");
    assert!(judge(&kit, "a").await.is_none(), "x runs");
    die(&kit).await;
    let fatal = judge(&kit, "a").await.unwrap();
    assert!(fatal.subject == "x" && fatal.is_fatal());
    kit.store.give_up_job(&fatal, LEASE).await.unwrap();
    let other = judge(&kit, "a").await.unwrap();
    assert_eq!(
        (other.subject.as_str(), other.is_fatal()),
        ("y", false),
        "it is not to blame"
    );
}

/// Two loops of one server have one name, and a job that is caused again is begun for the first time again.
#[tokio::test]
async fn who_lost_a_job_to_a_namesake_neither_renews_nor_ends_it() {
    let kit = Kit::new().await;
    request_judgement(&kit, "x").await;
    let lost = judge(&kit, "a").await.unwrap();
    request_judgement(&kit, "x").await;
    kit.advance(LEASE * 2);
    let job = judge(&kit, "a").await.unwrap();
    assert_eq!(job.attempts, lost.attempts);
    assert!(!kit.store.renew_job(&lost, LEASE).await.unwrap());
    finish(&kit, &lost).await;
    assert!(kit.store.renew_job(&job, LEASE).await.unwrap());
}
