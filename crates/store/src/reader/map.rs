//! One blob in memory: mapped, or read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use memmap2::{Advice, Mmap};

use crate::disk::fault::{GuardedMap, Table};
use crate::disk::sys;
use crate::files::{FilesError, Location};
use crate::pool::IoPool;

/// Unmapping this many bytes or more takes long enough to be done by the pool.
const SLOW_UNMAP: usize = 16 << 20;

/// A mapped blob.
pub(super) struct BlobMap {
    map: Arc<Unmapper>,
    /// All of it; slices of this are what streams yield. Holds `map`.
    bytes: Bytes,
    file: File,
    /// Nobody may touch its pages here, and somebody would.
    is_copied: bool,
    /// A stream could not be read to its end.
    failed: AtomicBool,
}

impl BlobMap {
    /// Maps `file`, whose length the caller has compared with `size`. Where its pages are touched in this process it is
    /// to be guarded by `touched`.
    pub(super) fn new(file: File, size: u64, touched: Option<Table>, pool: IoPool) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let map = GuardedMap::new(sys::map(&file, len)?, touched);
        let is_copied = touched.is_some() && !map.is_guarded();
        let map = Arc::new(Unmapper { map: Some(map), pool });
        let bytes = Bytes::from_owner(Owner(Arc::clone(&map)));
        Ok(Self {
            map,
            bytes,
            file,
            is_copied,
            failed: AtomicBool::new(false),
        })
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Remembers that a stream could not be read to its end.
    pub(super) fn note_failure(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether a stream could not, or will not.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.is_torn()
    }

    /// Whether streams copy all bytes, because the map got no guard.
    pub(super) fn is_copied(&self) -> bool {
        self.is_copied
    }

    /// Whether somebody may have seen zeros in the place of bytes that could not be read.
    pub(super) fn is_torn(&self) -> bool {
        self.map.map.as_ref().is_some_and(GuardedMap::is_torn)
    }

    /// The bytes of `range` without a copy. Touching them may wait for the disk.
    pub(super) fn slice(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    /// Whether touching `range` does not wait for the disk.
    pub(super) fn is_resident(&self, range: Range<usize>) -> bool {
        self.map
            .map
            .as_ref()
            .is_some_and(|map| sys::is_resident(map, range))
    }

    /// Enters the pages of `range`, which is resident, into the page table: cheaper in one call than in the faults
    /// that sending it would take (measured: 0.5 against 6 µs per MiB).
    pub(super) fn enter(&self, range: Range<usize>) {
        if let (Some(map), true) = (&self.map.map, can_populate()) {
            drop(populate(map, range));
        }
    }

    /// Begins reading `range` from the disk. May block for as long as the request takes to be made.
    pub(super) fn read_ahead(&self, range: Range<usize>) {
        if let Some(map) = &self.map.map
            && !range.is_empty()
        {
            let _ = map.advise_range(Advice::WillNeed, range.start, range.len());
        }
    }

    /// Reads `range` from the disk into memory and begins reading `ahead`. Blocks.
    pub(super) fn populate(&self, range: Range<usize>, ahead: Range<usize>) -> io::Result<()> {
        // One request for all of it; the faults below would ask in steps of the device's read-ahead.
        self.read_ahead(ahead);
        let Some(map) = &self.map.map else { return Ok(()) };
        if can_populate() {
            populate(map, range)
        } else {
            read_through(&self.file, range)
        }
    }

    /// Fills `space` with the bytes of the file from `at`. An error where the file ends before, or cannot be read.
    pub(super) fn copy(&self, space: &mut [u8], at: usize) -> io::Result<()> {
        self.file.read_exact_at(space, at as u64)
    }
}

/// What the stream's slices keep alive.
struct Owner(Arc<Unmapper>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.map.as_ref().map_or(&[], |map| map)
    }
}

/// Unmaps large maps on the pool: giving back the page tables of gigabytes takes milliseconds that the thread which
/// happens to drop the last slice does not have.
struct Unmapper {
    /// Always present until it is dropped.
    map: Option<GuardedMap>,
    pool: IoPool,
}

impl Drop for Unmapper {
    fn drop(&mut self) {
        if let Some(map) = self.map.take()
            && map.len() >= SLOW_UNMAP
        {
            // No place free: dropped right here.
            let _ = self.pool.detach(move || drop(map));
        }
    }
}

/// Reads a small blob whole.
pub(super) fn read_whole(location: &Location, file: &File, size: u64) -> Result<Bytes, FilesError> {
    let mut bytes = BytesMut::zeroed(usize::try_from(size).unwrap_or(usize::MAX));
    file.read_exact_at(&mut bytes, 0)
        .map_err(|e| FilesError::io("read", &location.path(), e))?;
    Ok(bytes.freeze())
}

#[cfg(target_os = "linux")]
fn can_populate() -> bool {
    static SUPPORTED: std::sync::LazyLock<bool> =
        std::sync::LazyLock::new(|| Advice::PopulateRead.is_supported());
    *SUPPORTED
}

#[cfg(target_os = "linux")]
fn populate(map: &Mmap, range: Range<usize>) -> io::Result<()> {
    map.advise_range(Advice::PopulateRead, range.start, range.len())
        .map_err(|e| match e.raw_os_error() {
            // Where a touch would raise SIGBUS: the disk could not read a page, or somebody cut the file.
            Some(libc::EFAULT) => io::Error::from_raw_os_error(libc::EIO),
            _ => e,
        })
}

#[cfg(not(target_os = "linux"))]
fn can_populate() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn populate(_map: &Mmap, _range: Range<usize>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads `range` for its effect on the page cache, which the map shares.
pub(super) fn read_through(file: &File, range: Range<usize>) -> io::Result<()> {
    let mut buffer = vec![0u8; (128 << 10).min(range.len())];
    let mut at = range.start;
    while at < range.end {
        let want = buffer.len().min(range.end - at);
        let Some(space) = buffer.get_mut(..want) else {
            break;
        };
        file.read_exact_at(space, at as u64)?;
        at += want;
    }
    Ok(())
}
