//! Backup while serving, and restore into an empty directory.
//!
//! A backup is a plain tar archive of a data directory: `version`, `roadbed.db` (a snapshot of one moment), and the
//! file of every good blob that the snapshot names, under its location. Nothing is collected while it is written, so
//! each of these files is there. Uploads that are not finished are left out. It holds password hashes and the key that
//! tokens are signed with: keep it like the registry itself.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use oci::Digest;
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

use crate::db::sqlite;
use crate::event::EventKind;
use crate::lock::{DATABASE_FILE, TEMP_DIR};
use crate::{Actor, Store, StoreError};

mod restore;
mod write;

pub use restore::restore;

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
    /// It does not begin as a backup does. What it holds instead is not repeated: it may be anything.
    #[error(
        "it is not a backup of Roadbed, which is a tar archive that begins with `version`; unpack it first if it is \
         compressed"
    )]
    NotABackup,
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
        let (store, actor) = (self.clone(), actor.clone());
        let task = tokio::spawn(async move { store.backup_here(&actor, out).await });
        task.await.map_err(StoreError::from)?
    }

    async fn backup_here(
        &self,
        actor: &Actor,
        out: impl Write + Send + 'static,
    ) -> Result<BackupReport, BackupError> {
        let collector = &self.inner.collector;
        let _alone = collector.backup.try_lock().map_err(|_| BackupError::Busy)?;
        let _pinned = collector.pin().await;
        let data_dir = self.data_dir().to_owned();
        let snapshot = Snapshot(
            data_dir
                .join(TEMP_DIR)
                .join(format!("backup-{}.db", uuid::Uuid::now_v7())),
        );
        sqlite::snapshot(&data_dir.join(DATABASE_FILE), &snapshot.0).await?;
        let database = sqlite::open_snapshot(&snapshot.0);
        let path = snapshot.0.clone();
        let written =
            tokio::task::spawn_blocking(move || write::archive(&data_dir, &path, &database, out)).await;
        drop(snapshot);
        let report = written.map_err(StoreError::from)??;
        self.note(actor, EventKind::BackupCreate, "store".to_owned(), json!(report))
            .await?;
        Ok(report)
    }
}

/// The copy of the database, gone when dropped.
struct Snapshot(PathBuf);

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a snapshot stays until the next start");
        }
    }
}

#[cfg(test)]
mod tests;
