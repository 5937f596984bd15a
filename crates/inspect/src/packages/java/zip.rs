//! Zip archives by their central directory, as `java.util.zip.ZipFile` reads them (APPNOTE 6.3.10, sections 4.3 to 4.5).
//!
//! Nothing is allocated by what a header announces: the directory is the bytes between two places of the file, entries are
//! read from them one by one until they end, and contents are inflated up to a limit.

use std::borrow::Cow;
use std::io::{Read, SeekFrom};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::{Budget, Exceeded, FileError, ReadSeek};

/// Size of the record at the end, without its comment.
const END: usize = 22;
/// Where the end may begin: before the longest comment.
const END_SEARCH: u64 = END as u64 + u16::MAX as u64;
const ENTRY: usize = 46;
const LOCAL: usize = 30;
/// Entries of this method are as they are.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The central directory of an archive.
pub(super) struct Directory {
    bytes: Vec<u8>,
    /// Where offsets in the archive count from: behind the script of an executable one.
    base: u64,
    /// How many entries the end announces.
    announced: u64,
}

/// One entry, by the word of the central directory.
pub(super) struct Entry<'a> {
    /// With `/` between components.
    pub name: Cow<'a, str>,
    /// CRC-32 of the content.
    pub crc: u32,
    flags: u16,
    method: u16,
    compressed: u64,
    size: u64,
    header: u64,
}

/// The content of an entry, and what is odd about it.
pub(super) struct Contents {
    /// Uncompressed.
    pub bytes: Vec<u8>,
    /// Where parsers would disagree.
    pub odd: Option<&'static str>,
}

impl Directory {
    /// Finds and reads the directory.
    pub(super) fn read(source: &mut dyn ReadSeek, budget: &mut Budget) -> Result<Self, FileError> {
        let length = source.seek(SeekFrom::End(0))?;
        let tail_start = length.saturating_sub(END_SEARCH);
        let tail = read_at(source, tail_start, length - tail_start)?;
        let at =
            find_end(&tail).ok_or_else(|| FileError::malformed("the zip has no end of its directory"))?;
        let end = tail_start + at as u64;
        let mut announced = u64::from(u16_at(&tail, at + 10));
        let mut size = u64::from(u32_at(&tail, at + 12));
        let mut offset = u64::from(u32_at(&tail, at + 16));
        let mut directory_end = end;
        if let Some(large) = large_end(source, end)? {
            (announced, size, offset, directory_end) = large;
        }
        let start = directory_end
            .checked_sub(size)
            .ok_or_else(|| FileError::malformed("the directory of the zip begins before the file"))?;
        if size > budget.limits().file_memory {
            return Err(FileError::Exceeded(Exceeded {
                limit: "file.memory",
                detail: format!("the directory of the zip has {size} bytes"),
            }));
        }
        budget.take_archive_bytes(size)?;
        let base = start
            .checked_sub(offset)
            .ok_or_else(|| FileError::malformed("the directory of the zip is not where it says"))?;
        let bytes = read_at(source, start, size)?;
        Ok(Self {
            bytes,
            base,
            announced,
        })
    }

    /// Counts the entries, against the budget and against what is announced.
    pub(super) fn check(&self, budget: &mut Budget) -> Result<Option<&'static str>, FileError> {
        let mut counted = 0u64;
        for entry in self.entries() {
            entry?;
            budget.take_archive_entries(1)?;
            counted += 1;
        }
        Ok((counted != self.announced).then_some("the zip has other entries than it announces"))
    }

    /// The entries, in order. After the first error there are no more.
    pub(super) fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.bytes }
    }

    /// Reads the content of an entry, at most `most` bytes.
    pub(super) fn contents(
        &self,
        source: &mut dyn ReadSeek,
        entry: &Entry<'_>,
        most: u64,
        budget: &mut Budget,
    ) -> Result<Contents, FileError> {
        if entry.flags & 1 != 0 {
            return Err(unread("archive.encrypted", entry));
        }
        if entry.method != STORED && entry.method != DEFLATED {
            return Err(unread("archive.method", entry));
        }
        let odd = self.seek_content(source, entry)?;
        let allowed = most.min(budget.archive_bytes_left());
        let mut bytes = Vec::new();
        let packed = (&mut *source).take(entry.compressed);
        if entry.method == STORED {
            packed.take(allowed + 1).read_to_end(&mut bytes)?;
        } else {
            DeflateDecoder::new(packed)
                .take(allowed + 1)
                .read_to_end(&mut bytes)
                .map_err(|_| FileError::malformed(format!("`{}` cannot be inflated", entry.name)))?;
        }
        budget.take_archive_bytes(bytes.len() as u64)?;
        if bytes.len() as u64 > allowed {
            return Err(too_large(entry, allowed));
        }
        let odd = odd.or_else(|| entry.disagrees(&bytes));
        Ok(Contents { bytes, odd })
    }

    /// Puts the source at the content; says where the local header disagrees.
    fn seek_content(
        &self,
        source: &mut dyn ReadSeek,
        entry: &Entry<'_>,
    ) -> Result<Option<&'static str>, FileError> {
        let broken = || FileError::malformed(format!("`{}` has no local header", entry.name));
        let at = self.base.checked_add(entry.header).ok_or_else(broken)?;
        let header = read_at(source, at, LOCAL as u64).map_err(|_| broken())?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(broken());
        }
        let name = read_at(source, at + LOCAL as u64, u64::from(u16_at(&header, 26)))?;
        source.seek(SeekFrom::Current(i64::from(u16_at(&header, 28))))?;
        if String::from_utf8_lossy(&name) != entry.name {
            return Ok(Some("its local header has another name"));
        }
        if u16_at(&header, 8) != entry.method {
            return Ok(Some("its local header has another compression"));
        }
        let streamed = u16_at(&header, 6) & 8 != 0;
        let size = u64::from(u32_at(&header, 22));
        let other_size = size != entry.size && size != u64::from(u32::MAX);
        Ok((!streamed && other_size).then_some("its local header has another size"))
    }
}

impl Entry<'_> {
    fn disagrees(&self, bytes: &[u8]) -> Option<&'static str> {
        if bytes.len() as u64 != self.size {
            return Some("it has another size than announced");
        }
        let mut crc = Crc::new();
        crc.update(bytes);
        (crc.sum() != self.crc).then_some("its checksum is wrong")
    }
}

/// Entries of a directory.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.rest);
        let Some((entry, length)) = entry_at(rest) else {
            return Some(Err(FileError::malformed("the directory of the zip is damaged")));
        };
        self.rest = &rest[length..];
        Some(Ok(entry))
    }
}

fn entry_at(bytes: &[u8]) -> Option<(Entry<'_>, usize)> {
    if bytes.len() < ENTRY || !bytes.starts_with(b"PK\x01\x02") {
        return None;
    }
    let extra_start = ENTRY + usize::from(u16_at(bytes, 28));
    let comment_start = extra_start + usize::from(u16_at(bytes, 30));
    let length = comment_start + usize::from(u16_at(bytes, 32));
    let name = bytes.get(ENTRY..extra_start)?;
    let extra = bytes.get(extra_start..comment_start)?;
    bytes.get(..length)?;
    let mut entry = Entry {
        name: String::from_utf8_lossy(name),
        crc: u32_at(bytes, 16),
        flags: u16_at(bytes, 8),
        method: u16_at(bytes, 10),
        compressed: u64::from(u32_at(bytes, 20)),
        size: u64::from(u32_at(bytes, 24)),
        header: u64::from(u32_at(bytes, 42)),
    };
    apply_large(&mut entry, extra);
    Some((entry, length))
}

/// The field of large archives (4.5.3): what is all ones in the entry follows there, in this order.
fn apply_large(entry: &mut Entry<'_>, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let length = usize::from(u16_at(extra, 2));
        let Some(mut field) = extra.get(4..4 + length) else {
            return;
        };
        if u16_at(extra, 0) == 1 {
            for value in [&mut entry.size, &mut entry.compressed, &mut entry.header] {
                if *value == u64::from(u32::MAX) && field.len() >= 8 {
                    *value = u64_at(field, 0);
                    field = &field[8..];
                }
            }
            return;
        }
        extra = &extra[4 + length..];
    }
}

/// The last record whose comment reaches the end of the file; else the last one, with something behind it.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(END)?;
    let ends = |at: &usize| tail[*at..].starts_with(b"PK\x05\x06");
    let exact = |at: &usize| at + END + usize::from(u16_at(tail, at + 20)) == tail.len();
    (0..=last)
        .rev()
        .find(|at| ends(at) && exact(at))
        .or_else(|| (0..=last).rev().find(ends))
}

/// The end of a large archive, if there is one: entries, size, offset, and where the directory ends.
fn large_end(source: &mut dyn ReadSeek, end: u64) -> Result<Option<(u64, u64, u64, u64)>, FileError> {
    const LOCATOR: u64 = 20;
    const LARGE: u64 = 56;
    let Some(before) = end.checked_sub(LOCATOR + LARGE) else {
        return Ok(None);
    };
    let bytes = read_at(source, before, LARGE + LOCATOR)?;
    if !bytes.starts_with(b"PK\x06\x06") || !bytes[56..].starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    Ok(Some((
        u64_at(&bytes, 32),
        u64_at(&bytes, 40),
        u64_at(&bytes, 48),
        before,
    )))
}

fn read_at(source: &mut dyn ReadSeek, at: u64, length: u64) -> Result<Vec<u8>, FileError> {
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    (&mut *source).take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    Err(FileError::malformed("the zip ends early"))
}

fn unread(limit: &'static str, entry: &Entry<'_>) -> FileError {
    let detail = match limit {
        "archive.encrypted" => format!("`{}` is encrypted", entry.name),
        _ => format!("`{}` is compressed by method {}", entry.name, entry.method),
    };
    FileError::Exceeded(Exceeded { limit, detail })
}

fn too_large(entry: &Entry<'_>, allowed: u64) -> FileError {
    FileError::Exceeded(Exceeded {
        limit: "file.memory",
        detail: format!("`{}` has more than {allowed} bytes", entry.name),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
