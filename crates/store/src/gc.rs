//! Garbage collection: online, in small steps, by counters in the same database, after a time of grace.

use crate::{Store, StoreError};

/// What a step of the collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct GcReport {
    /// Blobs unlinked from a repository where no manifest names them.
    pub unlinked: u64,
    /// Blobs removed for good: no repository had them.
    pub blobs: u64,
    /// Bytes that were freed by it.
    pub bytes: u64,
    /// Files removed that no row names.
    pub orphans: u64,
    /// Upload sessions dropped because their time was over.
    pub uploads: u64,
    /// Lines of the pull log dropped because of age or number.
    pub pulls: u64,
    /// A backup is running: nothing was removed.
    pub paused: bool,
    /// There was more to do than the budget allowed.
    pub more: bool,
}

impl GcReport {
    /// Adds another step's report; `more` and `paused` are those of the later step.
    pub fn add(&mut self, later: &Self) {
        self.unlinked += later.unlinked;
        self.blobs += later.blobs;
        self.bytes += later.bytes;
        self.orphans += later.orphans;
        self.uploads += later.uploads;
        self.pulls += later.pulls;
        self.paused = later.paused;
        self.more = later.more;
    }
}

impl Store {
    /// Collects with at most `budget` rows per kind and transaction, and answers whether there is more to do. Never
    /// holds the writer for longer than one such transaction; steps do not run side by side.
    pub async fn gc_step(&self, budget: u64) -> Result<GcReport, StoreError> {
        let _ = budget;
        todo!()
    }
}
