//! One buffer per stream, lent out with each piece and taken back when the piece is dropped.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Bytes per piece: what stays in the processor's cache between the copy and the encryption, and what a slow reader
/// costs.
pub(super) const PIECE: usize = 64 << 10;

/// Lends its buffer. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Window(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_lent: bool,
    /// Empty until it is first needed, and while it is lent.
    buffer: Vec<u8>,
    /// Who waits for the buffer.
    waiting: Option<Waker>,
}

impl Window {
    /// Has `fill` fill `len` bytes of the buffer and lends them; waits while the piece before is held by anybody.
    pub(super) fn poll_fill(
        &self,
        context: &Context<'_>,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> Poll<io::Result<Bytes>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_lent {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.buffer.resize(len, 0);
        if let Err(error) = fill(&mut state.buffer) {
            return Poll::Ready(Err(error));
        }
        state.is_lent = true;
        let buffer = std::mem::take(&mut state.buffer);
        let window = self.clone();
        Poll::Ready(Ok(Bytes::from_owner(Lent { buffer, window })))
    }

    fn take_back(&self, buffer: Vec<u8>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.is_lent, state.buffer) = (false, buffer);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// A piece on its way.
struct Lent {
    buffer: Vec<u8>,
    window: Window,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.window.take_back(std::mem::take(&mut self.buffer));
    }
}
