//! Blobs as a repository sees them.
//!
//! A blob is kept once for all repositories; a *link* says that a repository has it. Having the digest is no
//! permission: a link comes from an upload, or from somebody who may have the blob (see [`Store::mount_blob`]).

use std::fmt;
use std::io;
use std::ops::Range;

use access::Permit;
use access::permit::{Delete, Pull, Push};
use bytes::Bytes;
use futures_core::Stream;
use oci::{Digest, RepoName};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::files::{FilesError, Location};
use crate::manifest::DeleteError;
use crate::reader::OpenBlob;
use crate::repository;
use crate::{Actor, Store, StoreError, Timestamp};

pub(crate) mod link;
mod promise;
pub(crate) mod state;

pub(crate) use link::{LinkError, Witnesses};
pub(crate) use state::BlobState;

/// A blob that has just become part of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobInfo {
    /// What it is called.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// A blob that may be read. Cheap to clone; keeps the bytes readable even if the blob is deleted meanwhile.
#[derive(Clone)]
pub struct BlobHandle(OpenBlob);

impl BlobHandle {
    /// What it is called.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// The bytes of `range`, cut at the end of the blob, in slices of at most 1 MiB.
    ///
    /// Drop a slice once it is sent: the last one comes only after all before were dropped, so that whatever was wrong
    /// with them is an error before the answer is whole. Whoever collects slices waits for ever.
    ///
    /// # Errors
    /// An item is an error when the disk cannot read what it holds, or could not read what an item before held; the
    /// stream ends after it.
    pub fn stream(
        &self,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<> {
        self.0.stream(range)
    }
}

impl fmt::Debug for BlobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobHandle")
            .field("digest", &self.digest())
            .field("size", &self.size())
            .finish()
    }
}

/// What a pull needs to know of a blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlobRow {
    pub(crate) size: u64,
    pub(crate) location: Location,
    /// Since when no manifest of the repository names it and nobody has asked for it in order to push one; `None`
    /// where one names it. What is remembered may be older than what is so, never younger.
    pub(crate) idle_since: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Row {
    size: i64,
    location: String,
    names: i64,
    idle_since: i64,
}

impl Store {
    /// The blob, if the repository has it. Quarantined and lost ones count as unknown, so that clients push them again.
    /// Answered from memory when it was asked for before.
    ///
    /// To a caller who may push here the answer is a promise: the blob stays for three quarters of
    /// [`crate::StoreLimits::collect_grace`] at least, long enough to put the manifest that names it.
    pub async fn blob(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<Option<BlobHandle>, StoreError> {
        let Some(row) = self.promised_row(permit, digest).await? else {
            return Ok(None);
        };
        match self.inner.files.reader().open(row.location, row.size).await {
            Ok(open) => Ok(Some(BlobHandle(open))),
            Err(error) => self.lost(*digest, row.location, &error).await.map(|()| None),
        }
    }

    /// Whether memory knows that the repository has the blob: [`Self::blob`] then makes no database call, but for a pusher
    /// whose promise has to be renewed.
    pub async fn remembers_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> bool {
        let caches = &self.inner.caches;
        let key = Key::blob(permit.repo(), digest);
        caches.blobs.knows(&caches.epochs, key).await
    }

    /// Whether the database is being asked for it already. Whoever asks too waits for that answer and asks nothing.
    pub fn is_asking_for_blob(&self, permit: &Permit<Pull>, digest: &Digest) -> bool {
        let key = Key::blob(permit.repo(), digest);
        self.inner.caches.blobs.is_loading(key)
    }

    /// What is known of the blob, if the repository has it.
    pub(crate) async fn blob_row(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<BlobRow>, StoreError> {
        let caches = &self.inner.caches;
        let load = || load(self.inner.db.read(), repo, digest);
        caches
            .blobs
            .get_or_load(&caches.epochs, Key::blob(repo, digest), load)
            .await
    }

    /// Deals with a file that is not what its row says: the blob is unknown from now on, until it is pushed again.
    pub(crate) async fn lost(
        &self,
        digest: Digest,
        location: Location,
        error: &FilesError,
    ) -> Result<(), StoreError> {
        let state = match error {
            FilesError::BlobMissing { .. } => BlobState::Missing,
            FilesError::Damaged { .. } | FilesError::NotAFile { .. } => BlobState::Quarantined,
            other => return Err(StoreError::of_files(other)),
        };
        // Not marked where it was collected or healed meanwhile.
        if self
            .mark_blob(digest, location, state, Actor::system("request"))
            .await?
        {
            tracing::error!(%digest, %location, %error, "a blob is damaged and counts as unknown from now on");
        }
        Ok(())
    }

    /// Links a blob that exists elsewhere, if the caller may have it: it is linked here already, they pushed it
    /// themselves, it is in the repository of `from`, or in one that `may_pull` allows (the first
    /// [`crate::StoreLimits::mount_candidates`] are looked at). `None` means: not possible, upload it (also when the
    /// quota is used up: the upload then says so).
    pub async fn mount_blob(
        &self,
        permit: &Permit<Push>,
        digest: &Digest,
        from: Option<&Permit<Pull>>,
        may_pull: &(dyn Fn(&RepoName) -> bool + Sync),
    ) -> Result<Option<BlobInfo>, StoreError> {
        let allowed = |repo: &RepoName| from.is_some_and(|from| from.repo() == repo) || may_pull(repo);
        let first = from.map(|permit| permit.repo().clone());
        let witnesses = self
            .witnesses(permit, &[*digest], first.as_ref(), &allowed)
            .await?;
        let quota = self.rules(permit.repo()).quota_bytes;
        let (permit, digest) = (permit.clone(), *digest);
        let mounted = self
            .write(move |tx| Box::pin(async move { mount(tx, &permit, &digest, &witnesses, quota).await }));
        match mounted.await {
            Ok(info) => Ok(info),
            Err(LinkError::Quota(_)) => Ok(None),
            Err(LinkError::Store(error)) => Err(error),
        }
    }

    /// Unlinks a blob from the repository. One that a manifest of the repository names stays
    /// ([`DeleteError::InUse`]).
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), DeleteError> {
        if !self.rules(permit.repo()).deletion {
            return Err(DeleteError::Disabled);
        }
        let (permit, digest) = (permit.clone(), *digest);
        self.write(move |tx| Box::pin(async move { delete(tx, &permit, &digest).await }))
            .await
    }
}

async fn load(
    on: &impl ConnectionTrait,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Option<BlobRow>, StoreError> {
    let sql = "SELECT b.size, b.location, l.names, l.idle_since FROM blob b \
               JOIN repository_blob l ON l.blob_id = b.id \
               JOIN repository r ON r.id = l.repository_id \
               WHERE b.digest = $1 AND b.state = 0 AND r.name = $2";
    let row: Option<Row> = sql::first(on, sql, [digest.to_string().into(), repo.as_str().into()]).await?;
    row.map(|row| {
        Ok(BlobRow {
            size: sql::from_db(row.size),
            location: parse_location(&row.location)?,
            idle_since: (row.names == 0).then_some(Timestamp(row.idle_since)),
        })
    })
    .transpose()
}

/// Reads a location from its column.
pub(crate) fn parse_location(text: &str) -> Result<Location, StoreError> {
    text.parse()
        .map_err(|error: crate::files::LocationError| StoreError::damaged(error.to_string()))
}

/// Reads a digest from its column.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, StoreError> {
    text.parse()
        .map_err(|error: oci::DigestError| StoreError::damaged(error.to_string()))
}

async fn mount(
    tx: &Tx,
    permit: &Permit<Push>,
    digest: &Digest,
    witnesses: &Witnesses,
    quota: Option<u64>,
) -> Result<Option<BlobInfo>, LinkError> {
    let repo = permit.repo();
    // A repository that is not there has no links; it is made only once there is something to put into it.
    let id = repository::find(tx.sql(), repo)
        .await?
        .map_or(0, |repository| repository.id);
    let found = link::resolve(tx.sql(), id, permit.principal_id(), &[*digest], witnesses).await?;
    let Some(blob) = found.into_iter().next() else {
        return Ok(None);
    };
    let mut repository = repository::find_or_create(tx, repo).await?;
    if link::link(tx, repo, &mut repository, &blob, quota).await? {
        let body = json!({ "size": blob.size });
        let actor = Actor::holder(permit, "request");
        event::record(tx, &actor, EventKind::BlobMount, &subject(repo, digest), body).await?;
    }
    Ok(Some(BlobInfo {
        digest: *digest,
        size: blob.size,
    }))
}

#[derive(FromQueryResult)]
struct LinkRow {
    blob_id: i64,
    size: i64,
    names: i64,
}

async fn delete(tx: &Tx, permit: &Permit<Delete>, digest: &Digest) -> Result<(), DeleteError> {
    let repo = permit.repo();
    let repository = repository::find(tx.sql(), repo)
        .await?
        .ok_or(DeleteError::Unknown)?;
    let sql = "SELECT l.blob_id, b.size, l.names FROM repository_blob l JOIN blob b ON b.id = l.blob_id \
               WHERE l.repository_id = $1 AND b.digest = $2";
    let row: Option<LinkRow> =
        sql::first(tx.sql(), sql, [repository.id.into(), digest.to_string().into()]).await?;
    let row = row.ok_or(DeleteError::Unknown)?;
    if row.names > 0 {
        return Err(DeleteError::InUse {
            manifest: namer(tx, repository.id, digest).await?,
        });
    }
    link::unlink(tx, repo, repository.id, row.blob_id, digest, row.size).await?;
    let actor = Actor::holder(permit, "request");
    event::record(
        tx,
        &actor,
        EventKind::BlobDelete,
        &subject(repo, digest),
        json!({}),
    )
    .await?;
    Ok(())
}

/// A manifest of the repository that names the blob.
async fn namer(tx: &Tx, repository: i64, digest: &Digest) -> Result<Digest, StoreError> {
    let sql = "SELECT m.digest AS text FROM manifest_reference f JOIN manifest m ON m.id = f.manifest_id \
               WHERE f.repository_id = $1 AND f.digest = $2 AND f.kind = 0 LIMIT 1";
    let row: Option<sql::Text> =
        sql::first(tx.sql(), sql, [repository.into(), digest.to_string().into()]).await?;
    let row =
        row.ok_or_else(|| StoreError::damaged(format!("{digest} is counted as named, but by no manifest")))?;
    parse_digest(&row.text)
}

/// `team/app@sha256:…`, as events name a blob or manifest.
pub(crate) fn subject(repo: &RepoName, digest: &Digest) -> String {
    format!("{repo}@{digest}")
}

#[cfg(test)]
mod tests;
