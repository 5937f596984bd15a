//! The stream that a pull sends: slices of the map, or pieces copied from the file, each in memory before it is yielded.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::loans::Loans;
use super::map::BlobMap;
use super::window::{PIECE, Window};
use crate::pool::{IoPool, PoolError};

/// Bytes per slice: large enough that a slice's fixed cost vanishes, small enough that a slow reader pins little.
pub(super) const SLICE: usize = 1 << 20;
/// Bytes at the end of each stream that are always copied, once everything before was sent: whoever sends less than
/// promised, or what was never in the file, must notice.
const TAIL: usize = 16 << 10;
/// How far the disk reads ahead of a cold stream, bytes of page cache.
const READ_AHEAD: usize = 8 << 20;
/// The disk is asked for no less than this at once, but for the end of a blob.
const LEAST_AHEAD: usize = 2 << 20;

/// Slices in a row before the thread goes to somebody else. A client on the same machine or a fast network takes them as
/// fast as they come, and the runtime would let one download keep its thread for a hundred slices (40 ms measured).
const TURN: u8 = 4;

type Populating = Pin<Box<dyn Future<Output = Result<io::Result<()>, PoolError>> + Send>>;

/// Bytes of one blob. Ends after an error.
pub(crate) struct BlobStream {
    source: Source,
}

enum Source {
    Whole(Option<Bytes>),
    Mapped(Mapped),
}

struct Mapped {
    map: Arc<BlobMap>,
    /// What is still to be yielded.
    rest: Range<usize>,
    pool: IoPool,
    /// The slice that `rest` begins with, as far as it is known.
    next: Next,
    /// Slices since the thread was last given up.
    in_a_row: u8,
    /// Up to where the disk has been asked to read; 0 while everything was in memory.
    asked: usize,
    way: Way,
}

/// How bytes are handed out.
enum Way {
    /// As slices of the map; only the end is copied.
    Lent(Loans),
    /// All of them copied.
    Copied(Window),
}

enum Next {
    /// Nobody has looked yet.
    Unknown,
    /// It was in memory a moment ago.
    Resident,
    /// A thread of the pool reads it.
    Populating(Populating),
}

impl BlobStream {
    /// One slice that is in memory.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            source: Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())),
        }
    }

    /// Slices of a map; `range` lies inside it.
    pub(super) fn mapped(map: Arc<BlobMap>, range: Range<u64>, pool: IoPool) -> Self {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(map.len());
        let rest = index(range.start)..index(range.end);
        let way = if map.is_copied() {
            Way::Copied(Window::default())
        } else {
            Way::Lent(Loans::default())
        };
        Self {
            source: Source::Mapped(Mapped {
                map,
                rest,
                pool,
                next: Next::Unknown,
                in_a_row: 0,
                asked: 0,
                way,
            }),
        }
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.get_mut().source {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Source::Mapped(mapped) => mapped.poll_next(context),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.source {
            Source::Whole(bytes) => (0, Some(usize::from(bytes.is_some()))),
            Source::Mapped(mapped) => (0, Some(mapped.rest.len().div_ceil(PIECE) + 1)),
        }
    }
}

impl Mapped {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.in_a_row == TURN {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let slice = self.first_slice();
        if matches!(self.next, Next::Unknown) {
            self.next = self.look_at(&slice);
        }
        if let Next::Populating(populating) = &mut self.next
            && let Err(error) =
                ready!(populating.as_mut().poll(context)).unwrap_or_else(|e| Err(io::Error::other(e)))
        {
            return self.fail(error);
        }
        self.next = Next::Resident;
        let bytes = match ready!(self.take(&slice, context)) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail(error),
        };
        self.rest.start += bytes.len();
        if self.rest.start == slice.end {
            self.in_a_row += 1;
            self.next = self.look_ahead(context);
        }
        Poll::Ready(Some(Ok(bytes)))
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<io::Result<Bytes>>> {
        self.rest = 0..0;
        self.map.note_failure();
        Poll::Ready(Some(Err(error)))
    }

    /// The next bytes of `slice`, which is in memory.
    fn take(&mut self, slice: &Range<usize>, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let copy = |space: &mut [u8]| self.map.copy(space, slice.start);
        let bytes = match &self.way {
            Way::Copied(window) => ready!(window.poll_fill(context, slice.len().min(PIECE), copy)),
            Way::Lent(loans) if slice.end == self.rest.end => {
                ready!(loans.poll_returned(context));
                let mut tail = vec![0; slice.len()];
                copy(&mut tail).map(|()| tail.into())
            }
            Way::Lent(loans) => Ok(loans.lend(self.map.slice(slice.clone()))),
        };
        if self.map.is_torn() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EIO)));
        }
        Poll::Ready(bytes)
    }

    fn is_copied(&self) -> bool {
        matches!(self.way, Way::Copied(_))
    }

    /// Up to the next multiple of the slice size, so that all streams of a blob cut it alike, or up to the tail.
    fn first_slice(&self) -> Range<usize> {
        let Range { start, end } = self.rest;
        let tail = end.saturating_sub(TAIL);
        let end = if start < tail && !self.is_copied() {
            tail
        } else {
            end
        };
        start..end.min((start / SLICE + 1) * SLICE)
    }

    fn look_at(&mut self, slice: &Range<usize>) -> Next {
        if !self.map.is_resident(slice.clone()) {
            return Next::Populating(self.populate(slice));
        }
        if !self.is_copied() {
            self.map.enter(slice.clone());
        }
        if self.asked > 0 {
            self.keep_asking(slice.start);
        }
        Next::Resident
    }

    /// The disk must not run out of work because what it has read comes in time.
    fn keep_asking(&mut self, at: usize) {
        let ahead = self.ahead_of(at);
        if !ahead.is_empty() {
            let map = Arc::clone(&self.map);
            // No place free: the slices are populated when their turn comes.
            let _ = self.pool.detach(move || map.read_ahead(ahead));
        }
    }

    /// What to ask the disk for at `at`, beyond what it has been asked for; empty while that is little.
    fn ahead_of(&mut self, at: usize) -> Range<usize> {
        let from = self.asked.max(at);
        let to = self.map.len().min(at + READ_AHEAD);
        if to < from + LEAST_AHEAD && to < self.map.len() {
            return from..from;
        }
        self.asked = to.max(from);
        from..self.asked
    }

    /// Looks at the slice after the one that is about to be sent, so that the disk works while the network does.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Next {
        if self.rest.is_empty() {
            return Next::Unknown;
        }
        let mut next = self.look_at(&self.first_slice());
        if let Next::Populating(populating) = &mut next
            && let Poll::Ready(result) = populating.as_mut().poll(context)
        {
            // Done within this very moment, or refused: a result may be taken only once.
            next = match result {
                Ok(Ok(())) => Next::Resident,
                Ok(Err(error)) => Next::Populating(Box::pin(std::future::ready(Ok(Err(error))))),
                Err(error) => Next::Populating(Box::pin(std::future::ready(Err(error)))),
            };
        }
        next
    }

    fn populate(&mut self, slice: &Range<usize>) -> Populating {
        let ahead = self.ahead_of(slice.start);
        let (map, pool, slice) = (Arc::clone(&self.map), self.pool.clone(), slice.clone());
        Box::pin(async move { pool.run(move || map.populate(slice, ahead)).await })
    }
}
