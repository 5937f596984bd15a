//! The narrow seam between the blob store and a disk.
//!
//! Everything that decides whether a byte survives a crash (create, write, sync, rename, sync of a directory) goes
//! through [`Disk`], so that the very code which runs in production is also run ten thousand times on the simulated
//! disk of `disk/sim.rs`, which forgets what was not synced. Paths are relative to the root of the data directory.
//!
//! The trait is synchronous on purpose: callers run it on an [`IoPool`](crate::pool::IoPool), the simulation runs it
//! without a runtime.

use std::io;
use std::ops::Range;
use std::path::Path;

pub(crate) use real::RealDisk;

pub(crate) mod fault;
mod real;
#[cfg(test)]
pub(crate) mod sim;
pub(crate) mod sys;

/// What the blob store needs from a file system.
///
/// No method implies durability except [`Disk::sync_dir`] (names) and [`DiskFile::sync_data`] (bytes and length).
pub(crate) trait Disk: Send + Sync + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// Creates a file that must not exist and opens it for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Self::File>;
    /// Moves a file; atomic for whoever looks at the names, durable only once the directory of `to` is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the name of a file; readers that hold it go on.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; its parent must exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// What is in a directory, in no particular order. Bounded by the layout: a blob directory holds 1/256 of all.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync + 'static {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reads at most `buffer.len()` bytes at `offset`; 0 means the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Makes bytes and length durable. After an error nothing since the last success may be trusted, and a second
    /// call may succeed without having written it (the kernel forgets that the pages were dirty): write again.
    fn sync_data(&self) -> io::Result<()>;
    /// Asks the disk to begin writing this range, so that a later sync is short. A hint without any promise.
    fn start_writeback(&self, range: Range<u64>) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// File name. Names that are not UTF-8 are never ours and arrive lossily converted.
    pub(crate) name: String,
    /// Whether it is a directory.
    pub(crate) is_dir: bool,
    /// Length in bytes.
    pub(crate) len: u64,
    /// When content or name last changed (ctime), microseconds since the Unix epoch by the clock of the file system.
    pub(crate) changed_micros: i64,
}
