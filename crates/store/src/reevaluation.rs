//! Which decisions are right by which advisories, and which images have to be judged anew.
//!
//! After an import only the images that hold what it touches are judged again. That all others are right by the new generation
//! is one number for all of them ([`Reevaluation::confirmed`]); it moves once the jobs of those that are not are durable, and so a
//! process that is killed in between asks for them once more. A decision that was made meanwhile by what was known before
//! is made again (`decision/finish.rs`).
//!
//! What is about all images (a policy, a waiver) is counted in the transaction that changes it, and answered likewise.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobKind, JobPriority};
use crate::{Actor, AdvisoryRow, Outcome, Point, Store, StoreError};

mod touch;

pub use touch::Touches;
pub(crate) use touch::note as note_touches;

/// Jobs that are enqueued in one transaction: pushes wait for no more than these.
const JOBS: usize = 500;

/// Rows in one statement. `SQLite` looks for each variable among all before it, so a longer statement takes more for each row.
const ROWS: usize = 40;

/// Row numbers of manifests that one transaction goes through.
const MANIFESTS: i64 = 1_000;

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reevaluation {
    /// Every decision is right by the advisories of this generation, unless a job waits for its image. 0: nothing is known.
    pub confirmed: u64,
    /// Changes that were about all images.
    pub asked: u64,
    /// How many of them all images were asked to be judged for.
    pub answered: u64,
}

/// An advisory that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedAdvisory {
    /// `None`: there was none.
    pub before: Option<AdvisoryRow>,
    /// As it is.
    pub after: AdvisoryRow,
}

/// What is told of one vulnerability.
#[derive(Debug, Clone, PartialEq)]
pub struct AdvisoryNews {
    /// What of it.
    pub kind: EventKind,
    /// Its id.
    pub vulnerability: String,
    /// Counts, packages, sources.
    pub body: serde_json::Value,
}

/// What a generation came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confirmed {
    /// Which.
    pub generation: u64,
    /// By which generation decisions were right before.
    pub since: u64,
    /// Advisories that changed.
    pub advisories: u64,
    /// Packages that these are about.
    pub packages: u64,
    /// Images that were asked to be judged again.
    pub images: u64,
    /// Images that are right as they are.
    pub confirmed: u64,
    /// One line each in the audit log.
    pub news: Vec<AdvisoryNews>,
    /// Vulnerabilities that have changed for images and of which no line is told: there are too many.
    pub untold: u64,
    /// Why nothing is told of single vulnerabilities; `None`: it is.
    pub summarised: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    confirmed: i64,
    asked: i64,
    answered: i64,
}

#[derive(FromQueryResult)]
struct ChangedRow {
    id: String,
    modified: String,
    body: Vec<u8>,
    was_modified: Option<String>,
    was: Option<Vec<u8>>,
}

#[derive(FromQueryResult)]
struct AsOfRow {
    id: String,
    modified: String,
    body: Vec<u8>,
}

/// Something changed that is about all images.
pub(crate) async fn ask(tx: &Tx) -> Result<(), StoreError> {
    let sql = "UPDATE reevaluation SET asked = asked + 1 WHERE id = 1";
    sql::execute(tx.sql(), sql, []).await.map(drop)
}

/// The generation that every decision is right by, unless a job waits.
pub(crate) async fn confirmed(on: &impl ConnectionTrait) -> Result<i64, StoreError> {
    let sql = "SELECT confirmed AS number FROM reevaluation WHERE id = 1";
    let row: Option<sql::Number> = sql::first(on, sql, []).await?;
    Ok(row.map_or(0, |row| row.number))
}

/// Whether images are still to be asked to be judged for what has changed.
pub(crate) async fn is_under_way(on: &impl ConnectionTrait) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM reevaluation WHERE id = 1 AND (asked > answered \
               OR confirmed < (SELECT COALESCE(MAX(generation), 0) FROM advisory_import))";
    let row: Option<sql::Id> = sql::first(on, sql, []).await?;
    Ok(row.is_some())
}

/// The latest generation that a decision of `made_by` is known to be right by. `image`: `repository@digest`.
pub(crate) async fn right_by(
    on: &impl ConnectionTrait,
    image: &str,
    made_by: i64,
) -> Result<i64, StoreError> {
    let sql = "SELECT CASE WHEN e.confirmed <= $3 OR EXISTS (SELECT 1 FROM job j WHERE j.kind = $1 AND j.subject = $2 \
               AND j.generation > $3) THEN $3 ELSE e.confirmed END AS number FROM reevaluation e WHERE e.id = 1";
    let values = [JobKind::Judge.name().into(), image.into(), made_by.into()];
    let row: Option<sql::Number> = sql::first(on, sql, values).await?;
    Ok(row.map_or(made_by, |row| row.number))
}

impl Store {
    /// How far it is.
    pub async fn reevaluation(&self) -> Result<Reevaluation, StoreError> {
        let sql = "SELECT confirmed, asked, answered FROM reevaluation WHERE id = 1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, []).await?;
        let known = |row: Row| Reevaluation {
            confirmed: sql::from_db(row.confirmed),
            asked: sql::from_db(row.asked),
            answered: sql::from_db(row.answered),
        };
        Ok(row.map(known).unwrap_or_default())
    }

    /// The latest generation that confirms what was decided of an image by an earlier one.
    pub async fn confirmed_by(&self, image: &str, made_by: u64) -> Result<u64, StoreError> {
        let known = right_by(self.inner.db.read(), image, sql::to_db(made_by)).await?;
        Ok(sql::from_db(known))
    }

    /// How many images there are of which something was decided but that nothing of them runs.
    pub async fn count_judged(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM decision WHERE point = $1 AND outcome <> $2";
        let values = [Point::Pull.name().into(), Outcome::NotApplicable.number().into()];
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// How many advisories changed behind a generation, up to another.
    pub async fn count_changed(&self, since: u64, until: u64) -> Result<u64, StoreError> {
        let sql =
            "SELECT COUNT(DISTINCT id) AS number FROM advisory WHERE generation > $1 AND generation <= $2";
        let values = [sql::to_db(since).into(), sql::to_db(until).into()];
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// Advisories that changed behind a generation, up to another, in the order of their ids: those behind `after`.
    pub async fn changed_advisories(
        &self,
        (since, until): (u64, u64),
        after: &str,
        limit: usize,
    ) -> Result<Vec<ChangedAdvisory>, StoreError> {
        let sql = "SELECT a.id, a.modified, a.body, b.modified AS was_modified, b.body AS was FROM \
                   (SELECT id, MAX(generation) AS last FROM advisory WHERE generation > $1 AND generation <= $2 \
                   AND id > $3 GROUP BY id ORDER BY id LIMIT $4) AS changed \
                   JOIN advisory a ON a.id = changed.id AND a.generation = changed.last \
                   LEFT JOIN advisory b ON b.id = changed.id AND b.generation = \
                   (SELECT MAX(c.generation) FROM advisory c WHERE c.id = changed.id AND c.generation <= $1) \
                   ORDER BY a.id";
        let values: [Value; 4] = [
            sql::to_db(since).into(),
            sql::to_db(until).into(),
            after.into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<ChangedRow> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(ChangedRow::into_changed).collect())
    }

    /// What these advisories said as of a generation.
    pub async fn advisories_as_of(
        &self,
        generation: u64,
        ids: &[&str],
    ) -> Result<Vec<AdvisoryRow>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT a.id, a.modified, a.body FROM advisory a WHERE a.id IN ({}) AND a.generation = \
                 (SELECT MAX(b.generation) FROM advisory b WHERE b.id = a.id AND b.generation <= $1) ORDER BY a.id",
                sql::placeholders(2, chunk.len())
            );
            let generation = std::iter::once(Value::from(sql::to_db(generation)));
            let values = generation.chain(chunk.iter().map(|id| Value::from(*id)));
            let rows: Vec<AsOfRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            found.extend(rows.into_iter().map(|row| AdvisoryRow {
                id: row.id,
                modified: row.modified,
                body: row.body,
            }));
        }
        Ok(found)
    }

    /// Has these images (`repository@digest`) judged again by a generation, a bounded transaction at a time.
    pub async fn request_judgements_of(&self, images: &[String], generation: u64) -> Result<(), StoreError> {
        for chunk in images.chunks(JOBS) {
            let chunk = chunk.to_vec();
            self.write(move |tx| Box::pin(async move { enqueue(tx, &chunk, sql::to_db(generation)).await }))
                .await?;
        }
        Ok(())
    }

    /// Has all images judged again by a generation, a bounded transaction at a time. Answers how many.
    pub async fn request_all_judgements(&self, generation: u64) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(id), 0) AS number FROM manifest";
        let last: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        let last = last.map_or(0, |row| row.number);
        let (mut after, mut asked) = (0, 0);
        while after < last {
            asked += self
                .write(move |tx| {
                    Box::pin(async move { enqueue_between(tx, after, sql::to_db(generation)).await })
                })
                .await?;
            after += MANIFESTS;
        }
        Ok(asked)
    }

    /// All images were asked to be judged for what had changed by then.
    pub async fn answer_asked(&self, asked: u64) -> Result<(), StoreError> {
        let asked = sql::to_db(asked);
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE reevaluation SET answered = $1 WHERE id = 1 AND answered < $1";
                sql::execute(tx.sql(), sql, [asked.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Every image that a generation touches has a job: from now on all others are right by it. What it came to is told in the audit
    /// log, in the same transaction, and so once.
    pub async fn confirm_generation(&self, confirmed: Confirmed) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { confirm(tx, &confirmed).await }))
            .await
    }
}

impl ChangedRow {
    fn into_changed(self) -> ChangedAdvisory {
        let before = self.was.map(|body| AdvisoryRow {
            id: self.id.clone(),
            modified: self.was_modified.unwrap_or_default(),
            body,
        });
        ChangedAdvisory {
            before,
            after: AdvisoryRow {
                id: self.id,
                modified: self.modified,
                body: self.body,
            },
        }
    }
}

/// What a job keeps of the advisories that ask for it: the latest.
const LATEST: &str = "generation = CASE WHEN job.generation > excluded.generation THEN job.generation \
                      ELSE excluded.generation END";

async fn enqueue(tx: &Tx, images: &[String], generation: i64) -> Result<(), StoreError> {
    let now = tx.now().micros();
    let row = |image: &String| -> [Value; 8] {
        [
            JobKind::Judge.name().into(),
            image.clone().into(),
            (JobPriority::Backfill as i64).into(),
            0_i64.into(),
            now.into(),
            0_i64.into(),
            now.into(),
            generation.into(),
        ]
    };
    for chunk in images.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at, generation) \
             VALUES {} {}, {LATEST}",
            sql::tuples(chunk.len(), 8),
            job::once_more()
        );
        sql::execute_list(tx.sql(), &sql, chunk.iter().flat_map(row)).await?;
    }
    tx.wake_workers();
    Ok(())
}

/// Of the manifests with the next row numbers.
async fn enqueue_between(tx: &Tx, after: i64, generation: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at, generation) \
         SELECT $1, r.name || '@' || m.digest, $2, 0, $3, 0, $3, $4 \
         FROM manifest m JOIN repository r ON r.id = m.repository_id \
         WHERE m.kind = 0 AND m.id > $5 AND m.id <= $6 ORDER BY r.name, m.id {}, {LATEST}",
        job::once_more()
    );
    let values: [Value; 6] = [
        JobKind::Judge.name().into(),
        (JobPriority::Backfill as i64).into(),
        tx.now().micros().into(),
        generation.into(),
        after.into(),
        after.saturating_add(MANIFESTS).into(),
    ];
    let asked = sql::execute_list(tx.sql(), &sql, values).await?;
    tx.wake_workers();
    Ok(asked)
}

async fn confirm(tx: &Tx, done: &Confirmed) -> Result<(), StoreError> {
    let generation = sql::to_db(done.generation);
    let sql = "UPDATE reevaluation SET confirmed = $1 WHERE id = 1 AND confirmed < $1";
    if sql::execute(tx.sql(), sql, [generation.into()]).await? == 0 {
        // Somebody was faster, and has told of it.
        return Ok(());
    }
    let sql = "DELETE FROM advisory_touch WHERE generation <= $1";
    sql::execute(tx.sql(), sql, [generation.into()]).await?;
    let actor = Actor::system("advisories");
    for news in &done.news {
        event::record(tx, &actor, news.kind, &news.vulnerability, news.body.clone()).await?;
    }
    let body = json!({
        "generation": done.generation,
        "since": done.since,
        "advisories": done.advisories,
        "packages": done.packages,
        "images": done.images,
        "confirmed": done.confirmed,
        "told": done.news.len(),
        "untold": done.untold,
        "summarised": done.summarised,
    });
    let subject = format!("generation {}", done.generation);
    event::record(tx, &actor, EventKind::AdvisoriesEvaluate, &subject, body).await
}

#[cfg(test)]
mod tests;
