//! What a child answers, and how long that may take.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    patience::{Hunger, STEP},
    process::Ready,
};

/// Reads until a moment, however the bytes trickle in, or until the child has got nothing for too long.
pub(super) struct Answer<'a> {
    ready: &'a Ready,
    until: Instant,
    /// Of a child that yields to everybody.
    hunger: Option<Hunger>,
    is_starved: bool,
}

impl<'a> Answer<'a> {
    /// Of a child that may take `longest`, and that has to have something of the processor if it yields to everybody.
    pub(super) fn of(ready: &'a Ready, longest: Duration, patience: Option<Duration>) -> Self {
        Self {
            ready,
            until: Instant::now() + longest,
            hunger: patience.map(Hunger::new),
            is_starved: false,
        }
    }

    /// Whether it ended because the child got nothing.
    pub(super) fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Whether there is no point in waiting on, after waiting for so long.
    fn is_over(&mut self, waited: Duration) -> bool {
        let had = self.hunger.as_mut().zip(self.ready.had());
        self.is_starved = had.is_some_and(|(hunger, had)| hunger.is_too_much(had, waited));
        self.is_starved || Instant::now() >= self.until
    }
}

impl io::Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.ready.socket();
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let step = if self.hunger.is_some() {
                left.min(STEP)
            } else {
                left
            };
            socket.set_read_timeout(Some(step))?;
            match socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_over(step) => {}
                read => return read,
            }
        }
    }
}
