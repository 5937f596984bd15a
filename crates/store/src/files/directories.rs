//! The directories of blob files, made when a blob first needs them.

use std::array;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use oci::{Algorithm, Digest};

use super::{FilesError, QUARANTINE, UPLOADS};
use crate::disk::Disk;

/// Directory of all committed blobs.
pub(super) const BLOBS: &str = "blobs";
/// Algorithms that have a directory.
const ALGORITHMS: [Algorithm; 2] = Algorithm::ALL;
/// Directories per algorithm: one for each value of the digest's first byte.
const FAN_OUT: usize = 256;

/// Directories that hold blob files.
pub(crate) const FAN_OUTS: usize = ALGORITHMS.len() * FAN_OUT;

/// One of the directories that hold blob files: `blobs/<algorithm>/<two hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FanOut {
    algorithm: Algorithm,
    byte: u8,
}

impl FanOut {
    /// All of them, whether or not they were made.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ALGORITHMS
            .into_iter()
            .flat_map(|algorithm| (0..=u8::MAX).map(move |byte| Self { algorithm, byte }))
    }

    /// Where a blob lies.
    pub(super) fn of(digest: &Digest) -> Self {
        Self {
            algorithm: digest.algorithm(),
            byte: digest.bytes().first().copied().unwrap_or_default(),
        }
    }

    /// The directory above it.
    fn parent(self) -> PathBuf {
        Path::new(BLOBS).join(self.algorithm.as_str())
    }

    /// Its path relative to the data directory.
    pub(crate) fn path(self) -> PathBuf {
        self.parent().join(format!("{:02x}", self.byte))
    }

    fn index(self) -> usize {
        let algorithm = ALGORITHMS
            .iter()
            .position(|algorithm| *algorithm == self.algorithm)
            .unwrap_or_default();
        algorithm * FAN_OUT + usize::from(self.byte)
    }
}

/// Which directories are durable.
pub(super) struct Directories {
    durable: [AtomicBool; FAN_OUTS],
}

impl Directories {
    /// Makes the few upper directories; learns which of the others exist.
    pub(super) fn open<D: Disk>(disk: &D) -> Result<Self, FilesError> {
        let this = Self {
            durable: array::from_fn(|_| AtomicBool::new(false)),
        };
        let root = Path::new("");
        for dir in [BLOBS, UPLOADS, QUARANTINE] {
            create(disk, Path::new(dir))?;
        }
        sync(disk, root)?;
        for algorithm in ALGORITHMS {
            create(disk, &Path::new(BLOBS).join(algorithm.as_str()))?;
        }
        sync(disk, Path::new(BLOBS))?;
        for algorithm in ALGORITHMS {
            let parent = Path::new(BLOBS).join(algorithm.as_str());
            let present = disk
                .list(&parent)
                .map_err(|e| FilesError::io("list", &parent, e))?;
            // Whoever made them may have been killed before they were durable.
            sync(disk, &parent)?;
            for entry in present {
                if let Ok(byte) = u8::from_str_radix(&entry.name, 16) {
                    this.note(FanOut { algorithm, byte });
                }
            }
        }
        Ok(this)
    }

    /// Makes the directory, durably, unless it is known to be.
    pub(super) fn ensure<D: Disk>(&self, disk: &D, fan_out: FanOut) -> Result<(), FilesError> {
        if self.has(fan_out) {
            return Ok(());
        }
        create(disk, &fan_out.path())?;
        sync(disk, &fan_out.parent())?;
        self.note(fan_out);
        Ok(())
    }

    /// Whether it was made. No blob lies in a directory of which this is not true.
    pub(super) fn has(&self, fan_out: FanOut) -> bool {
        self.durable
            .get(fan_out.index())
            .is_some_and(|durable| durable.load(Ordering::Acquire))
    }

    fn note(&self, fan_out: FanOut) {
        if let Some(durable) = self.durable.get(fan_out.index()) {
            durable.store(true, Ordering::Release);
        }
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync<D: Disk>(disk: &D, dir: &Path) -> Result<(), FilesError> {
    disk.sync_dir(dir)
        .map_err(|e| FilesError::io("sync directory", dir, e))
}

fn create<D: Disk>(disk: &D, dir: &Path) -> Result<(), FilesError> {
    match disk.create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(FilesError::io("create directory", dir, e)),
        _ => Ok(()),
    }
}
