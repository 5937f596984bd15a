//! The catalog, counters, and deleting repositories.

use access::permit::Administer;

use crate::testing::{Kit, sha256};
use crate::{DeleteError, ImmutableTags, Rules};

#[tokio::test]
async fn the_catalog_shows_what_is_visible_in_pages() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for repo in ["b/1", "a/1", "a/2", "c/1", "a/3"] {
        kit.push_blob(&ci, repo, b"x").await.unwrap();
    }
    let everything = [oci::RepoPattern::everything()];
    let visible = |repo: &oci::RepoName| !repo.as_str().starts_with("a/2");
    let first = kit
        .store
        .repositories(&everything, &visible, None, 2)
        .await
        .unwrap();
    assert_eq!(
        first.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a/1", "a/3"]
    );
    assert!(first.more);
    let second = kit
        .store
        .repositories(&everything, &visible, Some("a/3"), 2)
        .await
        .unwrap();
    assert_eq!(
        second.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["b/1", "c/1"]
    );
    assert!(!second.more);
    assert!(
        kit.store
            .repositories(&everything, &|_| false, None, 2)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        kit.store
            .repositories(&everything, &visible, None, 0)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn counters_follow_what_happens() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "a", &["1", "2"]).await;
    let digest = kit.push_image(&ci, "r", "b", &["3"]).await;
    let stats = async || {
        kit.store
            .repository_stats(&kit.pull(&ci, "r"))
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(
        (stats().await.tags, stats().await.manifests, stats().await.blobs),
        (3, 2, 4)
    );
    kit.store
        .delete_manifest(&kit.delete(&ci, "r"), &digest)
        .await
        .unwrap();
    assert_eq!(
        (stats().await.tags, stats().await.manifests, stats().await.blobs),
        (2, 1, 4)
    );
    kit.collect_all().await;
    assert_eq!(
        (stats().await.tags, stats().await.manifests, stats().await.blobs),
        (2, 1, 2)
    );
}

#[tokio::test]
async fn a_deleted_repository_is_gone_and_others_stay() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "a", "x", &["1", "2"]).await;
    kit.push_image(&ci, "b", "x", &["1"]).await;
    assert!(kit.manifest(&ci, "a", "1").await.is_some());
    let permit = kit.permit::<Administer>(&ci, "a");
    kit.store.delete_repository(&permit).await.unwrap();
    assert!(kit.manifest(&ci, "a", "1").await.is_none());
    assert!(kit.manifest(&ci, "a", &digest.to_string()).await.is_none());
    assert!(kit.read_blob(&ci, "a", &sha256(b"layer x")).await.is_none());
    assert!(
        kit.store
            .tags(&kit.pull(&ci, "a"), None, 1)
            .await
            .unwrap()
            .is_none()
    );
    kit.collect_all().await;
    assert_eq!(kit.manifest(&ci, "b", "1").await.unwrap().digest, digest);
    assert_eq!(
        kit.read_blob(&ci, "b", &sha256(b"layer x")).await.unwrap(),
        b"layer x"
    );
    assert!(matches!(
        kit.store.delete_repository(&permit).await,
        Err(DeleteError::Unknown)
    ));
}

#[tokio::test]
async fn a_repository_with_an_immutable_tag_stays_whole() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_image(&ci, "r", "x", &["a", "z"]).await;
    let immutable = ImmutableTags(vec!["z".into()]);
    kit.rule(
        "r",
        Rules {
            immutable_tags: Some(immutable),
            ..Rules::default()
        },
    )
    .await;
    let refused = kit
        .store
        .delete_repository(&kit.permit::<Administer>(&ci, "r"))
        .await;
    assert!(matches!(refused, Err(DeleteError::TagImmutable { tag }) if tag.as_str() == "z"));
    assert_eq!(kit.tags(&ci, "r").await, ["a", "z"]);
}

#[tokio::test]
async fn an_empty_repository_goes_with_the_collection() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    kit.push_blob(&ci, "r", b"x").await.unwrap();
    kit.collect_all().await;
    assert!(
        kit.store
            .repository_stats(&kit.pull(&ci, "r"))
            .await
            .unwrap()
            .is_none()
    );
}
