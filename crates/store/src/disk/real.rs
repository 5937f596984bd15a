//! The disk of the machine.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile, Entry, sys};

/// Image bytes may be secret: only the registry's own user reads them.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// A directory of the machine's file system as a [`Disk`].
#[derive(Debug, Clone)]
pub(crate) struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Uses `root`, creating it (and its parents) where it is missing.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(root)?;
        let root = root.canonicalize()?;
        if let Some(parent) = root.parent() {
            // The name of the data directory itself must survive too; a parent that we may not open is not ours.
            match File::open(parent) {
                Ok(parent) => parent.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { root })
    }

    fn path(&self, relative: &Path) -> PathBuf {
        self.root.join(relative)
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create_new(&self, path: &Path) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        options.open(self.path(path)).map(RealFile)
    }

    fn open_write(&self, path: &Path) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        sys::open_regular(&self.path(path), options.read(true).write(true)).map(RealFile)
    }

    fn open_read(&self, path: &Path) -> io::Result<RealFile> {
        sys::open_regular(&self.path(path), OpenOptions::new().read(true)).map(RealFile)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(DIR_MODE).create(self.path(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.path(dir))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: metadata.is_dir(),
                len: metadata.len(),
                changed_micros: metadata.ctime() * 1_000_000 + metadata.ctime_nsec() / 1_000,
            });
        }
        Ok(entries)
    }
}

/// An open file of the machine.
#[derive(Debug)]
pub(crate) struct RealFile(File);

impl DiskFile for RealFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn start_writeback(&self, range: Range<u64>) -> io::Result<()> {
        sys::start_writeback(&self.0, range)
    }
}
