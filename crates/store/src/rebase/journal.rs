//! The journal's lines, as they are kept and found again.

use oci::{Digest, RepoName, Tag};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::{NewRebase, Rebase, RebaseError, TagMove, WAITING_OF_A_TAG, WaitingRebase, work};
use crate::db::{Tx, sql};
use crate::{StoreError, Timestamp, blob, repository, tag};

#[derive(FromQueryResult)]
pub(super) struct WaitingRow {
    id: String,
    repository: String,
    old_digest: String,
    new_digest: String,
    actor: String,
    approved_by: String,
}

impl WaitingRow {
    pub(super) fn into_waiting(self) -> Result<WaitingRebase, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("rebase {} has {what}", self.id));
        Ok(WaitingRebase {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
            old: blob::parse_digest(&self.old_digest)?,
            new: blob::parse_digest(&self.new_digest)?,
            by: if self.approved_by.is_empty() {
                self.actor
            } else {
                self.approved_by
            },
        })
    }
}

#[derive(FromQueryResult)]
pub(super) struct Row {
    id: String,
    repository: String,
    tag: String,
    old_digest: String,
    new_digest: String,
    how: String,
    state: String,
    moved: String,
    reason: String,
    plan: String,
    actor: String,
    made_at: i64,
    changed_at: i64,
}

pub(super) const COLUMNS: &str = "id, repository, tag, old_digest, new_digest, how, state, moved, reason, plan, actor, made_at, changed_at";

impl Row {
    pub(super) fn into_rebase(self) -> Result<Rebase, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("rebase {} has {what}", self.id));
        let word = |text: &str| serde_json::Value::String(text.to_owned());
        Ok(Rebase {
            id: self.id.parse().map_err(|_| damaged("no id"))?,
            repository: self.repository.parse().map_err(|_| damaged("no repository"))?,
            tag: tag::parse(&self.tag)?,
            old: blob::parse_digest(&self.old_digest)?,
            new: blob::parse_digest(&self.new_digest)?,
            how: serde_json::from_value(word(&self.how)).map_err(|_| damaged("no way for its tag"))?,
            state: serde_json::from_value(word(&self.state)).map_err(|_| damaged("no state"))?,
            moved: (!self.moved.is_empty())
                .then(|| tag::parse(&self.moved))
                .transpose()?,
            reason: self.reason,
            plan: self.plan,
            actor: self.actor,
            made_at: Timestamp(self.made_at),
            changed_at: Timestamp(self.changed_at),
        })
    }
}

pub(super) async fn find(on: &impl ConnectionTrait, id: Uuid) -> Result<Option<Rebase>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM rebase WHERE id = $1");
    let row: Option<Row> = sql::first(on, &sql, [id.to_string().into()]).await?;
    row.map(Row::into_rebase).transpose()
}

/// One that was made of the same for the same in the same way, and stands: what was moved must be named still.
pub(super) async fn same(tx: &Tx, new: &NewRebase, digest: &Digest) -> Result<Option<Rebase>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM rebase WHERE repository = $1 AND tag = $2 AND old_digest = $3 AND new_digest = $4 AND how = $5 \
         AND state IN ('made', 'moved') ORDER BY id DESC LIMIT 1"
    );
    let values: [Value; 5] = [
        new.repository.as_str().into(),
        new.tag.as_str().into(),
        new.old.to_string().into(),
        digest.to_string().into(),
        way(new.how).into(),
    ];
    let row: Option<Row> = sql::first(tx.sql(), &sql, values).await?;
    let Some(rebase) = row.map(Row::into_rebase).transpose()? else {
        return Ok(None);
    };
    if let Some(moved) = &rebase.moved
        && named(tx, &rebase.repository, moved).await? != Some(rebase.new)
    {
        return Ok(None);
    }
    Ok(Some(rebase))
}

fn way(how: TagMove) -> &'static str {
    match how {
        TagMove::Suffix => "suffix",
        TagMove::InPlace => "in-place",
    }
}

pub(super) async fn check_none_waits(tx: &Tx, new: &NewRebase) -> Result<(), RebaseError> {
    let sql = "SELECT COUNT(*) AS number FROM rebase WHERE repository = $1 AND tag = $2 AND state = 'made'";
    let values = [new.repository.as_str().into(), new.tag.as_str().into()];
    let waiting: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    if waiting.is_some_and(|waiting| sql::from_db(waiting.number) >= WAITING_OF_A_TAG) {
        return Err(RebaseError::Waiting(new.tag.clone()));
    }
    Ok(())
}

/// What a tag names.
pub(super) async fn named(tx: &Tx, repo: &RepoName, name: &Tag) -> Result<Option<Digest>, StoreError> {
    let Some(repository) = repository::find(tx.sql(), repo).await? else {
        return Ok(None);
    };
    let row = tag::find(tx.sql(), repository.id, name).await?;
    row.map(|row| blob::parse_digest(&row.digest)).transpose()
}

pub(super) async fn check_named(
    tx: &Tx,
    repo: &RepoName,
    name: &Tag,
    expected: Digest,
) -> Result<(), RebaseError> {
    let now = named(tx, repo, name).await?;
    if now == Some(expected) {
        return Ok(());
    }
    let now = now.map(|now| now.to_string()).unwrap_or_default();
    Err(RebaseError::Moved {
        tag: name.clone(),
        now,
    })
}

/// Forgets some of what a repository that is deleted was told of rebases: whoever gets its name next is somebody else. What was done
/// stays in the audit log. Answers whether there may be more.
pub(crate) async fn forget(tx: &Tx, repo: &RepoName, most: i64) -> Result<bool, StoreError> {
    let forgets = [
        "DELETE FROM rebase_item WHERE id IN (SELECT id FROM rebase_item WHERE repository = $1 LIMIT $2)",
        "DELETE FROM rebase WHERE id IN (SELECT id FROM rebase WHERE repository = $1 LIMIT $2)",
        "DELETE FROM rebase_image WHERE repository = $1 AND new_digest IN \
         (SELECT new_digest FROM rebase_image WHERE repository = $1 LIMIT $2)",
    ];
    let mut forgotten = work::forget_of(tx, repo, most).await?;
    for sql in forgets {
        forgotten += sql::execute(tx.sql(), sql, [repo.as_str().into(), most.into()]).await?;
    }
    Ok(forgotten > 0)
}

pub(super) async fn insert(tx: &Tx, rebase: &Rebase) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO rebase ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    );
    let values: [Value; 13] = [
        rebase.id.to_string().into(),
        rebase.repository.as_str().into(),
        rebase.tag.as_str().into(),
        rebase.old.to_string().into(),
        rebase.new.to_string().into(),
        way(rebase.how).into(),
        rebase.state.name().into(),
        "".into(),
        "".into(),
        rebase.plan.clone().into(),
        rebase.actor.clone().into(),
        rebase.made_at.micros().into(),
        rebase.changed_at.micros().into(),
    ];
    sql::execute(tx.sql(), &sql, values).await.map(drop)
}
