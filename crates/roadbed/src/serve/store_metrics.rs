//! The store's counters, read when somebody asks for the metrics.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use store::{Condition, Store, StoreMetrics};

/// Adds the store's counters to a registry of metrics.
pub(crate) fn register(metrics: &mut Registry, store: Store) {
    metrics.register_collector(Box::new(StoreCollector(store)));
}

struct StoreCollector(Store);

impl std::fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreCollector")
    }
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let now = self.0.metrics();
        for (name, help, value) in counters(&now) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        for (name, help, value) in gauges(&now).into_iter().chain(states(&self.0.condition())) {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// 1 where it is so.
fn states(now: &Condition) -> [(&'static str, &'static str, u64); 6] {
    [
        (
            "database_away",
            "The database cannot be asked: pulls of what is in memory go on, nothing else",
            now.reads.is_some().into(),
        ),
        (
            "database_read_only",
            "The database cannot be written: pulls go on, pushes do not",
            now.writes.is_some().into(),
        ),
        (
            "maintenance",
            "The registry is read-only on an administrator's word",
            now.maintenance.is_some().into(),
        ),
        (
            "disk_full",
            "The disk of the data directory is full: pulls and deletions go on, pushes are refused",
            now.disk_full.is_some().into(),
        ),
        (
            "scanner_away",
            "There are blobs to look into, and nobody takes them",
            now.unclaimed.is_some().into(),
        ),
        (
            "scans_unclaimed",
            "Blobs that wait while nobody takes them, as far as they are counted",
            now.unclaimed.map_or(0, |unclaimed| unclaimed.jobs),
        ),
    ]
}

fn counters(now: &StoreMetrics) -> [(&'static str, &'static str, u64); 10] {
    [
        (
            "database_calls",
            "Statements sent to the database",
            now.database_calls,
        ),
        (
            "database_outages",
            "Times that the database was found to be away",
            now.database_outages,
        ),
        (
            "manifest_cache_hits",
            "Manifests answered from memory",
            now.manifest_hits,
        ),
        (
            "manifest_cache_misses",
            "Manifests looked up in the database",
            now.manifest_misses,
        ),
        ("blob_cache_hits", "Blobs found in memory", now.blob_hits),
        (
            "blob_cache_misses",
            "Blobs looked up in the database",
            now.blob_misses,
        ),
        (
            "pull_notes_dropped",
            "Pulls that the full queue of the pull log dropped",
            now.pull_notes_dropped,
        ),
        ("password_hashes", "Password hashes computed", now.password_hashes),
        (
            "credential_cache_hits",
            "Logins answered from memory",
            now.credential_hits,
        ),
        ("logins_shed", "Logins told to come again", now.logins_shed),
    ]
}

fn gauges(now: &StoreMetrics) -> [(&'static str, &'static str, u64); 7] {
    [
        (
            "manifest_cache_bytes",
            "Manifest bytes in memory",
            now.manifest_cache_bytes,
        ),
        ("uploads_open", "Open upload sessions", now.uploads_open),
        (
            "upload_bytes",
            "Bytes held by open upload sessions",
            now.upload_bytes,
        ),
        (
            "disk_free_bytes",
            "Bytes free on the disk of the data directory, beside the reserve",
            now.disk_free_bytes,
        ),
        ("feeds_failing", "Feeds whose last try failed", now.feeds_failing),
        ("feeds_held", "Feeds that wait for a person", now.feeds_held),
        (
            "feed_lifts_held",
            "Refusals that feeds which wait for a person would lift",
            now.lifts_held,
        ),
    ]
}
