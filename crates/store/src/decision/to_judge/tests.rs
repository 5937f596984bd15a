//! What is read of many images at once is what is read of each by itself.

use std::time::Duration;

use super::*;
use crate::testing::{Kit, image, index, referrer, sha256};
use crate::{NewInUse, PullNote, Seen, seen};

/// What the single questions answer.
async fn one(kit: &Kit, repo: &RepoName, digest: &Digest, since: Timestamp) -> Option<ToJudge> {
    let store = &kit.store;
    let manifest = store.manifest_to_judge(repo, digest).await.unwrap()?;
    let attached = store.attachments(repo, digest, 100).await.unwrap();
    Some(ToJudge {
        manifest,
        pushed_by: store.pusher(repo, digest).await.unwrap(),
        in_use: store.is_in_use(repo, digest, since).await.unwrap(),
        seen: store.seen(digest).await.unwrap(),
        has_attachments: !attached.found.is_empty()
            || !attached.indexes.is_empty()
            || attached.is_cut
            // What is attached to the image that it was made of is looked at too.
            || store.rebased_from(repo, digest).await.unwrap().is_some(),
        is_of_base: false,
        attached_evidence: store.attached_evidence(repo, digest).await.unwrap(),
    })
}

fn shown(known: Option<&ToJudge>) -> String {
    format!("{known:?}")
}

fn manifest_of(seed: &str) -> String {
    image(
        format!("config {seed}").as_bytes(),
        &[format!("layer {seed}").as_bytes()],
    )
}

/// Images in two repositories; in one of them something of everything is true of one of them each.
async fn plant(kit: &Kit) -> Vec<(RepoName, Digest)> {
    let (ci, other) = (kit.all("ci").await, kit.all("other").await);
    let mut images = Vec::new();
    for repo in ["team/app", "team/other"] {
        for seed in [
            "plain",
            "signed",
            "tagged",
            "indexed",
            "meant",
            "meant-by-index",
            "seen",
            "rebased",
        ] {
            let caller = if seed == "tagged" { &other } else { &ci };
            let digest = kit.push_image(caller, repo, seed, &[seed]).await;
            images.push((repo.parse().unwrap(), digest));
        }
    }
    let digest = |seed: &str| sha256(manifest_of(seed).as_bytes());
    kit.push_blob(&ci, "team/app", b"{}").await.unwrap();
    let signature = referrer(
        &digest("signed"),
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "s",
    );
    let sbom = referrer(&digest("plain"), "application/vnd.cyclonedx+json", "sbom");
    for artifact in [signature, sbom] {
        kit.put(&ci, "team/app", &artifact, &[]).await.unwrap();
    }
    let tag = format!("{}.sig", digest("tagged").fallback_tag().as_str());
    kit.push_image(&ci, "team/app", "a signature", &[&tag]).await;
    for (seed, tag) in [("indexed", "all"), ("meant-by-index", "meant-index")] {
        let all = index(&[&manifest_of(seed)]);
        kit.put(&ci, "team/app", &all, &[tag]).await.unwrap();
    }
    let word = NewInUse {
        repo: "team/app".parse().unwrap(),
        references: ["meant", "meant-index"].map(|tag| tag.parse().unwrap()).to_vec(),
        until: kit.store.now().plus(Duration::from_hours(1)),
        reason: "a cluster".to_owned(),
    };
    assert!(kit.store.set_in_use(word, &Kit::operator()).await.unwrap());
    keep_seen(kit, digest("seen"), 3).await;
    note_rebase(kit, digest("signed"), digest("rebased")).await;
    images
}

async fn note_rebase(kit: &Kit, old: Digest, new: Digest) {
    let sql =
        "INSERT INTO rebase_image (repository, new_digest, old_digest, sbom) VALUES ('team/app', $1, $2, '')";
    let values = [new.to_string().into(), old.to_string().into()];
    kit.store
        .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), sql, values).await }))
        .await
        .unwrap();
}

async fn keep_seen(kit: &Kit, digest: Digest, findings: u64) {
    let mut first = Seen::default();
    first.note(0..findings, Timestamp(7));
    kit.store
        .write(move |tx| Box::pin(async move { seen::keep(tx, &digest, &first).await }))
        .await
        .unwrap();
}

#[tokio::test]
async fn many_are_read_as_each_is() {
    let kit = Kit::new().await;
    let mut images = plant(&kit).await;
    images.insert(3, ("team/app".parse().unwrap(), sha256(b"gone")));
    images.push(("nobody/here".parse().unwrap(), images[0].1));
    // The same one twice, as two jobs of two causes might be.
    images.push(images[0].clone());
    let since = kit.store.now().minus(Duration::from_hours(1));
    let many = kit.store.to_judge(&images, since).await.unwrap();
    assert_eq!(many.len(), images.len());
    let mut told = std::collections::BTreeSet::new();
    for ((repo, digest), known) in images.iter().zip(&many) {
        let alone = one(&kit, repo, digest, since).await;
        assert_eq!(shown(known.as_ref()), shown(alone.as_ref()), "{repo}@{digest}");
        let of = |known: &ToJudge| (known.in_use, known.has_attachments, known.seen == Seen::default());
        told.insert(known.as_ref().map(of));
    }
    assert!(told.len() >= 5, "{told:?}");
}

#[tokio::test]
async fn pulls_count() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let images = [("team/app".parse().unwrap(), digest)];
    let since = kit.store.now().minus(Duration::from_hours(1));
    let known = async || {
        kit.store
            .to_judge(&images, since)
            .await
            .unwrap()
            .remove(0)
            .unwrap()
    };
    assert!(!known().await.in_use);
    let note = PullNote {
        repo: images[0].0.clone(),
        digest,
        principal: None,
        class: crate::PullClass::Node,
        at: kit.store.now(),
    };
    kit.store.note_pull(note);
    for _ in 0..100 {
        if known().await.in_use {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the pull does not count");
}

#[tokio::test]
async fn what_is_large_is_left_to_whoever_asks_for_one() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "team/app", "a", &["1"]).await;
    let images = [("team/app".parse().unwrap(), digest)];
    let found = kit.store.to_judge(&images, Timestamp(0)).await.unwrap();
    assert!(found[0].is_some());
    keep_seen(&kit, digest, 40_000).await;
    let found = kit.store.to_judge(&images, Timestamp(0)).await.unwrap();
    assert!(found[0].is_none());
}

#[derive(FromQueryResult)]
struct Step {
    detail: String,
}

/// How the database goes about a statement.
async fn steps(kit: &Kit, sql: &str, values: Vec<Value>) -> String {
    let explained = format!("EXPLAIN QUERY PLAN {sql}");
    let steps: Vec<Step> = sql::all(kit.store.inner.db.read(), &explained, values)
        .await
        .unwrap();
    steps.into_iter().map(|step| step.detail + "\n").collect()
}

/// Walking over all pushes once for each image made a judgement take longer the more had ever been pushed.
#[tokio::test]
async fn nothing_is_walked_over_but_the_images_that_are_asked_for() {
    let kit = Kit::new().await;
    let images = [
        ("team/app".parse().unwrap(), sha256(b"a")),
        ("team/b".parse().unwrap(), sha256(b"b")),
    ];
    let (sql, values) = statement(&images, Timestamp(0), Timestamp(1));
    let steps = steps(&kit, &sql, values).await;
    assert!(steps.contains("USING INDEX event_subject (subject=?)"), "{steps}");
    let walked: Vec<&str> = steps
        .lines()
        .filter(|step| step.starts_with("SCAN") && *step != "SCAN w" && !step.contains("CONSTANT ROWS"))
        .collect();
    assert!(walked.is_empty(), "{steps}");
}
