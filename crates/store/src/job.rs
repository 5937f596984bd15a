//! Work that follows from a change: enqueued in the transaction that causes it, claimed with a lease, tried again with
//! back-off.
//!
//! A job is one row per kind and subject, so that whatever causes it again while it waits changes nothing. Who works on it
//! holds a lease and renews it; a worker that dies loses the job to the next one when the lease is over. The row goes when the
//! job is done, in the transaction that keeps its result.

use std::time::Duration;

use oci::Digest;
use sea_orm::{FromQueryResult, Value};
use tokio::sync::watch;

use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Look into a blob; the subject is its digest.
    Scan,
    /// Judge an image; the subject is `repository@digest`.
    Judge,
    /// Attach an SBOM to an image; the subject is `repository@digest`.
    Sbom,
}

impl JobKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Judge => "judge",
            Self::Sbom => "sbom",
        }
    }
}

/// What comes first when there is more than one: the lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobPriority {
    /// Somebody waits for it.
    Asked = 0,
    /// It follows from a push.
    Push = 1,
    /// An upgrade or an import caused it; it can wait.
    Backfill = 2,
}

/// Which images are judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those whose decision must be looked at by now.
    Due,
    /// Those that were never judged, or by other advisories or another policy than the present ones.
    Outdated,
}

impl Which {
    pub(crate) const fn condition(self) -> &'static str {
        match self {
            Self::All => "WHERE m.kind = 0",
            Self::Due => {
                "WHERE m.kind = 0 AND EXISTS (SELECT 1 FROM decision d WHERE d.repository_id = r.id \
                 AND d.digest = m.digest AND d.review_at <= $3)"
            }
            Self::Outdated => {
                "WHERE m.kind = 0 AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.repository_id = r.id \
                 AND d.digest = m.digest \
                 AND d.generation = (SELECT COALESCE(MAX(generation), 0) FROM advisory_import) \
                 AND d.policy = COALESCE((SELECT p.digest FROM policy p ORDER BY p.version DESC LIMIT 1), d.policy))"
            }
        }
    }
}

/// A job that the caller works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its row.
    pub(crate) id: i64,
    /// What there is to do.
    pub kind: JobKind,
    /// With what.
    pub subject: String,
    /// How often it was begun, this time included.
    pub attempts: u32,
}

/// Jobs that wait, and those that are worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Ready or to be tried again.
    pub waiting: u64,
    /// Leased.
    pub running: u64,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    subject: String,
    attempts: i64,
}

#[derive(FromQueryResult)]
struct CountRow {
    waiting: i64,
    running: i64,
}

/// Enqueues a job. One that waits already is taken forward, one that is worked on is done once more afterwards.
///
/// Bytes do not change: a look into a blob that is under way or has failed is not begun anew, so that nobody gets endless tries
/// for a blob that no worker survives by asking for it over and over.
pub(crate) async fn enqueue(
    tx: &Tx,
    kind: JobKind,
    subject: &str,
    priority: JobPriority,
) -> Result<(), StoreError> {
    let again = match kind {
        JobKind::Scan => "",
        JobKind::Judge | JobKind::Sbom => {
            ", ready_at = CASE WHEN job.ready_at < excluded.ready_at THEN job.ready_at ELSE excluded.ready_at END, \
             attempts = 0"
        }
    };
    let sql = &format!(
        "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at) \
         VALUES ($1, $2, $3, 0, $4, 0, $4) ON CONFLICT (kind, subject) DO UPDATE SET \
         priority = CASE WHEN job.priority < excluded.priority THEN job.priority ELSE excluded.priority END{again}"
    );
    let values = [
        kind.name().into(),
        subject.into(),
        (priority as i64).into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    tx.wake_workers();
    Ok(())
}

/// Has images judged again: those that `images` picks from `manifest m` and `repository r`, where `$3` is the present moment
/// and `$4` is `about`. Answers how many.
pub(crate) async fn enqueue_judgements(
    tx: &Tx,
    images: &str,
    priority: JobPriority,
    about: Option<Value>,
) -> Result<u64, StoreError> {
    let sql = format!(
        "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at) \
         SELECT $1, r.name || '@' || m.digest, $2, 0, $3, 0, $3 \
         FROM manifest m JOIN repository r ON r.id = m.repository_id {images} \
         ON CONFLICT (kind, subject) DO UPDATE SET attempts = 0, \
         priority = CASE WHEN job.priority < excluded.priority THEN job.priority ELSE excluded.priority END, \
         ready_at = CASE WHEN job.ready_at < excluded.ready_at THEN job.ready_at ELSE excluded.ready_at END"
    );
    let values: [Value; 3] = [
        JobKind::Judge.name().into(),
        (priority as i64).into(),
        tx.now().micros().into(),
    ];
    let asked = sql::execute_list(tx.sql(), &sql, values.into_iter().chain(about)).await?;
    tx.wake_workers();
    Ok(asked)
}

/// Enqueues a look into a blob, unless that was done before.
pub(crate) async fn enqueue_scan(tx: &Tx, digest: &Digest, priority: JobPriority) -> Result<(), StoreError> {
    let sql = "SELECT made_at AS number FROM layer_report WHERE digest = $1";
    let known: Option<sql::Number> = sql::first(tx.sql(), sql, [digest.to_string().into()]).await?;
    if known.is_some() {
        return Ok(());
    }
    enqueue(tx, JobKind::Scan, &digest.to_string(), priority).await
}

/// Takes a job off the queue, in the transaction that keeps its result. One that was enqueued again meanwhile stays.
pub(crate) async fn finish(tx: &Tx, job: &Job) -> Result<(), StoreError> {
    let sql = "DELETE FROM job WHERE id = $1 AND attempts = $2";
    let done = sql::execute(tx.sql(), sql, [job.id.into(), i64::from(job.attempts).into()]).await?;
    if done == 0 {
        // With more attempts than ours it is somebody else's by now, and stays that.
        let sql = "UPDATE job SET lease_until = 0, worker = NULL WHERE id = $1 AND attempts = 0";
        sql::execute(tx.sql(), sql, [job.id.into()]).await?;
        tx.wake_workers();
    }
    Ok(())
}

/// Puts a job off that is done for now: it is begun anew after `again`, as one that nobody has tried.
pub(crate) async fn put_off(tx: &Tx, job: &Job, again: Duration) -> Result<(), StoreError> {
    let sql = "UPDATE job SET lease_until = 0, worker = NULL, attempts = 0, priority = $4, ready_at = $3 \
               WHERE id = $1 AND attempts = $2";
    let values = [
        job.id.into(),
        i64::from(job.attempts).into(),
        tx.now().plus(again).micros().into(),
        (JobPriority::Backfill as i64).into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Whether the caller still has the job: its lease was not lost to somebody who has begun it again, or is done.
pub(crate) async fn is_held(tx: &Tx, job: &Job) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM job WHERE id = $1 AND attempts IN ($2, 0)";
    let row: Option<sql::Id> =
        sql::first(tx.sql(), sql, [job.id.into(), i64::from(job.attempts).into()]).await?;
    Ok(row.is_some())
}

impl Store {
    /// The next job of a kind, leased to `worker`. `None`: there is none that is ready.
    pub async fn claim_job(
        &self,
        kind: JobKind,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<Job>, StoreError> {
        if !self.has_ready_job(kind).await? {
            return Ok(None);
        }
        let worker = worker.to_owned();
        self.write(move |tx| Box::pin(async move { claim(tx, kind, &worker, lease).await }))
            .await
    }

    /// Whether a claim might find something. Asked before the writer is: an idle worker writes nothing.
    async fn has_ready_job(&self, kind: JobKind) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM job WHERE kind = $1 AND ready_at <= $2 AND lease_until <= $2 LIMIT 1";
        let values = [kind.name().into(), self.now().micros().into()];
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.is_some())
    }

    /// Holds a job for longer. `false`: it was lost to somebody else.
    pub async fn renew_job(&self, job: &Job, worker: &str, lease: Duration) -> Result<bool, StoreError> {
        let (id, worker) = (job.id, worker.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET lease_until = $3 WHERE id = $1 AND worker = $2 AND lease_until > 0";
                let until = tx.now().plus(lease).micros();
                let changed = sql::execute(tx.sql(), sql, [id.into(), worker.into(), until.into()]).await?;
                Ok::<_, StoreError>(changed > 0)
            })
        })
        .await
    }

    /// Gives a job back: it is tried again after `wait`, and says why it has to be. One that was lost to somebody else meanwhile
    /// is theirs.
    pub async fn return_job(&self, job: &Job, wait: Duration, why: Option<&str>) -> Result<(), StoreError> {
        let (id, attempts, why) = (job.id, i64::from(job.attempts), why.map(str::to_owned));
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET lease_until = 0, worker = NULL, ready_at = $2, error = $3 \
                           WHERE id = $1 AND attempts IN ($4, 0)";
                let ready = tx.now().plus(wait).micros();
                sql::execute(
                    tx.sql(),
                    sql,
                    [id.into(), ready.into(), why.into(), attempts.into()],
                )
                .await?;
                if wait.is_zero() {
                    tx.wake_workers();
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Takes every job from whoever works on it. For the start of the one process that has the data directory: whoever has
    /// a lease is gone, and nobody has to wait for its end.
    pub async fn release_jobs(&self) -> Result<u64, StoreError> {
        self.write(|tx| {
            Box::pin(async move {
                let sql = "UPDATE job SET lease_until = 0, worker = NULL WHERE lease_until > 0";
                let released = sql::execute(tx.sql(), sql, []).await?;
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
                let sql = "UPDATE job SET attempts = 0 WHERE id = $1 AND attempts = $2 \
                           AND EXISTS (SELECT 1 FROM blob WHERE digest = job.subject AND state = 0)";
                let values = [job.id.into(), i64::from(job.attempts).into()];
                sql::execute(tx.sql(), sql, values).await?;
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

    /// Has a blob looked into that nothing in the store has caused to be, unless that was done before.
    pub async fn request_scan(&self, digest: &Digest, priority: JobPriority) -> Result<(), StoreError> {
        let digest = *digest;
        self.write(move |tx| Box::pin(async move { enqueue_scan(tx, &digest, priority).await }))
            .await
    }

    /// Enqueues a job that nothing in the store has caused.
    pub async fn request_job(
        &self,
        kind: JobKind,
        subject: &str,
        priority: JobPriority,
    ) -> Result<(), StoreError> {
        let subject = subject.to_owned();
        self.write(move |tx| Box::pin(async move { enqueue(tx, kind, &subject, priority).await }))
            .await
    }

    /// Has images judged again. Answers how many.
    pub async fn request_judgements(&self, which: Which, priority: JobPriority) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { enqueue_judgements(tx, which.condition(), priority, None).await })
        })
        .await
    }

    /// Changes whenever a job may have become ready.
    pub fn jobs(&self) -> watch::Receiver<u64> {
        self.inner.workers.subscribe()
    }

    /// How many jobs of a kind there are.
    pub async fn job_counts(&self, kind: JobKind) -> Result<JobCounts, StoreError> {
        let sql = "SELECT COALESCE(SUM(CASE WHEN lease_until <= $2 THEN 1 ELSE 0 END), 0) AS waiting, \
                   COALESCE(SUM(CASE WHEN lease_until > $2 THEN 1 ELSE 0 END), 0) AS running \
                   FROM job WHERE kind = $1";
        let values = [kind.name().into(), self.now().micros().into()];
        let row: Option<CountRow> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map_or_else(JobCounts::default, |row| JobCounts {
            waiting: sql::from_db(row.waiting),
            running: sql::from_db(row.running),
        }))
    }
}

async fn claim(tx: &Tx, kind: JobKind, worker: &str, lease: Duration) -> Result<Option<Job>, StoreError> {
    let now: Timestamp = tx.now();
    let sql = "UPDATE job SET lease_until = $3, worker = $4, attempts = attempts + 1 WHERE id = \
               (SELECT id FROM job WHERE kind = $1 AND ready_at <= $2 AND lease_until <= $2 \
               ORDER BY priority, ready_at, id LIMIT 1) RETURNING id, subject, attempts";
    let values = [
        kind.name().into(),
        now.micros().into(),
        now.plus(lease).micros().into(),
        worker.into(),
    ];
    let row: Option<Row> = sql::first(tx.sql(), sql, values).await?;
    Ok(row.map(|row| Job {
        id: row.id,
        kind,
        subject: row.subject,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
    }))
}

#[cfg(test)]
mod tests;
