//! Who works on a job, for how long it is theirs, and what becomes of it.
//!
//! Each claim has a lease like no other one's, so whoever lost a job can neither renew nor end it, whoever works on it by then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{FromQueryResult, Value};

use super::{Job, JobKind, JobPriority, SUSPECT};
use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

/// How often this process has claimed a job. The name of a worker is no other process's.
static CLAIMS: AtomicU64 = AtomicU64::new(0);

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    subject: String,
    attempts: i64,
    losses: i64,
    priority: i64,
}

impl Row {
    fn into_job(self, kind: JobKind, holder: &str) -> Job {
        Job {
            id: self.id,
            kind,
            subject: self.subject,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            losses: u32::try_from(self.losses).unwrap_or(u32::MAX),
            is_backfill: self.priority == JobPriority::Backfill as i64,
            holder: holder.to_owned(),
        }
    }
}

/// Takes a job off the queue, in the transaction that keeps its result. One that was enqueued again meanwhile stays, and one that
/// was lost is somebody else's.
pub(crate) async fn finish(tx: &Tx, job: &Job) -> Result<(), StoreError> {
    let sql = "DELETE FROM job WHERE id = $1 AND worker = $2 AND attempts = $3";
    let (id, holder) = (job.id, job.holder.clone());
    let values = [id.into(), holder.clone().into(), i64::from(job.attempts).into()];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        let sql = "UPDATE job SET lease_until = 0, worker = NULL, losses = 0 WHERE id = $1 AND worker = $2";
        sql::execute(tx.sql(), sql, [id.into(), holder.into()]).await?;
        tx.wake_workers();
    }
    Ok(())
}

/// A job that is finished next is to be done once more.
pub(crate) async fn ask_again(tx: &Tx, job: &Job) -> Result<(), StoreError> {
    let sql = "UPDATE job SET attempts = 0 WHERE id = $1 AND worker = $2";
    let values = [job.id.into(), job.holder.clone().into()];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Those of the jobs that were claimed together which the caller still has.
pub(crate) async fn held(tx: &Tx, jobs: &[&Job]) -> Result<HashSet<i64>, StoreError> {
    let Some(first) = jobs.first() else {
        return Ok(HashSet::new());
    };
    let sql = format!(
        "SELECT id FROM job WHERE worker = $1 AND id IN ({})",
        sql::placeholders(2, jobs.len())
    );
    let holder = std::iter::once(Value::from(first.holder.clone()));
    let values = holder.chain(jobs.iter().map(|job| job.id.into()));
    let rows: Vec<sql::Id> = sql::all(tx.sql(), &sql, values).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The same as [`finish`] for jobs that were claimed together.
pub(crate) async fn finish_all(tx: &Tx, jobs: &[&Job]) -> Result<(), StoreError> {
    let Some(first) = jobs.first() else {
        return Ok(());
    };
    let holder = || std::iter::once(Value::from(first.holder.clone()));
    let place = |number: usize| 2 * number + 2;
    let ids: Vec<String> = (0..jobs.len())
        .map(|number| format!("${}", place(number)))
        .collect();
    let pairs: Vec<String> = (0..jobs.len())
        .map(|number| format!("(${}, ${})", place(number), place(number) + 1))
        .collect();
    // By the ids alone too: pairs are looked up by walking over all jobs.
    let sql = format!(
        "DELETE FROM job WHERE worker = $1 AND id IN ({}) AND (id, attempts) IN (VALUES {})",
        ids.join(", "),
        pairs.join(", ")
    );
    let pair = |job: &&Job| [Value::from(job.id), Value::from(i64::from(job.attempts))];
    let done = sql::execute_list(tx.sql(), &sql, holder().chain(jobs.iter().flat_map(pair))).await?;
    if done < jobs.len() as u64 {
        let sql = format!(
            "UPDATE job SET lease_until = 0, worker = NULL, losses = 0 WHERE worker = $1 AND id IN ({})",
            sql::placeholders(2, jobs.len())
        );
        let ids = jobs.iter().map(|job| Value::from(job.id));
        sql::execute_list(tx.sql(), &sql, holder().chain(ids)).await?;
        tx.wake_workers();
    }
    Ok(())
}

/// Puts a job off that is done for now: it is begun anew after `again`, as one that nobody has tried.
pub(crate) async fn put_off(tx: &Tx, job: &Job, again: Duration) -> Result<(), StoreError> {
    put_off_with(tx, job, again, 0).await
}

/// Puts a job off that nobody survived. It gets one try more after `again`, and nothing that causes it hurries that.
pub(crate) async fn give_up(tx: &Tx, job: &Job, again: Duration) -> Result<(), StoreError> {
    put_off_with(tx, job, again, SUSPECT).await
}

async fn put_off_with(tx: &Tx, job: &Job, again: Duration, losses: i64) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = 0, worker = NULL, attempts = 0, losses = $5, priority = $4, \
               ready_at = $3 WHERE id = $1 AND worker = $2";
    let values = [
        job.id.into(),
        job.holder.clone().into(),
        tx.now().plus(again).micros().into(),
        (JobPriority::Backfill as i64).into(),
        losses.into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Whether the caller still has the job: its lease was not lost to somebody who has begun it again, or is done.
pub(crate) async fn is_held(tx: &Tx, job: &Job) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM job WHERE id = $1 AND worker = $2";
    let row: Option<sql::Id> = sql::first(tx.sql(), sql, [job.id.into(), job.holder.clone().into()]).await?;
    Ok(row.is_some())
}

impl Store {
    /// The next job of a kind, leased to `worker`, which is a name that no other process has. `None`: there is none that is ready.
    pub async fn claim_job(
        &self,
        kind: JobKind,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<Job>, StoreError> {
        if !self.has_ready_job(kind).await? {
            return Ok(None);
        }
        let holder = format!("{worker} {}", CLAIMS.fetch_add(1, Ordering::Relaxed));
        let claimed = self
            .write(move |tx| Box::pin(async move { claim(tx, kind, holder, lease).await }))
            .await;
        if kind == JobKind::Scan && matches!(claimed, Ok(Some(_))) {
            self.inner.worked.claimed(self.now());
        }
        claimed
    }

    /// The same for up to `most` jobs of which nobody waits for one, under one lease; one, where somebody does or it was lost before.
    pub async fn claim_jobs(
        &self,
        kind: JobKind,
        worker: &str,
        lease: Duration,
        most: usize,
    ) -> Result<Vec<Job>, StoreError> {
        if !self.has_ready_job(kind).await? {
            return Ok(Vec::new());
        }
        let holder = format!("{worker} {}", CLAIMS.fetch_add(1, Ordering::Relaxed));
        self.write(move |tx| {
            Box::pin(async move {
                let Some(first) = claim(tx, kind, holder, lease).await? else {
                    return Ok(Vec::new());
                };
                if !first.is_backfill || first.losses > 1 || most < 2 {
                    return Ok(vec![first]);
                }
                let more = claim_more(tx, &first, lease, most - 1).await?;
                Ok::<_, StoreError>(std::iter::once(first).chain(more).collect())
            })
        })
        .await
    }

    /// Whether a claim might find something. Asked before the writer is: an idle worker writes nothing.
    async fn has_ready_job(&self, kind: JobKind) -> Result<bool, StoreError> {
        // What would put something into a repository waits while the registry is read-only.
        if kind == JobKind::Sbom && self.maintenance().is_some() {
            return Ok(false);
        }
        let sql = "SELECT id FROM job WHERE kind = $1 AND ready_at <= $2 AND lease_until <= $2 LIMIT 1";
        let values = [kind.name().into(), self.now().micros().into()];
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.is_some())
    }

    /// Holds all jobs that were claimed with this one for longer. `false`: all were lost to others, or are done.
    pub async fn renew_jobs(&self, claimed: &Job, lease: Duration) -> Result<bool, StoreError> {
        let holder = claimed.holder.clone();
        self.write(move |tx| {
            Box::pin(async move {
                // By the index of leases: there are few.
                let sql = "UPDATE job SET lease_until = $2 WHERE lease_until > 0 AND worker = $1";
                let until = tx.now().plus(lease).micros();
                let changed = sql::execute(tx.sql(), sql, [holder.into(), until.into()]).await?;
                Ok::<_, StoreError>(changed > 0)
            })
        })
        .await
    }

    /// Holds a job for longer. `false`: it was lost to somebody else.
    pub async fn renew_job(&self, job: &Job, lease: Duration) -> Result<bool, StoreError> {
        let (id, holder) = (job.id, job.holder.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET lease_until = $3 WHERE id = $1 AND worker = $2";
                let until = tx.now().plus(lease).micros();
                let changed = sql::execute(tx.sql(), sql, [id.into(), holder.into(), until.into()]).await?;
                Ok::<_, StoreError>(changed > 0)
            })
        })
        .await
    }

    /// Gives a job back: it is tried again after `wait`, and says why it has to be. One that was lost to somebody else meanwhile
    /// is theirs.
    pub async fn return_job(&self, job: &Job, wait: Duration, why: Option<&str>) -> Result<(), StoreError> {
        let (id, holder, why) = (job.id, job.holder.clone(), why.map(str::to_owned));
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET lease_until = 0, worker = NULL, losses = 0, ready_at = $2, error = $3 \
                           WHERE id = $1 AND worker = $4";
                let ready = tx.now().plus(wait).micros();
                let values = [id.into(), ready.into(), why.into(), holder.into()];
                sql::execute(tx.sql(), sql, values).await?;
                if wait.is_zero() {
                    tx.wake_workers();
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Gives jobs back that were claimed together and not begun.
    pub async fn give_back_claimed(&self, jobs: &[Job]) -> Result<(), StoreError> {
        let Some(first) = jobs.first() else {
            return Ok(());
        };
        let sql = format!(
            "UPDATE job SET lease_until = 0, worker = NULL, losses = 0, \
             attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END WHERE worker = $1 AND id IN ({})",
            sql::placeholders(2, jobs.len())
        );
        let holder = std::iter::once(Value::from(first.holder.clone()));
        let values: Vec<Value> = holder.chain(jobs.iter().map(|job| job.id.into())).collect();
        self.write(move |tx| {
            Box::pin(async move {
                sql::execute_list(tx.sql(), &sql, values).await?;
                tx.wake_workers();
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Takes every job from whoever works on it. For the start of the one process that has the data directory: whoever has
    /// a lease is gone without a word, and nobody has to wait for its end.
    pub async fn release_jobs(&self) -> Result<u64, StoreError> {
        self.release("").await
    }

    /// Gives all jobs back that are worked on, as if they had not been begun. For the end of the one process that has the data
    /// directory: no job is to be blamed for a stop that was asked for.
    pub async fn give_back_jobs(&self) -> Result<u64, StoreError> {
        self.release(
            ", attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END, \
             losses = CASE WHEN losses > 0 THEN losses - 1 ELSE 0 END",
        )
        .await
    }

    async fn release(&self, also: &'static str) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    format!("UPDATE job SET lease_until = 0, worker = NULL{also} WHERE lease_until > 0");
                let released = sql::execute(tx.sql(), &sql, []).await?;
                tx.wake_workers();
                Ok::<_, StoreError>(released)
            })
        })
        .await
    }

    /// Takes the job of a blob off the queue that is not there. One that was pushed again meanwhile is looked into after all.
    pub async fn drop_scan(&self, job: &Job) -> Result<(), StoreError> {
        let job = job.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET attempts = 0 WHERE id = $1 AND worker = $2 \
                           AND EXISTS (SELECT 1 FROM blob WHERE digest = job.subject AND state = 0)";
                sql::execute(tx.sql(), sql, [job.id.into(), job.holder.clone().into()]).await?;
                finish(tx, &job).await
            })
        })
        .await
    }

    /// Takes a job off the queue that has no result.
    pub async fn drop_job(&self, job: &Job) -> Result<(), StoreError> {
        let job = job.clone();
        self.write(move |tx| Box::pin(async move { finish(tx, &job).await }))
            .await
    }

    /// Puts a job off that nobody survived and that has no result. It gets one try more after `again`, and nothing that causes it
    /// hurries that.
    pub async fn give_up_job(&self, job: &Job, again: Duration) -> Result<(), StoreError> {
        let job = job.clone();
        self.write(move |tx| Box::pin(async move { give_up(tx, &job, again).await }))
            .await
    }
}

async fn claim(tx: &Tx, kind: JobKind, holder: String, lease: Duration) -> Result<Option<Job>, StoreError> {
    let now: Timestamp = tx.now();
    let sql = "UPDATE job SET lease_until = $3, worker = $4, attempts = attempts + 1, losses = losses + 1 WHERE id = \
               (SELECT id FROM job WHERE kind = $1 AND ready_at <= $2 AND lease_until <= $2 \
               AND (losses < $5 OR NOT EXISTS (SELECT 1 FROM job o WHERE o.lease_until > 0 \
               AND o.lease_until > $2 AND o.losses > $5)) \
               ORDER BY priority, ready_at, id LIMIT 1) RETURNING id, subject, attempts, losses, priority";
    let values = [
        kind.name().into(),
        now.micros().into(),
        now.plus(lease).micros().into(),
        holder.clone().into(),
        SUSPECT.into(),
    ];
    let row: Option<Row> = sql::first(tx.sql(), sql, values).await?;
    Ok(row.map(|row| row.into_job(kind, &holder)))
}

/// More of what can wait, under the lease of a job that was claimed. None that was ever lost: it is worked on by itself.
async fn claim_more(tx: &Tx, first: &Job, lease: Duration, most: usize) -> Result<Vec<Job>, StoreError> {
    let now: Timestamp = tx.now();
    let sql = "UPDATE job SET lease_until = $3, worker = $4, attempts = attempts + 1, losses = 1 WHERE id IN \
               (SELECT id FROM job WHERE kind = $1 AND priority = $5 AND ready_at <= $2 AND lease_until <= $2 \
               AND losses = 0 ORDER BY ready_at, id LIMIT $6) RETURNING id, subject, attempts, losses, priority";
    let values = [
        first.kind.name().into(),
        now.micros().into(),
        now.plus(lease).micros().into(),
        first.holder.clone().into(),
        (JobPriority::Backfill as i64).into(),
        sql::to_db(most as u64).into(),
    ];
    let rows: Vec<Row> = sql::all(tx.sql(), sql, values).await?;
    let mut jobs: Vec<Job> = rows
        .into_iter()
        .map(|row| row.into_job(first.kind, &first.holder))
        .collect();
    jobs.sort_by_key(|job| job.id);
    Ok(jobs)
}
