//! Blob files: uploads as they arrive, blobs as they are kept.
//!
//! [`BlobFiles`] is the way in from async code; it runs the steps of [`protocol::Protocol`] (read that first) on
//! bounded pools. Layout below the data directory:
//!
//! - `uploads/<uuid>`: an upload; its session's row says how much of it is promised
//! - `blobs/<algorithm>/<two hex>/<hex>.<nonce>`: a blob, named by a [`Location`]; the nonce is its upload's id
//! - `quarantine/<algorithm>-<hex>.<nonce>`: what fsck moved away
//!
//! Order is everything: on create the file is durable first, then the row is written; on delete the row goes first.
//! So a blob file without a row is an orphan that may be removed, *unless its nonce is the id of a live session*: then
//! its commit is under way or was cut off, and the session's next append brings the file back.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oci::{Algorithm, Digest, Hasher};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) use append::Part;
pub(crate) use config::FilesConfig;
pub(crate) use directories::FAN_OUTS;
pub(crate) use error::{AppendError, FilesError};
pub(crate) use inlet::Followed;
pub(crate) use location::{Location, LocationError};

use crate::disk::{Disk, DiskFile, RealDisk};
use crate::pool::IoPool;
use crate::reader::{BlobReader, OpenBlob};
use directories::FanOut;
use protocol::Protocol;

mod append;
mod config;
mod directories;
mod error;
mod inlet;
mod location;
pub(crate) mod protocol;
#[cfg(test)]
mod simulation;
mod writer;

/// Directory of uploads.
const UPLOADS: &str = "uploads";
/// Directory of damaged blobs.
const QUARANTINE: &str = "quarantine";

/// What an append made durable: the offset to promise and the hash to go on with.
#[derive(Debug, Clone)]
pub(crate) struct Appended {
    offset: u64,
    hasher: Hasher,
}

impl Appended {
    /// Bytes of the upload that are durable.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The running hash; it has seen exactly the bytes before the offset.
    pub(crate) fn into_hasher(self) -> Hasher {
        self.hasher
    }
}

/// A blob that is durable under its location; its row is still to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Where it lies.
    pub(crate) location: Location,
    /// Its length in bytes.
    pub(crate) size: u64,
}

/// A blob file found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobEntry {
    /// Where it lies.
    pub(crate) location: Location,
    /// Bytes.
    pub(crate) len: u64,
    /// When it last changed or was renamed, microseconds since the Unix epoch by the file system's clock.
    pub(crate) changed_micros: i64,
}

/// An upload file found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadEntry {
    /// The upload.
    pub(crate) id: Uuid,
    /// Bytes, of which the session's row promises a part.
    pub(crate) len: u64,
    /// When it last changed, microseconds since the Unix epoch by the file system's clock.
    pub(crate) changed_micros: i64,
}

/// The blob files of one data directory; clones share it.
pub(crate) struct BlobFiles<D: Disk = RealDisk> {
    shared: Arc<Shared<D>>,
}

struct Shared<D: Disk> {
    protocol: Arc<Protocol<D>>,
    hash_pool: IoPool,
    sync_pool: IoPool,
    /// With its size in bytes.
    budget: (Arc<Semaphore>, usize),
    budget_wait: Duration,
    in_use: Arc<Mutex<HashSet<Uuid>>>,
    reader: BlobReader,
}

impl<D: Disk> Clone for BlobFiles<D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl BlobFiles<RealDisk> {
    /// Opens the data directory, creating what is missing, and starts the pools. Blocks for some milliseconds at most
    /// where the directories exist; call it from a blocking thread or at start.
    pub(crate) fn open(config: &FilesConfig) -> Result<Self, FilesError> {
        let disk =
            RealDisk::open(&config.data_dir).map_err(|e| FilesError::io("open", &config.data_dir, e))?;
        Self::open_on(disk, config)
    }
}

impl<D: Disk> BlobFiles<D> {
    /// The same on a given disk. The reader always reads from `config.data_dir`.
    pub(crate) fn open_on(disk: D, config: &FilesConfig) -> Result<Self, FilesError> {
        let start = |e| FilesError::io("start threads for", &config.data_dir, e);
        Ok(Self {
            shared: Arc::new(Shared {
                protocol: Arc::new(Protocol::open(disk)?),
                hash_pool: IoPool::start(config.hash_pool.clone()).map_err(start)?,
                sync_pool: IoPool::start(config.sync_pool.clone()).map_err(start)?,
                budget: (Arc::new(Semaphore::new(config.budget)), config.budget),
                budget_wait: config.budget_wait,
                in_use: Arc::default(),
                reader: BlobReader::start(config.data_dir.clone(), config.reader.clone()).map_err(start)?,
            }),
        })
    }

    /// The pull side.
    pub(crate) fn reader(&self) -> &BlobReader {
        &self.shared.reader
    }

    /// Waits until all work that was accepted has ended and refuses more.
    pub(crate) async fn close(&self) {
        self.shared.hash_pool.close().await;
        self.shared.sync_pool.close().await;
        self.shared.reader.close().await;
    }

    /// Creates the file of a new session, whose row has just been (or is about to be) written.
    pub(crate) async fn create_upload(&self, id: Uuid) -> Result<(), FilesError> {
        self.sync_work(move |protocol| protocol.create_upload(id)).await
    }

    /// Cuts an upload to what its row promises. Fine when it has no file.
    pub(crate) async fn cut_upload(&self, id: Uuid, promised: u64) -> Result<(), FilesError> {
        let claim = self.claim(id)?;
        self.sync_work(move |protocol| {
            let _claim = claim;
            protocol.cut_upload(id, promised)
        })
        .await
    }

    /// Runs something short that waits for the disk.
    pub(crate) async fn aside<T, F>(&self, work: F) -> Result<T, FilesError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.sync_work(move |_| Ok(work())).await
    }

    /// Opens an upload that will have `size` bytes and this digest, for whoever reads along while it is written. `size` is not 0.
    pub(crate) async fn open_growing(
        &self,
        id: Uuid,
        digest: Digest,
        size: u64,
    ) -> Result<OpenBlob, FilesError> {
        let path = protocol::upload_path(id);
        self.shared.reader.growing(path, digest, size).await
    }

    /// Hashes the first `len` bytes of an upload, for a session that goes on after a restart.
    pub(crate) async fn rehash(
        &self,
        id: Uuid,
        algorithm: Algorithm,
        len: u64,
    ) -> Result<Hasher, FilesError> {
        let claim = Arc::new(self.claim(id)?);
        let open = move |protocol: &Protocol<D>| {
            let _claim = claim;
            protocol.recovering(id, len, || protocol.open_upload(id))
        };
        let file = self.sync_work(open).await?;
        let path = protocol::upload_path(id);
        let (hasher, present) = self.hash_file(Arc::new(file), path, algorithm, len).await?;
        if present < len {
            return Err(FilesError::OffsetMismatch {
                id,
                asked: len,
                present,
            });
        }
        Ok(hasher)
    }

    /// Reads and hashes a committed blob: what it is and how long. In steps, so that a large blob does not hold a
    /// thread of the pool.
    pub(crate) async fn hash_blob(&self, location: Location) -> Result<(Digest, u64), FilesError> {
        let file = self
            .sync_work(move |protocol| protocol.open_blob(&location))
            .await?;
        let algorithm = location.digest().algorithm();
        let (hasher, len) = self
            .hash_file(Arc::new(file), location.path(), algorithm, u64::MAX)
            .await?;
        Ok((hasher.finish(), len))
    }

    /// Looks whether the blob's file is there and has `expected` bytes. Asks the disk, not what is kept in memory.
    pub(crate) async fn check(&self, location: Location, expected: u64) -> Result<(), FilesError> {
        self.sync_work(move |protocol| {
            let file = protocol.open_blob(&location)?;
            let found = file
                .len()
                .map_err(|e| FilesError::io("measure", &location.path(), e))?;
            if found == expected {
                return Ok(());
            }
            Err(FilesError::Damaged {
                location,
                expected,
                found,
            })
        })
        .await
    }

    /// Removes the file of a blob whose row is gone; who is reading it goes on. Fine when it is gone already.
    pub(crate) async fn remove_blob(&self, location: Location) -> Result<(), FilesError> {
        let result = self
            .sync_work(move |protocol| protocol.remove_blob(&location))
            .await;
        self.shared.reader.forget(&location).await;
        result
    }

    /// Removes the file of an upload whose row is gone. Fine when it is gone already.
    pub(crate) async fn remove_upload(&self, id: Uuid) -> Result<(), FilesError> {
        let claim = self.claim(id)?;
        self.sync_work(move |protocol| {
            let _claim = claim;
            protocol.remove_upload(id)
        })
        .await
    }

    /// Moves a damaged blob into quarantine, durably.
    pub(crate) async fn quarantine(&self, location: Location) -> Result<(), FilesError> {
        let result = self
            .sync_work(move |protocol| protocol.quarantine(&location))
            .await;
        self.shared.reader.forget(&location).await;
        result
    }

    /// All blob files, one fan-out directory at a time ([`FAN_OUTS`] of them), for fsck.
    pub(crate) fn list_blobs(&self) -> BlobListing<D> {
        self.list_blobs_from(0)
    }

    /// The same, with other directories first: the one with this number and those behind it.
    pub(crate) fn list_blobs_from(&self, first: usize) -> BlobListing<D> {
        let mut directories: Vec<FanOut> = FanOut::all().collect();
        directories.rotate_left(first % FAN_OUTS);
        BlobListing {
            files: self.clone(),
            next: directories.into_iter(),
        }
    }

    /// The uploads that have a file.
    pub(crate) async fn list_uploads(&self) -> Result<Vec<UploadEntry>, FilesError> {
        self.sync_work(Protocol::list_uploads).await
    }

    async fn sync_work<T, F>(&self, work: F) -> Result<T, FilesError>
    where
        T: Send + 'static,
        F: FnOnce(&Protocol<D>) -> Result<T, FilesError> + Send + 'static,
    {
        let protocol = Arc::clone(&self.shared.protocol);
        self.shared.sync_pool.run(move || work(&protocol)).await?
    }

    /// Hashes at most `len` bytes and tells how many there were.
    async fn hash_file(
        &self,
        file: Arc<D::File>,
        path: PathBuf,
        algorithm: Algorithm,
        len: u64,
    ) -> Result<(Hasher, u64), FilesError> {
        /// Bytes per job.
        const STEP: u64 = 8 << 20;
        let (mut hasher, mut at) = (Hasher::new(algorithm), 0);
        loop {
            let (file, step) = (Arc::clone(&file), STEP.min(len - at));
            let job = move || hash_step(&*file, &mut hasher, at, step).map(|end| (hasher, end));
            let (next, end) = self
                .shared
                .hash_pool
                .run(job)
                .await?
                .map_err(|e| FilesError::io("read", &path, e))?;
            hasher = next;
            if end - at < step || end == len {
                return Ok((hasher, end));
            }
            at = end;
        }
    }

    fn claim(&self, id: Uuid) -> Result<Claim, FilesError> {
        let in_use = Arc::clone(&self.shared.in_use);
        if !in_use.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return Err(FilesError::InUse { id });
        }
        Ok(Claim { in_use, id })
    }
}

/// The sole right to work on one upload. Held by the jobs too, so that a caller who went away does not let the next
/// one write into the same file while a batch of his is still on its way.
struct Claim {
    in_use: Arc<Mutex<HashSet<Uuid>>>,
    id: Uuid,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

/// An incremental walk over the blob files.
pub(crate) struct BlobListing<D: Disk = RealDisk> {
    files: BlobFiles<D>,
    next: std::vec::IntoIter<FanOut>,
}

impl<D: Disk> BlobListing<D> {
    /// The files of the next fan-out directory, possibly none; `None` after the last directory.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<BlobEntry>, FilesError>> {
        let fan_out = self.next.next()?;
        Some(
            self.files
                .sync_work(move |protocol| protocol.list_blobs(fan_out))
                .await,
        )
    }
}

/// Hashes the next bytes of `file` from `at`, at most `step` of them, and returns where it stopped.
fn hash_step<F: DiskFile>(file: &F, hasher: &mut Hasher, at: u64, step: u64) -> std::io::Result<u64> {
    const BUFFER: usize = 256 << 10;
    let mut buffer = vec![0u8; BUFFER];
    let (mut at, end) = (at, at.saturating_add(step));
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        let Some(space) = buffer.get_mut(..want) else {
            break;
        };
        let got = file.read_at(space, at)?;
        if got == 0 {
            break;
        }
        hasher.update(space.get(..got).unwrap_or_default());
        at += got as u64;
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
