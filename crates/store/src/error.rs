//! What goes wrong below the rules: disk, database, a data directory that is not ours. The rules have error types of
//! their own, beside the functions that enforce them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::{ConnAcquireErr, DbErr};
use thiserror::Error;

use crate::files::FilesError;
use crate::pool::PoolError;

/// A failure of the store itself, never the caller's fault. Cheap to clone, because callers that waited for the same
/// load share its failure.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The disk has no room; free some, nothing was torn.
    #[error("no space left on the disk of the data directory")]
    DiskFull,
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried, such as `read` or `create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] DbErr),
    /// Another process serves this data directory.
    #[error("the data directory {path} is in use by another process; stop it first, or go through its API")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory was written by a newer version.
    #[error(
        "the data directory {path} has format {found}, this program knows up to {known}; use a newer one"
    )]
    Version {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: String,
        /// The newest format that is known.
        known: u32,
    },
    /// What is stored contradicts itself; `roadbed fsck` tells more.
    #[error("the store is damaged: {what}; run fsck")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// Too many wait for the database, or one waited too long.
    #[error("the database is busy; try again in a second")]
    Busy,
    /// The database cannot be used for now; see [`crate::AwayReason`].
    #[error(
        "the database is away; what is in memory is served, everything else has to wait until it is back"
    )]
    Away,
    /// The database can be read, and not be changed; see [`crate::AwayReason`].
    #[error(
        "the database cannot be written; pulls go on, everything that changes something has to wait until it can"
    )]
    Unwritable,
    /// A change of users, robots or grants cannot be read.
    #[error("a change of users, robots or grants cannot be read; nobody may do anything until it can")]
    Closed,
    /// There are blobs and no database.
    #[error(
        "the data directory holds blobs, but its database {path} is gone; put it back, or restore a backup into an empty directory"
    )]
    NoDatabase {
        /// Where the database was.
        path: PathBuf,
    },
    /// Advisories are being imported already.
    #[error("an import is on its way already; wait until it has ended, at most ten minutes")]
    ImportRunning,
    /// What would be known is more than can be held.
    #[error(
        "there would be more than {limit} advisories (storage.advisories); leave out ecosystems, or raise the limit where memory allows it"
    )]
    TooManyAdvisories {
        /// How many there may be.
        limit: u64,
    },
    /// Rather nothing than an older state in place of the one that was asked for.
    #[error(
        "more than {limit} changes of the catalogue lead to that version; ask for an earlier one, or read the changes from the history"
    )]
    TooManyChanges {
        /// How many are replayed.
        limit: u64,
    },
    /// More is promised than can be followed.
    #[error(
        "bases would owe more than {limit} problems; promise less with patchWithin, or patch what is owed, nothing more is followed until then"
    )]
    TooManyOwed {
        /// How many may be owed.
        limit: u64,
    },
    /// There are as many declarations of a kind as there may be.
    #[error("there may be {limit} of these; remove one that is over first")]
    TooManyRecords {
        /// How many there may be.
        limit: u64,
    },
    /// Nobody went on with an import for so long that another one was begun.
    #[error("another import has been begun in the meantime; begin a new one, nothing of the old one counts")]
    ImportOver,
    /// A background task was lost; the server is shutting down or a bug was met.
    #[error("a task of the store ended early")]
    TaskLost,
}

impl StoreError {
    /// Wraps an I/O error, telling a full disk apart.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::File {
                action,
                path: path.into(),
                source: Arc::new(source),
            },
        }
    }

    /// Whether it is the database that is away: who began the outage has said so, and nobody else need log it.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away | Self::Unwritable)
    }

    /// Whether it may be done later as it is.
    pub(crate) fn passes(&self) -> bool {
        self.is_away() || matches!(self, Self::Busy | Self::Closed | Self::DiskFull)
    }

    /// What keeps the database from being opened. It is not away then: nothing has been there yet.
    pub(crate) fn opening(error: DbErr) -> Self {
        if crate::db::sqlite::is_disk_full(&error) {
            return Self::DiskFull;
        }
        Self::Database(error)
    }

    /// For what can only be if rows were changed by a stranger.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if crate::db::sqlite::is_disk_full(&error) {
            return Self::DiskFull;
        }
        match error {
            // No connection became free in time.
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Self::Busy,
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => Self::Away,
            error if crate::db::sqlite::away(&error).is_some() => Self::Away,
            error => Self::Database(error),
        }
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::TaskLost
    }
}

impl From<FilesError> for StoreError {
    fn from(error: FilesError) -> Self {
        Self::of_files(&error)
    }
}

impl StoreError {
    /// What an error of the blob files means to callers, for errors that several of them share.
    pub(crate) fn of_files(error: &FilesError) -> Self {
        match error {
            FilesError::DiskFull { .. } => Self::DiskFull,
            FilesError::Io { action, path, source } => {
                let source = Arc::new(io::Error::new(source.kind(), source.to_string()));
                Self::File {
                    action,
                    path: path.clone(),
                    source,
                }
            }
            FilesError::Busy { .. } | FilesError::InUse { .. } | FilesError::Pool(PoolError::Full { .. }) => {
                Self::Busy
            }
            FilesError::Pool(_) => Self::TaskLost,
            damaged => Self::damaged(damaged.to_string()),
        }
    }
}
