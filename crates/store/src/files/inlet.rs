//! Frames of one body on their way into the file: gathered into batches, written by the pool, paid from the budget.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::writer::Writer;
use super::{Claim, FilesError, Shared};
use crate::disk::Disk;
use crate::pool::{PoolError, Running};

/// How long a batch that is not full waits for more.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(50);
/// The same where somebody reads what is written.
const FLUSH_FOLLOWED_AFTER: Duration = Duration::from_millis(5);
/// Bytes that make a batch.
const BATCH: usize = 1 << 20;
/// Frames below this are copied together: a frame of one byte may keep a whole receive buffer alive.
const SMALL_FRAME: usize = 8 << 10;
/// Copied frames are closed at this size.
const COPIED: usize = 64 << 10;

/// Told after each batch how many bytes the file has by then.
pub(crate) type Followed = Arc<dyn Fn(u64) + Send + Sync>;

/// The way of one body into its file. Used up by the first error.
pub(super) struct Inlet<D: Disk> {
    shared: Arc<Shared<D>>,
    claim: Arc<Claim>,
    promised: u64,
    stage: Stage<D>,
    batch: Batch,
    followed: Option<Followed>,
}

type Written<D> = (Box<Writer<D>>, Result<(), FilesError>);

enum Stage<D: Disk> {
    /// Nothing is being written.
    Idle(Box<Writer<D>>),
    /// A thread of the pool writes a batch.
    Writing(Running<Written<D>>),
    /// The job that had the writer did not come back.
    Lost(PoolError),
}

impl<D: Disk> Inlet<D> {
    /// Begins at the writer's offset.
    pub(super) fn new(shared: Arc<Shared<D>>, claim: Arc<Claim>, writer: Writer<D>) -> Self {
        Self {
            shared,
            claim,
            promised: writer.offset(),
            stage: Stage::Idle(Box::new(writer)),
            batch: Batch::default(),
            followed: None,
        }
    }

    /// Tells of every batch once it is written. Whoever reads along should not wait for batches to be full.
    pub(super) fn followed_by(mut self, followed: Option<Followed>) -> Self {
        self.followed = followed;
        self
    }

    /// How long a batch that is not full waits for more.
    pub(super) fn patience(&self) -> Duration {
        if self.followed.is_some() {
            FLUSH_FOLLOWED_AFTER
        } else {
            FLUSH_AFTER
        }
    }

    /// Where this append began.
    pub(super) fn promised(&self) -> u64 {
        self.promised
    }

    /// Whether all frames have been handed to the pool.
    pub(super) fn is_flushed(&self) -> bool {
        self.batch.len == 0
    }

    /// Takes a frame; waits for its share of the budget and, when a batch is full, for the one before it.
    pub(super) async fn push(&mut self, mut frame: Bytes) -> Result<(), FilesError> {
        while !frame.is_empty() {
            let piece = frame.split_to(frame.len().min(BATCH));
            let share = self.share(piece.len()).await?;
            self.batch.push(piece, share);
            if self.batch.len >= BATCH || self.is_awaited() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Whether the first bytes are here and somebody reads along.
    fn is_awaited(&self) -> bool {
        self.followed.is_some() && matches!(self.stage, Stage::Idle(_))
    }

    /// Hands what was gathered to the pool, once the batch before it is written.
    pub(super) async fn flush(&mut self) -> Result<(), FilesError> {
        // Taken out first: after an error the frames behind the gap must not be written.
        let batch = mem::take(&mut self.batch);
        if batch.len == 0 {
            return Ok(());
        }
        self.settle().await?;
        let place = self.shared.hash_pool.place().await?;
        let lost = Stage::Lost(self.shared.hash_pool.panicked());
        let mut writer = match mem::replace(&mut self.stage, lost) {
            Stage::Idle(writer) => writer,
            Stage::Lost(error) => return Err(error.into()),
            Stage::Writing(_) => unreachable!("settled just above"),
        };
        let (claim, followed) = (Arc::clone(&self.claim), self.followed.clone());
        let work = move || {
            let _claim = claim;
            let result = writer.write(&batch.close());
            if let Some(followed) = followed {
                followed(writer.offset());
            }
            (writer, result)
        };
        self.stage = Stage::Writing(self.shared.hash_pool.begin(place, work)?);
        Ok(())
    }

    /// Writes the rest.
    pub(super) async fn finish(&mut self) -> Result<(), FilesError> {
        self.flush().await?;
        self.settle().await
    }

    /// The writer, once nothing is on its way to it. An error of writing was reported by whoever met it first.
    pub(super) async fn into_writer(mut self) -> Result<(Box<Writer<D>>, Arc<Claim>), FilesError> {
        let settled = self.settle().await;
        match (self.stage, settled) {
            (Stage::Idle(writer), _) => Ok((writer, self.claim)),
            (Stage::Lost(error), _) => Err(error.into()),
            (Stage::Writing(_), settled) => {
                Err(settled.err().unwrap_or(self.shared.hash_pool.panicked().into()))
            }
        }
    }

    /// Waits for the batch that is being written.
    async fn settle(&mut self) -> Result<(), FilesError> {
        let Stage::Writing(running) = &mut self.stage else {
            return Ok(());
        };
        match running.await {
            Ok((mut writer, result)) => {
                if let Some(begin_writeback) = writer.take_writeback() {
                    // Beside the hashing, not in its way; without a free place the sync has more to do, no more.
                    drop(self.shared.sync_pool.detach(begin_writeback));
                }
                self.stage = Stage::Idle(writer);
                result
            }
            Err(error) => {
                self.stage = Stage::Lost(error.clone());
                Err(error.into())
            }
        }
    }

    async fn share(&mut self, len: usize) -> Result<OwnedSemaphorePermit, FilesError> {
        let (budget, size) = &self.shared.budget;
        let (budget, want) = (
            Arc::clone(budget),
            u32::try_from(len.min(*size)).unwrap_or(u32::MAX),
        );
        if let Ok(share) = Arc::clone(&budget).try_acquire_many_owned(want) {
            return Ok(share);
        }
        // Nobody waits with a share in his hand, so somebody can always give one back.
        self.flush().await?;
        let waited = self.shared.budget_wait;
        match timeout(waited, budget.acquire_many_owned(want)).await {
            Ok(Ok(share)) => Ok(share),
            _ => Err(FilesError::Busy { waited }),
        }
    }
}

/// Frames with their share of the budget.
#[derive(Default)]
struct Batch {
    frames: Vec<Bytes>,
    copied: BytesMut,
    len: usize,
    share: Option<OwnedSemaphorePermit>,
}

impl Batch {
    fn push(&mut self, frame: Bytes, share: OwnedSemaphorePermit) {
        self.len += frame.len();
        match &mut self.share {
            Some(all) => all.merge(share),
            none => *none = Some(share),
        }
        if frame.len() < SMALL_FRAME && self.copied.len() < COPIED {
            self.copied.extend_from_slice(&frame);
        } else {
            self.close_copied();
            self.frames.push(frame);
        }
    }

    fn close_copied(&mut self) {
        if !self.copied.is_empty() {
            self.frames.push(mem::take(&mut self.copied).freeze());
        }
    }

    /// The frames in order. The share goes back when they are dropped.
    fn close(mut self) -> ClosedBatch {
        self.close_copied();
        ClosedBatch {
            frames: self.frames,
            _share: self.share,
        }
    }
}

struct ClosedBatch {
    frames: Vec<Bytes>,
    _share: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for ClosedBatch {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.frames
    }
}
