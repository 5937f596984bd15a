//! Tags.

use std::collections::HashSet;

use access::Permit;
use access::permit::{Delete, Pull};
use oci::{Digest, MediaType, RepoName, Tag};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::cache::{Fact, Key};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::manifest::DeleteError;
use crate::repository::{self, Delta};
use crate::{Actor, Page, Store, StoreError, Timestamp, attachment, base, blob, upstream_tag};

/// A tag and the manifest that it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagTarget {
    /// The tag.
    pub tag: Tag,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Media type of the manifest.
    pub media_type: MediaType,
    /// Bytes of the manifest itself.
    pub size: u64,
    /// When the manifest was pushed to this repository.
    pub pushed_at: Timestamp,
}

#[derive(FromQueryResult)]
struct TargetRow {
    name: String,
    digest: String,
    media_type: String,
    size: i64,
    pushed_at: i64,
}

impl TargetRow {
    fn into_target(self) -> Result<TagTarget, StoreError> {
        let media_type = self.media_type.parse();
        Ok(TagTarget {
            tag: parse(&self.name)?,
            digest: blob::parse_digest(&self.digest)?,
            media_type: media_type
                .map_err(|_| StoreError::damaged(format!("manifest {} has no media type", self.digest)))?,
            size: sql::from_db(self.size),
            pushed_at: Timestamp(self.pushed_at),
        })
    }
}

/// Where a tag points to.
#[derive(FromQueryResult)]
pub(crate) struct TagRow {
    pub(crate) manifest_id: i64,
    pub(crate) digest: String,
}

/// The tag of a repository, if it is set.
pub(crate) async fn find(
    on: &impl ConnectionTrait,
    repository: i64,
    tag: &Tag,
) -> Result<Option<TagRow>, StoreError> {
    let sql = "SELECT t.manifest_id, m.digest FROM tag t JOIN manifest m ON m.id = t.manifest_id \
               WHERE t.repository_id = $1 AND t.name = $2";
    sql::first(on, sql, [repository.into(), tag.as_str().into()]).await
}

/// Sets or moves a tag. The rules were asked before.
pub(crate) async fn set(
    tx: &Tx,
    repo: (&RepoName, i64),
    tag: &Tag,
    manifest: (i64, &Digest),
    previous: Option<&str>,
    actor: &Actor,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tag (repository_id, name, manifest_id, set_at, set_by) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (repository_id, name) DO UPDATE SET \
               manifest_id = excluded.manifest_id, set_at = excluded.set_at, set_by = excluded.set_by";
    let (name, repository) = repo;
    let (manifest_id, digest) = manifest;
    let values = [
        repository.into(),
        tag.as_str().into(),
        manifest_id.into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    let key = Key::tag(name, tag);
    tx.touch(key);
    tx.teach(key, Fact::Tag(*digest));
    attachment::wake_by_tag(tx, name, repository, tag).await?;
    let body = json!({ "digest": digest, "previous": previous });
    event::record(tx, actor, EventKind::TagSet, &subject(name, tag), body).await
}

/// `team/app:1.0`, as events name a tag.
pub(crate) fn subject(repo: &RepoName, tag: &Tag) -> String {
    format!("{repo}:{tag}")
}

impl Store {
    /// Tags in byte order, from the first one behind `after`. `None` when there is no such repository.
    ///
    /// At most `limit` and never more than [`crate::StoreLimits::page_items`].
    pub async fn tags(
        &self,
        permit: &Permit<Pull>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<Tag>>, StoreError> {
        let Some(repository) = repository::find(self.inner.db.read(), permit.repo()).await? else {
            return Ok(None);
        };
        let limit = self.page_limit(limit);
        let sql =
            "SELECT name AS text FROM tag WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        let values = [
            repository.id.into(),
            after.unwrap_or_default().into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        let tags = rows
            .iter()
            .map(|row| parse(&row.text))
            .collect::<Result<_, _>>()?;
        Ok(Some(Page::cut(tags, limit)))
    }

    /// The same tags with what they point to.
    pub async fn tag_targets(
        &self,
        permit: &Permit<Pull>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<TagTarget>>, StoreError> {
        let Some(repository) = repository::find(self.inner.db.read(), permit.repo()).await? else {
            return Ok(None);
        };
        let limit = self.page_limit(limit);
        let sql = "SELECT t.name, m.digest, m.media_type, m.size, m.pushed_at FROM tag t \
                   JOIN manifest m ON m.id = t.manifest_id \
                   WHERE t.repository_id = $1 AND t.name > $2 ORDER BY t.name LIMIT $3";
        let values = [
            repository.id.into(),
            after.unwrap_or_default().into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<TargetRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let targets = rows.into_iter().map(TargetRow::into_target);
        Ok(Some(Page::cut(targets.collect::<Result<_, _>>()?, limit)))
    }

    /// Deletes a tag; the manifest stays.
    pub async fn delete_tag(&self, permit: &Permit<Delete>, tag: &Tag) -> Result<(), DeleteError> {
        let rules = self.rules(permit.repo());
        if !rules.deletion {
            return Err(DeleteError::Disabled);
        }
        if rules.is_immutable(tag) {
            // Whoever asks for a tag that is not there learns so, whatever the rule says.
            let exists = self.tag_exists(permit.repo(), tag).await?;
            return Err(if exists {
                DeleteError::TagImmutable { tag: tag.clone() }
            } else {
                DeleteError::Unknown
            });
        }
        let (permit, tag) = (permit.clone(), tag.clone());
        self.write(move |tx| Box::pin(async move { delete(tx, &permit, &tag).await }))
            .await
    }

    async fn tag_exists(&self, repo: &RepoName, tag: &Tag) -> Result<bool, StoreError> {
        let Some(repository) = repository::find(self.inner.db.read(), repo).await? else {
            return Ok(false);
        };
        Ok(find(self.inner.db.read(), repository.id, tag).await?.is_some())
    }
}

async fn delete(tx: &Tx, permit: &Permit<Delete>, tag: &Tag) -> Result<(), DeleteError> {
    remove(tx, permit.repo(), tag, &Actor::holder(permit, "request")).await
}

/// Deletes a tag; the rules were asked before.
pub(crate) async fn remove(tx: &Tx, repo: &RepoName, tag: &Tag, actor: &Actor) -> Result<(), DeleteError> {
    let repository = repository::find(tx.sql(), repo)
        .await?
        .ok_or(DeleteError::Unknown)?;
    let row = find(tx.sql(), repository.id, tag)
        .await?
        .ok_or(DeleteError::Unknown)?;
    let sql = "DELETE FROM tag WHERE repository_id = $1 AND name = $2";
    sql::execute(tx.sql(), sql, [repository.id.into(), tag.as_str().into()]).await?;
    upstream_tag::forget(tx, repo, tag).await?;
    repository::count(
        tx,
        repository.id,
        Delta {
            tags: -1,
            ..Delta::default()
        },
    )
    .await?;
    tx.touch(Key::tag(repo, tag));
    attachment::wake_by_tag(tx, repo, repository.id, tag).await?;
    base::release::names_changed(tx, repo).await?;
    let body = json!({ "digest": row.digest });
    event::record(tx, actor, EventKind::TagDelete, &subject(repo, tag), body).await?;
    Ok(())
}

/// The tags of a repository that begin so.
pub(crate) async fn beginning_with(
    tx: &Tx,
    repo: &RepoName,
    prefix: &str,
) -> Result<HashSet<String>, StoreError> {
    // Behind every character of a tag.
    let end = format!("{prefix}~");
    let sql = "SELECT t.name AS text FROM tag t JOIN repository r ON r.id = t.repository_id \
               WHERE r.name = $1 AND t.name >= $2 AND t.name < $3";
    let values = [repo.as_str().into(), prefix.into(), end.into()];
    let rows: Vec<sql::Text> = sql::all(tx.sql(), sql, values).await?;
    Ok(rows.into_iter().map(|row| row.text).collect())
}

/// Reads a tag from its column.
pub(crate) fn parse(text: &str) -> Result<Tag, StoreError> {
    text.parse()
        .map_err(|_| StoreError::damaged(format!("{text:?} is no tag")))
}

#[cfg(test)]
mod tests;
