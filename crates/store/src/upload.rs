//! Upload sessions: bytes on their way to become a blob.
//!
//! The row of a session says how many bytes are promised; the file may hold more, which is cut off before the next
//! chunk. Every request that writes runs in a task of its own and holds the session's claim meanwhile, so that the row
//! it has read stays true. What is done with the files is in `files`; here is the order: file first, row after.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use access::Permit;
use access::permit::Push;
use bytes::Bytes;
use futures_core::Stream;
use oci::{Algorithm, Digest};
use thiserror::Error;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::blob::{BlobInfo, LinkError};
use crate::quota::{self, QuotaKind};
use crate::{QuotaExceeded, Store, StoreError, Timestamp, repository};

mod book;
mod receive;
mod session;

pub(crate) use book::{Claim, Stop, UploadBook, WithRoom};
use session::{Session, account};

/// The name of an upload session, a UUID of version 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(pub(crate) Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = UploadError;

    /// Takes exactly what [`UploadId`] prints. Anything else is an upload that does not exist.
    fn from_str(text: &str) -> Result<Self, UploadError> {
        match Uuid::try_parse(text) {
            // One text per session: whatever reads otherwise than it prints (upper case, braces) is refused.
            Ok(id) if *id.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]) == *text => Ok(Self(id)),
            _ => Err(UploadError::Unknown),
        }
    }
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// Bytes received and durable; the next chunk starts here.
    pub offset: u64,
    /// What the bytes are hashed with (the final digest may name the other algorithm, which costs a second reading).
    pub algorithm: Algorithm,
    /// When the session is dropped if nobody continues it.
    pub expires_at: Timestamp,
}

/// Why a request body ended early. What had arrived before is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The client went away.
    #[error("the client went away before the body was complete")]
    Disconnected,
    /// The client sent slower than the minimum rate.
    #[error("the body arrived too slowly")]
    TooSlow,
    /// The body ended before all that was announced had come.
    #[error("the body has {got} bytes where {announced} were announced")]
    TooShort {
        /// Bytes announced (Content-Range).
        announced: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The body went on after all that was announced had come. How long it is nobody knows: it was not read to its end.
    #[error("the body has more than the {announced} bytes that were announced")]
    TooLong {
        /// Bytes announced (Content-Range).
        announced: u64,
    },
    /// Anything else that the transport refused.
    #[error("the body could not be read: {0}")]
    Transport(String),
}

/// Why an upload did not go on.
#[derive(Debug, Clone, Error)]
pub enum UploadError {
    /// No such session for this principal and repository (never was, finished, cancelled, expired, or somebody else's).
    #[error("no such upload in this repository; start a new one")]
    Unknown,
    /// Another request is writing to the session right now.
    #[error("another request is writing to this upload; wait for it, then ask for its offset")]
    Busy,
    /// The chunk does not start where the last one ended.
    #[error("the chunk starts at {got}, the upload continues at {expected}")]
    OutOfOrder {
        /// Where the upload continues.
        expected: u64,
        /// Where the chunk starts.
        got: u64,
    },
    /// The bytes do not have the digest that was promised. The session is gone.
    #[error("the content has digest {actual}, not {expected}; push it again")]
    DigestMismatch {
        /// What the client promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The principal has too many open sessions.
    #[error("{limit} uploads are open already; finish or cancel some")]
    TooManySessions {
        /// [`crate::StoreLimits::uploads_per_principal`].
        limit: u64,
    },
    /// The open sessions of the principal hold too many bytes.
    #[error("open uploads hold {limit} bytes already; finish or cancel some")]
    TooManyBytes {
        /// [`crate::StoreLimits::upload_bytes_per_principal`].
        limit: u64,
    },
    /// The blob is larger than any may be.
    #[error("a blob may have {limit} bytes")]
    TooLarge {
        /// [`crate::StoreLimits::blob_bytes`].
        limit: u64,
    },
    /// The repository may not hold so much.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The body ended early.
    #[error("the upload was interrupted at byte {offset}; continue there")]
    Interrupted {
        /// Bytes that are durable, from the start of the upload.
        offset: u64,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// While the disk is full, upload sessions that nobody continued for so long are dropped, however long
/// [`crate::StoreLimits::upload_lifetime`] is: nobody may continue them until there is room, and they may be what takes it.
pub const UPLOAD_LIFETIME_WHEN_FULL: Duration = Duration::from_hours(1);

impl From<LinkError> for UploadError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Quota(error) => Self::Quota(error),
            LinkError::Store(error) => Self::Store(error),
        }
    }
}

impl Store {
    /// Opens an upload session whose bytes will be hashed with `algorithm`.
    ///
    /// Refused when the principal has too many sessions open or the repository has used up its quota in bytes.
    pub async fn start_upload(
        &self,
        permit: &Permit<Push>,
        algorithm: Algorithm,
    ) -> Result<UploadId, UploadError> {
        self.demand_room().await?;
        self.check_room(permit).await?;
        let session = Session {
            id: self.new_upload_id(),
            principal: account(permit),
            algorithm,
            received: 0,
            expires_at: self.now().plus(self.limits().upload_lifetime),
        };
        let (store, permit, id) = (self.clone(), permit.clone(), session.id);
        let task = tokio::spawn(async move { store.start_here(permit, session).await });
        task.await.map_err(StoreError::from)??;
        Ok(id)
    }

    async fn start_here(&self, permit: Permit<Push>, session: Session) -> Result<(), UploadError> {
        let (id, principal) = (session.id, session.principal);
        // Held until the row is there, so that the collection lets the file be.
        let _claim = self.claim(id).await?;
        self.inner.uploads.open(principal)?;
        let created = self
            .inner
            .files
            .create_upload(id.0)
            .await
            .map_err(StoreError::from);
        let written = match created {
            Ok(()) => {
                self.write(move |tx| Box::pin(async move { session::insert(tx, &permit, &session).await }))
                    .await
            }
            Err(error) => Err(error),
        };
        if written.is_err() {
            self.inner.uploads.close(principal, 0);
        }
        Ok(written?)
    }

    /// Where the session stands.
    pub async fn upload_status(
        &self,
        permit: &Permit<Push>,
        id: &UploadId,
    ) -> Result<UploadStatus, UploadError> {
        let Session {
            received,
            algorithm,
            expires_at,
            ..
        } = self.session(permit, *id).await?;
        Ok(UploadStatus {
            offset: received,
            algorithm,
            expires_at,
        })
    }

    /// Writes a chunk at the end of the upload and answers the new offset, which is durable by then.
    ///
    /// `at` is where the client believes to be; `None` for a streamed chunk without a range. Works on to a durable
    /// offset even if the caller is dropped: what arrived is kept and can be continued.
    pub async fn append_upload<S>(
        &self,
        permit: &Permit<Push>,
        id: &UploadId,
        at: Option<u64>,
        body: S,
    ) -> Result<u64, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
    {
        self.demand_room().await?;
        let (store, permit, id) = (self.clone(), permit.clone(), *id);
        let task = tokio::spawn(async move { store.append_here(&permit, id, at, body).await });
        task.await.map_err(StoreError::from)?
    }

    /// Writes the last chunk (may be empty), checks the digest and makes the upload a blob of the repository. The
    /// session is gone afterwards; also when the digest was wrong or the quota used up, but not when the body was
    /// interrupted.
    pub async fn finish_upload<S>(
        &self,
        permit: &Permit<Push>,
        id: &UploadId,
        at: Option<u64>,
        body: S,
        expect: &Digest,
    ) -> Result<BlobInfo, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
    {
        self.demand_room().await?;
        let (store, permit, id, expect) = (self.clone(), permit.clone(), *id, *expect);
        let task = tokio::spawn(async move { store.finish_here(&permit, id, at, body, expect).await });
        task.await.map_err(StoreError::from)?
    }

    /// A whole blob in one request. Nothing is kept of one that was interrupted.
    pub async fn push_blob<S>(
        &self,
        permit: &Permit<Push>,
        expect: &Digest,
        body: S,
    ) -> Result<BlobInfo, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
    {
        self.demand_room().await?;
        if self.blob_row(permit.repo(), expect).await?.is_none() {
            // What the repository has already costs no more room.
            self.check_room(permit).await?;
        }
        let (store, permit, expect) = (self.clone(), permit.clone(), *expect);
        let task = tokio::spawn(async move { store.push_here(&permit, body, expect).await });
        task.await.map_err(StoreError::from)?
    }

    /// Drops the session and its bytes.
    pub async fn cancel_upload(&self, permit: &Permit<Push>, id: &UploadId) -> Result<(), UploadError> {
        let (store, permit, id) = (self.clone(), permit.clone(), *id);
        let task = tokio::spawn(async move {
            let _claim = store.claim(id).await?;
            store.session(&permit, id).await?;
            store.drop_session(id).await.map_err(UploadError::from)
        });
        task.await.map_err(StoreError::from)?
    }

    /// Drops up to `budget` sessions whose time is over; answers how many. Called by [`Store::gc_step`] too.
    ///
    /// Whether a session's time is over is asked again under its claim: a long request may have ended since the list
    /// was read, and what it was promised must stay.
    pub async fn expire_uploads(&self, budget: u64) -> Result<u64, StoreError> {
        let mut dropped = 0;
        for id in self.expired_uploads(budget).await? {
            // One that is being written to right now is about to be extended.
            let Some(claim) = self.inner.uploads.claim(id.0) else {
                continue;
            };
            let store = self.clone();
            let task = tokio::spawn(async move {
                let _claim = claim;
                let is_over = store.is_expired(id).await?;
                if is_over {
                    store.drop_session(id).await?;
                }
                Ok::<_, StoreError>(is_over)
            });
            dropped += u64::from(task.await??);
        }
        Ok(dropped)
    }

    async fn check_room(&self, permit: &Permit<Push>) -> Result<(), UploadError> {
        let limit = self.rules(permit.repo()).quota_bytes;
        if limit.is_some()
            && let Some(repository) = repository::find(self.inner.db.read(), permit.repo()).await?
        {
            let used = crate::db::sql::from_db(repository.bytes);
            quota::check(QuotaKind::Bytes, limit, used.saturating_add(1))?;
        }
        Ok(())
    }

    pub(crate) fn new_upload_id(&self) -> UploadId {
        let millis = u64::try_from(self.now().micros() / 1_000).unwrap_or(0);
        UploadId(uuid::Builder::from_unix_timestamp_millis(millis, &crate::entropy::bytes()).into_uuid())
    }
}

#[cfg(test)]
mod tests;
