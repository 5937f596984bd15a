//! Files that no row names: what a crash left between a file and its row.
//!
//! A file is looked at only when it is older than the grace, and removed only if, asked in this order,
//! 1. nobody works on its upload right now (its commit may be between file and row),
//! 2. its upload has no session (its commit may have been cut off, and the session will want its bytes back),
//! 3. no blob has this location.
//!
//! In this order, because a session ends with its blob's row: whoever finds no session finds the row.

use std::collections::HashSet;

use sea_orm::Value;
use uuid::Uuid;

use crate::db::sql;
use crate::files::{BlobEntry, BlobListing, Location};
use crate::{Store, StoreError, Timestamp};

/// How far the sweep over the blob directories is.
#[derive(Default)]
pub(super) struct Sweep {
    listing: Option<BlobListing>,
    pending: Vec<BlobEntry>,
}

impl Store {
    /// Looks at up to `budget` files more; answers how many it removed, and whether the round is not finished. A new
    /// round begins with the step after the last one.
    pub(super) async fn sweep_orphans(
        &self,
        sweep: &mut Sweep,
        before: Timestamp,
        budget: u64,
    ) -> Result<(u64, bool), StoreError> {
        let mut removed = 0;
        let mut left = usize::try_from(budget).unwrap_or(usize::MAX);
        while left > 0 {
            if sweep.pending.is_empty() {
                let listing = sweep.listing.get_or_insert_with(|| self.inner.files.list_blobs());
                let Some(entries) = listing.next().await else {
                    sweep.listing = None;
                    return Ok((removed + self.sweep_uploads(before).await?, false));
                };
                sweep.pending = entries?;
                continue;
            }
            let rest = sweep.pending.len().saturating_sub(left.min(sql::CHUNK));
            let chunk = sweep.pending.split_off(rest);
            left -= chunk.len();
            removed += self.sweep_chunk(chunk, before).await?;
        }
        Ok((removed, true))
    }

    async fn sweep_chunk(&self, chunk: Vec<BlobEntry>, before: Timestamp) -> Result<u64, StoreError> {
        let old = chunk
            .into_iter()
            .filter(|entry| entry.changed_micros < before.micros());
        let old: Vec<Location> = old.map(|entry| entry.location).collect();
        let mut removed = 0;
        for location in self.orphans(&old).await? {
            tracing::info!(%location, "removing a file that no row names");
            self.remove_file(location).await;
            removed += 1;
        }
        Ok(removed)
    }

    /// Those of `locations` that nobody means, asked in the order of this module's page.
    pub(crate) async fn orphans(&self, locations: &[Location]) -> Result<Vec<Location>, StoreError> {
        let uploads: Vec<Uuid> = locations.iter().map(Location::upload).collect();
        let live = self.live_uploads(&uploads).await?;
        let mut suspects: Vec<Location> = locations.to_vec();
        suspects.retain(|location| !live.contains(&location.upload()));
        let named = self.named(&suspects).await?;
        suspects.retain(|location| !named.contains(location));
        Ok(suspects)
    }

    /// Those of `locations` that are a blob's.
    pub(crate) async fn named(&self, locations: &[Location]) -> Result<HashSet<Location>, StoreError> {
        let mut named = HashSet::new();
        for chunk in locations.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT location AS text FROM blob WHERE digest IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let digests = chunk
                .iter()
                .map(|location| Value::from(location.digest().to_string()));
            let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, digests).await?;
            named.extend(rows.iter().filter_map(|row| row.text.parse::<Location>().ok()));
        }
        Ok(named)
    }

    /// Upload files whose session is gone.
    async fn sweep_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        let entries = self.inner.files.list_uploads().await?.into_iter();
        let old = entries.filter(|entry| entry.changed_micros < before.micros());
        let old: Vec<Uuid> = old.map(|entry| entry.id).collect();
        let live = self.live_uploads(&old).await?;
        let mut removed = 0;
        for id in old.into_iter().filter(|id| !live.contains(id)) {
            self.inner.files.remove_upload(id).await?;
            removed += 1;
        }
        Ok(removed)
    }
}
