//! Pushes and deletions, collection, fsck and backup at the same time, on the real disk.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use access::Caller;
use oci::Digest;
use tokio::sync::RwLock;

use crate::db::sql;
use crate::testing::{Kit, Sink, image, sha256};
use crate::{FsckOptions, Store, StoreConfig, SystemClock, restore};

const PUSHERS: usize = 3;
const IMAGES: usize = 12;
const BACKUPS: usize = 3;
const CONFIG: &[u8] = b"{}";
const SHARED: &[u8] = b"shared";

/// Blobs that all images have.
const COMMON: usize = 2;

/// What all of them share.
struct World {
    kit: Kit,
    ci: Caller,
    /// Time passes only between two pushes: a push that takes longer than the grace is promised nothing.
    time: RwLock<()>,
    is_over: AtomicBool,
}

fn repo(pusher: usize) -> String {
    format!("team/{pusher}")
}

impl World {
    /// Pushes images and deletes every third; answers what must be there at the end, with the layer of its own.
    async fn push(&self, pusher: usize) -> BTreeMap<Digest, Vec<u8>> {
        let mut live = BTreeMap::new();
        for number in 0..IMAGES {
            let layer = format!("layer {pusher} {number}").into_bytes();
            let digest = self.push_image(&repo(pusher), number, &layer).await;
            if number % 3 == 2 {
                let permit = self.kit.delete(&self.ci, &repo(pusher));
                self.kit.store.delete_manifest(&permit, &digest).await.unwrap();
            } else {
                live.insert(digest, layer);
            }
        }
        live
    }

    async fn push_image(&self, repo: &str, number: usize, layer: &[u8]) -> Digest {
        let _now = self.time.read().await;
        let garbage = [b"garbage beside ", layer].concat();
        for blob in [CONFIG, SHARED, layer, &garbage] {
            self.kit.push_blob(&self.ci, repo, blob).await.unwrap();
        }
        let manifest = image(CONFIG, &[SHARED, layer]);
        let tag = format!("t{}", number % 5);
        self.kit.put(&self.ci, repo, &manifest, &[&tag]).await.unwrap();
        sha256(manifest.as_bytes())
    }

    async fn collect(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            self.kit.store.gc_step(3).await.unwrap();
            let _between = self.time.write().await;
            self.kit.advance(self.kit.grace() / 3);
        }
    }

    async fn check(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let options = FsckOptions {
                quarantine: true,
                ..FsckOptions::default()
            };
            let report = self.kit.store.fsck(options, |_| {}).await.unwrap();
            assert_eq!(report.damaged, 0, "{report:?}");
        }
    }

    async fn back_up(&self) -> Vec<Vec<u8>> {
        let mut backups = Vec::new();
        for _ in 0..BACKUPS {
            let sink = Sink::default();
            let done = self.kit.store.backup(&Kit::operator(), sink.clone()).await;
            done.unwrap();
            backups.push(sink.bytes());
        }
        backups
    }
}

/// Every blob that a manifest names is there, and its bytes are good.
async fn check_whole(store: &Store) {
    let sql = "SELECT COUNT(*) AS number FROM manifest_reference f \
               LEFT JOIN blob b ON b.digest = f.digest AND b.state = 0 WHERE f.kind = 0 AND b.id IS NULL";
    let lost: Option<sql::Number> = sql::first(store.inner.db.read(), sql, []).await.unwrap();
    assert_eq!(lost.unwrap().number, 0, "named blobs are gone");
    let report = store.fsck(FsckOptions::default(), |_| {}).await.unwrap();
    assert_eq!((report.damaged, report.orphans), (0, 0), "{report:?}");
}

async fn check_restored(backup: Vec<u8>) {
    let target = tempfile::tempdir().unwrap();
    let dir = target.path().join("data");
    restore(Cursor::new(backup), &dir).await.unwrap();
    let config = StoreConfig::at(&dir);
    let store = Store::open(config, Arc::new(SystemClock)).await.unwrap();
    check_whole(&store).await;
    store.close().await.unwrap();
}

/// Everything that is live can be read, and nothing else is left.
async fn check_live(kit: &Kit, ci: &Caller, live: &[BTreeMap<Digest, Vec<u8>>]) {
    for (pusher, images) in live.iter().enumerate() {
        let repo = repo(pusher);
        for (digest, layer) in images {
            let manifest = kit.manifest(ci, &repo, &digest.to_string()).await;
            assert!(manifest.is_some(), "{digest} of {repo}");
            for blob in [CONFIG, SHARED, layer] {
                let read = kit.read_blob(ci, &repo, &sha256(blob)).await;
                assert_eq!(read.as_deref(), Some(blob));
            }
        }
    }
    let named = COMMON + live.iter().map(BTreeMap::len).sum::<usize>();
    assert_eq!(super::blob_files(kit), named);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collection_check_and_backup_beside_pushes_lose_nothing() {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let world = Arc::new(World {
        kit,
        ci,
        time: RwLock::default(),
        is_over: AtomicBool::new(false),
    });
    let pushing = (0..PUSHERS).map(|pusher| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.push(pusher).await })
    });
    let pushing: Vec<_> = pushing.collect();
    let (collected, checked, backed_up) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
    let collecting = tokio::spawn(async move { collected.collect().await });
    let checking = tokio::spawn(async move { checked.check().await });
    let backing_up = tokio::spawn(async move { backed_up.back_up().await });
    let mut live = Vec::new();
    for pusher in pushing {
        live.push(pusher.await.unwrap());
    }
    let backups = backing_up.await.unwrap();
    world.is_over.store(true, Ordering::Relaxed);
    collecting.await.unwrap();
    checking.await.unwrap();

    world.kit.collect_all().await;
    check_whole(&world.kit.store).await;
    check_live(&world.kit, &world.ci, &live).await;
    for backup in backups {
        check_restored(backup).await;
    }
}
