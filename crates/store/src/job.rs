//! Work that follows from a change: enqueued in the transaction that causes it, claimed with a lease, tried again with
//! back-off.
//!
//! A job is one row per kind and subject, so that whatever causes it again while it waits changes nothing. Who works on it
//! holds a lease and renews it; a worker that dies loses the job to the next one when the lease is over. The row goes when the
//! job is done, in the transaction that keeps its result.
//!
//! A job may end whoever works on it, the server too. So it is counted when it is claimed, and the count is taken back by whoever
//! says what became of it: what was begun [`LOSSES`] times without a word is not begun again ([`Job::is_fatal`]). The last of
//! these tries is made while no other such job runs, so that none is blamed for what another one did.

use oci::Digest;
use sea_orm::{FromQueryResult, Value};
use tokio::sync::watch;

use crate::db::{Tx, sql};
use crate::{Store, StoreError};

mod lease;

pub(crate) use lease::{ask_again, finish, finish_all, give_up, held, is_held, put_off};

/// Times that a job is begun without a word of what became of it. After that it is not worked on, but ended with an explanation.
pub const LOSSES: u32 = 3;

/// As many losses make a job one that may have ended a server: nobody hurries it, and it runs beside no other such one.
pub(crate) const SUSPECT: i64 = LOSSES as i64 - 1;

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
    /// Those that were never judged, or by another policy than the present one. Whether the advisories are the present ones is not
    /// asked of each: see `reevaluation.rs`.
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
    /// How often in a row it was begun without a word of what became of it, this time included.
    pub losses: u32,
    /// What comes first.
    pub(crate) is_backfill: bool,
    /// Whose lease it is; each claim has another one.
    pub(crate) holder: String,
}

impl Job {
    /// Whether it ended those who worked on it so often that nobody should begin it again: see [`LOSSES`].
    pub fn is_fatal(&self) -> bool {
        self.losses > LOSSES
    }
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
struct CountRow {
    waiting: i64,
    running: i64,
}

/// What becomes of a judgement that waits already when it is caused again: it is taken forward and was never tried. One that may
/// have ended a server waits its time all the same, whatever causes it: every start does.
pub(crate) fn once_more() -> String {
    format!(
        "ON CONFLICT (kind, subject) DO UPDATE SET attempts = 0, {TAKEN_FORWARD}, \
         ready_at = CASE WHEN job.ready_at < excluded.ready_at OR job.losses >= {SUSPECT} \
         THEN job.ready_at ELSE excluded.ready_at END"
    )
}

const TAKEN_FORWARD: &str =
    "priority = CASE WHEN job.priority < excluded.priority THEN job.priority ELSE excluded.priority END";

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
    let known = match kind {
        JobKind::Scan => format!("ON CONFLICT (kind, subject) DO UPDATE SET {TAKEN_FORWARD}"),
        JobKind::Judge | JobKind::Sbom => once_more(),
    };
    let sql = &format!(
        "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at) \
         VALUES ($1, $2, $3, 0, $4, 0, $4) {known}"
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
         FROM manifest m JOIN repository r ON r.id = m.repository_id {images} {}",
        once_more()
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

impl Store {
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

#[cfg(test)]
mod tests;
