//! What can go wrong with blob files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci::Digest;
use thiserror::Error;
use uuid::Uuid;

use super::{Appended, Location};
use crate::disk::sys;
use crate::pool::PoolError;

/// Failure of an operation on blob or upload files.
#[derive(Debug, Error)]
pub(crate) enum FilesError {
    /// No space, or no quota of the file system, is left (`ENOSPC`, `EDQUOT`).
    #[error("could not {action} {}: the disk is full, free space or enlarge it", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// Relative to the data directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Any other error of the disk.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Relative to the data directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The upload has acknowledged bytes but no file, and none could be brought back: the session must be dropped.
    #[error("upload {id} has no file")]
    UploadMissing {
        /// The upload.
        id: Uuid,
    },
    /// The file holds less than the offset at which it should go on.
    #[error("upload {id} holds {present} bytes and cannot go on at {asked}")]
    OffsetMismatch {
        /// The upload.
        id: Uuid,
        /// Where the caller wanted to go on, bytes.
        asked: u64,
        /// What the file holds, bytes.
        present: u64,
    },
    /// Another request is working on this upload.
    #[error("upload {id} is in use by another request")]
    InUse {
        /// The upload.
        id: Uuid,
    },
    /// The uploaded bytes are not what the client says they are.
    #[error("the uploaded bytes have digest {found}, not {expected}")]
    DigestMismatch {
        /// What the client named.
        expected: Box<Digest>,
        /// What the bytes have.
        found: Box<Digest>,
    },
    /// A committed blob has no file.
    #[error("blob file {location} is missing, run fsck")]
    BlobMissing {
        /// Where it should be.
        location: Location,
    },
    /// A committed blob's file has another length than its row.
    #[error("blob file {location} holds {found} bytes instead of {expected}, run fsck")]
    Damaged {
        /// Where it is.
        location: Location,
        /// Bytes by its row.
        expected: u64,
        /// Bytes by its file.
        found: u64,
    },
    /// Where a committed blob's file should be there is a directory, a link or a pipe.
    #[error("blob file {location} is no regular file, run fsck")]
    NotAFile {
        /// Where.
        location: Location,
    },
    /// No buffer space became free in time.
    #[error("no upload buffer became free within {} s, try again later", waited.as_secs())]
    Busy {
        /// How long it was waited.
        waited: Duration,
    },
    /// The pool did not run the work.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl FilesError {
    /// Sorts an error that opening a committed blob met.
    pub(crate) fn opening(location: &Location, source: io::Error) -> Self {
        let location = *location;
        match source.kind() {
            io::ErrorKind::NotFound => Self::BlobMissing { location },
            sys::NOT_A_FILE => Self::NotAFile { location },
            _ => Self::io("open", &location.path(), source),
        }
    }

    /// Sorts an error of the disk.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }
}

/// Failure of an append; `E` is the error of the body.
///
/// Where `appended` is present, those bytes are durable and the session goes on at its offset.
#[derive(Debug, Error)]
pub(crate) enum AppendError<E> {
    /// The body ended with an error (the client went away). What arrived is kept.
    #[error("the upload stopped at byte {}", appended.offset())]
    Interrupted {
        /// What is durable.
        appended: Appended,
        /// The body's error.
        source: E,
    },
    /// The blob grows over its limit. What arrived below it is kept.
    #[error("the blob is larger than {limit} bytes")]
    TooLarge {
        /// What is durable.
        appended: Appended,
        /// Bytes that one blob may have.
        limit: u64,
    },
    /// The disk failed. What could still be synced is kept; without it the session stays where it was before.
    #[error("could not store the uploaded bytes")]
    Files {
        /// What is durable, if anything of this append is.
        appended: Option<Appended>,
        /// The cause.
        source: FilesError,
    },
}
