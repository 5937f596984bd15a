//! The cap of the disk: before a blob comes, images that were not used for longest make room for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oci::RepoPattern;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry as Metrics, Unit};
use registry::proxy::{MakingRoom, NoRoom, Room, RoomHeld};
use store::{KeptImage, Store};
use tokio::sync::Mutex;

use super::pins::Kept;

/// Images that are looked at for some that may go.
const LOOKED: u64 = 4_096;

/// Keeps count of the disk.
#[derive(Clone)]
pub(super) struct DiskRoom {
    store: Store,
    cap: u64,
    pinned: Arc<[RepoPattern]>,
    coming: Arc<AtomicU64>,
    turn: Arc<Mutex<()>>,
    counts: Counts,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    images: Counter,
    bytes: Counter,
    held_images: Gauge,
    held: Gauge,
}

/// Bytes that are on their way.
struct Coming(Arc<AtomicU64>, u64);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl DiskRoom {
    /// At most `cap` bytes of blobs; images that match `pinned` stay, and those that are pinned by hand (`pins.rs`).
    pub(super) fn new(store: Store, cap: u64, pinned: Vec<RepoPattern>, metrics: &mut Metrics) -> Self {
        let counts = Counts::default();
        metrics.register(
            "mirror_evicted_images",
            "Images that went because the disk was full",
            counts.images.clone(),
        );
        metrics.register_with_unit(
            "mirror_evicted",
            "Bytes that were freed by it",
            Unit::Bytes,
            counts.bytes.clone(),
        );
        metrics.register(
            "mirror_held_images",
            "Images that are held",
            counts.held_images.clone(),
        );
        metrics.register_with_unit(
            "mirror_held",
            "Bytes of their blobs, of which there may be so many as mirror.disk says",
            Unit::Bytes,
            counts.held.clone(),
        );
        Self {
            store,
            cap,
            pinned: pinned.into(),
            coming: Arc::default(),
            turn: Arc::default(),
            counts,
        }
    }

    /// Makes room for what is here already: the cap may have been another one.
    pub(super) async fn settle(&self) {
        if let Err(error) = self.make_room(0).await {
            tracing::warn!(%error, "more is held than mirror.disk allows");
        }
    }

    /// Counts anew what is held, for whoever asks.
    pub(super) async fn count(&self) {
        let counts = (self.store.held_images().await, self.store.held_bytes().await);
        if let (Ok(images), Ok(bytes)) = counts {
            let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            self.counts.held_images.set(gauge(images));
            self.counts.held.set(gauge(bytes));
        }
    }

    async fn make_room(&self, bytes: u64) -> Result<RoomHeld, NoRoom> {
        let full = |why: String| NoRoom { bytes, why };
        if bytes > self.cap {
            return Err(full(format!(
                "it is more than this mirror may hold in all ({} bytes, mirror.disk)",
                self.cap
            )));
        }
        let _turn = self.turn.lock().await;
        let mut oldest = None;
        loop {
            let held = self.store.held_bytes().await;
            let held = held.map_err(|error| full(format!("it is not known what is held: {error}")))?;
            let coming = self.coming.load(Ordering::Relaxed);
            if held.saturating_add(coming).saturating_add(bytes) <= self.cap {
                self.coming.fetch_add(bytes, Ordering::Relaxed);
                return Ok(Box::new(Coming(Arc::clone(&self.coming), bytes)));
            }
            let list = match &mut oldest {
                Some(list) => list,
                none => none.insert(self.oldest().await.map_err(|error| full(format!("{error:#}")))?),
            };
            let Some(image) = list.pop() else {
                return Err(full(format!(
                    "{held} bytes are held and {coming} are coming of {} (mirror.disk), and the rest is pinned or has just come",
                    self.cap
                )));
            };
            self.let_go(&image)
                .await
                .map_err(|error| full(error.to_string()))?;
        }
    }

    /// Those that may go, the first to go at the end.
    async fn oldest(&self) -> anyhow::Result<Vec<KeptImage>> {
        let kept = Kept::find(self.store.data_dir().to_owned(), &self.store).await?;
        let mut images = self.store.least_used(LOOKED).await?;
        images.retain(|image| {
            !kept.has(image) && !self.pinned.iter().any(|pattern| pattern.matches(&image.repo))
        });
        images.reverse();
        Ok(images)
    }

    async fn let_go(&self, image: &KeptImage) -> Result<(), store::StoreError> {
        let bytes = self.store.evict(image).await?;
        self.counts.images.inc();
        self.counts.bytes.inc_by(bytes);
        tracing::info!(
            repository = %image.repo, digest = %image.digest, bytes, used_at = image.used_at.to_rfc3339(),
            "an image went to make room"
        );
        Ok(())
    }
}

impl Room for DiskRoom {
    fn make(&self, bytes: u64) -> MakingRoom<'_> {
        Box::pin(self.make_room(bytes))
    }
}
