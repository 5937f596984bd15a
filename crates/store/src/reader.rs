//! The pull side of blob files: bytes from the page cache to the socket without a copy of ours.
//!
//! A committed blob never changes, so it is mapped into memory once and its pages are handed out as [`Bytes`] in
//! slices of 1 MiB. Small blobs (configurations) are read into memory whole instead. Both are kept for a while, so
//! that a hot blob costs no system call to open.
//!
//! A page that is not in memory would stop whoever touches it until the disk answers. A runtime thread must not stop:
//! [`stream::BlobStream`] asks the kernel before it yields a slice, and has cold ones read by a pool of its own. That
//! also turns an error of the disk into an error of the stream instead of a `SIGBUS`.
//!
//! Two things a map cannot do. If somebody cuts the file while it is mapped, the rest of its last page reads as zeros:
//! so the last bytes of each stream are read from the file, after everybody has dropped the slices before, and no stream
//! of a file that is too short comes to its end. And whoever touches a page that cannot be read is ended by the kernel,
//! which TLS does in this process: there maps are guarded ([`crate::disk::fault`]), the fault gives zeros, and no stream
//! of such a map comes to its end. A map that gets no guard is not touched: its bytes are copied out of the file
//! ([`window::Window`]).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use oci::Digest;

pub(crate) use stream::BlobStream;

use crate::disk::fault::Table;
use crate::disk::sys;
use crate::files::{FilesError, Location};
use crate::pool::{IoPool, PoolConfig};
use map::BlobMap;

mod loans;
mod map;
mod stream;
mod window;

/// Sizes of the pull side.
#[derive(Debug, Clone)]
pub(crate) struct ReaderConfig {
    /// Blobs below this many bytes are read into memory whole. Default: 64 KiB.
    pub(crate) small: u64,
    /// Bytes of small blobs that are kept. Default: 8 MiB.
    pub(crate) small_kept: u64,
    /// Maps of larger blobs that are kept. They cost address space and page tables, no memory of ours.
    /// Default: 1,024.
    pub(crate) maps_kept: u64,
    /// How long either is kept without being asked for. A removed blob's space on disk is free only after this, unless
    /// the reader is told (see [`BlobReader::forget`]). Default: 60 s.
    pub(crate) idle: Duration,
    /// Where maps are guarded, if what streams hand out is touched in this process and not by the kernel alone. Maps that
    /// find no place are copied, a piece at a time. Default: none, nobody touches them.
    pub(crate) touched: Option<Table>,
    /// Threads that open files and read cold pages. Default: 8.
    pub(crate) pool: PoolConfig,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        const THREADS: usize = 8;
        Self {
            small: 64 << 10,
            small_kept: 8 << 20,
            maps_kept: 1024,
            idle: Duration::from_mins(1),
            touched: None,
            pool: PoolConfig::with_threads("rb-read", THREADS),
        }
    }
}

/// Opens committed blobs. Clones share its caches.
#[derive(Clone)]
pub(crate) struct BlobReader {
    shared: Arc<Shared>,
}

struct Shared {
    data_dir: PathBuf,
    config: ReaderConfig,
    pool: IoPool,
    small: Cache<Location, Bytes>,
    maps: Cache<Location, Arc<BlobMap>>,
}

impl BlobReader {
    /// Starts the threads.
    pub(crate) fn start(data_dir: PathBuf, config: ReaderConfig) -> io::Result<Self> {
        let pool = IoPool::start(config.pool.clone())?;
        let small = Cache::builder()
            .max_capacity(config.small_kept)
            .weigher(|_, bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX))
            .time_to_idle(config.idle)
            .build();
        let maps = Cache::builder()
            .max_capacity(config.maps_kept)
            .time_to_idle(config.idle)
            .build();
        Ok(Self {
            shared: Arc::new(Shared {
                data_dir,
                config,
                pool,
                small,
                maps,
            }),
        })
    }

    /// Opens a blob that its row says to have `size` bytes at `location`.
    ///
    /// A file that is missing or of another length is an error here, before anything was promised to a client.
    pub(crate) async fn open(&self, location: Location, size: u64) -> Result<OpenBlob, Arc<FilesError>> {
        let shared = &self.shared;
        let body = if size < shared.config.small {
            Body::Small(
                shared
                    .small
                    .try_get_with(location, self.read_small(location, size))
                    .await?,
            )
        } else {
            Body::Mapped(self.mapped(location, size).await?)
        };
        Ok(OpenBlob {
            digest: location.digest(),
            size,
            body,
            pool: shared.pool.clone(),
        })
    }

    /// Opens a file that is still being written and will have `size` bytes in the end. Only what was written already may be
    /// asked of it: whoever touches more is ended by the kernel.
    pub(crate) async fn growing(
        &self,
        path: PathBuf,
        digest: Digest,
        size: u64,
    ) -> Result<OpenBlob, FilesError> {
        let path = self.shared.data_dir.join(path);
        let (touched, pool) = (self.shared.config.touched, self.shared.pool.clone());
        let work = move || {
            let failed = |e| FilesError::io("map", &path, e);
            let file = sys::open_regular(&path, File::options().read(true)).map_err(failed)?;
            BlobMap::new(file, size, touched, pool)
                .map(Arc::new)
                .map_err(failed)
        };
        let map = self.shared.pool.run(work).await??;
        Ok(OpenBlob {
            digest,
            size,
            body: Body::Mapped(map),
            pool: self.shared.pool.clone(),
        })
    }

    /// The open file of a blob, for whoever hands it to another process.
    pub(crate) async fn file(&self, location: Location, size: u64) -> Result<File, FilesError> {
        let path = self.shared.data_dir.join(location.path());
        self.shared.pool.run(move || open(&location, &path, size)).await?
    }

    /// Drops what is kept of a blob. Streams that run go on to their end.
    pub(crate) async fn forget(&self, location: &Location) {
        self.shared.small.invalidate(location).await;
        self.shared.maps.invalidate(location).await;
    }

    /// Waits for work on its way and refuses more.
    pub(crate) async fn close(&self) {
        self.shared.pool.close().await;
    }

    /// The map that is kept, or a new one: also where a stream of the kept one failed, so that a file which is not what
    /// its row says any more is noticed here.
    async fn mapped(&self, location: Location, size: u64) -> Result<Arc<BlobMap>, Arc<FilesError>> {
        let maps = &self.shared.maps;
        let kept = maps.try_get_with(location, self.map(location, size)).await?;
        if !kept.has_failed() {
            return Ok(kept);
        }
        maps.invalidate(&location).await;
        maps.try_get_with(location, self.map(location, size)).await
    }

    async fn read_small(&self, location: Location, size: u64) -> Result<Bytes, FilesError> {
        let path = self.shared.data_dir.join(location.path());
        self.shared
            .pool
            .run(move || map::read_whole(&location, &open(&location, &path, size)?, size))
            .await?
    }

    async fn map(&self, location: Location, size: u64) -> Result<Arc<BlobMap>, FilesError> {
        let path = self.shared.data_dir.join(location.path());
        let (touched, pool) = (self.shared.config.touched, self.shared.pool.clone());
        let work = move || {
            let file = open(&location, &path, size)?;
            BlobMap::new(file, size, touched, pool)
                .map(Arc::new)
                .map_err(|e| FilesError::io("map", &location.path(), e))
        };
        self.shared.pool.run(work).await?
    }
}

/// Opens the file and compares its length with the row: a map that reaches beyond the end would be a `SIGBUS`.
fn open(location: &Location, path: &std::path::Path, expected: u64) -> Result<File, FilesError> {
    let failed = |e: io::Error| FilesError::opening(location, e);
    let file = sys::open_regular(path, File::options().read(true)).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    if found != expected {
        return Err(FilesError::Damaged {
            location: *location,
            expected,
            found,
        });
    }
    Ok(file)
}

/// A blob that can be read, also after it was removed.
#[derive(Clone)]
pub(crate) struct OpenBlob {
    digest: Digest,
    size: u64,
    body: Body,
    pool: IoPool,
}

#[derive(Clone)]
enum Body {
    Small(Bytes),
    Mapped(Arc<BlobMap>),
}

impl OpenBlob {
    /// Digest that it was committed under.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of `range`, cut at the end of the blob, in slices of at most 1 MiB. The last one comes only after all
    /// before were dropped; where bytes are copied, every slice after the one before was.
    pub(crate) fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.size);
        let range = range.start.min(end)..end;
        match &self.body {
            Body::Small(bytes) => BlobStream::whole(slice(bytes, range)),
            Body::Mapped(map) => BlobStream::mapped(Arc::clone(map), range, self.pool.clone()),
        }
    }
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(index(range.start)..index(range.end))
}

#[cfg(test)]
mod tests;
