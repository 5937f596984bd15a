//! What is in use: pulled lately, or imported as such by somebody's word until a date.
//!
//! A cluster that was there before the registry runs images that it never pulled from it. An administrator can say so: a digest
//! or a tag of a repository, until when. A tag stands for whatever it points to at the moment of the question, an index
//! for the manifests in it.

use std::time::Duration;

use oci::{Digest, Reference, RepoName};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobPriority};
use crate::{Actor, DeclaredInUse, End, Page, Store, StoreError, Timestamp};

/// Images that can be in use by somebody's word. Default: the only value.
pub const MAX_IN_USE: usize = 100_000;

/// References that an event names; of more it says how many.
const REFERENCES_TOLD: usize = 100;

/// An image that is in use by somebody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The repository.
    pub repo: RepoName,
    /// Tag or digest.
    pub reference: Reference,
    /// Its last moment.
    pub until: Timestamp,
    /// Why it is known to be.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// Images of one repository that are to be in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInUse {
    /// The repository.
    pub repo: RepoName,
    /// Tags and digests.
    pub references: Vec<Reference>,
    /// Their last moment.
    pub until: Timestamp,
    /// Why they are known to be.
    pub reason: String,
}

/// Longest time for which something can be said to be in use. Whoever still means it then says so again.
pub const LONGEST_IN_USE: Duration = Duration::from_hours(24 * 366);

/// Longest reason, in bytes.
pub const IN_USE_REASON_BYTES: usize = 1_000;

#[derive(FromQueryResult)]
struct Row {
    repository: String,
    reference: String,
    until: i64,
    reason: String,
    actor: String,
    at: i64,
}

/// Names an image that a reference of `in_use u` in repository `r` means: `$D` is its digest. A tag means what was there when the
/// word was given: who may push to it afterwards does not say what is in use.
pub(crate) const IS_MEANT: &str = "(u.reference = $D \
    OR EXISTS (SELECT 1 FROM tag t JOIN manifest n ON n.id = t.manifest_id \
               WHERE t.repository_id = r.id AND t.name = u.reference AND n.digest = $D \
               AND n.pushed_at <= u.at) \
    OR EXISTS (SELECT 1 FROM manifest_reference f JOIN manifest i ON i.id = f.manifest_id \
               WHERE f.repository_id = r.id AND f.digest = $D AND f.kind = 1 AND (i.digest = u.reference \
               OR (i.pushed_at <= u.at \
               AND EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = i.id AND t.name = u.reference)))))";

impl Store {
    /// Whether an image is in use: pulled since a moment, or by somebody's word.
    pub async fn is_in_use(
        &self,
        repo: &RepoName,
        digest: &Digest,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        if self.was_pulled_since(repo, digest, since).await? {
            return Ok(true);
        }
        // An image that is only about to come is meant by its digest alone.
        let sql = format!(
            "SELECT COUNT(*) AS number FROM in_use u LEFT JOIN repository r ON r.name = u.repository \
             WHERE u.repository = $1 AND u.until > $3 AND {}",
            IS_MEANT.replace("$D", "$2")
        );
        let values = [
            repo.as_str().into(),
            digest.to_string().into(),
            self.now().micros().into(),
        ];
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), &sql, values).await?;
        Ok(row.is_some_and(|row| row.number > 0))
    }

    /// How many images are in use that run.
    pub(crate) async fn images_in_use(&self, since: Timestamp) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT COUNT(*) AS number FROM manifest m JOIN repository r ON r.id = m.repository_id \
             WHERE m.kind = 0 AND (EXISTS (SELECT 1 FROM pull_log p WHERE p.digest = m.digest \
             AND p.repository = r.name AND p.at >= $1 AND p.class <> 'inspection') \
             OR EXISTS (SELECT 1 FROM in_use u WHERE u.repository = r.name AND u.until > $2 AND {})) \
             AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.repository_id = r.id AND d.digest = m.digest \
             AND d.point = 'pull' AND d.outcome = $3)",
            IS_MEANT.replace("$D", "m.digest")
        );
        let values = [
            since.micros().into(),
            self.now().micros().into(),
            crate::Outcome::NotApplicable.number().into(),
        ];
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), &sql, values).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// Takes somebody's word that images are in use; what was said of them before is replaced. `false`: there would be more
    /// than [`MAX_IN_USE`], and nothing is changed. The caller has checked that the actor is an administrator.
    pub async fn set_in_use(&self, wanted: NewInUse, actor: &Actor) -> Result<bool, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { set(tx, &wanted, &actor).await }))
            .await
    }

    /// Images are no longer in use by somebody's word. `false`: nobody had said so.
    pub async fn remove_in_use(
        &self,
        repo: &RepoName,
        reference: &Reference,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let (repo, reference, actor) = (repo.clone(), reference.clone(), actor.clone());
        self.write(move |tx| Box::pin(async move { remove(tx, &repo, &reference, &actor).await }))
            .await
    }

    /// What is in use by somebody's word, in the order of repositories and references, behind `after`. What is over is not.
    pub async fn in_use_by_word(
        &self,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Page<InUse>, StoreError> {
        let limit = self.page_limit(limit);
        let (repository, reference) = after.unwrap_or_default();
        let sql = "SELECT repository, reference, until, reason, actor, at FROM in_use WHERE until > $1 \
                   AND (repository > $2 OR (repository = $2 AND reference > $3)) \
                   ORDER BY repository, reference LIMIT $4";
        let values = [
            self.now().micros().into(),
            repository.into(),
            reference.into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, values).await?;
        let entries = rows.into_iter().map(Row::into_entry).collect::<Result<_, _>>()?;
        Ok(Page::cut(entries, limit))
    }

    /// Forgets what is over and has the images of those repositories judged again. Answers how much is over.
    pub async fn end_in_use(&self) -> Result<u64, StoreError> {
        let sql = "SELECT reference AS text FROM in_use WHERE until <= $1 LIMIT 1";
        let over: Option<sql::Text> =
            sql::first(self.inner.db.read(), sql, [self.now().micros().into()]).await?;
        if over.is_none() {
            return Ok(0);
        }
        self.write(|tx| {
            Box::pin(async move {
                let sql = "SELECT DISTINCT repository AS text FROM in_use WHERE until <= $1";
                let now = tx.now().micros();
                let repositories: Vec<sql::Text> = sql::all(tx.sql(), sql, [now.into()]).await?;
                for repository in &repositories {
                    judge_again(tx, &repository.text).await?;
                }
                sql::execute(tx.sql(), "DELETE FROM in_use WHERE until <= $1", [now.into()]).await
            })
        })
        .await
    }
}

impl Row {
    fn into_entry(self) -> Result<InUse, StoreError> {
        let damaged = || StoreError::damaged(format!("{:?} is no image in use", self.reference));
        Ok(InUse {
            repo: self.repository.parse().map_err(|_| damaged())?,
            reference: self.reference.parse().map_err(|_| damaged())?,
            until: Timestamp(self.until),
            reason: self.reason,
            actor: self.actor,
            at: Timestamp(self.at),
        })
    }
}

/// All that is in use by somebody's word at a moment, as it is declared.
pub(crate) async fn declared(
    on: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Vec<DeclaredInUse>, StoreError> {
    let sql = "SELECT repository, reference, until, reason, actor, at FROM in_use WHERE until > $1 \
               ORDER BY repository, reference";
    let rows: Vec<Row> = sql::all(on, sql, [now.micros().into()]).await?;
    let declared = |row: Row| {
        let entry = row.into_entry()?;
        Ok(DeclaredInUse {
            repository: entry.repo,
            reference: entry.reference,
            until: End::At(entry.until),
            reason: entry.reason,
        })
    };
    rows.into_iter().map(declared).collect()
}

/// Takes back that an image is in use. `false`: nobody had said so.
pub(crate) async fn remove(
    tx: &Tx,
    repo: &RepoName,
    reference: &Reference,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let reference = reference.to_string();
    let sql = "DELETE FROM in_use WHERE repository = $1 AND reference = $2";
    let values = [repo.as_str().into(), reference.clone().into()];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(false);
    }
    let body = json!({ "references": [reference] });
    event::record(tx, actor, EventKind::InUseRemove, repo.as_str(), body).await?;
    judge_again(tx, repo.as_str()).await?;
    Ok(true)
}

/// Takes somebody's word; see [`Store::set_in_use`].
pub(crate) async fn set(tx: &Tx, wanted: &NewInUse, actor: &Actor) -> Result<bool, StoreError> {
    let sql = "INSERT INTO in_use (repository, reference, until, reason, actor, at) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (repository, reference) DO UPDATE SET until = excluded.until, reason = excluded.reason, \
               actor = excluded.actor, at = excluded.at";
    let sql_count = "SELECT COUNT(*) AS number FROM in_use";
    let present: Option<sql::Number> = sql::first(tx.sql(), sql_count, []).await?;
    let present = present.map_or(0, |row| sql::from_db(row.number));
    if present + wanted.references.len() as u64 > MAX_IN_USE as u64 {
        return Ok(false);
    }
    for reference in &wanted.references {
        let values = [
            wanted.repo.as_str().into(),
            reference.to_string().into(),
            wanted.until.micros().into(),
            wanted.reason.clone().into(),
            actor.name().into(),
            tx.now().micros().into(),
        ];
        sql::execute(tx.sql(), sql, values).await?;
    }
    let told: Vec<String> = wanted
        .references
        .iter()
        .take(REFERENCES_TOLD)
        .map(ToString::to_string)
        .collect();
    let body = json!({
        "references": told, "references_total": wanted.references.len(), "until": wanted.until, "reason": wanted.reason,
    });
    event::record(tx, actor, EventKind::InUseSet, wanted.repo.as_str(), body).await?;
    judge_again(tx, wanted.repo.as_str()).await?;
    Ok(true)
}

/// A rule that keeps what runs decides otherwise about what is in use.
async fn judge_again(tx: &Tx, repository: &str) -> Result<(), StoreError> {
    let images = "WHERE m.kind = 0 AND r.name = $4";
    job::enqueue_judgements(tx, images, JobPriority::Asked, Some(repository.into()))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests;
