//! Reasons are kept once, as long as a decision has them, wherever they were written.

use std::time::Duration;

use super::*;
use crate::decision::{Finished, Judgement, Outcome};
use crate::job::{JobKind, JobPriority};
use crate::testing::Kit;
use crate::{DamageKind, FsckOptions, Timestamp, blob};

const LEASE: Duration = Duration::from_mins(1);

fn judgement(text: &str) -> Judgement {
    Judgement {
        outcome: Outcome::Warn,
        line: String::new(),
        body: Reasons::of(text.to_owned()),
        policy: String::new(),
        evidence: String::new(),
        generation: 1,
        review_at: None,
        waives: text.contains("waived"),
    }
}

/// Images of one repository.
struct Images {
    kit: Kit,
    repo: RepoName,
    digests: Vec<Digest>,
}

impl Images {
    async fn new(count: usize) -> Self {
        let kit = Kit::new().await;
        let ci = kit.all("ci").await;
        let mut digests = Vec::new();
        for number in 0..count {
            let name = format!("i{number}");
            digests.push(kit.push_image(&ci, "team/app", &name, &[&name]).await);
        }
        // Pushes are judged one by one.
        while let Some(job) = kit.store.claim_job(JobKind::Judge, "w", LEASE).await.unwrap() {
            kit.store.drop_job(&job).await.unwrap();
        }
        let repo = "team/app".parse().unwrap();
        Self { kit, repo, digests }
    }

    /// Decides all of them together, each as `text` says.
    async fn decide(&self, text: impl Fn(usize) -> String) {
        let store = &self.kit.store;
        for digest in &self.digests {
            let subject = blob::subject(&self.repo, digest);
            let asked = store.request_job(JobKind::Judge, &subject, JobPriority::Backfill);
            asked.await.unwrap();
        }
        let jobs = store.claim_jobs(JobKind::Judge, "w", LEASE, 100).await.unwrap();
        assert_eq!(jobs.len(), self.digests.len());
        let finished = jobs.into_iter().map(|job| {
            let number = self
                .digests
                .iter()
                .position(|digest| blob::subject(&self.repo, digest) == job.subject);
            let number = number.unwrap();
            Finished {
                job,
                repo: self.repo.clone(),
                digest: self.digests[number],
                verdicts: [Point::Push, Point::Pull]
                    .map(|point| (point, judgement(&text(number))))
                    .to_vec()
                    .into(),
            }
        });
        store.finish_judgements(finished.collect()).await.unwrap();
    }

    /// Decides one of them by itself.
    async fn decide_one(&self, number: usize, text: &str) {
        let store = &self.kit.store;
        let digest = &self.digests[number];
        let subject = blob::subject(&self.repo, digest);
        store
            .request_job(JobKind::Judge, &subject, JobPriority::Asked)
            .await
            .unwrap();
        let job = store
            .claim_job(JobKind::Judge, "w", LEASE)
            .await
            .unwrap()
            .unwrap();
        let verdicts = vec![(Point::Push, judgement(text)), (Point::Pull, judgement(text))];
        store
            .finish_judgement(&job, &self.repo, digest, verdicts.into())
            .await
            .unwrap();
    }

    async fn text(&self, number: usize) -> String {
        let found = self
            .kit
            .store
            .decision_with_text(&self.repo, &self.digests[number], Point::Pull);
        found.await.unwrap().unwrap().1.to_string()
    }

    async fn decided_at(&self, number: usize) -> Timestamp {
        let found = self
            .kit
            .store
            .decision(&self.repo, &self.digests[number], Point::Pull);
        found.await.unwrap().unwrap().decided_at
    }

    async fn kept(&self) -> i64 {
        let sql = "SELECT COUNT(*) AS number FROM decision_text";
        let count: Option<sql::Number> = sql::first(self.kit.store.inner.db.read(), sql, []).await.unwrap();
        count.unwrap().number
    }

    async fn write(&self, sql: &'static str) {
        let write = self
            .kit
            .store
            .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, []).await.map(drop) }));
        write.await.unwrap();
    }
}

fn long(what: &str) -> String {
    format!(r#"{{"reasons":["{}"]}}"#, what.repeat(1_000))
}

#[tokio::test]
async fn what_many_images_have_is_kept_once_and_goes_with_the_last() {
    let images = Images::new(6).await;
    images
        .decide(|number| long(if number < 5 { "same" } else { "other" }))
        .await;
    assert_eq!(images.kept().await, 2);
    for number in 0..6 {
        let expected = long(if number < 5 { "same" } else { "other" });
        assert_eq!(images.text(number).await, expected);
    }
    images.decide_one(5, &long("third")).await;
    assert_eq!((images.text(5).await, images.kept().await), (long("third"), 2));
    images.decide(|_| long("fourth")).await;
    assert_eq!(
        (images.text(0).await, images.text(5).await, images.kept().await),
        (long("fourth"), long("fourth"), 1)
    );
    let permit = {
        let ci = images.kit.all("remover").await;
        images.kit.delete(&ci, "team/app")
    };
    for (number, digest) in images.digests.iter().enumerate() {
        images.kit.store.delete_manifest(&permit, digest).await.unwrap();
        assert_eq!(images.kept().await, i64::from(number < 5));
    }
}

#[tokio::test]
async fn what_was_written_into_rows_is_read_and_moves_when_it_is_written_anew() {
    let images = Images::new(3).await;
    images.decide(|_| r#"{"waived":[]}"#.to_owned()).await;
    // As it was before texts were kept by themselves, with marks and without.
    images
        .write(r#"UPDATE decision SET body = '{"waived":[]}', said_at = decided_at"#)
        .await;
    images.write("DELETE FROM decision_text").await;
    images.write("UPDATE decision SET said = NULL WHERE repository_id > 0 AND digest = (SELECT MIN(digest) FROM decision)").await;
    images.kit.store.inner.caches.epochs.bump_all();
    let before = images.decided_at(0).await;
    for (number, digest) in images.digests.iter().enumerate() {
        assert_eq!(images.text(number).await, r#"{"waived":[]}"#);
        let waived = images
            .kit
            .store
            .waived_decision(&images.repo, digest)
            .await
            .unwrap();
        assert_eq!(waived.as_deref(), Some(r#"{"waived":[]}"#));
    }
    images.kit.advance(Duration::from_mins(1));
    images.decide_one(0, r#"{"waived":[]}"#).await;
    images.decide(|_| r#"{"waived":[]}"#.to_owned()).await;
    assert_eq!(images.decided_at(0).await, before, "nothing new was said");
    images.decide(|_| "{}".to_owned()).await;
    for number in 0..3 {
        assert_eq!(images.text(number).await, "{}");
        assert!(images.decided_at(number).await > before);
    }
    assert_eq!(images.kept().await, 1);
}

#[tokio::test]
async fn a_text_that_is_gone_is_told_as_damage() {
    let images = Images::new(1).await;
    images.decide(|_| "{}".to_owned()).await;
    images.write("DELETE FROM decision_text").await;
    let found = images
        .kit
        .store
        .decision_with_text(&images.repo, &images.digests[0], Point::Pull);
    let error = found.await.unwrap_err().to_string();
    assert!(error.contains("the reasons of team/app@"), "{error}");
    // Whether it is served does not depend on it, nor what others read.
    let waived = images.kit.store.waived_decision(&images.repo, &images.digests[0]);
    assert_eq!(waived.await.unwrap(), None);
    let decided = images
        .kit
        .store
        .decision(&images.repo, &images.digests[0], Point::Pull);
    assert_eq!(decided.await.unwrap().unwrap().outcome, Outcome::Warn);
    // Whoever decides the same again has it there again.
    images.decide(|_| "{}".to_owned()).await;
    assert_eq!((images.text(0).await.as_str(), images.kept().await), ("{}", 1));
}

impl Images {
    /// Two images with reasons of their own, of which one has those of the other in their place.
    async fn damaged() -> Self {
        let images = Self::new(2).await;
        images.decide(|number| long(&number.to_string())).await;
        images
            .write(
                "UPDATE decision_text SET packed = (SELECT packed FROM decision_text ORDER BY said LIMIT 1)",
            )
            .await;
        images.kit.store.inner.caches.epochs.bump_all();
        images
    }

    /// How many of the images have no reasons that can be told.
    async fn without_text(&self) -> usize {
        let mut without = 0;
        for (number, digest) in self.digests.iter().enumerate() {
            let store = &self.kit.store;
            match store.decision_with_text(&self.repo, digest, Point::Pull).await {
                Ok(found) => assert_eq!(*found.unwrap().1, *long(&number.to_string())),
                Err(_) => without += 1,
            }
        }
        without
    }

    async fn asked_for(&self) -> u64 {
        self.kit.store.job_counts(JobKind::Judge).await.unwrap().waiting
    }

    async fn check(&self, quarantine: bool) -> Vec<(DamageKind, bool, Vec<String>)> {
        let options = FsckOptions {
            quarantine,
            ..FsckOptions::default()
        };
        let report = self.kit.store.fsck(options, |_| {}).await.unwrap();
        let damages = report.damages.into_iter();
        damages
            .map(|damage| (damage.kind, damage.quarantined, damage.needed_by))
            .collect()
    }
}

#[tokio::test]
async fn a_text_that_is_damaged_is_never_told_and_made_anew() {
    let images = Images::damaged().await;
    assert_eq!(images.without_text().await, 1);
    assert_eq!((images.kept().await, images.asked_for().await), (1, 1));
    images.decide(|number| long(&number.to_string())).await;
    assert_eq!((images.without_text().await, images.kept().await), (0, 2));
}

#[tokio::test]
async fn a_check_finds_texts_that_are_damaged_or_gone_and_has_them_made_anew() {
    use DamageKind::{ReasonsCorrupt, ReasonsMissing};
    let images = Images::damaged().await;
    let found = images.check(false).await;
    let needed_by = found[0].2.clone();
    assert_eq!(found, [(ReasonsCorrupt, false, needed_by.clone())]);
    assert_eq!(needed_by.len(), 1, "once, though both points have it");
    assert!(needed_by[0].starts_with("team/app:i"), "{needed_by:?}");
    assert_eq!(
        (images.kept().await, images.asked_for().await),
        (2, 0),
        "only told"
    );
    let found = images.check(true).await;
    assert_eq!(found, [(ReasonsCorrupt, true, needed_by.clone())]);
    assert_eq!((images.kept().await, images.asked_for().await), (1, 1));
    assert_eq!(
        images.check(false).await,
        [(ReasonsMissing, false, needed_by.clone())]
    );
    assert_eq!(images.check(true).await, [(ReasonsMissing, true, needed_by)]);
    images.decide(|number| long(&number.to_string())).await;
    assert_eq!(images.check(false).await, []);
    assert_eq!(images.without_text().await, 0);
    // What cannot be unpacked is no text either.
    images.write("UPDATE decision_text SET packed = X'28b52f'").await;
    assert_eq!(images.check(false).await.len(), 2);
}

#[test]
fn texts_are_the_same_after_they_were_packed() {
    for text in [
        String::new(),
        "{}".to_owned(),
        long("a"),
        "ü\u{0}".repeat(100_000),
    ] {
        let reasons = Reasons::of(text.clone());
        assert_eq!(unpacked(reasons.packed().unwrap()).unwrap(), text);
    }
    assert!(unpacked(b"no zstd").is_err());
}
