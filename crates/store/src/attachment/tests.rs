//! Signatures are found where clients put them, and whatever comes or goes has images judged again.

use std::time::Duration;

use access::Caller;

use super::*;
use crate::testing::{Kit, image, index, referrer, sha256};

const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

async fn kit() -> (Kit, Caller) {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    (kit, ci)
}

/// The images whose judgement waits; afterwards none does.
async fn woken(kit: &Kit) -> Vec<Digest> {
    let mut woken = Vec::new();
    let lease = Duration::from_mins(1);
    while let Some(job) = kit.store.claim_job(JobKind::Judge, "w", lease).await.unwrap() {
        let (_, digest) = job.subject.split_once('@').unwrap();
        woken.push(digest.parse().unwrap());
        kit.store.drop_job(&job).await.unwrap();
    }
    woken
}

async fn found(kit: &Kit, digest: &Digest, limit: usize) -> (Vec<Digest>, bool) {
    let repo = "r".parse().unwrap();
    let attachments = kit.store.attachments(&repo, digest, limit).await.unwrap();
    let mut found: Vec<Digest> = attachments
        .found
        .iter()
        .map(|found| found.manifest.digest)
        .collect();
    found.sort_unstable();
    (found, attachments.is_cut)
}

fn sorted<const N: usize>(mut digests: [Digest; N]) -> Vec<Digest> {
    digests.sort_unstable();
    digests.to_vec()
}

#[tokio::test]
async fn signatures_are_found_by_reference_and_by_tag() {
    let (kit, ci) = kit().await;
    let subject = kit.push_image(&ci, "r", "a", &["1"]).await;
    let other = kit.push_image(&ci, "r", "b", &["2"]).await;
    let referring = referrer(&subject, SIGNATURE, "1");
    kit.put(&ci, "r", &referring, &[]).await.unwrap();
    let sbom = referrer(&subject, "application/spdx+json", "2");
    kit.put(&ci, "r", &sbom, &[]).await.unwrap();
    let tagged = referrer(&sha256(b"nothing"), SIGNATURE, "3");
    let tag = format!("{}.sig", subject.fallback_tag());
    kit.put(&ci, "r", &tagged, &[&tag]).await.unwrap();
    let old = image(b"{}", &[]);
    kit.put(&ci, "r", &old, &[]).await.unwrap();
    let fallback = subject.fallback_tag();
    kit.put(&ci, "r", &index(&[&old]), &[fallback.as_str()])
        .await
        .unwrap();
    let digest = |text: &str| sha256(text.as_bytes());
    let all = sorted([digest(&referring), digest(&tagged), digest(&old)]);
    assert_eq!(found(&kit, &subject, 10).await, (all.clone(), false));
    assert_eq!(found(&kit, &subject, 3).await, (all, false));
    let (some, is_cut) = found(&kit, &subject, 2).await;
    assert_eq!((some.len(), is_cut), (2, true));
    assert_eq!(found(&kit, &other, 10).await, (Vec::new(), false));
    assert_eq!(found(&kit, &sha256(b"unknown"), 10).await, (Vec::new(), false));
}

#[tokio::test]
async fn what_is_attached_to_an_index_is_attached_to_its_images() {
    let (kit, ci) = kit().await;
    let child = kit.push_image(&ci, "r", "a", &[]).await;
    let bytes = kit
        .manifest(&ci, "r", &child.to_string())
        .await
        .unwrap()
        .bytes
        .clone();
    let inner = index(&[std::str::from_utf8(&bytes).unwrap()]);
    kit.put(&ci, "r", &inner, &["inner"]).await.unwrap();
    let inner = sha256(inner.as_bytes());
    woken(&kit).await;
    let signature = referrer(&inner, SIGNATURE, "1");
    kit.put(&ci, "r", &signature, &[]).await.unwrap();
    let signature = sha256(signature.as_bytes());
    let repo = "r".parse().unwrap();
    let attachments = kit.store.attachments(&repo, &child, 10).await.unwrap();
    assert_eq!(attachments.indexes, [inner]);
    let first = &attachments.found[0];
    assert_eq!((first.subject, first.manifest.digest), (inner, signature));
    let again = woken(&kit).await;
    assert!(again.contains(&child) && !again.contains(&inner), "{again:?}");
    let delete = kit.delete(&ci, "r");
    kit.store.delete_manifest(&delete, &signature).await.unwrap();
    assert_eq!(woken(&kit).await, [child]);
}

#[tokio::test]
async fn whatever_comes_or_goes_has_the_image_judged_again() {
    let (kit, ci) = kit().await;
    let subject = kit.push_image(&ci, "r", "a", &["1"]).await;
    let signature = referrer(&sha256(b"nothing"), SIGNATURE, "1");
    kit.put(&ci, "r", &signature, &["loose"]).await.unwrap();
    woken(&kit).await;
    let delete = kit.delete(&ci, "r");
    for end in ["", ".sig", ".att"] {
        let tag = format!("{}{end}", subject.fallback_tag());
        kit.put(&ci, "r", &signature, &[&tag]).await.unwrap();
        assert!(woken(&kit).await.contains(&subject), "{tag} was set");
        let tag = tag.parse().unwrap();
        kit.store.delete_tag(&delete, &tag).await.unwrap();
        assert_eq!(woken(&kit).await, [subject], "{tag} was deleted");
    }
    let tag = format!("{}.sig", subject.fallback_tag());
    kit.put(&ci, "r", &signature, &[&tag]).await.unwrap();
    woken(&kit).await;
    let digest = sha256(signature.as_bytes());
    kit.store.delete_manifest(&delete, &digest).await.unwrap();
    assert_eq!(woken(&kit).await, [subject]);
    let referring = referrer(&subject, SIGNATURE, "2");
    kit.put(&ci, "r", &referring, &[]).await.unwrap();
    assert!(woken(&kit).await.contains(&subject));
    kit.store
        .delete_manifest(&delete, &sha256(referring.as_bytes()))
        .await
        .unwrap();
    assert_eq!(woken(&kit).await, [subject]);
}

#[tokio::test]
async fn an_index_that_was_signed_before_it_came_has_its_images_judged_again() {
    let (kit, ci) = kit().await;
    let child = kit.push_image(&ci, "r", "a", &[]).await;
    let bytes = kit
        .manifest(&ci, "r", &child.to_string())
        .await
        .unwrap()
        .bytes
        .clone();
    let index = index(&[std::str::from_utf8(&bytes).unwrap()]);
    let signature = referrer(&sha256(index.as_bytes()), SIGNATURE, "1");
    kit.put(&ci, "r", &signature, &[]).await.unwrap();
    woken(&kit).await;
    kit.put(&ci, "r", &index, &["v1"]).await.unwrap();
    assert_eq!(woken(&kit).await, [child]);
}
