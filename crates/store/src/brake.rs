//! The brake: what would turn too much of what is in use to refuse waits for a person.
//!
//! A judgement that would refuse an image that is in use and is served until now is not kept. The image is noted, is served with
//! a warning that says so, and its *change* is measured: once all judgements are made that were asked for by then, what the
//! change turns is compared with what is in use ([`policy::Brake`]). Either the images are released and judged again, or the
//! change is held until a person approves it. So nothing is refused before all is known that would be, whoever judges it.
//!
//! - What is noted while a change is being measured belongs to it: changes that come that close are one.
//! - What turned within [`WINDOW`] without a person counts with what would turn now: many small changes are a large one. An image
//!   that turns twice within that time counts once.
//! - While something is held, everything that later changes turn is held as well, each as a change of its own.
//! - An image that is refused before stays so, and one that is no longer to be refused, or not in use, is forgotten here.

use std::time::Duration;

use oci::{Digest, RepoName};
use policy::Brake;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::decision::Known;
use crate::event::{self, EventKind};
use crate::job::{self, JobKind, JobPriority};
use crate::{Actor, Judgement, Outcome, Point, Store, StoreError, Timestamp, blob, reevaluation};

/// What turned to refuse without a person within this time counts with what would turn now.
const WINDOW: Duration = Duration::from_hours(24);

/// Longest time that a change is measured. Whoever keeps the judges busy must not keep it from being settled; what turns later is
/// counted with it for a day.
const LONGEST: Duration = Duration::from_hours(1);

/// A judgement that failed so often is not waited for.
const ATTEMPTS: i64 = 3;

/// Changes that are listed.
const CHANGES_LISTED: i64 = 100;

/// Causes of a change that are listed.
const CAUSES_LISTED: i64 = 20;

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not known yet what it turns.
    Measured = 0,
    /// It was little.
    Gone = 1,
    /// It waits for a person.
    Held = 2,
    /// A person has approved it.
    Approved = 3,
}

impl State {
    const fn number(self) -> i64 {
        self as i64
    }
}

/// What became of measuring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settling {
    /// Nothing is measured.
    Nothing,
    /// Judgements that belong to it are still to be made.
    Measuring,
    /// It is known what becomes of it.
    Settled(Settled),
}

/// A change that was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its number.
    pub change: u64,
    /// Whether it waits for a person.
    pub is_held: bool,
    /// Images in use that it would refuse.
    pub turned: u64,
    /// Images in use.
    pub in_use: u64,
    /// Why.
    pub causes: Vec<HeldCause>,
}

/// Why images would be refused from now on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldCause {
    /// What has changed.
    pub cause: String,
    /// For how many images.
    pub images: u64,
}

/// A change that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldChange {
    /// Its number, by which it is approved.
    pub id: u64,
    /// Since when.
    pub held_at: Timestamp,
    /// Images in use that it would have refused when it was held.
    pub turned: u64,
    /// Images that were in use then.
    pub in_use: u64,
    /// Images that it holds now.
    pub images: u64,
    /// Why, the cause of most images first.
    pub causes: Vec<HeldCause>,
    /// Some of the images.
    pub listed: Vec<HeldImage>,
}

/// An image that is in use and would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldImage {
    /// Where it lies.
    pub repo: RepoName,
    /// Which.
    pub digest: Digest,
    /// The worst reasons, in one line.
    pub line: String,
}

#[derive(FromQueryResult)]
struct NotedRow {
    is_released: bool,
}

#[derive(FromQueryResult)]
struct MeasuredRow {
    id: i64,
    last_job: i64,
    opened_at: i64,
}

#[derive(FromQueryResult)]
struct ChangeRow {
    id: i64,
    turned: i64,
    in_use: i64,
    settled_at: i64,
    images: i64,
}

#[derive(FromQueryResult)]
struct CauseRow {
    cause: String,
    images: i64,
}

#[derive(FromQueryResult)]
struct ImageRow {
    name: String,
    digest: String,
    line: String,
}

/// What is kept of an image: its judgement, or what stands in for it while the brake holds it.
pub(crate) async fn choose<'a>(
    tx: &Tx,
    (repository, digest): (i64, &Digest),
    known: Option<&Known>,
    judgement: &'a Judgement,
    held: Option<&'a Judgement>,
) -> Result<&'a Judgement, StoreError> {
    let Some(held) = held.filter(|_| judgement.outcome == Outcome::Refuse) else {
        forget(tx, repository, digest).await?;
        return Ok(judgement);
    };
    let sql = "SELECT is_released FROM brake_image WHERE repository_id = $1 AND digest = $2";
    let values = [repository.into(), digest.to_string().into()];
    let noted: Option<NotedRow> = sql::first(tx.sql(), sql, values).await?;
    match noted {
        Some(noted) if noted.is_released => {
            forget(tx, repository, digest).await?;
            Ok(judgement)
        }
        Some(_) => Ok(held),
        None if known.is_some_and(Known::is_refused) => Ok(judgement),
        None => {
            let cause = cause(tx, (repository, digest), known, judgement).await?;
            note(tx, repository, digest, &cause).await?;
            Ok(held)
        }
    }
}

/// Nothing waits for an image any more.
pub(crate) async fn forget(tx: &Tx, repository: i64, digest: &Digest) -> Result<(), StoreError> {
    let sql = "DELETE FROM brake_image WHERE repository_id = $1 AND digest = $2";
    let values = [repository.into(), digest.to_string().into()];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Takes note of an image that would be refused, in the change that is being measured.
async fn note(tx: &Tx, repository: i64, digest: &Digest, cause: &str) -> Result<(), StoreError> {
    let change = match measured(tx.sql()).await? {
        Some(measured) => measured.id,
        None => open(tx).await?,
    };
    // Whatever is asked for by now may be caused by the same.
    let sql = "UPDATE brake_change SET last_job = (SELECT COALESCE(MAX(id), 0) FROM job) WHERE id = $1";
    sql::execute(tx.sql(), sql, [change.into()]).await?;
    let sql = "INSERT INTO brake_image (repository_id, digest, change_id, is_released, cause, at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [
        repository.into(),
        digest.to_string().into(),
        change.into(),
        false.into(),
        cause.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

async fn open(tx: &Tx) -> Result<i64, StoreError> {
    let sql = "INSERT INTO brake_change (state, last_job, turned, in_use, opened_at, settled_at) \
               VALUES ($1, 0, 0, 0, $2, 0) RETURNING id";
    let values = [State::Measured.number().into(), tx.now().micros().into()];
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    let made = made.ok_or_else(|| StoreError::damaged("an insert answered no row"))?;
    Ok(made.id)
}

async fn measured(on: &impl ConnectionTrait) -> Result<Option<MeasuredRow>, StoreError> {
    let sql = "SELECT id, last_job, opened_at FROM brake_change WHERE state = $1 ORDER BY id LIMIT 1";
    sql::first(on, sql, [State::Measured.number().into()]).await
}

/// What is different from the decision before, for people.
async fn cause(
    tx: &Tx,
    (repository, digest): (i64, &Digest),
    known: Option<&Known>,
    judgement: &Judgement,
) -> Result<String, StoreError> {
    let Some(known) = known else {
        return Ok("it was never judged before".to_owned());
    };
    let mut causes = Vec::new();
    if known.policy != judgement.policy {
        let sql = "SELECT COALESCE(MAX(version), 0) AS number FROM policy WHERE digest = $1";
        let version: Option<sql::Number> =
            sql::first(tx.sql(), sql, [judgement.policy.clone().into()]).await?;
        causes.push(match version.map_or(0, |version| version.number) {
            0 => "the default policy".to_owned(),
            version => format!("policy version {version}"),
        });
    }
    let sql = "SELECT name AS text FROM repository WHERE id = $1";
    let name: Option<sql::Text> = sql::first(tx.sql(), sql, [repository.into()]).await?;
    let image = name.map_or_else(String::new, |name| format!("{}@{digest}", name.text));
    let right_by = reevaluation::right_by(tx.sql(), &image, known.generation).await?;
    if sql::from_db(right_by) != judgement.generation {
        causes.push(format!("advisories of generation {}", judgement.generation));
    }
    if causes.is_empty() {
        causes.push("a waiver, a date, or what is known of the image".to_owned());
    }
    Ok(causes.join(", "))
}

impl Store {
    /// Settles the change that is being measured, if all judgements that belong to it are made. `since`: pulls from then on
    /// say that an image is in use.
    pub async fn settle_brake(&self, brake: Brake, since: Timestamp) -> Result<Settling, StoreError> {
        let Some(change) = measured(self.inner.db.read()).await? else {
            return Ok(Settling::Nothing);
        };
        if is_pending(self.inner.db.read(), &change, self.now()).await? {
            return Ok(Settling::Measuring);
        }
        // Outside of the transaction: it reads the log of pulls.
        let in_use = self.images_in_use(since).await?;
        self.write(move |tx| Box::pin(async move { settle(tx, brake, in_use).await }))
            .await
    }

    /// The changes that wait for a person, the latest first, each with at most `most` of its images.
    pub async fn held_changes(
        &self,
        _permit: &access::SystemPermit,
        most: usize,
    ) -> Result<Vec<HeldChange>, StoreError> {
        let on = self.inner.db.read();
        let sql = "SELECT c.id, c.turned, c.in_use, c.settled_at, COUNT(*) AS images FROM brake_change c \
                   JOIN brake_image b ON b.change_id = c.id AND b.is_released = $1 WHERE c.state = $2 \
                   GROUP BY c.id, c.turned, c.in_use, c.settled_at ORDER BY c.id DESC LIMIT $3";
        let values = [false.into(), State::Held.number().into(), CHANGES_LISTED.into()];
        let rows: Vec<ChangeRow> = sql::all(on, sql, values).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            changes.push(HeldChange {
                id: sql::from_db(row.id),
                held_at: Timestamp(row.settled_at),
                turned: sql::from_db(row.turned),
                in_use: sql::from_db(row.in_use),
                images: sql::from_db(row.images),
                causes: causes(on, row.id).await?,
                listed: listed(on, row.id, most).await?,
            });
        }
        Ok(changes)
    }

    /// Lets a held change happen: its images are judged again and refused. Answers how many; `None`: no such change is held.
    /// The caller has made sure that the actor is a person.
    pub async fn approve_change(
        &self,
        _permit: &access::SystemPermit,
        change: u64,
        actor: &Actor,
    ) -> Result<Option<u64>, StoreError> {
        let (change, actor) = (sql::to_db(change), actor.clone());
        self.write(move |tx| Box::pin(async move { approve(tx, change, &actor).await }))
            .await
    }
}

/// Whether judgements are still to be made that belong to a change.
async fn is_pending(
    on: &impl ConnectionTrait,
    change: &MeasuredRow,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if change.opened_at < now.minus(LONGEST).micros() {
        return Ok(false);
    }
    let sql = "SELECT id FROM job WHERE id <= $1 AND kind = $2 AND attempts < $3 AND losses < $4 LIMIT 1";
    let values = [
        change.last_job.into(),
        JobKind::Judge.name().into(),
        ATTEMPTS.into(),
        job::SUSPECT.into(),
    ];
    let pending: Option<sql::Id> = sql::first(on, sql, values).await?;
    // The jobs of a large import come in many transactions.
    Ok(pending.is_some() || reevaluation::is_under_way(on).await?)
}

async fn settle(tx: &Tx, brake: Brake, in_use: u64) -> Result<Settling, StoreError> {
    let Some(change) = measured(tx.sql()).await? else {
        return Ok(Settling::Nothing);
    };
    if is_pending(tx.sql(), &change, tx.now()).await? {
        return Ok(Settling::Measuring);
    }
    let since = tx.now().minus(WINDOW).micros();
    let sql = "DELETE FROM brake_change WHERE state IN ($1, $2) AND settled_at < $3 \
               AND NOT EXISTS (SELECT 1 FROM brake_image b WHERE b.change_id = brake_change.id)";
    let values = [
        State::Gone.number().into(),
        State::Approved.number().into(),
        since.into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    sql::execute(tx.sql(), "DELETE FROM brake_turned WHERE at < $1", [since.into()]).await?;
    let turned = count(
        tx,
        "SELECT COUNT(*) AS number FROM brake_image WHERE change_id = $1",
        change.id,
    )
    .await?;
    // An image that turned before within the day and turns again is one image.
    let lately = "SELECT COUNT(*) AS number FROM brake_turned t WHERE NOT EXISTS (SELECT 1 FROM brake_image b \
                  WHERE b.change_id = $1 AND b.repository_id = t.repository_id AND b.digest = t.digest)";
    let lately = count(tx, lately, change.id).await?;
    let held = "SELECT COUNT(*) AS number FROM brake_image b JOIN brake_change c ON c.id = b.change_id \
                WHERE c.state = $1 AND b.is_released = FALSE";
    let held = count(tx, held, State::Held.number()).await?;
    let is_held = turned > 0 && (held > 0 || brake.holds(turned + lately, in_use));
    let settled = Settled {
        change: sql::from_db(change.id),
        is_held,
        turned,
        in_use,
        causes: causes(tx.sql(), change.id).await?,
    };
    let state = if is_held { State::Held } else { State::Gone };
    close(tx, &settled, state, None).await?;
    if is_held {
        let body = json!({
            "change": settled.change, "turned": turned, "in_use": in_use, "lately": lately, "causes": settled.causes,
        });
        event::record(tx, &Actor::system("brake"), EventKind::PolicyHold, "policy", body).await?;
    } else {
        let sql = "INSERT INTO brake_turned (repository_id, digest, at) \
                   SELECT repository_id, digest, $2 FROM brake_image WHERE change_id = $1 \
                   ON CONFLICT (repository_id, digest) DO UPDATE SET at = excluded.at";
        sql::execute(tx.sql(), sql, [change.id.into(), tx.now().micros().into()]).await?;
        release(tx, change.id, JobPriority::Backfill).await?;
    }
    Ok(Settling::Settled(settled))
}

async fn close(tx: &Tx, settled: &Settled, state: State, actor: Option<&str>) -> Result<(), StoreError> {
    let sql = "UPDATE brake_change SET state = $2, turned = $3, in_use = $4, settled_at = $5, actor = $6 WHERE id = $1";
    let values = [
        sql::to_db(settled.change).into(),
        state.number().into(),
        sql::to_db(settled.turned).into(),
        sql::to_db(settled.in_use).into(),
        tx.now().micros().into(),
        actor.map(str::to_owned).into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

async fn approve(tx: &Tx, change: i64, actor: &Actor) -> Result<Option<u64>, StoreError> {
    let sql = "UPDATE brake_change SET state = $2, settled_at = $3, actor = $4 WHERE id = $1 AND state = $5";
    let values = [
        change.into(),
        State::Approved.number().into(),
        tx.now().micros().into(),
        actor.name().into(),
        State::Held.number().into(),
    ];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(None);
    }
    let causes = causes(tx.sql(), change).await?;
    let released = release(tx, change, JobPriority::Asked).await?;
    let body = json!({ "change": change, "images": released, "causes": causes });
    event::record(tx, actor, EventKind::PolicyApprove, "policy", body).await?;
    Ok(Some(released))
}

/// Has the images of a change judged again and refused. Answers how many.
async fn release(tx: &Tx, change: i64, priority: JobPriority) -> Result<u64, StoreError> {
    let sql = "UPDATE brake_image SET is_released = TRUE WHERE change_id = $1";
    let released = sql::execute(tx.sql(), sql, [change.into()]).await?;
    let images =
        "JOIN brake_image b ON b.repository_id = r.id AND b.digest = m.digest WHERE b.change_id = $4";
    job::enqueue_judgements(tx, images, priority, Some(change.into())).await?;
    Ok(released)
}

async fn causes(on: &impl ConnectionTrait, change: i64) -> Result<Vec<HeldCause>, StoreError> {
    let sql = "SELECT cause, COUNT(*) AS images FROM brake_image WHERE change_id = $1 \
               GROUP BY cause ORDER BY images DESC, cause LIMIT $2";
    let rows: Vec<CauseRow> = sql::all(on, sql, [change.into(), CAUSES_LISTED.into()]).await?;
    let cause = |row: CauseRow| HeldCause {
        cause: row.cause,
        images: sql::from_db(row.images),
    };
    Ok(rows.into_iter().map(cause).collect())
}

async fn listed(on: &impl ConnectionTrait, change: i64, most: usize) -> Result<Vec<HeldImage>, StoreError> {
    let sql = "SELECT r.name, b.digest, d.line FROM brake_image b JOIN repository r ON r.id = b.repository_id \
               JOIN decision d ON d.repository_id = b.repository_id AND d.digest = b.digest AND d.point = $2 \
               WHERE b.change_id = $1 AND b.is_released = FALSE ORDER BY r.name, b.digest LIMIT $3";
    let values = [
        change.into(),
        Point::Pull.name().into(),
        sql::to_db(most as u64).into(),
    ];
    let rows: Vec<ImageRow> = sql::all(on, sql, values).await?;
    let image = |row: ImageRow| {
        let repo = row.name.parse();
        Ok(HeldImage {
            repo: repo.map_err(|_| StoreError::damaged(format!("{:?} is no repository", row.name)))?,
            digest: blob::parse_digest(&row.digest)?,
            line: row.line,
        })
    };
    rows.into_iter().map(image).collect()
}

async fn count(tx: &Tx, sql: &str, value: i64) -> Result<u64, StoreError> {
    let row: Option<sql::Number> = sql::first(tx.sql(), sql, [value.into()]).await?;
    Ok(row.map_or(0, |row| sql::from_db(row.number)))
}

#[cfg(test)]
mod tests;
