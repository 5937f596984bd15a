//! A request body on its way into an upload's file, in two stages that overlap.
//!
//! The async side gathers frames of the body into batches of about 1 MiB without copying them; a thread of the pool
//! hashes and writes one batch while the next is gathered. So an upload holds at most two batches, and all uploads
//! together at most [`FilesConfig::budget`](super::FilesConfig) bytes: each frame takes its share of the budget when it
//! arrives and gives it back when it is written. A sender that stalls does not sit on his share: what he sent is
//! written after [`FLUSH_AFTER`](super::inlet::FLUSH_AFTER).

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use oci::{Digest, Hasher};
use tokio::time::timeout;
use uuid::Uuid;

use super::inlet::{Followed, Inlet};
use super::{AppendError, Appended, BlobFiles, Committed, FilesError, protocol};
use crate::disk::Disk;

/// Where an append goes on.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The upload. Its session's row exists.
    pub(crate) id: Uuid,
    /// What the row promises, bytes; whatever the file holds behind it is cut off.
    pub(crate) offset: u64,
    /// Has seen exactly the bytes before `offset`.
    pub(crate) hasher: Hasher,
    /// Bytes that the whole upload may have.
    pub(crate) max_len: u64,
}

impl<D: Disk> BlobFiles<D> {
    /// Appends a body to an upload and makes it durable. What arrived before an error of the body is durable too.
    ///
    /// Run it in a task of its own: dropping the future loses what had arrived since the last promise (nothing else).
    pub(crate) async fn append<S, E>(&self, part: Part, body: S) -> Result<Appended, AppendError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let max_len = part.max_len;
        let mut inlet = self.inlet(part).await.map_err(lost)?;
        let end = receive(&mut inlet, max_len, body).await;
        let sealed = self.seal(inlet).await;
        match (end, sealed) {
            (End::Complete, Ok(appended)) => Ok(appended),
            (end, sealed) => Err(end.into_error(sealed, max_len)),
        }
    }

    /// Appends the last body of an upload and makes the whole a blob, if its digest is `expected`.
    ///
    /// The bytes are synced once, by the commit. After [`AppendError::Files`] without `appended` the session is where
    /// its row says.
    pub(crate) async fn append_and_commit<S, E>(
        &self,
        part: Part,
        body: S,
        expected: Digest,
    ) -> Result<Committed, AppendError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        self.append_and_commit_followed(part, body, expected, None).await
    }

    /// The same, while somebody reads along: `followed` is told how much of the file is written.
    pub(crate) async fn append_and_commit_followed<S, E>(
        &self,
        part: Part,
        body: S,
        expected: Digest,
        followed: Option<Followed>,
    ) -> Result<Committed, AppendError<E>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let max_len = part.max_len;
        let mut inlet = self.inlet(part).await.map_err(lost)?.followed_by(followed);
        match receive(&mut inlet, max_len, body).await {
            End::Complete => self.commit(inlet, expected).await.map_err(lost),
            end => {
                let sealed = self.seal(inlet).await;
                Err(end.into_error(sealed, max_len))
            }
        }
    }

    /// Takes the upload for itself and opens its file.
    async fn inlet(&self, part: Part) -> Result<Inlet<D>, FilesError> {
        let Part {
            id, offset, hasher, ..
        } = part;
        let claim = Arc::new(self.claim(id)?);
        let (protocol, held) = (Arc::clone(&self.shared.protocol), Arc::clone(&claim));
        let open = move || {
            let _claim = held;
            protocol.recovering(id, offset, || protocol.writer(id, offset, hasher.clone()))
        };
        let writer = self.shared.sync_pool.run(open).await??;
        Ok(Inlet::new(Arc::clone(&self.shared), claim, writer))
    }

    async fn seal(&self, inlet: Inlet<D>) -> Result<Appended, FilesError> {
        let (writer, claim) = inlet.into_writer().await?;
        let work = move || {
            let _claim = claim;
            writer.seal()
        };
        self.shared.sync_pool.run(work).await?
    }

    async fn commit(&self, inlet: Inlet<D>, expected: Digest) -> Result<Committed, FilesError> {
        let (mut writer, claim) = inlet.into_writer().await?;
        let size = writer.offset();
        if writer.algorithm() != expected.algorithm() {
            let path = protocol::upload_path(writer.id());
            let (hasher, _) = self
                .hash_file(writer.file(), path, expected.algorithm(), size)
                .await?;
            writer.replace_hasher(hasher);
        }
        let work = move || {
            let _claim = claim;
            writer.commit(expected)
        };
        let location = self.shared.sync_pool.run(work).await??;
        Ok(Committed { location, size })
    }
}

/// Hands the body to the inlet until it ends in whatever way. All that counts is written (not synced) afterwards.
async fn receive<D, S, E>(inlet: &mut Inlet<D>, max_len: u64, mut body: S) -> End<E>
where
    D: Disk,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut room = max_len.saturating_sub(inlet.promised());
    let end = loop {
        let next = if inlet.is_flushed() {
            Ok(body.next().await)
        } else {
            timeout(inlet.patience(), body.next()).await
        };
        let accepted = match next {
            Err(_stalled) => inlet.flush().await,
            Ok(None) => break End::Complete,
            Ok(Some(Err(error))) => break End::Interrupted(error),
            Ok(Some(Ok(mut frame))) => {
                let len = frame.len() as u64;
                frame.truncate(usize::try_from(room).unwrap_or(usize::MAX));
                let accepted = inlet.push(frame).await;
                if accepted.is_ok() && len > room {
                    break End::TooLarge;
                }
                room = room.saturating_sub(len);
                accepted
            }
        };
        if let Err(error) = accepted {
            return End::Failed(error);
        }
    };
    match inlet.finish().await {
        Ok(()) => end,
        Err(error) => End::Failed(error),
    }
}

/// How receiving ended, the disk's troubles included.
enum End<E> {
    Complete,
    Interrupted(E),
    TooLarge,
    Failed(FilesError),
}

impl<E> End<E> {
    fn into_error(self, sealed: Result<Appended, FilesError>, limit: u64) -> AppendError<E> {
        match (self, sealed) {
            (Self::Failed(source), sealed) => AppendError::Files {
                appended: sealed.ok(),
                source,
            },
            (_, Err(source)) => lost(source),
            (Self::Interrupted(source), Ok(appended)) => AppendError::Interrupted { appended, source },
            (Self::TooLarge | Self::Complete, Ok(appended)) => AppendError::TooLarge { appended, limit },
        }
    }
}

fn lost<E>(source: FilesError) -> AppendError<E> {
    AppendError::Files {
        appended: None,
        source,
    }
}
