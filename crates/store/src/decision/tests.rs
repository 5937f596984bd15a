//! Decisions: kept, confirmed, forgotten with their image, and never contradicted by memory.

use std::time::Duration;

use sea_orm::Value;

use super::*;
use crate::job::{JobKind, JobPriority};
use crate::testing::{Kit, sha256};

fn judgement(outcome: Outcome, body: &str, generation: u64) -> Judgement {
    Judgement {
        outcome,
        line: "a line".to_owned(),
        body: Reasons::of(body.to_owned()),
        policy: "sha256:policy".to_owned(),
        evidence: "facts".to_owned(),
        generation,
        review_at: None,
        waives: false,
    }
}

async fn decide(kit: &Kit, repo: &RepoName, digest: &Digest, judgement: Judgement) {
    let subject = blob::subject(repo, digest);
    kit.store
        .request_job(JobKind::Judge, &subject, JobPriority::Asked)
        .await
        .unwrap();
    let job = kit
        .store
        .claim_job(JobKind::Judge, "w", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    kit.store
        .finish_judgement(&job, repo, digest, vec![(Point::Pull, judgement)].into())
        .await
        .unwrap();
}

async fn standing(kit: &Kit, repo: &RepoName, blob: &[u8]) -> (u64, u64, u64) {
    let standing = kit.store.standing(repo, &sha256(blob)).await.unwrap();
    (standing.images, standing.refused, standing.undecided)
}

#[tokio::test]
async fn what_was_decided_is_answered_from_memory_and_never_outlives_a_change() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let repo: RepoName = "team/app".parse().unwrap();
    let outcome = async || {
        let found = kit.store.decision(&repo, &digest, Point::Pull).await.unwrap();
        found.map(|found| found.outcome)
    };
    assert_eq!(outcome().await, None);
    assert_eq!(standing(&kit, &repo, b"layer a").await, (1, 0, 1));
    for expected in [Outcome::Refuse, Outcome::Warn, Outcome::Refuse] {
        decide(&kit, &repo, &digest, judgement(expected, "{}", 1)).await;
        assert_eq!(outcome().await, Some(expected));
        let refused = u64::from(expected == Outcome::Refuse);
        assert_eq!(standing(&kit, &repo, b"layer a").await, (1, refused, 0));
    }
    let before = kit.store.metrics().database_calls;
    for _ in 0..10 {
        outcome().await;
        standing(&kit, &repo, b"layer a").await;
    }
    assert_eq!(kit.store.metrics().database_calls, before);
}

#[tokio::test]
async fn the_first_decision_is_known_without_a_question_and_as_it_is_read() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let repo: RepoName = "team/app".parse().unwrap();
    decide(&kit, &repo, &digest, judgement(Outcome::Warn, "{}", 1)).await;
    let before = kit.store.metrics().database_calls;
    let taught = kit.store.decision(&repo, &digest, Point::Pull).await.unwrap();
    assert_eq!(kit.store.metrics().database_calls, before);
    let read = kit
        .store
        .load_decision(&repo, &digest, Point::Pull)
        .await
        .unwrap();
    assert_eq!(taught, read);
    assert!(taught.is_some());
}

#[tokio::test]
async fn a_blob_stands_with_all_images_of_its_repository() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let repo: RepoName = "team/app".parse().unwrap();
    kit.push_blob(&ci, "team/app", b"base").await.unwrap();
    assert_eq!(standing(&kit, &repo, b"base").await, (0, 0, 0));
    let mut digests = Vec::new();
    for config in ["one", "two"] {
        kit.push_blob(&ci, "team/app", config.as_bytes()).await.unwrap();
        let manifest = crate::testing::image(config.as_bytes(), &[b"base"]);
        kit.put(&ci, "team/app", &manifest, &[config]).await.unwrap();
        digests.push(sha256(manifest.as_bytes()));
    }
    assert_eq!(standing(&kit, &repo, b"base").await, (2, 0, 2));
    for digest in &digests {
        decide(&kit, &repo, digest, judgement(Outcome::Refuse, "{}", 1)).await;
    }
    assert_eq!(standing(&kit, &repo, b"base").await, (2, 2, 0));
    let permit = kit.delete(&ci, "team/app");
    kit.store.delete_manifest(&permit, &digests[0]).await.unwrap();
    assert_eq!(standing(&kit, &repo, b"base").await, (1, 1, 0));
    assert!(
        kit.store
            .decision(&repo, &digests[0], Point::Pull)
            .await
            .unwrap()
            .is_none(),
        "gone with its image"
    );
}

#[tokio::test]
async fn what_does_not_run_opens_no_blob_of_a_refused_image() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let repo: RepoName = "team/app".parse().unwrap();
    kit.push_blob(&ci, "team/app", b"base").await.unwrap();
    let mut digests = Vec::new();
    for config in ["image", "signature"] {
        kit.push_blob(&ci, "team/app", config.as_bytes()).await.unwrap();
        let manifest = crate::testing::image(config.as_bytes(), &[b"base"]);
        kit.put(&ci, "team/app", &manifest, &[config]).await.unwrap();
        digests.push(sha256(manifest.as_bytes()));
    }
    decide(&kit, &repo, &digests[0], judgement(Outcome::Refuse, "{}", 1)).await;
    assert_eq!(standing(&kit, &repo, b"base").await, (2, 1, 1));
    decide(
        &kit,
        &repo,
        &digests[1],
        judgement(Outcome::NotApplicable, "{}", 1),
    )
    .await;
    assert_eq!(standing(&kit, &repo, b"base").await, (1, 1, 0));
    assert_eq!(standing(&kit, &repo, b"signature").await, (0, 0, 0));
    for (blob, manifests) in [("base", 2), ("signature", 1), ("nobody's", 0)] {
        let standing = kit.store.standing(&repo, &sha256(blob.as_bytes())).await.unwrap();
        assert_eq!(standing.manifests, manifests, "{blob}");
    }
}

#[tokio::test]
async fn a_confirmation_changes_no_more_than_its_generation() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let repo: RepoName = "team/app".parse().unwrap();
    decide(&kit, &repo, &digest, judgement(Outcome::Warn, "{}", 1)).await;
    let first = kit
        .store
        .decision(&repo, &digest, Point::Pull)
        .await
        .unwrap()
        .unwrap();
    kit.advance(Duration::from_mins(1));
    decide(&kit, &repo, &digest, judgement(Outcome::Warn, "{}", 2)).await;
    let second = kit
        .store
        .decision(&repo, &digest, Point::Pull)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((second.generation, second.decided_at), (2, first.decided_at));
    let filter = crate::EventFilter {
        kind: Some(EventKind::Decide),
        ..crate::EventFilter::default()
    };
    let root = kit.administrator("root").await;
    let events = kit.store.events(&root, &filter, None, 10).await.unwrap();
    assert_eq!(events.items.len(), 1);
}

/// As a binary does that knows of no marks.
async fn rewrite(kit: &Kit, digest: &Digest, body: &'static str) {
    let sql = "UPDATE decision SET body = $1, decided_at = decided_at + 1 WHERE digest = $2";
    let values: [Value; 2] = [body.into(), digest.to_string().into()];
    let write = kit
        .store
        .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, values).await.map(drop) }));
    write.await.unwrap();
}

#[tokio::test]
async fn a_mark_of_another_moment_does_not_hide_what_is_taken_away() {
    const TAKES: &str = r#"{"waived":[{"finding":"CVE-1"}]}"#;
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let repo: RepoName = "team/app".parse().unwrap();
    let mut digests = Vec::new();
    for (name, waives) in [("takes", true), ("leaves", false), ("old", false)] {
        let digest = kit.push_image(&ci, "team/app", name, &[name]).await;
        let body = if waives { TAKES } else { "{}" };
        let made = Judgement {
            waives,
            ..judgement(Outcome::Warn, body, 1)
        };
        decide(&kit, &repo, &digest, made).await;
        digests.push(digest);
    }
    rewrite(&kit, &digests[2], TAKES).await;
    for (digest, known) in digests.iter().zip([Some(TAKES), None, Some(TAKES)]) {
        let decided = kit.store.waived_decision(&repo, digest).await.unwrap();
        assert_eq!(decided.as_deref(), known);
    }
    let images: Vec<_> = digests.iter().map(|digest| (repo.clone(), *digest)).collect();
    let some = kit.store.waived_decisions_of(&images).await.unwrap();
    let first = crate::WaivedCursor::default();
    let (all, _) = kit.store.waived_decisions(&first, 10).await.unwrap();
    for found in [some, all] {
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .all(|decided| decided.digest != digests[1] && decided.body == TAKES)
        );
    }
    // Written anew, the mark is of the moment again.
    decide(&kit, &repo, &digests[2], judgement(Outcome::Allow, "{}", 2)).await;
    assert_eq!(kit.store.waived_decision(&repo, &digests[2]).await.unwrap(), None);
}
