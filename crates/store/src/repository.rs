//! Repositories: names with counters.

use access::Permit;
use access::permit::Pull;
use oci::RepoName;

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

mod catalog;
mod delete;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryStats {
    /// Bytes of its manifests and of its distinct blobs, without released ones; what the quota counts.
    pub bytes: u64,
    /// Bytes of blobs that were named and that no manifest names any more. They wait for their collection, and no quota
    /// counts them.
    pub released_bytes: u64,
    /// Until when the last of those stays at least; `None` where there are none.
    pub released_until: Option<Timestamp>,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs.
    pub blobs: u64,
    /// When the first thing was pushed.
    pub created_at: Timestamp,
}

/// A row of the table.
#[derive(Debug, Clone, FromQueryResult)]
pub(crate) struct Repository {
    pub(crate) id: i64,
    pub(crate) bytes: i64,
    pub(crate) released_bytes: i64,
    pub(crate) tags: i64,
    pub(crate) manifests: i64,
    pub(crate) blobs: i64,
    pub(crate) created_at: i64,
}

/// What a transaction adds to the counters of a repository, or takes away.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delta {
    pub(crate) bytes: i64,
    pub(crate) released_bytes: i64,
    pub(crate) tags: i64,
    pub(crate) manifests: i64,
    pub(crate) blobs: i64,
}

/// The repository, if there is one.
pub(crate) async fn find(
    on: &impl ConnectionTrait,
    name: &RepoName,
) -> Result<Option<Repository>, StoreError> {
    let sql = "SELECT id, bytes, released_bytes, tags, manifests, blobs, created_at FROM repository \
               WHERE name = $1";
    sql::first(on, sql, [name.as_str().into()]).await
}

/// The repository, made if there is none.
pub(crate) async fn find_or_create(tx: &Tx, name: &RepoName) -> Result<Repository, StoreError> {
    if let Some(found) = find(tx.sql(), name).await? {
        return Ok(found);
    }
    let sql = "INSERT INTO repository (name, bytes, tags, manifests, blobs, created_at, changed_at) \
               VALUES ($1, 0, 0, 0, 0, $2, $2) RETURNING id";
    let now = tx.now().micros();
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, [name.as_str().into(), now.into()]).await?;
    let id = made
        .ok_or_else(|| StoreError::damaged("an insert answered no row"))?
        .id;
    Ok(Repository {
        id,
        bytes: 0,
        released_bytes: 0,
        tags: 0,
        manifests: 0,
        blobs: 0,
        created_at: now,
    })
}

/// Changes the counters.
pub(crate) async fn count(tx: &Tx, repository: i64, delta: Delta) -> Result<(), StoreError> {
    let sql = "UPDATE repository SET bytes = bytes + $2, tags = tags + $3, manifests = manifests + $4, \
               blobs = blobs + $5, released_bytes = released_bytes + $6, changed_at = $7 WHERE id = $1";
    let Delta {
        bytes,
        released_bytes,
        tags,
        manifests,
        blobs,
    } = delta;
    let now = tx.now().micros();
    let values = [repository, bytes, tags, manifests, blobs, released_bytes, now].map(Into::into);
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

impl Store {
    /// What the repository holds; `None` when there is no such repository.
    pub async fn repository_stats(
        &self,
        permit: &Permit<Pull>,
    ) -> Result<Option<RepositoryStats>, StoreError> {
        let Some(row) = find(self.inner.db.read(), permit.repo()).await? else {
            return Ok(None);
        };
        let released_until = self.released_until(row.id).await?;
        Ok(Some(RepositoryStats {
            bytes: sql::from_db(row.bytes),
            released_bytes: sql::from_db(row.released_bytes),
            released_until,
            tags: sql::from_db(row.tags),
            manifests: sql::from_db(row.manifests),
            blobs: sql::from_db(row.blobs),
            created_at: Timestamp(row.created_at),
        }))
    }

    async fn released_until(&self, repository: i64) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT idle_since AS number FROM repository_blob WHERE repository_id = $1 AND released = 1 \
                   ORDER BY idle_since DESC LIMIT 1";
        let last: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [repository.into()]).await?;
        let grace = self.limits().collect_grace;
        Ok(last.map(|row| Timestamp(row.number).plus(grace)))
    }
}

#[cfg(test)]
mod tests;
