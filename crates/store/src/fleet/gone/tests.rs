//! What is left of images that were deleted.

use std::time::Duration;

use access::Caller;

use super::*;
use crate::testing::{Kit, sha256};

async fn delete(kit: &Kit, ci: &Caller, repo: &str, digest: &Digest) {
    let permit = kit.delete(ci, repo);
    kit.store.delete_manifest(&permit, digest).await.unwrap();
}

#[tokio::test]
async fn a_deleted_image_leaves_its_manifest_and_when_it_was_there() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let (one, two) = (
        kit.push_image(&ci, "team/app", "a", &["v1"]).await,
        kit.push_image(&ci, "team/app", "b", &["v2"]).await,
    );
    assert!(kit.store.gone_images(0, 10).await.unwrap().is_empty());
    assert_eq!(
        kit.store.gone_known_since().await.unwrap(),
        kit.store.now().minus(kit.store.gone_images_age())
    );
    delete(&kit, &ci, "team/app", &one).await;
    delete(&kit, &ci, "team/app", &two).await;
    let gone = kit.store.gone_images(0, 10).await.unwrap();
    let digests: Vec<Digest> = gone.iter().map(|image| image.digest).collect();
    assert_eq!(digests, [one, two]);
    assert_eq!(sha256(&gone[0].image.bytes), one);
    assert!(gone[0].image.pushed_at <= gone[0].gone_at);
    assert_eq!(gone[0].repo.as_str(), "team/app");
    assert_eq!(kit.store.gone_images(gone[0].id, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_too_many_the_oldest_go_and_since_when_all_are_known_is_said() {
    let kit = Kit::with(|limits| limits.gone_images = 2).await;
    let ci = kit.all("ci").await;
    let mut digests = Vec::new();
    for name in ["a", "b", "c"] {
        digests.push(kit.push_image(&ci, "team/app", name, &[name]).await);
    }
    for digest in &digests {
        kit.advance(Duration::from_hours(1));
        delete(&kit, &ci, "team/app", digest).await;
    }
    let left = kit.store.gone_images(0, 10).await.unwrap();
    assert_eq!(
        left.iter().map(|image| image.digest).collect::<Vec<_>>(),
        digests[1..]
    );
    let since = kit.store.gone_known_since().await.unwrap();
    assert_eq!(since, left[0].gone_at.minus(Duration::from_hours(1)));
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let kit = Kit::with(|limits| limits.gone_images_age = Duration::from_hours(24)).await;
    let ci = kit.all("ci").await;
    let old = kit.push_image(&ci, "team/app", "a", &["v1"]).await;
    let new = kit.push_image(&ci, "team/app", "b", &["v2"]).await;
    delete(&kit, &ci, "team/app", &old).await;
    kit.advance(Duration::from_hours(25));
    delete(&kit, &ci, "team/app", &new).await;
    let left = kit.store.gone_images(0, 10).await.unwrap();
    assert_eq!(left.iter().map(|image| image.digest).collect::<Vec<_>>(), [new]);
}
