//! What layers are compressed with.
//!
//! The bytes decide, never the media type: containerd decides so, and a disguised layer must be read as a node reads it.
//! [`Decoder`] counts what passes, ends a bomb by `layer.bytes` or `layer.ratio`, and knows both digests at the end.

mod gzip;
mod meter;
mod source;
#[cfg(test)]
mod tests;
mod zstandard;

use std::io::{self, BufRead, Read};

use findings::Compression;
use oci::{Algorithm, Digest, Hasher};

use self::{gzip::Gzip, meter::Meter, source::Source, zstandard::Zstandard};
use crate::{Exceeded, Limits};

/// Bytes that are decompressed at a time. What is hashed in one piece is also what the reader of the archive copies from.
const OUT_BYTES: usize = 128 * 1024;

/// How the content begins: containerd's own matchers (gzip with its method, zstd frames, skippable zstd frames).
pub fn detect(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, _, _, _, _, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The limit that an error of [`Decoder`] stands for, if it does.
pub fn exceeded(error: &io::Error) -> Option<&Exceeded> {
    error.get_ref()?.downcast_ref()
}

/// Reads the uncompressed bytes of a layer.
///
/// Errors are those of the source, `InvalidData` and `UnexpectedEof` for what is no gzip or zstd, and an [`Exceeded`] inside
/// (see [`exceeded`]). The first error is also the last: nothing is read after it.
pub struct Decoder<R> {
    source: Source<R>,
    stream: Stream,
    out: Vec<u8>,
    taken: usize,
    filled: usize,
    meter: Meter,
    diff_id: Hasher,
    state: State,
}

enum Stream {
    Plain,
    Gzip(Box<Gzip>),
    Zstd(Box<Zstandard>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// What is known when all was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Of the uncompressed bytes.
    pub diff_id: Digest,
    /// Of the blob, if it was asked for.
    pub blob: Option<Digest>,
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes of a blob. `blob_digest` asks for the digest of the compressed bytes.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn new(blob: R, blob_digest: Option<Algorithm>, limits: &Limits) -> io::Result<Self> {
        let mut source = Source::new(blob, blob_digest);
        let compression = detect(source.peek()?);
        let stream = match compression {
            Compression::None => Stream::Plain,
            Compression::Gzip => Stream::Gzip(Box::default()),
            Compression::Zstd => Stream::Zstd(Box::new(Zstandard::new(limits.zstd_window)?)),
        };
        Ok(Self {
            source,
            stream,
            out: vec![0; OUT_BYTES],
            taken: 0,
            filled: 0,
            meter: Meter::new(limits),
            diff_id: Hasher::new(Algorithm::Sha256),
            state: State::Reading,
        })
    }

    /// How the blob is compressed.
    pub fn compression(&self) -> Compression {
        match self.stream {
            Stream::Plain => Compression::None,
            Stream::Gzip(_) => Compression::Gzip,
            Stream::Zstd(_) => Compression::Zstd,
        }
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// Compressed bytes that made them.
    pub fn compressed_bytes(&self) -> u64 {
        self.source.consumed()
    }

    /// The digests, if all was read to its end without an error.
    pub fn finish(self) -> Option<Digests> {
        (self.state == State::Ended).then(|| Digests {
            diff_id: self.diff_id.finish(),
            blob: self.source.into_digest(),
        })
    }

    fn refill(&mut self) -> io::Result<()> {
        let produced = match &mut self.stream {
            Stream::Plain => self.source.read(&mut self.out)?,
            Stream::Gzip(gzip) => gzip.read(&mut self.source, &mut self.out)?,
            Stream::Zstd(zstd) => zstd.read(&mut self.source, &mut self.out)?,
        };
        if produced == 0 {
            self.state = State::Ended;
        }
        self.diff_id.update(&self.out[..produced]);
        (self.taken, self.filled) = (0, produced);
        let consumed = match self.stream {
            Stream::Plain => None,
            Stream::Gzip(_) | Stream::Zstd(_) => Some(self.source.consumed()),
        };
        self.meter
            .take(produced as u64, consumed)
            .map_err(io::Error::other)
    }
}

impl<R: Read> BufRead for Decoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.filled && self.state == State::Reading {
            loop {
                match self.refill() {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.state = State::Failed;
                        (self.taken, self.filled) = (0, 0);
                        return Err(error);
                    }
                }
            }
        }
        if self.state == State::Failed {
            return Err(io::Error::other("the layer could not be read further"));
        }
        Ok(&self.out[self.taken..self.filled])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.filled.min(self.taken + amount);
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed bytes end too early")
}
