//! Files that no row names: what a crash left between a file and its row.
//!
//! A file is looked at only when it is older than the grace, and removed only if, asked in this order,
//! 1. nobody works on its upload right now (its commit may be between file and row),
//! 2. its upload has no session (its commit may have been cut off, and the session will want its bytes back),
//! 3. no blob has this location.
//!
//! In this order, because a session ends with its blob's row: whoever finds no session finds the row.
//!
//! A round looks at every file. Left to itself one begins once per time of grace and takes all of it: so many directories
//! are due as the part of the grace that is over says, and a sweep that is behind (after a standstill, or because the
//! budget is small) catches up step by step. Rounds begin at a directory by chance, so that a store that is restarted
//! before each of them ends comes by everywhere all the same.

use std::collections::HashSet;

use sea_orm::Value;
use uuid::Uuid;

use crate::db::sql;
use crate::files::{BlobEntry, BlobListing, FAN_OUTS, Location};
use crate::{Store, StoreError, Timestamp};

/// How much of a round a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As much as the budget allows; a round follows the other.
    AtOnce,
    /// No more than is due.
    Spread,
}

/// How far the sweep over the blob directories is.
#[derive(Default)]
pub(super) struct Sweep {
    round: Option<Round>,
    /// When the next round is due; at once where there was none yet.
    next_round: Timestamp,
    /// Files looked at so far, over all rounds.
    pub(super) looked_at: u64,
}

struct Round {
    began: Timestamp,
    listing: BlobListing,
    /// Directories listed so far.
    directories: usize,
    pending: Vec<BlobEntry>,
}

impl Store {
    /// Looks at up to `budget` files more; answers how many it removed, and whether it should go on at once.
    pub(super) async fn sweep_orphans(
        &self,
        sweep: &mut Sweep,
        before: Timestamp,
        budget: u64,
        pace: Pace,
    ) -> Result<(u64, bool), StoreError> {
        if sweep.round.is_none() && pace == Pace::Spread && self.now() < sweep.next_round {
            return Ok((0, false));
        }
        let mut removed = 0;
        let mut left = usize::try_from(budget).unwrap_or(usize::MAX);
        while left > 0 {
            let round = sweep.round.get_or_insert_with(|| self.begin_round());
            if round.pending.is_empty() {
                if pace == Pace::Spread && !self.is_behind(round) {
                    return Ok((removed, false));
                }
                let Some(entries) = round.listing.next().await else {
                    sweep.next_round = round.began.plus(self.limits().collect_grace);
                    sweep.round = None;
                    return Ok((removed + self.sweep_uploads(before).await?, false));
                };
                round.directories += 1;
                round.pending = entries?;
                continue;
            }
            let rest = round.pending.len().saturating_sub(left.min(sql::CHUNK));
            let chunk = round.pending.split_off(rest);
            left -= chunk.len();
            sweep.looked_at += chunk.len() as u64;
            removed += self.sweep_chunk(chunk, before).await?;
        }
        let unfinished = |round: &Round| pace == Pace::AtOnce || self.is_behind(round);
        Ok((removed, sweep.round.as_ref().is_some_and(unfinished)))
    }

    fn begin_round(&self) -> Round {
        let first = usize::from(u16::from_le_bytes(crate::entropy::bytes()));
        Round {
            began: self.now(),
            listing: self.inner.files.list_blobs_from(first),
            directories: 0,
            pending: Vec::new(),
        }
    }

    /// Whether less was looked at than is due by now. The end of the last directory is due with the end of the grace.
    fn is_behind(&self, round: &Round) -> bool {
        let elapsed = self.now().micros().saturating_sub(round.began.micros());
        let elapsed = u128::try_from(elapsed).unwrap_or(0);
        let grace = self.limits().collect_grace.as_micros().max(1);
        round.directories as u128 * grace <= elapsed.saturating_mul(FAN_OUTS as u128)
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
