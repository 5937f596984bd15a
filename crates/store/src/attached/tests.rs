//! What the registry attaches comes once, is replaced by the registry alone, and goes with its image.

use oci::ManifestLimits;

use super::*;
use crate::testing::{Kit, referrer, sha256};
use crate::{JobKind, JobPriority};

const REPO: &str = "r";

fn attachment(subject: &Digest, text: &str) -> OwnAttachment {
    let empty = Bytes::from_static(b"{}");
    let sbom = Bytes::from(text.to_owned());
    let descriptor = |media_type: &str, bytes: &Bytes| serde_json::json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() });
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "artifactType": "application/vnd.cyclonedx+json",
        "config": descriptor(oci::media_type::OCI_EMPTY, &empty),
        "layers": [descriptor("application/vnd.cyclonedx+json", &sbom)],
        "subject": { "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": subject, "size": 1 },
    });
    let bytes = Bytes::from(manifest.to_string());
    OwnAttachment {
        digest: sha256(&bytes),
        manifest: Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap(),
        bytes,
        blobs: vec![empty, sbom],
        evidence: text.to_owned(),
    }
}

async fn attach_now(kit: &Kit, attachment: OwnAttachment) -> Attached {
    kit.store
        .request_job(JobKind::Sbom, "s", JobPriority::Backfill)
        .await
        .unwrap();
    let lease = std::time::Duration::from_mins(1);
    let job = kit
        .store
        .claim_job(JobKind::Sbom, "w", lease)
        .await
        .unwrap()
        .unwrap();
    let done = kit
        .store
        .attach(&job, &REPO.parse().unwrap(), attachment)
        .await
        .unwrap();
    assert_eq!(
        kit.store.job_counts(JobKind::Sbom).await.unwrap(),
        crate::JobCounts::default()
    );
    done
}

async fn referrers(kit: &Kit, caller: &access::Caller, subject: &Digest) -> Vec<Digest> {
    let permit = kit.pull(caller, REPO);
    let page = kit
        .store
        .referrers(&permit, subject, None, None, 10)
        .await
        .unwrap();
    page.items.into_iter().map(|item| item.digest).collect()
}

#[tokio::test]
async fn an_attachment_comes_once_and_is_replaced_by_a_newer_one() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, REPO, "a", &["1"]).await;
    kit.push_blob(&ci, REPO, b"{}").await.unwrap();
    let theirs = referrer(&subject, "a/sbom", "theirs");
    kit.put(&ci, REPO, &theirs, &[]).await.unwrap();
    let (theirs, first, second) = (
        sha256(theirs.as_bytes()),
        attachment(&subject, "one"),
        attachment(&subject, "two"),
    );
    let repo: RepoName = REPO.parse().unwrap();
    assert_eq!(kit.store.attached_evidence(&repo, &subject).await.unwrap(), None);
    for _ in 0..2 {
        assert_eq!(attach_now(&kit, first.clone()).await, Attached::Done);
        let mut expected = vec![theirs, first.digest];
        expected.sort_unstable();
        assert_eq!(referrers(&kit, &ci, &subject).await, expected);
    }
    let evidence = kit.store.attached_evidence(&repo, &subject).await.unwrap();
    assert_eq!(evidence.as_deref(), Some("one"));
    let decided = kit
        .store
        .decision(&repo, &first.digest, Point::Pull)
        .await
        .unwrap();
    assert_eq!(decided.unwrap().outcome, Outcome::NotApplicable);

    assert_eq!(attach_now(&kit, second.clone()).await, Attached::Done);
    let mut expected = vec![theirs, second.digest];
    expected.sort_unstable();
    assert_eq!(referrers(&kit, &ci, &subject).await, expected);
}

#[tokio::test]
async fn an_attachment_goes_with_its_image_and_what_others_attached_stays() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, REPO, "a", &["1"]).await;
    kit.push_blob(&ci, REPO, b"{}").await.unwrap();
    let theirs = referrer(&subject, "a/sbom", "theirs");
    kit.put(&ci, REPO, &theirs, &[]).await.unwrap();
    attach_now(&kit, attachment(&subject, "one")).await;
    kit.store
        .delete_manifest(&kit.delete(&ci, REPO), &subject)
        .await
        .unwrap();
    assert_eq!(referrers(&kit, &ci, &subject).await, [sha256(theirs.as_bytes())]);
    let gone = attach_now(&kit, attachment(&subject, "two")).await;
    assert_eq!(gone, Attached::Gone);
    let repo: RepoName = REPO.parse().unwrap();
    assert_eq!(kit.store.attached_evidence(&repo, &subject).await.unwrap(), None);
}

#[tokio::test]
async fn what_somebody_pushed_is_never_taken_for_the_registrys_own() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, REPO, "a", &["1"]).await;
    let attachment = attachment(&subject, "one");
    for blob in &attachment.blobs {
        kit.push_blob(&ci, REPO, blob).await.unwrap();
    }
    let text = String::from_utf8(attachment.bytes.to_vec()).unwrap();
    kit.put(&ci, REPO, &text, &[]).await.unwrap();
    assert_eq!(attach_now(&kit, attachment.clone()).await, Attached::Theirs);
    kit.store
        .delete_manifest(&kit.delete(&ci, REPO), &subject)
        .await
        .unwrap();
    assert_eq!(referrers(&kit, &ci, &subject).await, [attachment.digest]);
}

/// Otherwise a tag on it would keep the image from being deleted, and an index that names it would lose it.
#[tokio::test]
async fn one_that_somebody_tagged_is_theirs_from_then_on() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, REPO, "a", &["1"]).await;
    let (first, second) = (attachment(&subject, "one"), attachment(&subject, "two"));
    attach_now(&kit, first.clone()).await;
    let text = String::from_utf8(first.bytes.to_vec()).unwrap();
    kit.put(&ci, REPO, &text, &["keep"]).await.unwrap();
    assert_eq!(attach_now(&kit, second.clone()).await, Attached::Done);
    let mut expected = vec![first.digest, second.digest];
    expected.sort_unstable();
    assert_eq!(referrers(&kit, &ci, &subject).await, expected);
    kit.store
        .delete_manifest(&kit.delete(&ci, REPO), &subject)
        .await
        .unwrap();
    assert_eq!(referrers(&kit, &ci, &subject).await, [first.digest]);
    assert_eq!(kit.tags(&ci, REPO).await, ["keep"]);
}

/// Whoever may push could otherwise fill the disk with SBOMs beyond what the repository may hold.
#[tokio::test]
async fn a_repository_without_room_gets_none() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, REPO, "a", &["1"]).await;
    let repo: RepoName = REPO.parse().unwrap();
    let (first, second) = (attachment(&subject, "one"), attachment(&subject, "two"));
    assert_eq!(attach_now(&kit, first.clone()).await, Attached::Done);
    let held = kit
        .store
        .repository_stats(&kit.pull(&ci, REPO))
        .await
        .unwrap()
        .unwrap()
        .bytes;
    let quota = async |bytes: u64| {
        let rules = crate::Rules {
            quota_bytes: Some(bytes),
            ..crate::Rules::default()
        };
        kit.rule(REPO, rules).await;
    };
    // What takes its place needs no room beside it.
    quota(held).await;
    assert_eq!(attach_now(&kit, second.clone()).await, Attached::Done);
    assert_eq!(referrers(&kit, &ci, &subject).await, [second.digest]);
    quota(held - 1).await;
    let refused = attach_now(&kit, first.clone()).await;
    assert!(
        matches!(&refused, Attached::OverQuota(why) if why.limit == held - 1),
        "{refused:?}"
    );
    assert_eq!(referrers(&kit, &ci, &subject).await, [second.digest]);
    let evidence = kit.store.attached_evidence(&repo, &subject).await.unwrap();
    assert_eq!(evidence.as_deref(), Some("two"));
    quota(held).await;
    assert_eq!(attach_now(&kit, first.clone()).await, Attached::Done);
}
