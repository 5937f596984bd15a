//! An upload's file while it is written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use uuid::Uuid;

use super::protocol::{Protocol, upload_path};
use super::{Appended, FilesError, Location, UPLOADS};
use crate::disk::{Disk, DiskFile};

/// Bytes written before the disk is asked to begin writing back, so that the final sync is short.
pub(super) const WRITEBACK_EVERY: u64 = 8 << 20;

/// An open upload. Dropping it removes nothing: what was sealed before stays promised.
pub(crate) struct Writer<D: Disk> {
    protocol: Arc<Protocol<D>>,
    id: Uuid,
    path: PathBuf,
    file: Arc<D::File>,
    /// Has seen exactly the bytes before `offset`.
    hasher: Hasher,
    /// What the session's row promised when the file was opened.
    promised: u64,
    /// Where the next byte goes.
    offset: u64,
    /// Up to where writing back was begun.
    writeback: u64,
}

impl<D: Disk> Writer<D> {
    /// See [`Protocol::writer`].
    pub(super) fn open(
        protocol: Arc<Protocol<D>>,
        id: Uuid,
        offset: u64,
        hasher: Hasher,
    ) -> Result<Self, FilesError> {
        let (path, disk) = (upload_path(id), protocol.disk());
        let file = disk.open_write(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => FilesError::UploadMissing { id },
            _ => FilesError::io("open", &path, e),
        })?;
        let present = file.len().map_err(|e| FilesError::io("measure", &path, e))?;
        if present < offset {
            return Err(FilesError::OffsetMismatch {
                id,
                asked: offset,
                present,
            });
        }
        // Also where the length is right: a sync that failed may have lost the cut that made it so.
        file.set_len(offset)
            .map_err(|e| FilesError::io("cut", &path, e))?;
        let file = Arc::new(file);
        Ok(Self {
            protocol,
            id,
            path,
            file,
            hasher,
            promised: offset,
            offset,
            writeback: offset,
        })
    }

    /// The upload.
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The open file.
    pub(super) fn file(&self) -> Arc<D::File> {
        Arc::clone(&self.file)
    }

    /// Bytes written so far, including those of earlier appends.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Algorithm of the running hash.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.hasher.algorithm()
    }

    /// Writes and hashes `frames` in order. After an error the frames before the offending one count as written.
    pub(crate) fn write(&mut self, frames: &[Bytes]) -> Result<(), FilesError> {
        for frame in frames {
            self.file
                .write_all_at(frame, self.offset)
                .map_err(|e| FilesError::io("write", &self.path, e))?;
            // Behind the write: the copy into the page cache has just brought the bytes near the core.
            self.hasher.update(frame);
            self.offset += frame.len() as u64;
        }
        Ok(())
    }

    /// The work of asking the disk to begin writing back, when enough has gathered since the last time.
    pub(crate) fn take_writeback(&mut self) -> Option<impl FnOnce() + Send + 'static + use<D>> {
        if self.offset - self.writeback < WRITEBACK_EVERY {
            return None;
        }
        let (file, range) = (Arc::clone(&self.file), self.writeback..self.offset);
        self.writeback = self.offset;
        // A hint: whatever is wrong with the disk, the sync will say it.
        Some(move || drop(file.start_writeback(range)))
    }

    /// Replaces the running hash by one of another algorithm that has seen the same bytes.
    pub(crate) fn replace_hasher(&mut self, hasher: Hasher) {
        self.hasher = hasher;
    }

    /// Makes what was written durable; the result may be promised to the client.
    pub(crate) fn seal(self) -> Result<Appended, FilesError> {
        self.sync()?;
        if self.promised == 0 {
            // The first promise about this upload includes its name.
            self.protocol.sync_dir(Path::new(UPLOADS))?;
        }
        Ok(Appended {
            offset: self.offset,
            hasher: self.hasher,
        })
    }

    /// Makes the upload a blob: compares the digest, syncs the bytes, renames the file, syncs the blob's directory.
    ///
    /// After an error the session is where its row says. The running hash must be of the expected digest's algorithm.
    pub(crate) fn commit(self, expected: Digest) -> Result<Location, FilesError> {
        let found = self.hasher.clone().finish();
        if found != expected {
            return Err(FilesError::DigestMismatch {
                expected: expected.into(),
                found: found.into(),
            });
        }
        self.sync()?;
        let location = Location::new(expected, self.id);
        self.protocol.ensure_dir(location.fan_out())?;
        let (disk, to) = (self.protocol.disk(), location.path());
        disk.rename(&self.path, &to).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => FilesError::UploadMissing { id: self.id },
            _ => FilesError::io("commit", &self.path, e),
        })?;
        // The old directory needs no sync: a name that reappears there belongs to no session and is swept.
        self.protocol
            .sync_dir(&location.fan_out().path())
            .inspect_err(|_| {
                // Back to the upload, so that the session can go on; `Protocol::recover_upload` helps where this fails.
                drop(disk.rename(&to, &self.path));
            })?;
        Ok(location)
    }

    /// Also when nothing was written through this writer: an earlier one may have cut the file and gone away.
    fn sync(&self) -> Result<(), FilesError> {
        let len = self
            .file
            .len()
            .map_err(|e| FilesError::io("measure", &self.path, e))?;
        if len != self.offset {
            // A write failed half-way.
            self.file
                .set_len(self.offset)
                .map_err(|e| FilesError::io("cut", &self.path, e))?;
        }
        self.file
            .sync_data()
            .map_err(|e| FilesError::io("sync", &self.path, e))
    }
}
