//! Requests that bring bytes. Each function here runs in a task that nobody cancels.

use std::sync::Arc;

use access::Permit;
use access::permit::Push;
use bytes::Bytes;
use futures_core::Stream;
use oci::{Digest, Hasher};
use serde_json::json;
use uuid::Uuid;

use super::book::{Meter, Metered, Stop, WithRoom};
use super::session::{self, Session, account};
use super::{BodyError, UploadError, UploadId};
use crate::blob::{self, BlobInfo, link, state};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::files::{AppendError, Appended, Committed, FilesError, Part};
use crate::job::{self, JobPriority};
use crate::repository;
use crate::{Actor, Store, StoreError};

impl Store {
    pub(super) async fn append_here<S>(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        at: Option<u64>,
        body: S,
    ) -> Result<u64, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin,
    {
        let _claim = self.claim(id).await?;
        let session = self.session(permit, id).await?;
        check_order(&session, at)?;
        let part = self.part(&session).await?;
        let meter = Meter::new(&self.inner.uploads, session.principal);
        let metered = self.metered(body, &meter);
        match self.inner.files.append(part, metered).await {
            Ok(appended) => self
                .promise(&session, appended, &meter)
                .await
                .map_err(UploadError::from),
            Err(error) => Err(self.keep_what_came(&session, error, &meter).await),
        }
    }

    pub(super) async fn finish_here<S>(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        at: Option<u64>,
        body: S,
        expect: Digest,
    ) -> Result<BlobInfo, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin,
    {
        let _claim = self.claim(id).await?;
        let session = self.session(permit, id).await?;
        check_order(&session, at)?;
        let part = self.part(&session).await?;
        let meter = Meter::new(&self.inner.uploads, session.principal);
        let metered = self.metered(body, &meter);
        match self.inner.files.append_and_commit(part, metered, expect).await {
            Ok(committed) => {
                let done = self.become_blob(permit, committed, Some(id)).await;
                match &done {
                    Ok(_) => self
                        .inner
                        .uploads
                        .close(session.principal, session.received + meter.counted()),
                    Err(UploadError::Quota(_)) => {
                        meter.settle(0);
                        self.drop_session(id).await?;
                    }
                    // Whether the rows were written is not known. If not, the session is still there and its next
                    // append brings the file back.
                    Err(_) => meter.settle(0),
                }
                done
            }
            Err(AppendError::Files {
                source: FilesError::DigestMismatch { expected, found },
                ..
            }) => {
                meter.settle(0);
                self.drop_session(id).await?;
                Err(UploadError::DigestMismatch {
                    expected: *expected,
                    actual: *found,
                })
            }
            Err(error) => Err(self.keep_what_came(&session, error, &meter).await),
        }
    }

    pub(super) async fn push_here<S>(
        &self,
        permit: &Permit<Push>,
        body: S,
        expect: Digest,
    ) -> Result<BlobInfo, UploadError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin,
    {
        let (id, principal) = (self.new_upload_id(), account(permit));
        let _claim = self.claim(id).await?;
        self.inner.uploads.open(principal)?;
        let meter = Meter::new(&self.inner.uploads, principal);
        if let Err(error) = self.inner.files.create_upload(id.0).await {
            self.inner.uploads.close(principal, 0);
            return Err(StoreError::from(error).into());
        }
        let hasher = Hasher::new(expect.algorithm());
        let part = Part {
            id: id.0,
            offset: 0,
            hasher,
            max_len: self.limits().blob_bytes,
        };
        let metered = self.metered(body, &meter);
        let done = match self.inner.files.append_and_commit(part, metered, expect).await {
            Ok(committed) => self.become_blob(permit, committed, None).await,
            Err(error) => {
                self.remove_upload_file(id.0).await;
                if error.is_for_want_of_room() {
                    self.inner.room.ran_out(self.now());
                }
                Err(of_append(error, 0))
            }
        };
        self.inner.uploads.close(principal, meter.counted());
        done
    }

    fn metered<S>(&self, body: S, meter: &Arc<Meter>) -> Metered<WithRoom<S>> {
        let room = Arc::clone(&self.inner.room);
        Metered {
            body: WithRoom { body, room },
            meter: Arc::clone(meter),
        }
    }

    /// Where a session goes on: with the hash state from memory, or hashed again from the file.
    async fn part(&self, session: &Session) -> Result<Part, UploadError> {
        let (id, offset) = (session.id.0, session.received);
        let max_len = self.limits().blob_bytes;
        let hasher = match self.inner.uploads.take_hasher(id, offset) {
            Some(hasher) => hasher,
            None if offset == 0 => Hasher::new(session.algorithm),
            None => self.rehash(session).await?,
        };
        Ok(Part {
            id,
            offset,
            hasher,
            max_len,
        })
    }

    async fn rehash(&self, session: &Session) -> Result<Hasher, UploadError> {
        let hashed = self
            .inner
            .files
            .rehash(session.id.0, session.algorithm, session.received)
            .await;
        match hashed {
            Err(error @ (FilesError::UploadMissing { .. } | FilesError::OffsetMismatch { .. })) => {
                tracing::error!(upload = %session.id, %error, "an upload session has lost its bytes and is dropped");
                self.drop_session(session.id).await?;
                Err(UploadError::Unknown)
            }
            other => Ok(other.map_err(StoreError::from)?),
        }
    }

    /// Writes down what is durable and answers the new offset.
    async fn promise(&self, session: &Session, appended: Appended, meter: &Meter) -> Result<u64, StoreError> {
        let (id, offset) = (session.id, appended.offset());
        let expires_at = self.now().plus(self.limits().upload_lifetime);
        let written = self
            .write(move |tx| Box::pin(session::advance(tx, id, offset, expires_at)))
            .await;
        if let Err(error) = written {
            meter.settle(0);
            return Err(error);
        }
        meter.settle(offset.saturating_sub(session.received));
        self.inner
            .uploads
            .keep_hasher(id.0, offset, appended.into_hasher());
        Ok(offset)
    }

    /// After an append that did not come to its end.
    async fn keep_what_came(
        &self,
        session: &Session,
        error: AppendError<Stop>,
        meter: &Meter,
    ) -> UploadError {
        let mut offset = session.received;
        if error.is_for_want_of_room() {
            self.cut_back(session, meter).await;
            return of_append(error, offset);
        }
        let appended = match &error {
            AppendError::Interrupted { appended, .. } | AppendError::TooLarge { appended, .. } => {
                Some(appended)
            }
            AppendError::Files { appended, .. } => appended.as_ref(),
        };
        match appended.cloned() {
            None => meter.settle(0),
            Some(appended) => match self.promise(session, appended, meter).await {
                Ok(promised) => offset = promised,
                Err(error) => return error.into(),
            },
        }
        of_append(error, offset)
    }

    /// An append has met the end of the disk. What it has brought goes at once: most clients never come back for it, and until they
    /// did it would take the room of everybody. What was acknowledged before stays.
    async fn cut_back(&self, session: &Session, meter: &Meter) {
        self.inner.room.ran_out(self.now());
        meter.settle(0);
        let (id, offset) = (session.id, session.received);
        if let Err(error) = self.inner.files.cut_upload(id.0, offset).await {
            tracing::warn!(upload = %id, %error, "what was not acknowledged of an upload stays until it goes on");
        }
    }

    /// Writes the rows that make a committed file a blob of the repository.
    async fn become_blob(
        &self,
        permit: &Permit<Push>,
        committed: Committed,
        session: Option<UploadId>,
    ) -> Result<BlobInfo, UploadError> {
        self.doubt_blob(committed.location.digest()).await?;
        let quota = self.rules(permit.repo()).quota_bytes;
        let holder = permit.clone();
        let written = self
            .write(move |tx| Box::pin(async move { record(tx, &holder, &committed, session, quota).await }))
            .await;
        self.settled(committed, written).await
    }

    /// What becomes of a committed file after its rows were written: it goes where another one counts, or the quota has no room.
    pub(crate) async fn settled(
        &self,
        committed: Committed,
        written: Result<bool, UploadError>,
    ) -> Result<BlobInfo, UploadError> {
        match written {
            Ok(true) => {}
            Ok(false) | Err(UploadError::Quota(_)) => self.remove_blob_file(committed).await,
            Err(error) => return Err(error),
        }
        written.map(|_| BlobInfo {
            digest: committed.location.digest(),
            size: committed.size,
        })
    }

    /// Removes a session: the row first, then the file.
    pub(super) async fn drop_session(&self, id: UploadId) -> Result<(), StoreError> {
        let removed = self
            .write(move |tx| Box::pin(session::delete(tx.sql(), id)))
            .await?;
        if let Some((principal, received)) = removed {
            self.inner.uploads.close(principal, received);
        }
        let _ = self.inner.uploads.take_hasher(id.0, 0);
        self.remove_upload_file(id.0).await;
        Ok(())
    }

    pub(crate) async fn remove_upload_file(&self, id: Uuid) {
        if let Err(error) = self.inner.files.remove_upload(id).await {
            tracing::warn!(upload = %id, %error, "an upload's file stays until it is collected");
        }
    }

    pub(crate) async fn remove_blob_file(&self, committed: Committed) {
        if let Err(error) = self.inner.files.remove_blob(committed.location).await {
            tracing::warn!(location = %committed.location, %error, "a needless file stays until it is collected");
        }
    }
}

#[expect(
    clippy::result_large_err,
    reason = "two digests are what the client is told; it is rare"
)]
fn check_order(session: &Session, at: Option<u64>) -> Result<(), UploadError> {
    match at {
        Some(got) if got != session.received => Err(UploadError::OutOfOrder {
            expected: session.received,
            got,
        }),
        _ => Ok(()),
    }
}

impl AppendError<Stop> {
    /// Whether it is the end of the disk that was met.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        matches!(
            self,
            Self::Interrupted {
                source: Stop::NoRoom,
                ..
            } | Self::Files {
                source: FilesError::DiskFull { .. },
                ..
            }
        )
    }
}

/// What a failed append means to the caller; `offset` says where the upload stands now.
fn of_append(error: AppendError<Stop>, offset: u64) -> UploadError {
    match error {
        AppendError::Interrupted {
            source: Stop::TooManyBytes { limit },
            ..
        } => UploadError::TooManyBytes { limit },
        AppendError::Interrupted {
            source: Stop::Body(source),
            ..
        } => UploadError::Interrupted { offset, source },
        AppendError::Interrupted {
            source: Stop::NoRoom, ..
        } => UploadError::Store(StoreError::DiskFull),
        AppendError::TooLarge { limit, .. } => UploadError::TooLarge { limit },
        AppendError::Files {
            source: FilesError::InUse { .. },
            ..
        } => UploadError::Busy,
        AppendError::Files {
            source: FilesError::DigestMismatch { expected, found },
            ..
        } => UploadError::DigestMismatch {
            expected: *expected,
            actual: *found,
        },
        AppendError::Files { source, .. } => UploadError::Store(source.into()),
    }
}

/// Makes the file the blob of its digest, links it, remembers who pushed it, and ends the session. Answers whether the
/// file is the one that counts.
async fn record(
    tx: &Tx,
    permit: &Permit<Push>,
    committed: &Committed,
    session: Option<UploadId>,
    quota: Option<u64>,
) -> Result<bool, UploadError> {
    let repo = permit.repo();
    let (blob, ours) = state::adopt(tx, committed).await?;
    let mut repository = repository::find_or_create(tx, repo).await?;
    link::link(tx, repo, &mut repository, &blob, quota).await?;
    if let Some(principal) = permit.principal_id() {
        let sql = "INSERT INTO blob_pusher (blob_id, principal_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sql::execute(tx.sql(), sql, [blob.id.into(), principal.0.into()]).await?;
    }
    if let Some(id) = session {
        session::delete(tx.sql(), id).await?;
    }
    job::enqueue_scan(tx, &blob.digest, JobPriority::Push).await?;
    let body = json!({ "size": committed.size });
    let actor = Actor::holder(permit, "request");
    event::record(
        tx,
        &actor,
        EventKind::BlobPush,
        &blob::subject(repo, &blob.digest),
        body,
    )
    .await?;
    Ok(ours)
}
