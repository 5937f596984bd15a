//! Checking what is stored against its digests, while serving.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oci::Digest;
use serde::Serialize;

use crate::{Store, StoreError};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// The file of a blob is gone.
    Missing,
    /// The file of a blob has other bytes than its digest says.
    Corrupt,
    /// The file of a blob could not be read.
    Unreadable,
    /// A file that no row names (collected after the time of grace).
    Orphan,
    /// The bytes of a manifest do not have its digest.
    ManifestCorrupt,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind.
    pub kind: DamageKind,
    /// The blob or manifest; `None` for an orphan.
    pub digest: Option<Digest>,
    /// The file below the data directory; `None` for a manifest.
    pub location: Option<String>,
    /// Whether it was put into quarantine: it counts as unknown from now on, and clients push it again.
    pub quarantined: bool,
}

/// How to check.
#[derive(Debug, Clone, Default)]
pub struct FsckOptions {
    /// Move what is corrupt away and treat it and what is missing as unknown.
    pub quarantine: bool,
    /// Only compare sizes; do not read the files.
    pub quick: bool,
    /// Set it to end the check early.
    pub cancel: Arc<AtomicBool>,
}

/// How far the check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FsckProgress {
    /// Blobs checked.
    pub blobs: u64,
    /// Blobs that there were when the check began.
    pub blobs_total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Manifests checked.
    pub manifests: u64,
}

/// Damages listed in one report; what comes on top is only counted.
pub const DAMAGES_LISTED: usize = 10_000;

/// What the check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// How far it came.
    pub progress: FsckProgress,
    /// What is wrong, at most [`DAMAGES_LISTED`].
    pub damages: Vec<Damage>,
    /// How much is wrong, orphans excepted.
    pub damaged: u64,
    /// Files that no row names.
    pub orphans: u64,
    /// Whether it ended early.
    pub cancelled: bool,
}

impl Store {
    /// Checks every blob and manifest; `progress` is called now and then from the checking task.
    pub async fn fsck(
        &self,
        options: FsckOptions,
        progress: impl FnMut(FsckProgress) + Send + 'static,
    ) -> Result<FsckReport, StoreError> {
        let _ = (options, progress);
        todo!()
    }
}
