//! The slices of a map that one stream has handed out and that somebody still holds: who holds one may touch it yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

/// Counts them. Clones share the count.
#[derive(Debug, Clone, Default)]
pub(super) struct Loans(Arc<State>);

#[derive(Debug, Default)]
struct State {
    held: AtomicUsize,
    /// Who waits until none is held.
    waiting: AtomicWaker,
}

impl Loans {
    /// The same bytes, counted until the last clone of them is dropped.
    pub(super) fn lend(&self, bytes: Bytes) -> Bytes {
        self.0.held.fetch_add(1, Ordering::Relaxed);
        let loans = self.clone();
        Bytes::from_owner(Lent { bytes, loans })
    }

    /// Ready once all of them were dropped: what their holders did has happened before.
    pub(super) fn poll_returned(&self, context: &Context<'_>) -> Poll<()> {
        let is_returned = || self.0.held.load(Ordering::Acquire) == 0;
        if is_returned() {
            return Poll::Ready(());
        }
        self.0.waiting.register(context.waker());
        // The last one may have been dropped before anybody waited.
        if is_returned() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// A slice on its way.
struct Lent {
    bytes: Bytes,
    loans: Loans,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.loans.0.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.loans.0.waiting.wake();
        }
    }
}
