//! What is told of images.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::job::{JobKind, JobPriority};
use crate::testing::{Kit, image, referrer, sha256};
use crate::{Judgement, PullClass, PullNote, Reasons};

const REPO: &str = "team/app";

async fn decide(kit: &Kit, digest: &Digest, body: &str) {
    let repo: RepoName = REPO.parse().unwrap();
    let judgement = Judgement {
        outcome: Outcome::Warn,
        line: String::new(),
        body: Reasons::of(body.to_owned()),
        policy: "policy".to_owned(),
        evidence: "facts".to_owned(),
        generation: 1,
        review_at: None,
        waives: false,
    };
    let subject = blob::subject(&repo, digest);
    let store = &kit.store;
    store
        .request_job(JobKind::Judge, &subject, JobPriority::Asked)
        .await
        .unwrap();
    let job = store.claim_job(JobKind::Judge, "w", Duration::from_mins(1)).await;
    let verdicts = vec![(Point::Pull, judgement)].into();
    store
        .finish_judgement(&job.unwrap().unwrap(), &repo, digest, verdicts)
        .await
        .unwrap();
}

fn pull(kit: &Kit, digest: &Digest, class: PullClass) {
    kit.store.note_pull(PullNote {
        repo: REPO.parse().unwrap(),
        digest: *digest,
        principal: None,
        class,
        at: kit.store.now(),
    });
}

/// Waits until a pull of a digest is in the log.
async fn pulled(kit: &Kit, digest: &Digest) {
    let repo: RepoName = REPO.parse().unwrap();
    for _ in 0..500 {
        if kit
            .store
            .was_pulled_since(&repo, digest, Timestamp(0))
            .await
            .unwrap()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the pull was never written");
}

#[tokio::test]
async fn an_image_is_told_with_what_happened_to_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, REPO, "a", &["1", "latest"]).await;
    kit.push_blob(&ci, REPO, b"{}").await.unwrap();
    let of = async || {
        let repo = REPO.parse().unwrap();
        kit.store.known_image(&repo, &digest).await.unwrap().unwrap()
    };
    let bare = of().await;
    assert_eq!((bare.decision.as_ref(), bare.has_sbom), (None, false));
    assert_eq!(bare.pushed_by, "ci");
    assert_eq!((bare.looked.blobs, bare.looked.reported), (2, 0));
    assert!(bare.events.push.is_some() && bare.events.first_decision.is_none());

    decide(&kit, &digest, "{\"signatures\":[]}").await;
    pull(&kit, &digest, PullClass::Inspection);
    kit.advance(Duration::from_mins(5));
    pull(&kit, &digest, PullClass::Ci);
    kit.advance(Duration::from_mins(5));
    pull(&kit, &digest, PullClass::Node);
    pulled(&kit, &digest).await;
    let sbom = referrer(&digest, "application/spdx+json", "x");
    kit.put(&ci, REPO, &sbom, &[]).await.unwrap();
    let full = of().await;
    let decision = full.decision.unwrap();
    assert_eq!((decision.outcome, decision.is_text), (Outcome::Warn, false));
    let texts = kit.store.decision_texts(&[&decision.said]).await.unwrap();
    assert_eq!(texts[&decision.said], "{\"signatures\":[]}");
    let (_, first) = full.events.first_decision.unwrap();
    assert!(full.has_sbom && !full.has_provenance);
    assert_eq!(full.first_use, Some(first.plus(Duration::from_mins(5))));
    assert_eq!(full.first_node, Some(first.plus(Duration::from_mins(10))));
    assert_eq!(full.last_use, full.first_node);
    let tags: Vec<&str> = full.tags.iter().map(Tag::as_str).collect();
    assert_eq!(tags, ["1", "latest"]);
    assert_eq!(kit.store.pulls_known_since().await.unwrap(), None);
    let repo = REPO.parse().unwrap();
    assert_eq!(kit.store.decided_since(&repo).await.unwrap(), Some(first));
}

#[tokio::test]
async fn what_an_index_says_of_its_images_is_told_of_them() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let one = kit.push_image(&ci, REPO, "one", &[]).await;
    let two = kit.push_image(&ci, REPO, "two", &[]).await;
    let statement = "{\"predicateType\":\"https://slsa.dev/provenance/v1\"}";
    kit.push_blob(&ci, REPO, b"about").await.unwrap();
    kit.push_blob(&ci, REPO, statement.as_bytes()).await.unwrap();
    let about = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": { "mediaType": oci::media_type::OCI_IMAGE_CONFIG, "digest": sha256(b"about"), "size": 5 },
        "layers": [{ "mediaType": "application/vnd.in-toto+json", "digest": sha256(statement.as_bytes()),
            "size": statement.len(), "annotations": { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1" } }],
    })
    .to_string();
    kit.put(&ci, REPO, &about, &[]).await.unwrap();
    let child = |digest: Digest, annotations: serde_json::Value| json!({ "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": digest, "size": 9, "annotations": annotations });
    let of =
        json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": one });
    let index = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_INDEX,
        "manifests": [child(one, json!({})), child(two, json!({})), child(sha256(about.as_bytes()), of)],
    })
    .to_string();
    kit.put(&ci, REPO, &index, &["2"]).await.unwrap();
    let repo: RepoName = REPO.parse().unwrap();
    let told = async |digest: &Digest| kit.store.known_image(&repo, digest).await.unwrap().unwrap();
    let (one, two) = (told(&one).await, told(&two).await);
    assert_eq!(one.indexes, [sha256(index.as_bytes())]);
    assert_eq!(one.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["2"]);
    assert!(one.has_provenance && !two.has_provenance);
}

#[tokio::test]
async fn images_of_the_window_and_the_newest_one_are_told() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let mut digests = Vec::new();
    for seed in ["a", "b", "c"] {
        digests.push(kit.push_image(&ci, REPO, seed, &[seed]).await);
        kit.advance(Duration::from_hours(24));
    }
    let manifest = image(b"config s", &[b"layer s"]);
    kit.push_blob(&ci, REPO, b"config s").await.unwrap();
    kit.push_blob(&ci, REPO, b"layer s").await.unwrap();
    let tag = digests[0].attachment_tags()[0].to_string();
    kit.put(&ci, REPO, &manifest, &[&tag]).await.unwrap();
    let repo: RepoName = REPO.parse().unwrap();
    let now = kit.store.now();
    let told = async |since: Timestamp| -> Vec<Digest> {
        let images = kit.store.known_images(&repo, since).await.unwrap();
        images.into_iter().map(|image| image.digest).collect()
    };
    assert_eq!(
        told(now.minus(Duration::from_hours(49))).await,
        [digests[2], digests[1]]
    );
    assert_eq!(told(now).await, [digests[2]]);
    assert_eq!(told(Timestamp(0)).await, [digests[2], digests[1], digests[0]]);
    let repositories = kit.store.known_repositories().await.unwrap();
    assert_eq!((repositories.len(), repositories[0].is_foreign), (1, false));
}

#[tokio::test]
async fn no_more_images_are_told_than_there_may_be() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for seed in 0..=MAX_KNOWN_IMAGES {
        kit.push_image(&ci, REPO, &seed.to_string(), &[]).await;
    }
    let repo: RepoName = REPO.parse().unwrap();
    let images = kit.store.known_images(&repo, Timestamp(0)).await.unwrap();
    assert_eq!(images.len(), MAX_KNOWN_IMAGES);
}
