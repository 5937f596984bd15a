//! Links: mounting, deleting, and what happens to damaged blobs.

use access::Role;

use super::*;
use crate::Rules;
use crate::testing::{Kit, sha256};

#[tokio::test]
async fn a_mount_needs_the_right_to_pull_somewhere() {
    let kit = Kit::new().await;
    let owner = kit.robot("owner", &[Role::Push], "secret/**").await;
    let thief = kit.robot("thief", &[Role::Push], "open/**").await;
    let digest = kit.push_blob(&owner, "secret/app", b"layer").await.unwrap();
    let permit = kit.push(&thief, "open/app");
    let may = kit.may_pull(&thief);
    assert_eq!(
        kit.store.mount_blob(&permit, &digest, None, &may).await.unwrap(),
        None
    );
    assert!(
        kit.store
            .repository_stats(&kit.pull(&thief, "open/app"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(kit.read_blob(&thief, "open/app", &digest).await.is_none());

    kit.grant("thief", &[Role::Pull], "secret/app").await;
    let may = kit.may_pull(&thief);
    let mounted = kit.store.mount_blob(&permit, &digest, None, &may).await.unwrap();
    assert_eq!(mounted, Some(BlobInfo { digest, size: 5 }));
    assert_eq!(
        kit.read_blob(&thief, "open/app", &digest).await.unwrap(),
        b"layer"
    );
    assert_eq!(
        kit.store
            .mount_blob(&permit, &sha256(b"nothing"), None, &may)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn the_named_repository_is_looked_at_first_and_only_so_many_others() {
    let kit = Kit::with(|limits| limits.mount_candidates = 2).await;
    let owner = kit.all("owner").await;
    let ci = kit.robot("ci", &[Role::Push], "mine").await;
    kit.grant("ci", &[Role::Pull], "z").await;
    let mut digest = sha256(b"");
    for repo in ["a", "b", "c", "z"] {
        digest = kit.push_blob(&owner, repo, b"layer").await.unwrap();
    }
    let (permit, may) = (kit.push(&ci, "mine"), kit.may_pull(&ci));
    assert_eq!(
        kit.store.mount_blob(&permit, &digest, None, &may).await.unwrap(),
        None,
        "z is not among the first"
    );
    let from = kit.pull(&ci, "z");
    let mounted = kit
        .store
        .mount_blob(&permit, &digest, Some(&from), &may)
        .await
        .unwrap();
    assert!(mounted.is_some());
    let elsewhere = kit.pull(&owner, "elsewhere");
    let other = kit
        .store
        .mount_blob(&kit.push(&owner, "q"), &digest, Some(&elsewhere), &|_| false)
        .await
        .unwrap();
    assert!(other.is_some(), "the owner pushed it");
}

#[tokio::test]
async fn a_mount_over_quota_is_left_to_the_upload_to_explain() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "a", b"layer").await.unwrap();
    kit.rule(
        "b",
        Rules {
            quota_bytes: Some(4),
            ..Rules::default()
        },
    )
    .await;
    let mounted = kit
        .store
        .mount_blob(&kit.push(&ci, "b"), &digest, None, &|_| true)
        .await
        .unwrap();
    assert_eq!(mounted, None);
    assert!(
        kit.store
            .repository_stats(&kit.pull(&ci, "b"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_blob_that_is_named_stays() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let manifest = kit.push_image(&ci, "r", "a", &["1"]).await;
    let layer = sha256(b"layer a");
    let delete = kit.delete(&ci, "r");
    let refused = kit.store.delete_blob(&delete, &layer).await.unwrap_err();
    assert!(
        matches!(refused, DeleteError::InUse { manifest: by } if by == manifest),
        "{refused}"
    );
    kit.store.delete_manifest(&delete, &manifest).await.unwrap();
    kit.store.delete_blob(&delete, &layer).await.unwrap();
    assert!(kit.read_blob(&ci, "r", &layer).await.is_none());
    assert!(matches!(
        kit.store.delete_blob(&delete, &layer).await,
        Err(DeleteError::Unknown)
    ));
    assert!(matches!(
        kit.store.delete_blob(&kit.delete(&ci, "none"), &layer).await,
        Err(DeleteError::Unknown)
    ));
}

#[tokio::test]
async fn what_is_deleted_in_one_repository_stays_in_others() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "a", b"layer").await.unwrap();
    kit.push_blob(&ci, "b", b"layer").await.unwrap();
    kit.store
        .delete_blob(&kit.delete(&ci, "a"), &digest)
        .await
        .unwrap();
    kit.collect_all().await;
    assert!(kit.read_blob(&ci, "a", &digest).await.is_none());
    // Nothing names it in `b` either, so it has gone with the time of grace.
    assert!(kit.read_blob(&ci, "b", &digest).await.is_none());
}

#[tokio::test]
async fn a_lost_file_makes_the_blob_unknown_and_a_push_heals_it() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["1"]).await;
    let layer = sha256(b"layer a");
    let row = kit
        .store
        .blob_row(&"r".parse().unwrap(), &layer)
        .await
        .unwrap()
        .unwrap();
    std::fs::remove_file(kit.path().join(row.location.path())).unwrap();
    kit.store.inner.files.reader().forget(&row.location).await;

    assert!(kit.read_blob(&ci, "r", &layer).await.is_none());
    assert!(kit.read_blob(&ci, "r", &layer).await.is_none());
    let manifest = crate::testing::image(b"config a", &[b"layer a"]);
    let refused = kit.put(&ci, "r", &manifest, &["2"]).await;
    assert!(matches!(refused, Err(crate::PutError::BlobsUnknown(unknown)) if unknown == [layer]));

    kit.push_blob(&ci, "r", b"layer a").await.unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &layer).await.unwrap(), b"layer a");
    kit.put(&ci, "r", &manifest, &["2"]).await.unwrap();
    kit.collect_all().await;
    assert_eq!(kit.read_blob(&ci, "r", &layer).await.unwrap(), b"layer a");
}

#[tokio::test]
async fn a_file_of_another_length_is_never_served() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", b"layer").await.unwrap();
    let row = kit
        .store
        .blob_row(&"r".parse().unwrap(), &digest)
        .await
        .unwrap()
        .unwrap();
    std::fs::write(kit.path().join(row.location.path()), b"lay").unwrap();
    kit.store.inner.files.reader().forget(&row.location).await;
    assert!(kit.read_blob(&ci, "r", &digest).await.is_none());
    kit.push_blob(&ci, "r", b"layer").await.unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &digest).await.unwrap(), b"layer");
}

#[tokio::test]
async fn a_push_heals_a_blob_whose_file_is_gone_or_cut_even_if_nobody_noticed() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_blob(&ci, "r", b"layer").await.unwrap();
    let file = || async {
        let row = kit.store.blob_row(&"r".parse().unwrap(), &digest).await.unwrap();
        kit.path().join(row.unwrap().location.path())
    };
    std::fs::remove_file(file().await).unwrap();
    kit.push_blob(&ci, "r", b"layer").await.unwrap();
    assert_eq!(kit.read_blob(&ci, "r", &digest).await.unwrap(), b"layer");

    std::fs::write(file().await, b"lay").unwrap();
    kit.push_blob(&ci, "elsewhere", b"layer").await.unwrap();
    assert_eq!(std::fs::read(file().await).unwrap(), b"layer");
}
