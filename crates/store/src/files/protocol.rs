//! The protocol of blob files, step by step, on any [`Disk`].
//!
//! | step | durable after it |
//! |---|---|
//! | [`Protocol::open`] | the directories |
//! | [`Writer::write`] | nothing |
//! | [`Writer::seal`] | the bytes up to the offset, and the name of the upload |
//! | [`Writer::commit`] | the blob under its location; the caller's row follows |
//! | [`Protocol::remove_blob`] | nothing: the row is gone already, what reappears is an orphan |
//!
//! Three rules carry it:
//! - **An append cuts the file to its offset first.** What lies behind the last acknowledged offset was never promised
//!   and is never believed.
//! - **A failed sync is never repeated in the hope of a better answer.** The kernel marks the pages clean although it
//!   lost them, so a second sync succeeds. Sealing and committing consume the writer; after a failure the session is
//!   where its row says and the bytes behind that are sent again.
//! - **A location is used by one upload only** (its nonce is the upload's id). A commit that was cut off between rename
//!   and row is undone by [`Protocol::recover_upload`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Hasher;
use uuid::Uuid;

use super::directories::{Directories, FanOut, sync};
use super::writer::Writer;
use super::{BlobEntry, FilesError, Location, QUARANTINE, UPLOADS, UploadEntry};
use crate::disk::{Disk, DiskFile as _, Entry};

/// Path of an upload's file.
pub(super) fn upload_path(id: Uuid) -> PathBuf {
    Path::new(UPLOADS).join(id.as_simple().to_string())
}

/// The protocol on one disk. Synchronous: see [`BlobFiles`](super::BlobFiles) for the way in from async code.
pub(crate) struct Protocol<D> {
    disk: D,
    directories: Directories,
}

impl<D: Disk> Protocol<D> {
    /// Creates the directories that are missing and makes them durable.
    pub(crate) fn open(disk: D) -> Result<Self, FilesError> {
        let directories = Directories::open(&disk)?;
        Ok(Self { disk, directories })
    }

    /// The disk.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// Makes the directory of a blob, durably, where it is missing.
    pub(super) fn ensure_dir(&self, fan_out: FanOut) -> Result<(), FilesError> {
        self.directories.ensure(&self.disk, fan_out)
    }

    /// Creates the empty file of a new session. Nothing is promised yet, so nothing is synced.
    pub(crate) fn create_upload(&self, id: Uuid) -> Result<(), FilesError> {
        let path = upload_path(id);
        self.disk
            .create_new(&path)
            .map(drop)
            .map_err(|e| FilesError::io("create", &path, e))
    }

    /// Opens upload `id` to go on at `offset`, which its row promises; `hasher` has seen exactly the bytes before it.
    /// After [`FilesError::UploadMissing`] try [`Protocol::recover_upload`].
    pub(crate) fn writer(
        self: &Arc<Self>,
        id: Uuid,
        offset: u64,
        hasher: Hasher,
    ) -> Result<Writer<D>, FilesError> {
        Writer::open(Arc::clone(self), id, offset, hasher)
    }

    /// Undoes a commit whose row could not be written: the upload is resumable again.
    pub(crate) fn revert_commit(&self, location: &Location) -> Result<(), FilesError> {
        let (from, to) = (location.path(), upload_path(location.upload()));
        self.disk.rename(&from, &to).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => FilesError::BlobMissing { location: *location },
            _ => FilesError::io("take back", &from, e),
        })?;
        // Without this the blob's name could outlive a crash while the session goes on: harmless, but then the
        // acknowledged bytes would hang on a name that the orphan sweep may meet first.
        self.sync_dir(Path::new(UPLOADS))
    }

    /// Brings back the missing file of a session that has a row: its commit was cut off between rename and row, or a
    /// crash forgot a file of which nothing was promised. Reads all blob directories, which is slow, and rare.
    ///
    /// All names that carry the session's id must be names of one file. That is why an upload is never simply created
    /// anew where it is missing: its old file might come back later in its place.
    pub(crate) fn recover_upload(&self, id: Uuid, offset: u64) -> Result<(), FilesError> {
        for fan_out in FanOut::all() {
            let found = self
                .list_blobs(fan_out)?
                .into_iter()
                .find(|entry| entry.location.upload() == id);
            if let Some(entry) = found {
                return self.revert_commit(&entry.location);
            }
        }
        if offset == 0 {
            self.create_upload(id)
        } else {
            Err(FilesError::UploadMissing { id })
        }
    }

    /// Runs `open`, if need be once more after [`Protocol::recover_upload`].
    pub(crate) fn recovering<T>(
        &self,
        id: Uuid,
        offset: u64,
        open: impl Fn() -> Result<T, FilesError>,
    ) -> Result<T, FilesError> {
        match open() {
            Err(FilesError::UploadMissing { .. }) => {
                self.recover_upload(id, offset)?;
                open()
            }
            result => result,
        }
    }

    /// Removes the file of a blob whose row is gone. Fine when it is gone already.
    pub(crate) fn remove_blob(&self, location: &Location) -> Result<(), FilesError> {
        self.remove(&location.path())
    }

    /// Removes the file of a session whose row is gone. Fine when it is gone already.
    pub(crate) fn remove_upload(&self, id: Uuid) -> Result<(), FilesError> {
        self.remove(&upload_path(id))
    }

    /// Cuts an upload's file to what its row promises: what lies behind was never promised. Fine when there is no file; nothing is
    /// synced, because the next append cuts again.
    pub(crate) fn cut_upload(&self, id: Uuid, promised: u64) -> Result<(), FilesError> {
        let path = upload_path(id);
        let cut = self.disk.open_write(&path).and_then(|file| {
            if file.len()? > promised {
                file.set_len(promised)?;
            }
            Ok(())
        });
        match cut {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FilesError::io("cut", &path, e)),
            _ => Ok(()),
        }
    }

    /// Moves a damaged blob out of the way, durably, for a person to look at.
    pub(crate) fn quarantine(&self, location: &Location) -> Result<(), FilesError> {
        let from = location.path();
        self.disk
            .rename(&from, &location.quarantine_path())
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => FilesError::BlobMissing { location: *location },
                _ => FilesError::io("quarantine", &from, e),
            })?;
        self.sync_dir(Path::new(QUARANTINE))?;
        self.sync_dir(&location.fan_out().path())
    }

    /// The blob files of one fan-out directory. Foreign names are left out.
    pub(crate) fn list_blobs(&self, fan_out: FanOut) -> Result<Vec<BlobEntry>, FilesError> {
        if !self.directories.has(fan_out) {
            return Ok(Vec::new());
        }
        let dir = fan_out.path();
        let entries = self
            .disk
            .list(&dir)
            .map_err(|e| FilesError::io("list", &dir, e))?;
        let blob = |entry: Entry| {
            let location = Location::in_dir(&dir, &entry.name).ok()?;
            Some(BlobEntry {
                location,
                len: entry.len,
                changed_micros: entry.changed_micros,
            })
        };
        Ok(entries
            .into_iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(blob)
            .collect())
    }

    /// The uploads that have a file: id, bytes, last change in microseconds since the Unix epoch.
    pub(crate) fn list_uploads(&self) -> Result<Vec<UploadEntry>, FilesError> {
        let dir = Path::new(UPLOADS);
        let entries = self.disk.list(dir).map_err(|e| FilesError::io("list", dir, e))?;
        let upload = |entry: Entry| {
            let id = Uuid::try_parse(&entry.name).ok()?;
            Some(UploadEntry {
                id,
                len: entry.len,
                changed_micros: entry.changed_micros,
            })
        };
        Ok(entries
            .into_iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(upload)
            .collect())
    }

    /// Opens an upload's file for reading.
    pub(super) fn open_upload(&self, id: Uuid) -> Result<D::File, FilesError> {
        let path = upload_path(id);
        self.disk.open_read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => FilesError::UploadMissing { id },
            _ => FilesError::io("open", &path, e),
        })
    }

    /// Opens a blob's file for reading.
    pub(super) fn open_blob(&self, location: &Location) -> Result<D::File, FilesError> {
        self.disk
            .open_read(&location.path())
            .map_err(|e| FilesError::opening(location, e))
    }

    fn remove(&self, path: &Path) -> Result<(), FilesError> {
        match self.disk.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FilesError::io("remove", path, e)),
            _ => Ok(()),
        }
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), FilesError> {
        sync(&self.disk, dir)
    }
}
