//! How large the blob store's pools and budgets are.

use std::path::PathBuf;
use std::time::Duration;

use crate::StoreLimits;
use crate::pool::PoolConfig;
use crate::reader::ReaderConfig;

/// Sizes of the blob store. Memory of uploads is at most `budget` plus one frame per upload.
#[derive(Debug, Clone)]
pub(crate) struct FilesConfig {
    /// The data directory.
    pub(crate) data_dir: PathBuf,
    /// Bytes of all uploads together that were received and not yet written. Default: 32 MiB.
    pub(crate) budget: usize,
    /// How long an upload waits for a share of `budget`. Default: 60 s.
    pub(crate) budget_wait: Duration,
    /// Threads that hash and write, at lowered priority. Default: the machine's cores, at least 2.
    pub(crate) hash_pool: PoolConfig,
    /// Threads that sync, rename, list and remove; they wait for the disk most of the time. Default: 8.
    pub(crate) sync_pool: PoolConfig,
    /// The pull side.
    pub(crate) reader: ReaderConfig,
}

impl FilesConfig {
    /// Default sizes for `data_dir`.
    pub(crate) fn new(data_dir: impl Into<PathBuf>) -> Self {
        const NICE: i32 = 5;
        const SYNC_THREADS: usize = 8;
        Self {
            data_dir: data_dir.into(),
            budget: 32 << 20,
            budget_wait: Duration::from_mins(1),
            hash_pool: PoolConfig::new("rb-hash").niced(NICE),
            sync_pool: PoolConfig::with_threads("rb-sync", SYNC_THREADS),
            reader: ReaderConfig::default(),
        }
    }

    /// The same under the limits of a store.
    pub(crate) fn within(data_dir: impl Into<PathBuf>, limits: &StoreLimits) -> Self {
        Self {
            budget: usize::try_from(limits.upload_memory).unwrap_or(usize::MAX),
            budget_wait: limits.upload_memory_wait,
            reader: ReaderConfig {
                maps_kept: limits.open_blobs,
                small_kept: limits.small_blob_cache_bytes,
                ..ReaderConfig::default()
            },
            ..Self::new(data_dir)
        }
    }
}
