use std::time::Duration;

use access::{Caller, Role};
use oci::Tag;

use super::*;
use crate::testing::{Kit, body, image, index, put, sha256};
use crate::{EventFilter, FsckOptions, PutError};

const REPO: &str = "hub/library/app";

struct World {
    kit: Kit,
    node: Caller,
    intake: Intake,
}

async fn world() -> World {
    let kit = Kit::new().await;
    let node = kit.robot("node", &[Role::Pull], "**").await;
    let intake = Intake::new(&kit.pull(&node, REPO), "https://upstream.example".into());
    World { kit, node, intake }
}

impl World {
    async fn blob(&self, bytes: &[u8]) {
        let size = Some(bytes.len() as u64);
        let landing = self
            .kit
            .store
            .begin_intake(self.intake.clone(), sha256(bytes), size);
        let landing = landing.await.unwrap();
        self.kit.store.land(landing, body(bytes)).await.unwrap();
    }

    async fn known(&self, tag: &str) -> Option<UpstreamTag> {
        let permit = self.kit.pull(&self.node, REPO);
        self.kit
            .store
            .upstream_tag(&permit, &tag.parse().unwrap())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn an_image_comes_in_after_its_blobs_with_tag_note_and_job() {
    let world = world().await;
    let manifest = image(b"config", &[b"layer"]);
    let early = world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&manifest, &["1"]))
        .await;
    assert!(matches!(early, Err(PutError::BlobsUnknown(_))), "{early:?}");
    world.blob(b"config").await;
    world.blob(b"layer").await;
    let outcome = world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&manifest, &["1"]))
        .await;
    assert!(outcome.unwrap().created);
    let digest = sha256(manifest.as_bytes());
    let known = world.known("1").await.unwrap();
    assert_eq!((known.digest, known.gone), (digest, false));
    assert_eq!(known.upstream, "https://upstream.example");
    let stored = world.kit.manifest(&world.node, REPO, "1").await.unwrap();
    assert_eq!(stored.digest, digest);
    let admin = world.kit.administrator("root").await;
    let filter = EventFilter::default();
    let events = world.kit.store.events(&admin, &filter, None, 100).await.unwrap();
    let pushed = events
        .items
        .iter()
        .find(|event| event.kind == crate::EventKind::ManifestPush);
    assert_eq!(pushed.map(|event| event.cause.as_str()), Some("proxy"));
    // Nothing that a manifest names is collected.
    assert_eq!(world.kit.collect_all().await.blobs, 0);
}

#[tokio::test]
async fn an_index_comes_before_its_children_and_that_is_no_damage() {
    let world = world().await;
    let child = image(b"config", &[]);
    let parent = index(&[&child, &image(b"never", &[])]);
    world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&parent, &["1"]))
        .await
        .unwrap();
    world.blob(b"config").await;
    world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&child, &[]))
        .await
        .unwrap();
    let report = world
        .kit
        .store
        .fsck(FsckOptions::default(), |_| {})
        .await
        .unwrap();
    assert!(report.damages.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_tag_is_renewed_moved_and_dropped() {
    let world = world().await;
    let (first, second) = (index(&[]), index(&[&image(b"x", &[])]));
    let tag: Tag = "1".parse().unwrap();
    world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&first, &["1"]))
        .await
        .unwrap();
    let before = world.known("1").await.unwrap().checked_at;
    world.kit.advance(Duration::from_mins(1));
    let digest = sha256(first.as_bytes());
    world
        .kit
        .store
        .note_upstream_tag(&world.intake, &tag, &digest, true)
        .await
        .unwrap();
    let known = world.known("1").await.unwrap();
    assert!(known.checked_at > before && known.gone);
    world
        .kit
        .store
        .take_in_manifest(&world.intake, put(&second, &["1"]))
        .await
        .unwrap();
    assert_eq!(world.known("1").await.unwrap().digest, sha256(second.as_bytes()));
    for _ in 0..2 {
        world
            .kit
            .store
            .drop_upstream_tag(&world.intake, &tag)
            .await
            .unwrap();
        assert_eq!(world.known("1").await, None);
        assert!(world.kit.manifest(&world.node, REPO, "1").await.is_none());
    }
    let kept = world.kit.manifest(&world.node, REPO, &digest.to_string()).await;
    assert!(kept.is_some(), "only the tag goes");
}

#[tokio::test]
async fn names_below_a_prefix_are_those_of_the_prefix() {
    let world = world().await;
    let all = world.kit.all("ann").await;
    for repo in ["hub/a", "hub/b/c", "hub0/d", "hub-x/e", "hu/f"] {
        world.kit.push_blob(&all, repo, b"x").await.unwrap();
    }
    let names = |limit| {
        let store = world.kit.store.clone();
        async move {
            let names = store.repositories_below("hub", limit).await.unwrap();
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(10).await, ["hub/a", "hub/b/c"]);
    assert_eq!(names(1).await, ["hub/a"]);
}
