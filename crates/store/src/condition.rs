//! How the store is doing: what can be used, what cannot, since when and why. Answered from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::FromQueryResult;

use crate::db::outage::{Outage, Use};
use crate::db::sql;
use crate::{AwayReason, JobKind, Maintenance, Store, StoreError, Timestamp};

/// Since when something is away, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: AwayReason,
}

/// Jobs that nobody takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclaimed {
    /// How many are ready, as far as they were counted ([`MAX_UNCLAIMED`]).
    pub jobs: u64,
    /// Since when nobody has taken one.
    pub since: Timestamp,
}

/// Jobs that are counted at most.
pub const MAX_UNCLAIMED: u64 = 1_000;

/// How the store is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Nothing that is not in memory can be asked.
    pub reads: Option<Away>,
    /// Nothing can be changed.
    pub writes: Option<Away>,
    /// A change of who may do what cannot be read: nobody may do anything.
    pub is_closed: bool,
    /// A person has said that nothing is to be changed.
    pub maintenance: Option<Arc<Maintenance>>,
    /// Jobs that nobody takes.
    pub unclaimed: Option<Unclaimed>,
    /// The disk is full: nothing large comes in.
    pub disk_full: Option<DiskFull>,
}

/// A disk that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFull {
    /// Since when.
    pub since: Timestamp,
    /// Bytes that are free for deletions and what else needs little, as of the last second.
    pub free_bytes: u64,
}

/// What is known of those who take jobs.
#[derive(Default)]
pub(crate) struct Workers {
    /// When a job was last taken, or could be.
    claimed: AtomicI64,
    /// Jobs that nobody takes; 0: there are none.
    jobs: AtomicU64,
    since: AtomicI64,
}

impl Workers {
    /// Whoever starts now takes what waits in a moment.
    pub(crate) fn beginning(now: Timestamp) -> Self {
        Self {
            claimed: AtomicI64::new(now.micros()),
            ..Self::default()
        }
    }

    pub(crate) fn claimed(&self, now: Timestamp) {
        self.claimed.store(now.micros(), Ordering::Relaxed);
        self.jobs.store(0, Ordering::Relaxed);
    }

    fn unclaimed(&self) -> Option<Unclaimed> {
        let jobs = self.jobs.load(Ordering::Relaxed);
        (jobs > 0).then(|| Unclaimed {
            jobs,
            since: Timestamp(self.since.load(Ordering::Relaxed)),
        })
    }
}

#[derive(FromQueryResult)]
struct ReadyRow {
    jobs: i64,
    oldest: i64,
    running: i64,
}

impl Store {
    /// How the store is doing. No database call.
    pub fn condition(&self) -> Condition {
        let outages = &self.inner.db.outages;
        let away = |of: Use| outages.outage(of).map(|outage| self.away(outage));
        Condition {
            reads: away(Use::Read),
            writes: away(Use::Write),
            is_closed: self.demand_open_book().is_err(),
            maintenance: self.maintenance(),
            unclaimed: self.inner.worked.unclaimed(),
            disk_full: self.disk_full(),
        }
    }

    fn disk_full(&self) -> Option<DiskFull> {
        let room = &self.inner.room;
        room.full_since().map(|since| DiskFull {
            since,
            free_bytes: room.free(),
        })
    }

    fn away(&self, outage: Outage) -> Away {
        Away {
            since: self.now().minus(outage.since.elapsed()),
            reason: outage.reason,
        }
    }

    /// Looks whether there are blobs to look into that nobody has taken for so long, while nobody works on one. What is found is told
    /// by [`Self::condition`] until somebody takes one, or the next look.
    pub async fn look_for_workers(&self, after: Duration) -> Result<(), StoreError> {
        let (worked, now) = (&self.inner.worked, self.now());
        let claimed = Timestamp(worked.claimed.load(Ordering::Relaxed));
        if claimed.plus(after) > now {
            return Ok(());
        }
        let sql = "SELECT COUNT(*) AS jobs, COALESCE(MIN(ready_at), 0) AS oldest, \
                   (SELECT COUNT(*) FROM job WHERE lease_until > 0 AND lease_until > $2 AND kind = $1) AS running \
                   FROM (SELECT ready_at FROM job WHERE kind = $1 AND ready_at <= $2 AND lease_until <= $2 LIMIT $3) AS ready";
        let values = [
            JobKind::Scan.name().into(),
            now.micros().into(),
            sql::to_db(MAX_UNCLAIMED).into(),
        ];
        let row: Option<ReadyRow> = sql::first(self.inner.db.read(), sql, values).await?;
        let since = row.as_ref().map(|row| Timestamp(row.oldest).max(claimed));
        let found = row
            .zip(since)
            .filter(|(row, since)| row.jobs > 0 && row.running == 0 && since.plus(after) <= now);
        match found {
            Some((row, since)) => {
                worked.since.store(since.micros(), Ordering::Relaxed);
                worked.jobs.store(sql::from_db(row.jobs), Ordering::Relaxed);
            }
            None => worked.jobs.store(0, Ordering::Relaxed),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
