//! Garbage collection: online, in small steps, by counters in the same database, after a time of grace.
//!
//! What makes it safe:
//! - All that is decided about rows is decided and done in one transaction of the only writer, by counters that the
//!   transactions of pushes keep. No push ever waits for more than one such transaction.
//! - Grace begins anew with every push, mount and release ([`crate::StoreLimits::collect_grace`]), first for the link,
//!   then once more for the blob. When a pusher asks for an unnamed blob it is renewed too (see `blob/promise.rs`), so
//!   that a client may take the blob for granted that it has just seen.
//! - A blob's row goes first, then its file. A location is never used again, so a file that is removed late can never
//!   be that of a later push.
//! - A file without a row is removed only if it is older than the grace and no upload is on its way there (see
//!   `gc/orphans.rs`).

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{FromQueryResult, Value};
use serde_json::json;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use crate::blob::{self, link};
use crate::db::{Tx, sql};
use crate::event::EventKind;
use crate::files::Location;
use crate::{Actor, Store, StoreError, Timestamp};

mod orphans;

use orphans::{Pace, Sweep};

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
    /// Repositories removed in which nothing was left.
    pub repositories: u64,
    /// Upload sessions dropped because their time was over.
    pub uploads: u64,
    /// Lines of the pull log dropped because of age or number.
    pub pulls: u64,
    /// A backup is running or the registry is read-only: nothing was removed.
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
        self.repositories += later.repositories;
        self.uploads += later.uploads;
        self.pulls += later.pulls;
        self.paused = later.paused;
        self.more = later.more;
    }
}

/// What no manifest of any repository names and the collection has left, because of the time of grace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The time of grace: a blob stays so long where it is linked, and so long again before its bytes go.
    pub grace: Duration,
}

/// What the collection keeps between its steps.
#[derive(Default)]
pub(crate) struct Collector {
    sweep: Mutex<Sweep>,
    pins: Arc<RwLock<()>>,
    /// Turns to renew the grace of a blob.
    pub(crate) renewals: Mutex<()>,
    /// Held by the backup that is running.
    pub(crate) backup: Mutex<()>,
}

impl Collector {
    /// While this is held nothing is collected. Waits for the step that is running.
    pub(crate) async fn pin(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.pins).read_owned().await
    }
}

impl Store {
    /// Collects with at most `budget` rows per kind and transaction, and answers whether there is more to do. Never
    /// holds the writer for longer than one such transaction; steps do not run side by side.
    ///
    /// For whoever wants everything collected now: it looks at all blob files for some that no row names.
    pub async fn gc_step(&self, budget: u64) -> Result<GcReport, StoreError> {
        self.gc_step_at(Pace::AtOnce, budget).await
    }

    /// The same, to be called every now and then: the look at all blob files is spread over the time of grace.
    pub async fn gc_step_spread(&self, budget: u64) -> Result<GcReport, StoreError> {
        self.gc_step_at(Pace::Spread, budget).await
    }

    /// What a collection leaves for now.
    pub async fn kept(&self) -> Result<Kept, StoreError> {
        // What may be meant is found by the indexes that the collection goes by.
        let sql = "SELECT COUNT(*) AS blobs, CAST(COALESCE(SUM(b.size), 0) AS BIGINT) AS bytes FROM blob b \
                   WHERE b.id IN (SELECT blob_id FROM repository_blob WHERE names = 0 \
                   UNION SELECT id FROM blob WHERE links = 0) \
                   AND NOT EXISTS (SELECT 1 FROM repository_blob l WHERE l.blob_id = b.id AND l.names > 0)";
        let row: Option<KeptRow> = sql::first(self.inner.db.read(), sql, []).await?;
        let (blobs, bytes) = row.map_or((0, 0), |row| (row.blobs, row.bytes));
        Ok(Kept {
            blobs: sql::from_db(blobs),
            bytes: sql::from_db(bytes),
            grace: self.limits().collect_grace,
        })
    }

    async fn gc_step_at(&self, pace: Pace, budget: u64) -> Result<GcReport, StoreError> {
        let store = self.clone();
        tokio::spawn(async move { store.gc_step_here(pace, budget.max(1)).await }).await?
    }

    async fn gc_step_here(&self, pace: Pace, budget: u64) -> Result<GcReport, StoreError> {
        let collector = &self.inner.collector;
        let mut sweep = collector.sweep.lock().await;
        let paused = GcReport {
            paused: true,
            more: true,
            ..GcReport::default()
        };
        if self.maintenance().is_some() {
            return Ok(paused);
        }
        let Ok(_unpinned) = collector.pins.try_write() else {
            return Ok(paused);
        };
        let before = self.now().minus(self.limits().collect_grace);
        let mut report = GcReport {
            uploads: self.expire_uploads(budget).await?,
            ..GcReport::default()
        };
        report.unlinked = self.unlink_idle(before, budget).await?;
        (report.blobs, report.bytes) = self.remove_idle(before, budget).await?;
        report.repositories = self.remove_empty(before, budget).await?;
        report.pulls = self.trim_pulls(budget).await?;
        report.more = [
            report.uploads,
            report.unlinked,
            report.blobs,
            report.repositories,
            report.pulls,
        ]
        .into_iter()
        .any(|done| done >= budget);
        let (orphans, unfinished) = self.sweep_orphans(&mut sweep, before, budget, pace).await?;
        report.orphans = orphans;
        report.more |= unfinished;
        if report.unlinked + report.blobs + report.orphans + report.repositories > 0 {
            let body = json!(report);
            self.note(
                &Actor::system("collection"),
                EventKind::GcCollect,
                "store".to_owned(),
                body,
            )
            .await?;
        }
        Ok(report)
    }

    /// Links of blobs that no manifest of the repository names, and that nobody touched since `before`.
    async fn unlink_idle(&self, before: Timestamp, budget: u64) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT l.repository_id, r.name, l.blob_id, b.digest, b.size FROM repository_blob l \
                           JOIN repository r ON r.id = l.repository_id JOIN blob b ON b.id = l.blob_id \
                           WHERE l.names = 0 AND l.idle_since < $1 ORDER BY l.idle_since LIMIT $2";
                let values: [Value; 2] = [before.micros().into(), sql::to_db(budget).into()];
                let idle: Vec<IdleLink> = sql::all(tx.sql(), sql, values).await?;
                for row in &idle {
                    row.unlink(tx).await?;
                }
                Ok(idle.len() as u64)
            })
        })
        .await
    }

    /// Blobs that no repository has, and that nobody touched since `before`; answers how many and their bytes.
    async fn remove_idle(&self, before: Timestamp, budget: u64) -> Result<(u64, u64), StoreError> {
        let removed: Vec<IdleBlob> = self
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM blob WHERE id IN (SELECT id FROM blob WHERE links = 0 AND idle_since < $1 \
                               ORDER BY idle_since LIMIT $2) RETURNING size, location";
                    let values: [Value; 2] = [before.micros().into(), sql::to_db(budget).into()];
                    sql::all(tx.sql(), sql, values).await
                })
            })
            .await?;
        let mut bytes = 0;
        for row in &removed {
            bytes += sql::from_db(row.size);
            self.remove_file(blob::parse_location(&row.location)?).await;
        }
        Ok((removed.len() as u64, bytes))
    }

    /// Repositories that hold nothing, and that nobody touched since `before`.
    async fn remove_empty(&self, before: Timestamp, budget: u64) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM repository WHERE id IN (SELECT id FROM repository \
                           WHERE manifests = 0 AND blobs = 0 AND changed_at < $1 ORDER BY changed_at LIMIT $2)";
                sql::execute(tx.sql(), sql, [before.micros().into(), sql::to_db(budget).into()]).await
            })
        })
        .await
    }

    /// Removes a file whose row is gone. One that cannot be removed now is an orphan, and met again.
    pub(crate) async fn remove_file(&self, location: Location) {
        if let Err(error) = self.inner.files.remove_blob(location).await {
            tracing::warn!(%location, %error, "a collected file could not be removed");
        }
    }
}

#[derive(FromQueryResult)]
struct KeptRow {
    blobs: i64,
    bytes: i64,
}

#[derive(FromQueryResult)]
struct IdleLink {
    repository_id: i64,
    name: String,
    blob_id: i64,
    digest: String,
    size: i64,
}

impl IdleLink {
    async fn unlink(&self, tx: &Tx) -> Result<(), StoreError> {
        let repo = self
            .name
            .parse()
            .map_err(|_| StoreError::damaged(format!("repository {:?}", self.name)))?;
        let digest = blob::parse_digest(&self.digest)?;
        link::unlink(tx, &repo, self.repository_id, self.blob_id, &digest, self.size).await
    }
}

#[derive(FromQueryResult)]
struct IdleBlob {
    size: i64,
    location: String,
}

#[cfg(test)]
mod tests;
