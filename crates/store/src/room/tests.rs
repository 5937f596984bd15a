//! The reserve on a disk that says what a test wants, and what a store does when that is full.

use std::sync::atomic::AtomicU64;

use futures_util::{StreamExt as _, stream};
use oci::Algorithm;

use super::*;
use crate::testing::{Kit, body, sha256};
use crate::{PutError, StoreConfig, StoreLimits, UPLOAD_LIFETIME_WHEN_FULL, UploadError};

const MIB: u64 = 1 << 20;

/// A disk of 4 GiB.
#[derive(Default)]
struct Fake {
    used: AtomicU64,
    held: AtomicU64,
    no_names: AtomicBool,
}

const TOTAL: u64 = 4096 * MIB;

impl Fake {
    /// Others leave so many bytes of it.
    fn leave(&self, bytes: u64) {
        self.used.store(TOTAL - bytes, Ordering::SeqCst);
    }
}

impl Volume for Arc<Fake> {
    fn space(&self) -> io::Result<Space> {
        let used = self.used.load(Ordering::SeqCst) + self.held();
        Ok(Space {
            total: TOTAL,
            free: TOTAL.saturating_sub(used),
            names: Some(if self.no_names.load(Ordering::SeqCst) {
                0
            } else {
                1_000
            }),
        })
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::SeqCst)
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        self.held.store(0, Ordering::SeqCst);
        if self.space()?.free < bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.held.store(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn give(&self) -> io::Result<()> {
        self.held.store(0, Ordering::SeqCst);
        Ok(())
    }
}

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);

#[test]
fn the_reserve_is_given_back_when_the_disk_is_full_and_taken_again_with_room() {
    let disk = Arc::new(Fake::default());
    let room = Room::open(Box::new(Arc::clone(&disk)), 64 * MIB, NOW);
    assert!(!room.is_full());
    assert_eq!(disk.held(), 64 * MIB);
    disk.leave(64 * MIB + SHORT_BYTES);
    room.notice(NOW);
    assert!(!room.is_full(), "there is a little left");
    disk.leave(64 * MIB + SHORT_BYTES - 1);
    room.notice(NOW);
    assert!(room.is_full());
    assert_eq!((room.full_since(), disk.held()), (Some(NOW), 0));
    disk.leave(64 * MIB + ENOUGH_BYTES - 1);
    room.look(LATER);
    assert!(room.is_full(), "it would be full again at once");
    disk.leave(64 * MIB + ENOUGH_BYTES);
    room.look(LATER);
    assert!(!room.is_full());
    assert_eq!((room.full_since(), disk.held()), (None, 64 * MIB));
    assert_eq!(room.free(), ENOUGH_BYTES);
}

#[test]
fn whoever_meets_the_end_of_the_disk_is_believed() {
    let disk = Arc::new(Fake::default());
    let room = Room::open(Box::new(Arc::clone(&disk)), MIB, NOW);
    room.ran_out(NOW);
    assert!(room.is_full() && disk.held() == 0);
    room.look(LATER);
    assert!(!room.is_full(), "there was room for it after all");
}

#[test]
fn a_disk_without_names_is_full() {
    let disk = Arc::new(Fake::default());
    let room = Room::open(Box::new(Arc::clone(&disk)), MIB, NOW);
    disk.no_names.store(true, Ordering::SeqCst);
    room.notice(NOW);
    assert!(room.is_full());
    room.look(LATER);
    assert!(room.is_full());
    disk.no_names.store(false, Ordering::SeqCst);
    room.look(LATER);
    assert!(!room.is_full());
}

#[test]
fn a_start_on_a_full_disk_gives_the_reserve_back_and_is_told_that_it_is_full() {
    let disk = Arc::new(Fake::default());
    drop(Room::open(Box::new(Arc::clone(&disk)), 64 * MIB, NOW));
    disk.leave(64 * MIB);
    let room = Room::open(Box::new(Arc::clone(&disk)), 64 * MIB, NOW);
    assert!(room.is_full());
    assert_eq!(disk.space().unwrap().free, 64 * MIB);
    // Killed and started again: what is left of it is not taken for good.
    let room = Room::open(Box::new(Arc::clone(&disk)), 64 * MIB, NOW);
    assert!(room.is_full() && disk.held() == 0);
}

#[test]
fn a_reserve_is_a_small_part_of_the_disk_and_as_large_as_it_is_said_to_be_now() {
    let disk = Arc::new(Fake::default());
    for (wanted, held) in [(u64::MAX, TOTAL / PART_OF_DISK), (MIB, MIB), (0, 0)] {
        let room = Room::open(Box::new(Arc::clone(&disk)), wanted, NOW);
        assert!(!room.is_full());
        assert_eq!(disk.held(), held, "{wanted}");
    }
}

#[test]
fn a_reserve_takes_real_room() {
    let dir = tempfile::tempdir().unwrap();
    let volume = DataVolume::of(dir.path().to_owned());
    assert_eq!(volume.held(), 0);
    volume.take(MIB).unwrap();
    assert_eq!(volume.held(), MIB);
    let file = dir.path().join(RESERVE_FILE);
    volume.give().unwrap();
    assert!(!file.exists());
    volume.give().unwrap();
    // As a copy may have left it.
    fs::File::create(&file).unwrap().set_len(MIB).unwrap();
    assert_eq!(volume.held(), 0);
    let space = volume.space().unwrap();
    assert!(space.free > 0 && space.free <= space.total);
}

#[test]
fn an_index_of_images_goes_where_a_start_would_fail() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join(FLEET_INDEX_FILE);
    fs::write(&index, "images").unwrap();
    let disk = Arc::new(Fake::default());
    let room = Room::open(Box::new(Arc::clone(&disk)), MIB, NOW);
    room.clear(dir.path());
    assert!(index.exists());
    disk.leave(0);
    room.look(NOW);
    room.clear(dir.path());
    assert!(!index.exists());
}

/// A store on a disk of a test.
async fn kit_on(disk: &Arc<Fake>) -> Kit {
    let mut kit = Kit::new().await;
    kit.store.clone().close().await.unwrap();
    let config = StoreConfig {
        limits: StoreLimits {
            reserve_bytes: 64 * MIB,
            ..StoreLimits::default()
        },
        ..StoreConfig::at(kit.path())
    };
    let (clock, volume) = (kit.clock.clone(), Box::new(Arc::clone(disk)));
    kit.store = Store::open_on(config, clock, volume).await.unwrap();
    kit
}

fn is_full(error: &UploadError) -> bool {
    matches!(error, UploadError::Store(StoreError::DiskFull))
}

#[tokio::test]
async fn on_a_full_disk_pulls_and_deletions_go_on_and_pushes_come_back_with_room() {
    let disk = Arc::new(Fake::default());
    let kit = kit_on(&disk).await;
    let ci = kit.all("ci").await;
    let digest = kit.push_image(&ci, "r", "a", &["1"]).await;
    let permit = kit.push(&ci, "r");
    disk.leave(64 * MIB);
    // The first change notices it; nobody has to fail first.
    let deleted = kit.store.delete_manifest(&kit.delete(&ci, "r"), &digest).await;
    deleted.unwrap();
    assert_eq!(disk.held(), 0);
    let condition = kit.store.condition();
    assert_eq!(condition.disk_full.map(|full| full.free_bytes), Some(64 * MIB));
    for refused in [
        kit.push_blob(&ci, "r", b"more").await.map(drop),
        kit.store.start_upload(&permit, Algorithm::Sha256).await.map(drop),
    ] {
        assert!(is_full(&refused.unwrap_err()));
    }
    let manifest = crate::testing::image(b"config a", &[b"layer a"]);
    let put = kit.put(&ci, "r", &manifest, &[]);
    assert!(matches!(put.await, Err(PutError::Store(StoreError::DiskFull))));
    assert!(matches!(
        kit.store.begin_import().await,
        Err(StoreError::DiskFull)
    ));
    let layer = sha256(b"layer a");
    assert_eq!(kit.read_blob(&ci, "r", &layer).await.unwrap(), b"layer a");
    let collected = kit.collect_all().await;
    assert_eq!((collected.blobs, collected.paused), (2, false));
    disk.leave(TOTAL / 2);
    kit.push_image(&ci, "r", "b", &["2"]).await;
    assert_eq!(kit.store.condition().disk_full, None);
    assert_eq!(disk.held(), 64 * MIB);
    assert!(kit.store.metrics().disk_free_bytes > 64 * MIB);
}

#[tokio::test]
async fn an_upload_that_meets_the_end_of_the_disk_is_cut_back_to_what_was_acknowledged() {
    let disk = Arc::new(Fake::default());
    let kit = kit_on(&disk).await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let store = &kit.store;
    let id = store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    let first = store
        .append_upload(&permit, &id, None, body(b"acknowledged "))
        .await;
    assert_eq!(first.unwrap(), 13);
    let (room, now) = (Arc::clone(&store.inner.room), kit.store.now());
    let filling = Arc::clone(&disk);
    // A piece arrives, then the disk is full, then another piece.
    let pieces = stream::iter(0..3).map(move |piece| {
        if piece == 1 {
            filling.leave(64 * MIB);
            room.notice(now);
        }
        Ok(bytes::Bytes::from(vec![7; 2 << 20]))
    });
    let refused = store.append_upload(&permit, &id, None, pieces).await.unwrap_err();
    assert!(is_full(&refused), "{refused:?}");
    let file = kit.path().join("uploads").join(id.0.as_simple().to_string());
    assert_eq!(fs::metadata(&file).unwrap().len(), 13, "the rest takes no room");
    assert_eq!(store.upload_status(&permit, &id).await.unwrap().offset, 13);
    assert_eq!(store.metrics().upload_bytes, 13);
    let pieces = stream::iter([Ok(bytes::Bytes::from_static(b"whole"))]);
    let whole = store.push_blob(&permit, &sha256(b"whole"), pieces).await;
    assert!(is_full(&whole.unwrap_err()));
    disk.leave(TOTAL / 2);
    let expect = sha256(b"acknowledged and finished");
    let done = store
        .finish_upload(&permit, &id, Some(13), body(b"and finished"), &expect)
        .await;
    assert_eq!(done.unwrap().size, 25);
}

#[tokio::test]
async fn sessions_that_nobody_continues_go_sooner_while_the_disk_is_full() {
    let disk = Arc::new(Fake::default());
    let kit = kit_on(&disk).await;
    let ci = kit.all("ci").await;
    let permit = kit.push(&ci, "r");
    let id = kit.store.start_upload(&permit, Algorithm::Sha256).await.unwrap();
    kit.store
        .append_upload(&permit, &id, None, body(b"bytes"))
        .await
        .unwrap();
    kit.advance(UPLOAD_LIFETIME_WHEN_FULL + std::time::Duration::from_secs(1));
    assert_eq!(kit.collect().await.uploads, 0, "there is room for it");
    disk.leave(64 * MIB);
    kit.store.look_for_room().await.unwrap();
    assert_eq!(kit.collect().await.uploads, 1);
    assert_eq!(kit.store.metrics().upload_bytes, 0);
}
