//! Links: which repository has which blob, and who may make one.
//!
//! A link is *named* (by `names` manifests of the repository), *pushed* (uploaded or mounted and not named yet), or
//! *released* (its last manifest was deleted). The quota counts the first two: what is only pushed takes the disk as
//! well, and whoever may push must not be able to fill it. What is released is only waiting for its collection: whoever
//! deleted it has done all that could be done. Pushed, mounted or named again, it counts again, and may then be refused;
//! being asked for ([`super::promise`]) keeps it, but asks for no room.

use std::collections::HashMap;

use access::permit::Push;
use access::{Permit, PrincipalId};
use oci::{Digest, RepoName};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use thiserror::Error;

use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::files::Location;
use crate::quota::{self, QuotaKind};
use crate::repository::{self, Delta, Repository};
use crate::{QuotaExceeded, Store, StoreError};

/// For each blob that the pusher may have only because of another repository: that repository.
pub(crate) type Witnesses = HashMap<Digest, i64>;

/// A blob that may be linked, or is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linkable {
    pub(crate) id: i64,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) location: Location,
    /// Whether the repository has it and its quota counts it.
    pub(crate) counted: bool,
}

/// Why a link was not made.
#[derive(Debug, Clone, Error)]
pub(crate) enum LinkError {
    /// The repository may not hold so much.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(FromQueryResult)]
struct ResolvedRow {
    id: i64,
    digest: String,
    size: i64,
    location: String,
    /// Whether the link is released; `None` where there is no link.
    released: Option<i64>,
    pushed: Option<i64>,
}

/// Those of `digests` that `repository` has, or `principal` pushed, or a witness still has. Quarantined and lost ones
/// are not among them.
pub(crate) async fn resolve(
    on: &impl ConnectionTrait,
    repository: i64,
    principal: Option<PrincipalId>,
    digests: &[Digest],
    witnesses: &Witnesses,
) -> Result<Vec<Linkable>, StoreError> {
    let mut found = Vec::with_capacity(digests.len());
    for row in rows(on, repository, principal, digests).await? {
        let digest = super::parse_digest(&row.digest)?;
        let allowed = row.released.is_some()
            || row.pushed.is_some()
            || match witnesses.get(&digest) {
                Some(&witness) => has_link(on, witness, row.id).await?,
                None => false,
            };
        if allowed {
            found.push(Linkable {
                id: row.id,
                digest,
                size: sql::from_db(row.size),
                location: super::parse_location(&row.location)?,
                counted: row.released == Some(0),
            });
        }
    }
    Ok(found)
}

async fn rows(
    on: &impl ConnectionTrait,
    repository: i64,
    principal: Option<PrincipalId>,
    digests: &[Digest],
) -> Result<Vec<ResolvedRow>, StoreError> {
    let mut rows = Vec::with_capacity(digests.len());
    for chunk in digests.chunks(sql::CHUNK) {
        let sql = format!(
            "SELECT b.id, b.digest, b.size, b.location, l.released, p.blob_id AS pushed FROM blob b \
             LEFT JOIN repository_blob l ON l.blob_id = b.id AND l.repository_id = $1 \
             LEFT JOIN blob_pusher p ON p.blob_id = b.id AND p.principal_id = $2 \
             WHERE b.state = 0 AND b.digest IN ({})",
            sql::placeholders(3, chunk.len())
        );
        // Nobody has the id 0, so an anonymous caller has pushed nothing.
        let mut values: Vec<Value> = vec![repository.into(), principal.map_or(0, |id| id.0).into()];
        values.extend(chunk.iter().map(|digest| Value::from(digest.to_string())));
        rows.extend(sql::all::<ResolvedRow>(on, &sql, values).await?);
    }
    Ok(rows)
}

async fn has_link(on: &impl ConnectionTrait, repository: i64, blob: i64) -> Result<bool, StoreError> {
    let sql = "SELECT blob_id AS id FROM repository_blob WHERE repository_id = $1 AND blob_id = $2";
    Ok(
        sql::first::<sql::Id, 2>(on, sql, [repository.into(), blob.into()])
            .await?
            .is_some(),
    )
}

/// Links the blob and counts it, unless it is linked already; answers whether it was not. Either way the time of grace
/// begins again, and a released link counts again. `repository` is brought up to date.
pub(crate) async fn link(
    tx: &Tx,
    repo: &RepoName,
    repository: &mut Repository,
    blob: &Linkable,
    quota: Option<u64>,
) -> Result<bool, LinkError> {
    let now = tx.now().micros();
    let sql = "SELECT released AS number FROM repository_blob WHERE repository_id = $1 AND blob_id = $2";
    let found: Option<sql::Number> =
        sql::first(tx.sql(), sql, [repository.id.into(), blob.id.into()]).await?;
    let is_released = found.is_some_and(|link| link.number != 0);
    if found.is_none() || is_released {
        let wanted = sql::from_db(repository.bytes).saturating_add(blob.size);
        quota::check(QuotaKind::Bytes, quota, wanted)?;
        let size = sql::to_db(blob.size);
        let delta = Delta {
            bytes: size,
            released_bytes: if is_released { -size } else { 0 },
            blobs: i64::from(!is_released),
            ..Delta::default()
        };
        repository::count(tx, repository.id, delta).await?;
        repository.bytes += delta.bytes;
    }
    let values = [repository.id.into(), blob.id.into(), now.into()];
    if found.is_some() {
        let sql = "UPDATE repository_blob SET idle_since = $3, released = 0 \
                   WHERE repository_id = $1 AND blob_id = $2";
        sql::execute(tx.sql(), sql, values).await?;
        return Ok(false);
    }
    let sql = "INSERT INTO repository_blob (repository_id, blob_id, names, linked_at, idle_since) \
               VALUES ($1, $2, 0, $3, $3)";
    sql::execute(tx.sql(), sql, values).await?;
    let sql = "UPDATE blob SET links = links + 1 WHERE id = $1";
    sql::execute(tx.sql(), sql, [blob.id.into()]).await?;
    tx.touch(Key::blob(repo, &blob.digest));
    Ok(true)
}

/// Takes a link away. The blob's own time of grace begins with its last link gone.
pub(crate) async fn unlink(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    blob: i64,
    digest: &Digest,
    size: i64,
) -> Result<(), StoreError> {
    let sql =
        "DELETE FROM repository_blob WHERE repository_id = $1 AND blob_id = $2 RETURNING released AS number";
    let link: Option<sql::Number> = sql::first(tx.sql(), sql, [repository.into(), blob.into()]).await?;
    let link = link.ok_or_else(|| StoreError::damaged("a link went away within a transaction"))?;
    let sql = "UPDATE blob SET links = links - 1, idle_since = $2 WHERE id = $1";
    sql::execute(tx.sql(), sql, [blob.into(), tx.now().micros().into()]).await?;
    let is_released = link.number != 0;
    let delta = Delta {
        bytes: if is_released { 0 } else { -size },
        released_bytes: if is_released { -size } else { 0 },
        blobs: -1,
        ..Delta::default()
    };
    repository::count(tx, repository, delta).await?;
    tx.touch(Key::blob(repo, digest));
    Ok(())
}

/// One manifest less, which still has its references, names its blobs. Those that none names any more are released:
/// they count no longer, and their time of grace begins.
pub(crate) async fn release(tx: &Tx, repository: i64, manifest: i64) -> Result<(), StoreError> {
    const NAMED: &str = "SELECT b.id FROM manifest_reference f JOIN blob b ON b.digest = f.digest \
                         WHERE f.manifest_id = $2 AND f.kind = 0";
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) AS number FROM repository_blob l \
         JOIN blob b ON b.id = l.blob_id WHERE l.repository_id = $1 AND l.names = 1 AND l.blob_id IN ({NAMED})"
    );
    let released: Option<sql::Number> =
        sql::first(tx.sql(), &sql, [repository.into(), manifest.into()]).await?;
    let released = released.map_or(0, |sum| sum.number);
    let sql = format!(
        "UPDATE repository_blob SET names = names - 1, idle_since = $3, \
         released = CASE WHEN names = 1 THEN 1 ELSE 0 END WHERE repository_id = $1 AND blob_id IN ({NAMED})"
    );
    let values = [repository, manifest, tx.now().micros()].map(Into::into);
    sql::execute(tx.sql(), &sql, values).await?;
    let delta = Delta {
        bytes: -released,
        released_bytes: released,
        ..Delta::default()
    };
    repository::count(tx, repository, delta).await
}

#[derive(FromQueryResult)]
struct HolderRow {
    id: i64,
    name: String,
}

impl Store {
    /// Looks for repositories from which the pusher may take those of `digests` that they cannot have otherwise:
    /// `first` before all others, then the first [`crate::StoreLimits::mount_candidates`] that have the blob.
    ///
    /// This is asked outside of the transaction, because `allowed` lives with the request; what it answers is looked
    /// at again within ([`resolve`]).
    pub(crate) async fn witnesses(
        &self,
        permit: &Permit<Push>,
        digests: &[Digest],
        first: Option<&RepoName>,
        allowed: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<Witnesses, StoreError> {
        let on = self.inner.db.read();
        let here = repository::find(on, permit.repo())
            .await?
            .map_or(0, |repository| repository.id);
        let mut witnesses = Witnesses::new();
        for row in rows(on, here, permit.principal_id(), digests).await? {
            if row.released.is_some() || row.pushed.is_some() {
                continue;
            }
            if let Some(witness) = self.witness(row.id, first, allowed).await? {
                witnesses.insert(super::parse_digest(&row.digest)?, witness);
            }
        }
        Ok(witnesses)
    }

    async fn witness(
        &self,
        blob: i64,
        first: Option<&RepoName>,
        allowed: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<Option<i64>, StoreError> {
        let on = self.inner.db.read();
        if let Some(first) = first
            && allowed(first)
            && let Some(repository) = repository::find(on, first).await?
            && has_link(on, repository.id, blob).await?
        {
            return Ok(Some(repository.id));
        }
        let sql = "SELECT r.id, r.name FROM repository_blob l JOIN repository r ON r.id = l.repository_id \
                   WHERE l.blob_id = $1 ORDER BY l.repository_id LIMIT $2";
        let limit = sql::to_db(self.limits().mount_candidates);
        let holders: Vec<HolderRow> = sql::all(on, sql, [blob.into(), limit.into()]).await?;
        let may = |holder: &HolderRow| holder.name.parse().is_ok_and(|name| allowed(&name));
        Ok(holders.into_iter().find(may).map(|holder| holder.id))
    }
}

#[cfg(test)]
mod tests;
