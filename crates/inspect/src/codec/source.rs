//! The compressed bytes: buffered, counted and hashed.

use std::io::{self, BufRead, Read};

use oci::{Algorithm, Digest, Hasher};

/// Bytes that are read at a time.
const IN_BYTES: usize = 128 * 1024;

/// Bytes that tell what a blob is compressed with.
const HEAD_BYTES: usize = 8;

/// A buffer that counts what was taken from it, not what was read ahead: the ratio is about that.
pub(super) struct Source<R> {
    inner: R,
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
    consumed: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R, digest: Option<Algorithm>) -> Self {
        Self {
            inner,
            buffer: vec![0; IN_BYTES],
            taken: 0,
            filled: 0,
            consumed: 0,
            hasher: digest.map(Hasher::new),
        }
    }

    /// The first bytes, which stay where they are. Only before anything was taken.
    pub(super) fn peek(&mut self) -> io::Result<&[u8]> {
        while self.filled < HEAD_BYTES && self.more()? != 0 {}
        Ok(&self.buffer[..self.filled])
    }

    /// Bytes taken so far.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(super) fn into_digest(self) -> Option<Digest> {
        self.hasher.map(Hasher::finish)
    }

    /// Reads behind what the buffer holds.
    fn more(&mut self) -> io::Result<usize> {
        let count = loop {
            match self.inner.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.buffer[self.filled..self.filled + count]);
        }
        self.filled += count;
        Ok(count)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.filled {
            (self.taken, self.filled) = (0, 0);
            self.more()?;
        }
        Ok(&self.buffer[self.taken..self.filled])
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
        self.consumed += amount as u64;
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(out.len());
        out[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
