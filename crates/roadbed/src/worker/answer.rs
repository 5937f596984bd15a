//! What a child answers, and how long that may take.

use std::{
    io,
    time::{Duration, Instant},
};

use super::process::Ready;

/// Reads until a moment, however the bytes trickle in.
pub(super) struct Answer<'a> {
    ready: &'a Ready,
    until: Instant,
}

impl<'a> Answer<'a> {
    /// Of a child that may take `longest`.
    pub(super) fn of(ready: &'a Ready, longest: Duration) -> Self {
        Self {
            ready,
            until: Instant::now() + longest,
        }
    }
}

impl io::Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut socket = self.ready.socket();
        socket.set_read_timeout(Some(left))?;
        socket.read(buffer)
    }
}
