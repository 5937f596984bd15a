//! Room on the disk: a reserve for when there is none left, and what is known of how much is free.
//!
//! `SQLite` needs room for every change, also for one that deletes. So a file takes some while there is enough. When the disk is
//! full it is removed: from then on nothing large comes in (pushes, what upstreams have, imports), and what makes room goes on, a
//! start too. Once there is room for it again the file is made again, and everything goes on.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::{Store, StoreError, Timestamp};

/// Name of the file in the data directory.
pub(crate) const RESERVE_FILE: &str = "reserve";

/// Name of the file with the index of all images, which is made again where it is not there.
pub const FLEET_INDEX_FILE: &str = "fleet.index";

/// The reserve takes at most one part in so many of the disk.
const PART_OF_DISK: u64 = 16;

/// A disk with less than this free is full: a change of the database could meet its end. Bytes.
const SHORT_BYTES: u64 = 2 << 20;

/// A disk is no longer full when this is free beside the reserve. More than [`SHORT_BYTES`], so that it does not go back and forth.
const ENOUGH_BYTES: u64 = 4 << 20;

/// Names (inodes) without which nothing can be made, wherever the file system counts them.
const FEWEST_NAMES: u64 = 16;

/// What a file system says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// Bytes in all.
    pub(crate) total: u64,
    /// Bytes that this process may still take.
    pub(crate) free: u64,
    /// Names that it may still make; `None`: they are not counted.
    pub(crate) names: Option<u64>,
}

impl Space {
    fn has_names(&self) -> bool {
        self.names.is_none_or(|names| names >= FEWEST_NAMES)
    }

    fn is_short(&self) -> bool {
        self.free < SHORT_BYTES || !self.has_names()
    }
}

/// Where the reserve lies.
pub(crate) trait Volume: Send + Sync + 'static {
    /// How much there is.
    fn space(&self) -> io::Result<Space>;
    /// Bytes that the reserve takes.
    fn held(&self) -> u64;
    /// Takes so many, or none.
    fn take(&self, bytes: u64) -> io::Result<()>;
    /// Gives them back.
    fn give(&self) -> io::Result<()>;
}

/// The file system of a data directory.
#[derive(Debug)]
pub(crate) struct DataVolume {
    directory: PathBuf,
    file: PathBuf,
}

impl DataVolume {
    pub(crate) fn of(directory: PathBuf) -> Self {
        Self {
            file: directory.join(RESERVE_FILE),
            directory,
        }
    }

    fn fill(&self, bytes: u64) -> io::Result<()> {
        static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = options.open(&self.file)?;
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            done => return done.map_err(io::Error::from),
        }
        let mut left = bytes;
        while left > 0 {
            let step = left.min(BLOCK.len() as u64);
            file.write_all(&BLOCK[..usize::try_from(step).unwrap_or(BLOCK.len())])?;
            left -= step;
        }
        file.sync_data()
    }
}

impl Volume for DataVolume {
    fn space(&self) -> io::Result<Space> {
        let found = statvfs(&self.directory)?;
        Ok(Space {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
            names: (found.f_files > 0).then_some(found.f_favail),
        })
    }

    fn held(&self) -> u64 {
        // What was copied with holes takes nothing.
        let is_whole = |found: &fs::Metadata| found.is_file() && found.blocks() * 512 >= found.len();
        let found = fs::symlink_metadata(&self.file).ok();
        found.filter(is_whole).map_or(0, |found| found.len())
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        self.give()?;
        let filled = self.fill(bytes);
        if filled.is_err() {
            self.give()?;
        }
        filled
    }

    fn give(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What is known of the room on a disk. Asking the disk takes a system call; taking the reserve may take longer.
pub(crate) struct Room {
    volume: Box<dyn Volume>,
    /// Bytes of the reserve.
    reserve: u64,
    is_full: AtomicBool,
    state: Mutex<State>,
}

struct State {
    full_since: Option<Timestamp>,
    /// As it was when it was last looked.
    free: u64,
}

impl Room {
    /// Takes the reserve, of `wanted` bytes where the disk is large enough for it. Where it cannot be taken the disk is full.
    pub(crate) fn open(volume: Box<dyn Volume>, wanted: u64, now: Timestamp) -> Self {
        let space = volume.space();
        let reserve = space.map_or(wanted, |space| wanted.min(space.total / PART_OF_DISK));
        let is_held = volume.held() == reserve;
        let room = Self {
            reserve,
            is_full: AtomicBool::new(!is_held),
            state: Mutex::new(State {
                full_since: (!is_held).then_some(now),
                free: 0,
            }),
            volume,
        };
        if !is_held {
            room.release();
        }
        room.look(now);
        if !is_held && room.is_full() {
            tracing::warn!(
                free_bytes = room.free(),
                reserve_bytes = reserve,
                "the disk is full: pulls are served, pushes are refused until there is room for the reserve (storage.reserve)"
            );
        }
        room
    }

    /// Whether nothing large may come in. Asks nobody.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Since when it is so.
    pub(crate) fn full_since(&self) -> Option<Timestamp> {
        self.state().full_since
    }

    /// Bytes that were free when it was last looked, the reserve not among them.
    pub(crate) fn free(&self) -> u64 {
        self.state().free
    }

    /// Somebody has met the end of the disk.
    pub(crate) fn ran_out(&self, now: Timestamp) {
        self.begin(&mut self.state(), now);
    }

    /// Removes what can be made again, for a start that would fail: nothing else on this disk is known to be dispensable.
    pub(crate) fn clear(&self, directory: &Path) {
        if !self.volume.space().is_ok_and(|space| space.is_short()) {
            return;
        }
        let index = directory.join(FLEET_INDEX_FILE);
        if fs::remove_file(&index).is_ok() {
            tracing::warn!(
                file = FLEET_INDEX_FILE,
                "removed to make room on a full disk; it is made again"
            );
        }
    }

    /// Looks whether the disk is full, before something is written that needs a little room.
    pub(crate) fn notice(&self, now: Timestamp) {
        if self.is_full() {
            return;
        }
        let Ok(space) = self.volume.space() else {
            return;
        };
        let mut state = self.state();
        state.free = space.free;
        if space.is_short() {
            self.begin(&mut state, now);
        }
    }

    /// Looks also whether it is full no longer.
    pub(crate) fn look(&self, now: Timestamp) {
        self.notice(now);
        let mut state = self.state();
        let Some(since) = state.full_since else {
            return;
        };
        let Ok(space) = self.volume.space() else {
            return;
        };
        state.free = space.free;
        let needed = self.reserve.saturating_add(ENOUGH_BYTES);
        if space.free < needed || !space.has_names() {
            return;
        }
        if self.reserve > 0
            && let Err(error) = self.volume.take(self.reserve)
        {
            tracing::debug!(%error, "the reserve could not be taken");
            return;
        }
        state.free = space.free.saturating_sub(self.reserve);
        state.full_since = None;
        self.is_full.store(false, Ordering::Relaxed);
        tracing::info!(
            since = since.to_rfc3339(),
            free_bytes = state.free,
            "the disk has room again"
        );
    }

    fn begin(&self, state: &mut State, now: Timestamp) {
        if state.full_since.is_some() {
            return;
        }
        state.full_since = Some(now);
        self.is_full.store(true, Ordering::Relaxed);
        tracing::error!(
            free_bytes = state.free,
            reserve_bytes = self.reserve,
            "the disk is full: the reserve is given back for deletions, pushes are refused until there is room for it again"
        );
        self.release();
        if let Ok(space) = self.volume.space() {
            state.free = space.free;
        }
    }

    fn release(&self) {
        if let Err(error) = self.volume.give() {
            tracing::warn!(%error, "the reserve could not be given back");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Fails where nothing large may come in; looks first whether that is still so.
    pub(crate) async fn demand_room(&self) -> Result<(), StoreError> {
        if !self.inner.room.is_full() {
            return Ok(());
        }
        self.look_for_room().await?;
        if self.inner.room.is_full() {
            return Err(StoreError::DiskFull);
        }
        Ok(())
    }

    /// Looks how much room there is, beside whatever else is done.
    pub(crate) async fn look_for_room(&self) -> Result<(), StoreError> {
        let (room, now) = (Arc::clone(&self.inner.room), self.now());
        Ok(self.inner.files.aside(move || room.look(now)).await?)
    }
}

#[cfg(test)]
mod tests;
