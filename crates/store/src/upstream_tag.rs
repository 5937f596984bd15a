//! What is known of the tags of upstreams: what each was when the upstream was last asked.

use access::Permit;
use access::permit::Pull;
use oci::{Digest, RepoName, Tag};
use sea_orm::FromQueryResult;
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::EventKind;
use crate::incoming::Intake;
use crate::manifest::DeleteError;
use crate::{Store, StoreError, Timestamp, blob, tag};

/// A tag as its upstream last had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTag {
    /// Where it was asked.
    pub upstream: String,
    /// What it was there.
    pub digest: Digest,
    /// When it was last asked and answered.
    pub checked_at: Timestamp,
    /// Whether it was there once and is not any more.
    pub gone: bool,
}

#[derive(FromQueryResult)]
struct Row {
    upstream: String,
    digest: String,
    checked_at: i64,
    gone: bool,
}

impl Store {
    /// What is known of a tag.
    pub async fn upstream_tag(
        &self,
        permit: &Permit<Pull>,
        tag: &Tag,
    ) -> Result<Option<UpstreamTag>, StoreError> {
        let sql =
            "SELECT upstream, digest, checked_at, gone FROM upstream_tag WHERE repository = $1 AND tag = $2";
        let values = [permit.repo().as_str().into(), tag.as_str().into()];
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, values).await?;
        row.map(|row| {
            Ok(UpstreamTag {
                digest: blob::parse_digest(&row.digest)?,
                upstream: row.upstream,
                checked_at: Timestamp(row.checked_at),
                gone: row.gone,
            })
        })
        .transpose()
    }

    /// Notes that the upstream was asked for a tag just now, and what it is there.
    pub async fn note_upstream_tag(
        &self,
        intake: &Intake,
        tag: &Tag,
        digest: &Digest,
        gone: bool,
    ) -> Result<(), StoreError> {
        let (intake, tag, digest) = (intake.clone(), tag.clone(), *digest);
        self.write(move |tx| Box::pin(async move { note(tx, &intake, &tag, &digest, gone).await }))
            .await
    }

    /// Takes away a tag that its upstream does not have any more; what it named stays.
    pub async fn drop_upstream_tag(&self, intake: &Intake, tag: &Tag) -> Result<(), StoreError> {
        let (intake, tag) = (intake.clone(), tag.clone());
        let dropped: Result<(), DeleteError> = self
            .write(move |tx| {
                Box::pin(async move {
                    forget(tx, &intake.repo, &tag).await?;
                    match tag::remove(tx, &intake.repo, &tag, &Intake::actor()).await {
                        Err(DeleteError::Unknown) => Ok(()),
                        removed => removed,
                    }
                })
            })
            .await;
        match dropped {
            Err(DeleteError::Store(error)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Names of repositories below `prefix` (which ends without a slash), in order, at most `limit`.
    pub async fn repositories_below(&self, prefix: &str, limit: usize) -> Result<Vec<RepoName>, StoreError> {
        let sql = "SELECT name AS text FROM repository WHERE name > $1 AND name < $2 ORDER BY name LIMIT $3";
        // Behind every name that goes on with a slash.
        let (from, to) = (format!("{prefix}/"), format!("{prefix}0"));
        let values = [from.into(), to.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.iter().filter_map(|row| row.text.parse().ok()).collect())
    }

    /// Notes that a repository which has just come from an upstream is called nearly like another one.
    pub async fn note_lookalike(&self, intake: &Intake, like: &RepoName) -> Result<(), StoreError> {
        let body = json!({ "like": like, "upstream": &*intake.upstream });
        let subject = intake.repo.to_string();
        self.note(&Intake::actor(), EventKind::UpstreamLookalike, subject, body)
            .await
    }
}

/// Writes what a tag of an upstream is as of now.
pub(crate) async fn note(
    tx: &Tx,
    intake: &Intake,
    tag: &Tag,
    digest: &Digest,
    gone: bool,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO upstream_tag (repository, tag, upstream, digest, checked_at, gone) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (repository, tag) DO UPDATE SET \
               upstream = excluded.upstream, digest = excluded.digest, checked_at = excluded.checked_at, \
               gone = excluded.gone";
    let values = [
        intake.repo.as_str().into(),
        tag.as_str().into(),
        (&*intake.upstream).into(),
        digest.to_string().into(),
        tx.now().micros().into(),
        gone.into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Forgets what is known of a tag that goes.
pub(crate) async fn forget(tx: &Tx, repo: &RepoName, tag: &Tag) -> Result<(), StoreError> {
    let sql = "DELETE FROM upstream_tag WHERE repository = $1 AND tag = $2";
    let values = [repo.as_str().into(), tag.as_str().into()];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

#[cfg(test)]
mod tests;
