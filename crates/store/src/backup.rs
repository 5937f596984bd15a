//! Backup while serving, and restore into an empty directory.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Digest;
use serde::Serialize;
use thiserror::Error;

use crate::{Actor, Store, StoreError};

/// What was written or read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, Clone, Error)]
pub enum BackupError {
    /// The writer failed; what it has is not a backup.
    #[error("the backup could not be written")]
    Write(#[source] Arc<std::io::Error>),
    /// The reader failed.
    #[error("the backup could not be read")]
    Read(#[source] Arc<std::io::Error>),
    /// A blob is not what its row says; run fsck.
    #[error("blob {digest} is damaged in the store; run fsck with quarantine, then back up again")]
    SourceDamaged {
        /// Which blob.
        digest: Digest,
    },
    /// A backup is running already.
    #[error("a backup is running already")]
    Busy,
    /// The target has files in it.
    #[error("{path} is not empty; restore into a new directory")]
    NotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// The archive holds something that does not belong there.
    #[error("the backup holds {name:?}, which does not belong there")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A blob of the archive does not have its digest.
    #[error("blob {digest} of the backup is damaged")]
    Damaged {
        /// Which blob.
        digest: Digest,
    },
    /// The archive ends too early.
    #[error("the backup is incomplete: {what} is missing")]
    Incomplete {
        /// What is missing.
        what: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes a tar archive of everything to `out`, consistent as of one moment, while serving. Collection waits until
    /// it is done. `out` is written from a blocking thread.
    pub async fn backup(
        &self,
        actor: &Actor,
        out: impl Write + Send + 'static,
    ) -> Result<BackupReport, BackupError> {
        let _ = (actor, out);
        todo!()
    }
}

/// Makes `data_dir`, which must not exist or be empty, from a backup. Every blob is checked against its digest. Blocks;
/// run it outside of a server.
pub async fn restore(input: impl Read + Send + 'static, data_dir: &Path) -> Result<BackupReport, BackupError> {
    let _ = (input, data_dir);
    todo!()
}
