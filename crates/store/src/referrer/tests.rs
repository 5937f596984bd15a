//! The referrers API.

use super::*;
use crate::testing::{Kit, image, referrer, sha256};

async fn list(kit: &Kit, caller: &access::Caller, subject: &Digest, filter: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut after: Option<Digest> = None;
    loop {
        let permit = kit.pull(caller, "r");
        let page = kit
            .store
            .referrers(&permit, subject, filter, after.as_ref(), 2)
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        assert!(page.items.is_sorted_by_key(|item| item.digest));
        notes.extend(page.items.iter().map(|item| item.annotations["note"].clone()));
        after = page.items.last().map(|item| item.digest);
        if !page.more {
            notes.sort();
            return notes;
        }
    }
}

#[tokio::test]
async fn referrers_are_listed_filtered_and_paged() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    for (artifact_type, note) in [
        ("a/sbom", "1"),
        ("a/sbom", "2"),
        ("a/sbom", "3"),
        ("a/signature", "4"),
    ] {
        kit.put(&ci, "r", &referrer(&subject, artifact_type, note), &[])
            .await
            .unwrap();
    }
    assert_eq!(list(&kit, &ci, &subject, None).await, ["1", "2", "3", "4"]);
    assert_eq!(list(&kit, &ci, &subject, Some("a/sbom")).await, ["1", "2", "3"]);
    assert!(list(&kit, &ci, &subject, Some("a/none")).await.is_empty());
    assert!(list(&kit, &ci, &sha256(b"unknown"), None).await.is_empty());

    let gone = sha256(referrer(&subject, "a/sbom", "2").as_bytes());
    kit.store
        .delete_manifest(&kit.delete(&ci, "r"), &gone)
        .await
        .unwrap();
    assert_eq!(list(&kit, &ci, &subject, None).await, ["1", "3", "4"]);
}

#[tokio::test]
async fn what_the_fallback_index_names_is_listed_too() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    let known = referrer(&subject, "a/sbom", "own");
    kit.put(&ci, "r", &known, &[]).await.unwrap();
    // Pushed by a client that keeps the subject in the index alone.
    let old = image(b"{}", &[]);
    kit.put(&ci, "r", &old, &[]).await.unwrap();
    let entry = |bytes: &str, note: &str| {
        serde_json::json!({
            "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": sha256(bytes.as_bytes()), "size": bytes.len(),
            "artifactType": "a/old", "annotations": { "note": note },
        })
    };
    let fallback = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": oci::media_type::OCI_IMAGE_INDEX,
        "manifests": [entry(&old, "fallback"), entry(&known, "what the index says")],
    });
    let tag = subject.fallback_tag();
    kit.put(&ci, "r", &fallback.to_string(), &[tag.as_str()])
        .await
        .unwrap();
    assert_eq!(list(&kit, &ci, &subject, None).await, ["fallback", "own"]);
    assert_eq!(list(&kit, &ci, &subject, Some("a/old")).await, ["fallback"]);

    kit.lose_manifest("r", &sha256(old.as_bytes())).await;
    assert_eq!(
        list(&kit, &ci, &subject, None).await,
        ["own"],
        "what is gone is not listed"
    );
}

#[tokio::test]
async fn a_page_of_large_annotations_ends_early() {
    const EACH: usize = 200 << 10;
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = sha256(b"subject");
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    let mut pushed = Vec::new();
    for number in 0..30 {
        let manifest = referrer(&subject, "a/b", &format!("{number}{}", "x".repeat(EACH)));
        kit.put(&ci, "r", &manifest, &[]).await.unwrap();
        pushed.push(sha256(manifest.as_bytes()));
    }
    pushed.sort();
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let after = seen.last();
        let page = kit
            .store
            .referrers(&kit.pull(&ci, "r"), &subject, None, after, 100)
            .await
            .unwrap();
        assert!(
            !page.items.is_empty() && json_of(&page) <= PAGE_BYTES,
            "{}",
            page.items.len()
        );
        seen.extend(page.items.iter().map(|item| item.digest));
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, pushed);
    assert!(pages > 1);
}

#[tokio::test]
async fn only_so_many_lists_are_made_at_once_and_nobody_waits_for_ever() {
    let kit = Kit::with(|limits| {
        limits.referrer_lists = 1;
        limits.referrer_list_wait = std::time::Duration::from_millis(20);
    });
    let kit = kit.await;
    let ci = kit.all("ci").await;
    let permit = kit.pull(&ci, "r");
    let subject = sha256(b"subject");
    let turn = kit.store.referrer_turn().await.unwrap();
    let refused = kit.store.referrers(&permit, &subject, None, None, 1).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    drop(turn);
    kit.store
        .referrers(&permit, &subject, None, None, 1)
        .await
        .unwrap();
}

fn json_of(page: &Page<ReferrerDescriptor>) -> usize {
    let json = |item: &ReferrerDescriptor| serde_json::to_string(&item.annotations).unwrap().len();
    page.items.iter().map(json).sum()
}

/// What a pusher may do to make the lists of others large: as many bytes as a manifest may have, in characters that
/// take six times as many in JSON.
#[tokio::test]
async fn fat_referrers_do_not_make_fat_pages() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = sha256(b"subject");
    kit.push_blob(&ci, "r", b"{}").await.unwrap();
    let mut pushed = Vec::new();
    for number in 0..18 {
        let mut manifest: serde_json::Value =
            serde_json::from_str(&referrer(&subject, "a/b", &number.to_string())).unwrap();
        for key in 0..100 {
            manifest["annotations"][format!("x{key}")] = "\u{1}".repeat(6_500).into();
        }
        let manifest = manifest.to_string();
        kit.put(&ci, "r", &manifest, &[]).await.unwrap();
        pushed.push(sha256(manifest.as_bytes()));
    }
    pushed.sort();
    let mut seen: Vec<Digest> = Vec::new();
    loop {
        let permit = kit.pull(&ci, "r");
        let page = kit.store.referrers(&permit, &subject, None, seen.last(), 100);
        let page = page.await.unwrap();
        assert!(!page.items.is_empty() && json_of(&page) <= PAGE_BYTES);
        assert!(
            page.items
                .iter()
                .all(|item| item.annotations.contains_key("note")),
            "the small ones are kept"
        );
        seen.extend(page.items.iter().map(|item| item.digest));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, pushed);
}

#[tokio::test]
async fn a_fat_fallback_index_does_not_make_fat_pages() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let subject = sha256(b"subject");
    let mut entries = Vec::new();
    for number in 0..4 {
        let bytes = number.to_string();
        let digest = kit.push_image(&ci, "r", &bytes, &[]).await;
        entries.push(serde_json::json!({
            "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": digest, "size": 1,
            "annotations": { "note": format!("{bytes}{}", "x".repeat(900 << 10)) },
        }));
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_INDEX, "manifests": entries,
    });
    let tag = subject.fallback_tag();
    kit.put(&ci, "r", &index.to_string(), &[tag.as_str()])
        .await
        .unwrap();
    let permit = kit.pull(&ci, "r");
    let page = kit
        .store
        .referrers(&permit, &subject, None, None, 100)
        .await
        .unwrap();
    assert!(page.more && page.items.len() == 1, "{}", page.items.len());
    assert_eq!(list(&kit, &ci, &subject, None).await.len(), 4);
}

#[test]
fn a_page_takes_what_fits_and_at_least_one() {
    assert_eq!(fitting(std::iter::empty()), 0);
    assert_eq!(fitting([PAGE_BYTES + 1, 1].into_iter()), 1);
    assert_eq!(fitting([1, PAGE_BYTES - 1, 1].into_iter()), 2);
    assert_eq!(fitting([usize::MAX, usize::MAX].into_iter()), 1);
}

#[test]
fn only_referrers_repeat_their_annotations() {
    let manifest = |text: &str| Manifest::parse(text.as_bytes(), None, &ManifestLimits::default()).unwrap();
    let kept = kept_annotations(&manifest(&referrer(&sha256(b"s"), "a/b", "here")));
    assert_eq!(kept, r#"{"note":"here"}"#);
    let long = "x".repeat(ENTRY_BYTES - r#"{"note":"",}"#.len());
    let fits = kept_annotations(&manifest(&referrer(&sha256(b"s"), "a/b", &long)));
    assert!(fits.len() > long.len() && fits.len() <= ENTRY_BYTES);
    let over = kept_annotations(&manifest(&referrer(&sha256(b"s"), "a/b", &format!("{long}x"))));
    assert_eq!(over, "{}");
    let mut image: serde_json::Value = serde_json::from_str(&image(b"{}", &[])).unwrap();
    image["annotations"] = serde_json::json!({ "note": "here" });
    assert_eq!(kept_annotations(&manifest(&image.to_string())), "{}");
}
