//! Numbers about the store, for `/metrics` and for tests.

use std::sync::atomic::Ordering;

use crate::Store;

/// A snapshot of the store's counters. All of them count from the start of the process unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreMetrics {
    /// Statements and transactions sent to the database.
    pub database_calls: u64,
    /// Times that the database was found to be away.
    pub database_outages: u64,
    /// Manifests answered from memory.
    pub manifest_hits: u64,
    /// Manifests read from the database.
    pub manifest_misses: u64,
    /// Blob rows answered from memory.
    pub blob_hits: u64,
    /// Blob rows read from the database.
    pub blob_misses: u64,
    /// Bytes of manifests in memory now.
    pub manifest_cache_bytes: u64,
    /// Pull notes dropped because the queue was full.
    pub pull_notes_dropped: u64,
    /// Logins that computed a password hash.
    pub password_hashes: u64,
    /// Logins answered from the cache of verified credentials.
    pub credential_hits: u64,
    /// Logins refused because of too many at once or too many failures.
    pub logins_shed: u64,
    /// Upload sessions open now.
    pub uploads_open: u64,
    /// Bytes held by them now.
    pub upload_bytes: u64,
    /// Feeds whose last try failed; this and what follows as of [`Store::refresh_feed_counts`].
    pub feeds_failing: u64,
    /// Those of them that wait for a person.
    pub feeds_held: u64,
    /// Refusals that these would lift.
    pub lifts_held: u64,
    /// Bytes free on the disk of the data directory, as of the last second; the reserve is not among them.
    pub disk_free_bytes: u64,
}

impl Store {
    /// The counters. No database call.
    pub fn metrics(&self) -> StoreMetrics {
        let inner = &*self.inner;
        let (manifest_hits, manifest_misses) = inner.caches.manifests.counts();
        let (blob_hits, blob_misses) = inner.caches.blobs.counts();
        let held = inner.uploads.total();
        let logins = &inner.authenticator.counts;
        StoreMetrics {
            database_calls: inner.db.calls(),
            database_outages: inner.db.outages.begun(),
            manifest_hits,
            manifest_misses,
            blob_hits,
            blob_misses,
            manifest_cache_bytes: inner.caches.manifests.bytes(),
            pull_notes_dropped: inner.pulls.dropped(),
            password_hashes: logins.hashes.load(Ordering::Relaxed),
            credential_hits: logins.hits.load(Ordering::Relaxed),
            logins_shed: logins.shed.load(Ordering::Relaxed),
            uploads_open: held.sessions,
            upload_bytes: held.bytes,
            feeds_failing: inner.imports.feeds.failing.load(Ordering::Relaxed),
            feeds_held: inner.imports.feeds.held.load(Ordering::Relaxed),
            lifts_held: inner.imports.feeds.lifts.load(Ordering::Relaxed),
            disk_free_bytes: inner.room.free(),
        }
    }
}
