//! gzip (RFC 1952), as strict and as lax as Go's reader, with which containerd unpacks.
//!
//! Any number of members. Whatever follows a member must be another one: padding and garbage are errors there, and so here.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{malformed, truncated};

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

/// Longest name or comment of a member, with its NUL; Go's limit.
const TEXT_BYTES: usize = 512;

/// Inflates members one after another, with one state for all: a million empty members cost no million allocations.
pub(super) struct Gzip {
    inflate: Decompress,
    crc: Crc,
    at: Place,
}

enum Place {
    /// Before a member or the end.
    Boundary,
    Body,
    Trailer,
}

impl Default for Gzip {
    fn default() -> Self {
        Self {
            inflate: Decompress::new(false),
            crc: Crc::new(),
            at: Place::Boundary,
        }
    }
}

impl Gzip {
    /// Fills some of `out`; 0 is the end.
    pub(super) fn read(&mut self, source: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.at {
                Place::Boundary => {
                    if source.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    read_header(source)?;
                    self.inflate.reset(false);
                    self.crc.reset();
                    self.at = Place::Body;
                }
                Place::Body => {
                    let produced = self.inflate(source, out)?;
                    if produced != 0 {
                        return Ok(produced);
                    }
                }
                Place::Trailer => {
                    self.check_trailer(source)?;
                    self.at = Place::Boundary;
                }
            }
        }
    }

    fn inflate(&mut self, source: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
        let input = source.fill_buf()?;
        let at_end = input.is_empty();
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, out, FlushDecompress::None)
            .map_err(|_| malformed("the deflated bytes are damaged"))?;
        // Both differences are at most the lengths of the slices.
        let consumed = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0);
        let produced = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
        source.consume(consumed);
        self.crc.update(&out[..produced]);
        if status == Status::StreamEnd {
            self.at = Place::Trailer;
        } else if at_end && produced == 0 {
            return Err(truncated());
        } else if consumed == 0 && produced == 0 {
            return Err(malformed("the deflated bytes lead nowhere"));
        }
        Ok(produced)
    }

    fn check_trailer(&self, source: &mut impl BufRead) -> io::Result<()> {
        let crc = u32::from_le_bytes(take(source)?);
        let length = u32::from_le_bytes(take(source)?);
        if crc != self.crc.sum() || length != self.crc.amount() {
            return Err(malformed("a checksum of gzip is wrong"));
        }
        Ok(())
    }
}

fn read_header(source: &mut impl BufRead) -> io::Result<()> {
    let mut source = Summed {
        source,
        crc: Crc::new(),
    };
    let head = take::<10>(&mut source)?;
    if head[..3] != [0x1f, 0x8b, 0x08] {
        return Err(malformed("bytes that are no gzip follow a member"));
    }
    let flags = head[3];
    if flags & EXTRA != 0 {
        let length = u16::from_le_bytes(take::<2>(&mut source)?);
        for _ in 0..length {
            take::<1>(&mut source)?;
        }
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            skip_text(&mut source)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let [low, high, ..] = source.crc.sum().to_le_bytes();
        if take::<2>(&mut source)? != [low, high] {
            return Err(malformed("the checksum of a gzip header is wrong"));
        }
    }
    Ok(())
}

fn skip_text(source: &mut impl Read) -> io::Result<()> {
    for _ in 0..TEXT_BYTES {
        if take::<1>(source)? == [0] {
            return Ok(());
        }
    }
    Err(malformed("a name in a gzip header has no end"))
}

fn take<const N: usize>(source: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source
        .read_exact(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => truncated(),
            _ => error,
        })?;
    Ok(bytes)
}

/// Keeps the checksum of what is read through it.
struct Summed<'a, R> {
    source: &'a mut R,
    crc: Crc,
}

impl<R: Read> Read for Summed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}
