//! Deleting a whole repository, a little at a time, so that pushes elsewhere never wait for long.

use access::Permit;
use access::permit::Administer;
use oci::{RepoName, Tag};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;

use super::{Delta, count, find};
use crate::blob::{self, link};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::fleet::gone::{self, GoneLimits};
use crate::manifest::{self, DeleteError};
use crate::rule::Rules;
use crate::{Actor, Store, StoreError, rebase, tag};

/// Rows removed in one transaction.
const STEP: i64 = 200;

impl Store {
    /// Deletes the repository with all its tags, manifests and blob links, in small transactions, tags first.
    /// Refused when a rule switches deletion off or keeps a tag. Carried on when the caller goes away; what is pushed
    /// meanwhile goes too.
    pub async fn delete_repository(&self, permit: &Permit<Administer>) -> Result<(), DeleteError> {
        let rules = self.rules(permit.repo());
        if !rules.deletion {
            return Err(DeleteError::Disabled);
        }
        let repo = permit.repo().clone();
        if find(self.inner.db.read(), &repo).await?.is_none() {
            return Err(DeleteError::Unknown);
        }
        self.check_tags(&repo, &rules).await?;
        let (store, actor) = (self.clone(), Actor::holder(permit, "request"));
        let task = tokio::spawn(async move {
            while store.delete_some(&repo, &actor).await? {}
            Ok(())
        });
        task.await.map_err(StoreError::from)?
    }

    /// Nothing is deleted when something would have to stay.
    async fn check_tags(&self, repo: &RepoName, rules: &Rules) -> Result<(), DeleteError> {
        let mut after = String::new();
        while rules.immutable_tags.is_some() {
            let sql = "SELECT t.name AS text FROM tag t JOIN repository r ON r.id = t.repository_id \
                       WHERE r.name = $1 AND t.name > $2 ORDER BY t.name LIMIT $3";
            let values: [Value; 3] = [repo.as_str().into(), after.clone().into(), STEP.into()];
            let names: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
            let Some(last) = names.last() else { break };
            after.clone_from(&last.text);
            let tags = names
                .iter()
                .map(|row| tag::parse(&row.text))
                .collect::<Result<Vec<Tag>, _>>()?;
            if let Some(tag) = tags.into_iter().find(|tag| rules.is_immutable(tag)) {
                return Err(DeleteError::TagImmutable { tag });
            }
        }
        Ok(())
    }

    /// Answers whether there may be more to delete.
    async fn delete_some(&self, repo: &RepoName, actor: &Actor) -> Result<bool, DeleteError> {
        let (repo, actor, kept) = (repo.clone(), actor.clone(), self.gone_limits());
        self.write(move |tx| {
            Box::pin(async move {
                let Some(repository) = find(tx.sql(), &repo).await? else {
                    return Ok(false);
                };
                let id = repository.id;
                if delete_tags(tx, &repo, id).await?
                    || delete_manifests(tx, &repo, id, kept).await?
                    || unlink(tx, &repo, id).await?
                    || rebase::forget(tx, &repo, STEP).await?
                {
                    return Ok(true);
                }
                sql::execute(tx.sql(), "DELETE FROM repository WHERE id = $1", [id.into()]).await?;
                event::record(tx, &actor, EventKind::RepositoryDelete, repo.as_str(), json!({})).await?;
                Ok(false)
            })
        })
        .await
    }
}

async fn delete_tags(tx: &Tx, repo: &RepoName, repository: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM tag WHERE repository_id = $1 AND name IN \
               (SELECT name FROM tag WHERE repository_id = $1 ORDER BY name LIMIT $2) RETURNING name AS text";
    let deleted: Vec<sql::Text> = sql::all(tx.sql(), sql, [repository.into(), STEP.into()]).await?;
    for row in &deleted {
        tx.touch(Key::tag(repo, &tag::parse(&row.text)?));
    }
    count(
        tx,
        repository,
        Delta {
            tags: -sql::to_db(deleted.len() as u64),
            ..Delta::default()
        },
    )
    .await?;
    Ok(!deleted.is_empty())
}

#[derive(FromQueryResult)]
struct ManifestRow {
    id: i64,
    digest: String,
}

async fn delete_manifests(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    kept: GoneLimits,
) -> Result<bool, StoreError> {
    let sql = "SELECT id, digest FROM manifest WHERE repository_id = $1 ORDER BY digest LIMIT $2";
    let found: Vec<ManifestRow> = sql::all(tx.sql(), sql, [repository.into(), STEP.into()]).await?;
    for row in &found {
        gone::keep(tx, repo, row.id, kept).await?;
        manifest::remove_rows(tx, repo, repository, row.id).await?;
        tx.touch(Key::manifest(repo, &blob::parse_digest(&row.digest)?));
    }
    Ok(!found.is_empty())
}

#[derive(FromQueryResult)]
struct LinkRow {
    blob_id: i64,
    digest: String,
    size: i64,
}

async fn unlink(tx: &Tx, repo: &RepoName, repository: i64) -> Result<bool, StoreError> {
    let sql = "SELECT l.blob_id, b.digest, b.size FROM repository_blob l JOIN blob b ON b.id = l.blob_id \
               WHERE l.repository_id = $1 ORDER BY l.blob_id LIMIT $2";
    let found: Vec<LinkRow> = sql::all(tx.sql(), sql, [repository.into(), STEP.into()]).await?;
    for row in &found {
        let digest = blob::parse_digest(&row.digest)?;
        link::unlink(tx, repo, repository, row.blob_id, &digest, row.size).await?;
    }
    Ok(!found.is_empty())
}
