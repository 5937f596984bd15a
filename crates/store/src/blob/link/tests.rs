//! What a quota counts: what is named, and what was pushed and never named; not what was named once.

use access::Caller;

use crate::testing::{Kit, image, sha256};
use crate::{PutError, RepositoryStats, Rules, UploadError};

const CONFIG: &[u8] = b"config";
const LAYER: &[u8] = b"a layer of some bytes";

struct Fixture {
    kit: Kit,
    ci: Caller,
    manifest: String,
    /// Bytes.
    quota: usize,
}

impl Fixture {
    /// `r` has room for one image of `CONFIG` and `LAYER` and for one byte more.
    async fn new() -> Self {
        let kit = Kit::new().await;
        let ci = kit.all("ci").await;
        let manifest = image(CONFIG, &[LAYER]);
        let quota = CONFIG.len() + LAYER.len() + manifest.len() + 1;
        let rules = Rules {
            quota_bytes: Some(quota as u64),
            ..Rules::default()
        };
        kit.rule("r", rules).await;
        Self {
            kit,
            ci,
            manifest,
            quota,
        }
    }

    async fn push(&self) {
        for blob in [CONFIG, LAYER] {
            self.kit.push_blob(&self.ci, "r", blob).await.unwrap();
        }
        self.kit.put(&self.ci, "r", &self.manifest, &["1"]).await.unwrap();
    }

    async fn delete(&self, manifest: &str) {
        let permit = self.kit.delete(&self.ci, "r");
        let digest = sha256(manifest.as_bytes());
        self.kit.store.delete_manifest(&permit, &digest).await.unwrap();
    }

    async fn stats(&self) -> RepositoryStats {
        let permit = self.kit.pull(&self.ci, "r");
        self.kit.store.repository_stats(&permit).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_deleted_image_makes_room_at_once() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    fixture.push().await;
    let other = kit.push_blob(&fixture.ci, "r", b"another layer").await;
    assert!(matches!(other, Err(UploadError::Quota(_))), "{other:?}");
    fixture.delete(&fixture.manifest).await;
    let stats = fixture.stats().await;
    let released = (CONFIG.len() + LAYER.len()) as u64;
    assert_eq!((stats.bytes, stats.released_bytes), (0, released));
    let until = kit.store.now().plus(kit.store.limits().collect_grace);
    assert_eq!(stats.released_until, Some(until));
    kit.push_image(&fixture.ci, "r", "b", &["2"]).await;

    kit.collect_all().await;
    let stats = fixture.stats().await;
    assert_eq!((stats.released_bytes, stats.released_until), (0, None));
}

#[tokio::test]
async fn what_was_pushed_and_never_named_counts() {
    let fixture = Fixture::new().await;
    let blob = vec![7; fixture.quota];
    fixture.kit.push_blob(&fixture.ci, "r", &blob).await.unwrap();
    let refused = fixture.kit.push_blob(&fixture.ci, "r", b"x").await;
    assert!(matches!(refused, Err(UploadError::Quota(_))), "{refused:?}");
    assert_eq!(fixture.stats().await.released_until, None);
}

#[tokio::test]
async fn what_another_manifest_names_still_counts() {
    let fixture = Fixture::new().await;
    let other = image(LAYER, &[]);
    fixture.push().await;
    fixture.kit.rule("r", Rules::default()).await;
    fixture.kit.put(&fixture.ci, "r", &other, &["2"]).await.unwrap();
    fixture.delete(&fixture.manifest).await;
    let stats = fixture.stats().await;
    assert_eq!(stats.bytes, (LAYER.len() + other.len()) as u64);
    assert_eq!(stats.released_bytes, CONFIG.len() as u64);
}

#[tokio::test]
async fn what_is_pushed_mounted_or_named_again_counts_again() {
    for way in ["push", "mount", "name"] {
        let fixture = Fixture::new().await;
        let kit = &fixture.kit;
        fixture.push().await;
        let before = fixture.stats().await.bytes;
        fixture.delete(&fixture.manifest).await;
        let (permit, layer) = (kit.push(&fixture.ci, "r"), sha256(LAYER));
        match way {
            "push" => {
                kit.push_blob(&fixture.ci, "r", LAYER).await.unwrap();
            }
            "mount" => {
                let mounted = kit.store.mount_blob(&permit, &layer, None, &|_| false).await;
                assert!(mounted.unwrap().is_some());
            }
            _ => {
                kit.put(&fixture.ci, "r", &fixture.manifest, &[]).await.unwrap();
            }
        }
        let stats = fixture.stats().await;
        let counted = if way == "name" { before } else { LAYER.len() as u64 };
        let released = if way == "name" { 0 } else { CONFIG.len() as u64 };
        assert_eq!((stats.bytes, stats.released_bytes), (counted, released), "{way}");
        kit.put(&fixture.ci, "r", &fixture.manifest, &["1"])
            .await
            .unwrap();
        assert_eq!(fixture.stats().await.bytes, before, "{way}");
    }
}

#[tokio::test]
async fn what_counts_again_may_be_refused() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    fixture.push().await;
    fixture.delete(&fixture.manifest).await;
    // Somebody else takes the room.
    let filler = vec![7; LAYER.len() + fixture.manifest.len()];
    kit.push_blob(&fixture.ci, "r", &filler).await.unwrap();
    let named = kit.put(&fixture.ci, "r", &fixture.manifest, &[]).await;
    assert!(matches!(named, Err(PutError::Quota(_))), "{named:?}");
    let pushed = kit.push_blob(&fixture.ci, "r", LAYER).await;
    assert!(matches!(pushed, Err(UploadError::Quota(_))), "{pushed:?}");
    let permit = kit.push(&fixture.ci, "r");
    let mounted = kit
        .store
        .mount_blob(&permit, &sha256(LAYER), None, &|_| false)
        .await;
    assert_eq!(mounted.unwrap(), None);
    let stats = fixture.stats().await;
    assert_eq!(stats.bytes, filler.len() as u64);
    assert_eq!(stats.released_bytes, (CONFIG.len() + LAYER.len()) as u64);
}

#[tokio::test]
async fn a_pusher_who_asks_keeps_what_was_released_and_takes_no_room() {
    let fixture = Fixture::new().await;
    let kit = &fixture.kit;
    fixture.push().await;
    fixture.delete(&fixture.manifest).await;
    for _ in 0..4 {
        kit.advance(kit.grace() / 2);
        for blob in [CONFIG, LAYER] {
            assert!(kit.read_blob(&fixture.ci, "r", &sha256(blob)).await.is_some());
        }
        kit.collect().await;
    }
    assert_eq!(fixture.stats().await.bytes, 0);
    kit.put(&fixture.ci, "r", &fixture.manifest, &["1"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_released_blob_can_be_deleted() {
    let fixture = Fixture::new().await;
    fixture.push().await;
    fixture.delete(&fixture.manifest).await;
    let permit = fixture.kit.delete(&fixture.ci, "r");
    fixture
        .kit
        .store
        .delete_blob(&permit, &sha256(LAYER))
        .await
        .unwrap();
    let stats = fixture.stats().await;
    assert_eq!((stats.bytes, stats.released_bytes), (0, CONFIG.len() as u64));
}
