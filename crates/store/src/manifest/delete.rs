//! Deleting a manifest, with what points to it and what it points to.

use access::Permit;
use access::permit::Delete;
use oci::{Digest, RepoName};
use sea_orm::FromQueryResult;
use serde_json::json;

use super::{DeleteError, put};
use crate::blob::{self, link};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::decision::text;
use crate::event::{self, EventKind};
use crate::repository::{self, Delta};
use crate::rule::Rules;
use crate::{Actor, Store, StoreError, attached, attachment, brake, fleet, seen, tag};

/// Tags that the event of a deleted manifest lists by name; of more it says only how many.
const TAGS_LISTED: usize = 100;

impl Store {
    /// Deletes a manifest and every tag that points to it. One that an index of the repository names stays
    /// ([`DeleteError::InIndex`]): the index could not be pulled any more, though its tag may be one that must not change.
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), DeleteError> {
        let rules = self.rules(permit.repo());
        if !rules.deletion {
            return Err(DeleteError::Disabled);
        }
        let (permit, digest, kept) = (permit.clone(), *digest, self.gone_limits());
        self.write(move |tx| {
            Box::pin(async move {
                let repository = repository::find(tx.sql(), permit.repo())
                    .await?
                    .ok_or(DeleteError::Unknown)?;
                let id = put::find(tx, repository.id, &digest)
                    .await?
                    .ok_or(DeleteError::Unknown)?;
                if let Some(index) = index_of(tx, repository.id, &digest).await? {
                    return Err(DeleteError::InIndex { index });
                }
                attachment::wake_around(tx, permit.repo(), repository.id, &digest).await?;
                let actor = Actor::holder(&permit, "request");
                let tags = remove_tags(tx, permit.repo(), repository.id, id, &rules).await?;
                fleet::gone::keep(tx, permit.repo(), id, kept).await?;
                remove_rows(tx, permit.repo(), repository.id, id).await?;
                attached::remove(tx, permit.repo(), repository.id, &digest).await?;
                tx.touch(Key::manifest(permit.repo(), &digest));
                let listed: Vec<&str> = tags.iter().take(TAGS_LISTED).map(oci::Tag::as_str).collect();
                let body = json!({ "tags": listed, "tags_total": tags.len() });
                let subject = blob::subject(permit.repo(), &digest);
                event::record(tx, &actor, EventKind::ManifestDelete, &subject, body).await?;
                Ok(())
            })
        })
        .await
    }
}

/// An index of the repository that names the manifest.
async fn index_of(tx: &Tx, repository: i64, digest: &Digest) -> Result<Option<Digest>, StoreError> {
    let sql = "SELECT m.digest AS text FROM manifest_reference f JOIN manifest m ON m.id = f.manifest_id \
               WHERE f.repository_id = $1 AND f.digest = $2 AND f.kind = $3 LIMIT 1";
    let values = [repository.into(), digest.to_string().into(), put::CHILD.into()];
    let row: Option<sql::Text> = sql::first(tx.sql(), sql, values).await?;
    row.map(|row| blob::parse_digest(&row.text)).transpose()
}

async fn remove_tags(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    manifest: i64,
    rules: &Rules,
) -> Result<Vec<oci::Tag>, DeleteError> {
    let sql = "DELETE FROM tag WHERE manifest_id = $1 RETURNING name AS text";
    let rows: Vec<sql::Text> = sql::all(tx.sql(), sql, [manifest.into()]).await?;
    let tags = rows
        .iter()
        .map(|row| tag::parse(&row.text))
        .collect::<Result<Vec<_>, _>>()?;
    for tag in &tags {
        if rules.is_immutable(tag) {
            return Err(DeleteError::TagImmutable { tag: tag.clone() });
        }
        tx.touch(Key::tag(repo, tag));
        attachment::wake_by_tag(tx, repo, repository, tag).await?;
    }
    let delta = Delta {
        tags: -sql::to_db(tags.len() as u64),
        ..Delta::default()
    };
    repository::count(tx, repository, delta).await?;
    Ok(tags)
}

#[derive(FromQueryResult)]
struct Removed {
    content_id: i64,
    size: i64,
    digest: String,
}

#[derive(FromQueryResult)]
struct Forgotten {
    point: String,
    said: Option<String>,
}

/// Removes the row of a manifest without tags, its references with it, and the bytes if nobody else has them. Its
/// blobs stay until they are collected.
pub(crate) async fn remove_rows(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    id: i64,
) -> Result<(), StoreError> {
    release_blobs(tx, repo, repository, id).await?;
    let sql = "DELETE FROM manifest WHERE id = $1 RETURNING content_id, size, digest";
    let removed: Option<Removed> = sql::first(tx.sql(), sql, [id.into()]).await?;
    let removed = removed.ok_or_else(|| StoreError::damaged("a manifest went away within a transaction"))?;
    forget_decisions(tx, repo, repository, &removed.digest).await?;
    let sql = "UPDATE manifest_content SET holders = holders - 1 WHERE id = $1";
    sql::execute(tx.sql(), sql, [removed.content_id.into()]).await?;
    let sql = "DELETE FROM manifest_content WHERE id = $1 AND holders = 0";
    sql::execute(tx.sql(), sql, [removed.content_id.into()]).await?;
    seen::forget(tx, &removed.digest).await?;
    let delta = Delta {
        bytes: -removed.size,
        manifests: -1,
        ..Delta::default()
    };
    repository::count(tx, repository, delta).await
}

/// What was decided of a manifest goes with it; the events stay.
async fn forget_decisions(tx: &Tx, repo: &RepoName, repository: i64, digest: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM decision WHERE repository_id = $1 AND digest = $2 RETURNING point, said";
    let gone: Vec<Forgotten> = sql::all(tx.sql(), sql, [repository.into(), digest.into()]).await?;
    let digest = blob::parse_digest(digest)?;
    for decision in &gone {
        tx.touch(Key::decision(repo, &digest, &decision.point));
    }
    text::release(tx, gone.into_iter().filter_map(|decision| decision.said)).await?;
    brake::forget(tx, repository, &digest).await
}

/// Whoever asks for the blobs of a manifest that goes has to know that their time of grace begins.
async fn release_blobs(tx: &Tx, repo: &RepoName, repository: i64, id: i64) -> Result<(), StoreError> {
    let sql = "SELECT digest AS text FROM manifest_reference WHERE manifest_id = $1 AND kind = $2";
    let named: Vec<sql::Text> = sql::all(tx.sql(), sql, [id.into(), put::BLOB.into()]).await?;
    for row in &named {
        let digest = blob::parse_digest(&row.text)?;
        tx.touch(Key::blob(repo, &digest));
        tx.touch(Key::standing(repo, &digest));
    }
    link::release(tx, repository, id).await
}
