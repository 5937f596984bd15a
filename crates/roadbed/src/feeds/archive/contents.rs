//! The table of contents of a zip archive (APPNOTE.TXT, sections 4.3.12 to 4.3.16), also of one with more than 65,535 files.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::{ArchiveError, BUFFER};

/// Bytes of the end record without its comment.
const END: usize = 22;

/// Bytes of the comment that may follow.
const COMMENT: u64 = 65_535;

/// Bytes of a header without its variable parts.
const HEADER: usize = 46;

/// Stands where the number is too large for the field.
const ELSEWHERE: u64 = 0xffff_ffff;

/// The table, as it is walked.
pub(super) struct Contents {
    reader: BufReader<File>,
    left: u64,
    /// Where it begins: behind all files.
    pub(super) start: u64,
}

/// What it says of one file.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) method: u16,
    pub(super) checksum: u32,
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    /// Where its local header begins.
    pub(super) offset: u64,
}

impl Contents {
    pub(super) fn open(path: &Path, most: u64) -> Result<Self, ArchiveError> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let (entries, size, start) = end_record(&mut file, length)?;
        if entries > most {
            return Err(ArchiveError::Entries { entries, most });
        }
        if start.saturating_add(size) > length || entries.saturating_mul(HEADER as u64) > size {
            return Err(ArchiveError::Damaged("the table of contents does not fit"));
        }
        file.seek(SeekFrom::Start(start))?;
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER, file),
            left: entries,
            start,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Header>, ArchiveError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut fixed = [0; HEADER];
        self.reader.read_exact(&mut fixed).map_err(cut)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(ArchiveError::Damaged("the table of contents is none"));
        }
        let name = self.read(u16_at(&fixed, 28))?;
        let extra = self.read(u16_at(&fixed, 30))?;
        self.read(u16_at(&fixed, 32))?;
        let name = String::from_utf8_lossy(&name).into_owned();
        // Encrypted: nobody who exports does that.
        if u16_at(&fixed, 8) & 1 != 0 {
            return Err(ArchiveError::Packing { name });
        }
        let mut large = Large::of(&extra);
        let unpacked = large.or(u32_at(&fixed, 24))?;
        let packed = large.or(u32_at(&fixed, 20))?;
        let offset = large.or(u32_at(&fixed, 42))?;
        if offset >= self.start {
            return Err(ArchiveError::Damaged("a file is not where it should be"));
        }
        Ok(Some(Header {
            name,
            method: u16_at(&fixed, 10),
            checksum: u32_at(&fixed, 16),
            packed,
            unpacked,
            offset,
        }))
    }

    fn read(&mut self, length: u16) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = vec![0; usize::from(length)];
        self.reader.read_exact(&mut bytes).map_err(cut)?;
        Ok(bytes)
    }
}

/// The numbers that did not fit, in the order of their fields (extra field 1).
struct Large<'a>(&'a [u8]);

impl<'a> Large<'a> {
    fn of(mut extra: &'a [u8]) -> Self {
        while extra.len() >= 4 {
            let length = usize::from(u16_at(extra, 2));
            let (id, rest) = (u16_at(extra, 0), &extra[4..]);
            if length > rest.len() {
                break;
            }
            if id == 1 {
                return Self(&rest[..length]);
            }
            extra = &rest[length..];
        }
        Self(&[])
    }

    fn or(&mut self, field: u32) -> Result<u64, ArchiveError> {
        let field = u64::from(field);
        if field != ELSEWHERE {
            return Ok(field);
        }
        if self.0.len() < 8 {
            return Err(ArchiveError::Damaged("a large number is missing"));
        }
        let (number, rest) = self.0.split_at(8);
        self.0 = rest;
        Ok(u64_at(number, 0))
    }
}

/// Files, bytes and beginning of the table of contents.
fn end_record(file: &mut File, length: u64) -> Result<(u64, u64, u64), ArchiveError> {
    let from = length.saturating_sub(COMMENT + END as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(COMMENT + END as u64).read_to_end(&mut tail)?;
    let is_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && END + usize::from(u16_at(record, 20)) == record.len()
    };
    let last = tail.len().checked_sub(END);
    let at = last.and_then(|last| (0..=last).rev().find(is_end));
    let at = at.ok_or(ArchiveError::Damaged("it has no end"))?;
    let record = &tail[at..];
    let (entries, size, start) = (
        u64::from(u16_at(record, 10)),
        u64::from(u32_at(record, 12)),
        u64::from(u32_at(record, 16)),
    );
    if entries != 0xffff && size != ELSEWHERE && start != ELSEWHERE {
        return Ok((entries, size, start));
    }
    // A locator stands before the end and says where the large numbers are.
    let locator = at.checked_sub(20).map(|locator| &tail[locator..at]);
    let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) else {
        return Ok((entries, size, start));
    };
    file.seek(SeekFrom::Start(u64_at(locator, 8)))?;
    let mut large = [0; 56];
    file.read_exact(&mut large).map_err(cut)?;
    if !large.starts_with(b"PK\x06\x06") {
        return Err(ArchiveError::Damaged("its end is none"));
    }
    Ok((u64_at(&large, 32), u64_at(&large, 40), u64_at(&large, 48)))
}

/// A file that ends too soon is no failure of the disk.
pub(super) fn cut(error: io::Error) -> ArchiveError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        ArchiveError::Damaged("it ends too soon")
    } else {
        ArchiveError::File(error)
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..at + N).and_then(|found| found.try_into().ok());
    found.unwrap_or([0; N])
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}
