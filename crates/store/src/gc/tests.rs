//! The collection: what goes, what stays, and that neither depends on the order of things.

mod model;
mod sweep;
mod together;

use std::fs;
use std::time::Duration;

use oci::Algorithm;

use super::*;
use crate::testing::{Kit, body, sha256};

fn blob_files(kit: &Kit) -> usize {
    let mut count = 0;
    for fan_out in fs::read_dir(kit.path().join("blobs/sha256")).unwrap() {
        count += fs::read_dir(fan_out.unwrap().path()).unwrap().count();
    }
    count
}

#[tokio::test]
async fn what_nobody_names_goes_after_the_grace_and_no_sooner() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let kept = kit.push_image(&ci, "r", "a", &["1"]).await;
    kit.push_blob(&ci, "r", b"unnamed").await.unwrap();
    let untagged = kit.push_image(&ci, "r", "b", &[]).await;
    assert_eq!(kit.collect().await.unlinked, 0, "within the grace nothing goes");
    kit.advance(kit.grace());
    let report = kit.collect().await;
    assert_eq!((report.unlinked, report.blobs), (1, 0), "the link first");
    kit.advance(kit.grace());
    let report = kit.collect().await;
    assert_eq!(
        (report.unlinked, report.blobs, report.bytes),
        (0, 1, 7),
        "then the blob"
    );
    assert_eq!(blob_files(&kit), 4);
    // An untagged manifest stays until retention says otherwise.
    for digest in [kept, untagged] {
        assert!(kit.manifest(&ci, "r", &digest.to_string()).await.is_some());
    }
}

#[tokio::test]
async fn what_stays_for_now_is_counted() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let kept = async || {
        let kept = kit.store.kept().await.unwrap();
        (kept.blobs, kept.bytes)
    };
    let manifest = kit.push_image(&ci, "a", "x", &["1"]).await;
    kit.push_image(&ci, "b", "x", &["1"]).await;
    kit.push_blob(&ci, "a", b"unnamed").await.unwrap();
    assert_eq!(kept().await, (1, 7));
    // Still named elsewhere.
    let delete = async |repo| {
        let permit = kit.delete(&ci, repo);
        kit.store.delete_manifest(&permit, &manifest).await.unwrap();
    };
    delete("a").await;
    assert_eq!(kept().await, (1, 7));
    delete("b").await;
    let all = 7 + ("config x".len() + "layer x".len()) as u64;
    assert_eq!(kept().await, (3, all));
    kit.advance(kit.grace());
    kit.collect().await;
    assert_eq!(kept().await, (3, all), "the second grace");
    kit.collect_all().await;
    assert_eq!(kept().await, (0, 0));
}

#[tokio::test]
async fn grace_begins_anew_with_each_push_mount_and_release() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "a", b"layer").await.unwrap();
    let half = kit.grace() / 2 + Duration::from_secs(1);
    kit.advance(half);
    kit.push_blob(&ci, "a", b"layer").await.unwrap();
    kit.advance(half);
    assert_eq!(kit.collect().await.unlinked, 0);
    kit.store
        .mount_blob(&kit.push(&ci, "a"), &digest, None, &|_| false)
        .await
        .unwrap()
        .unwrap();
    kit.advance(half);
    assert_eq!(kit.collect().await.unlinked, 0);
    let manifest = kit.push_image(&ci, "b", "x", &[]).await;
    kit.advance(kit.grace());
    kit.store
        .delete_manifest(&kit.delete(&ci, "b"), &manifest)
        .await
        .unwrap();
    assert_eq!(kit.collect().await.unlinked, 1, "only what nobody touched");
    assert!(kit.read_blob(&ci, "b", &sha256(b"layer x")).await.is_some());
}

#[tokio::test]
async fn a_blob_of_two_repositories_goes_with_the_last() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "a", "x", &["1"]).await;
    let digest = kit.push_image(&ci, "b", "x", &["1"]).await;
    let layer = sha256(b"layer x");
    kit.store
        .delete_manifest(&kit.delete(&ci, "b"), &digest)
        .await
        .unwrap();
    kit.collect_all().await;
    assert!(kit.read_blob(&ci, "b", &layer).await.is_none());
    assert!(kit.read_blob(&ci, "a", &layer).await.is_some());
    kit.store
        .delete_manifest(&kit.delete(&ci, "a"), &digest)
        .await
        .unwrap();
    kit.collect_all().await;
    assert_eq!(blob_files(&kit), 0);
}

#[tokio::test]
async fn a_client_that_saw_a_blob_just_before_it_was_unlinked_still_gets_its_manifest_in() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"config a").await.unwrap();
    kit.push_blob(&ci, "r", b"layer a").await.unwrap();
    kit.advance(kit.grace());
    // A reader is promised nothing, and whoever pushed the blob may have it without a link too.
    let reader = kit.robot("reader", &[access::Role::Pull], "**").await;
    assert!(kit.read_blob(&reader, "r", &sha256(b"layer a")).await.is_some());
    assert_eq!(kit.collect().await.unlinked, 2);
    let manifest = crate::testing::image(b"config a", &[b"layer a"]);
    kit.put(&ci, "r", &manifest, &["1"]).await.unwrap();
    kit.collect_all().await;
    assert!(kit.read_blob(&ci, "r", &sha256(b"layer a")).await.is_some());
}

#[tokio::test]
async fn orphans_go_and_files_of_live_sessions_stay() {
    let mut kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"kept").await.unwrap();
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store
        .append_upload(&permit, &id, None, body(b"half"))
        .await
        .unwrap();
    // Its commit was cut off between the file and the row.
    let upload = kit.path().join("uploads").join(id.to_string().replace('-', ""));
    let location = Location::new(sha256(b"half"), id.to_string().parse().unwrap());
    let committed = kit.path().join(location.path());
    fs::create_dir_all(committed.parent().unwrap()).unwrap();
    fs::rename(&upload, &committed).unwrap();
    // And one of which nothing is known.
    let stranger = Location::new(sha256(b"stranger"), uuid::Uuid::now_v7());
    fs::create_dir_all(kit.path().join(stranger.path()).parent().unwrap()).unwrap();
    fs::write(kit.path().join(stranger.path()), b"stranger").unwrap();
    let dead = kit
        .path()
        .join("uploads")
        .join(uuid::Uuid::now_v7().as_simple().to_string());
    fs::write(&dead, b"dead").unwrap();

    assert_eq!(kit.collect().await.orphans, 0, "they are young");
    kit.restart().await;
    kit.advance(kit.grace());
    assert_eq!(kit.collect().await.orphans, 2);
    assert!(!dead.exists() && !kit.path().join(stranger.path()).exists());
    assert!(committed.exists());
    let permit = kit.push(&ci, "r");
    kit.store
        .finish_upload(&permit, &id, Some(4), crate::testing::no_body(), &sha256(b"half"))
        .await
        .unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &sha256(b"half")).await.unwrap(), b"half");
}

#[tokio::test]
async fn a_step_does_no_more_than_its_budget() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for number in 0..7_u8 {
        kit.push_blob(&ci, "r", &[number]).await.unwrap();
    }
    kit.advance(kit.grace());
    let first = kit.store.gc_step(3).await.unwrap();
    assert_eq!((first.unlinked, first.more), (3, true));
    assert_eq!(kit.collect().await.unlinked, 4);
}
