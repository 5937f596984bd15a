//! Where eStargz keeps its table of contents: in a member of its own, which the last member of the blob names. It is part of the
//! archive as well, but who reads lazily reads it from where the footer says, and so do we: the member may lie where the archive
//! has something else.
//!
//! Source of the form: stargz-snapshotter, docs/estargz.md, "The Layer", "Footer" and "TOC".

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::GzDecoder;
use oci::{Algorithm, Digest};

use super::{
    chunked::Table,
    contents::{self, Contents},
};
use crate::Limits;

/// The last member: it has no bytes, and in the extra field of its header 16 hexadecimal digits and a word.
const FOOTER: usize = 51;

/// The same of the form before, which has no subfield.
const OLD_FOOTER: usize = 47;

/// A gzip header with an extra field.
const HEAD: &[u8] = &[0x1f, 0x8b, 0x08, 0x04];

const WORD: &[u8] = b"STARGZ";

/// Hexadecimal digits of the offset.
const DIGITS: usize = 16;

/// Bytes of a gzip header with the length of its extra field.
const HEADER: usize = 12;

/// Bytes of the name and the length of a subfield.
const SUBFIELD: usize = 4;

/// Bytes of a tar header, and of every piece of an archive.
const BLOCK: usize = 512;

/// Looks for the table. The blob is left where it happens to be read to.
pub(super) fn table(blob: &mut (impl Read + Seek), limits: &Limits) -> io::Result<Table> {
    let size = blob.seek(SeekFrom::End(0))?;
    for (length, before) in [(FOOTER, HEADER + SUBFIELD), (OLD_FOOTER, HEADER)] {
        let Some(footer) = size.checked_sub(length as u64) else {
            continue;
        };
        blob.seek(SeekFrom::Start(footer))?;
        let mut bytes = [0; FOOTER];
        blob.read_exact(&mut bytes[..length])?;
        let (digits, word) = bytes[before..][..DIGITS + WORD.len()].split_at(DIGITS);
        if !bytes.starts_with(HEAD) || word != WORD {
            continue;
        }
        let offset = std::str::from_utf8(digits).ok();
        let offset = offset.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let Some(offset) = offset.filter(|offset| *offset < footer) else {
            return Ok(Table::Unreadable);
        };
        blob.seek(SeekFrom::Start(offset))?;
        let json = unpack(blob.take(footer - offset), limits.file_memory);
        return Ok(json.map_or(Table::Unreadable, |json| Table::of(&json, &json)));
    }
    Ok(Table::Absent)
}

/// The first file of the archive in the member, if it is the table.
fn unpack(member: impl Read, most: u64) -> Option<Vec<u8>> {
    let mut archive = GzDecoder::new(member);
    let mut header = [0; BLOCK];
    archive.read_exact(&mut header).ok()?;
    let name = header[..100].split(|byte| *byte == 0).next()?;
    let size = std::str::from_utf8(&header[124..135]).ok()?;
    let size = u64::from_str_radix(size.trim_matches(|c| c == ' ' || c == '\0'), 8).ok()?;
    if name != contents::PATH.as_bytes() || !matches!(header[156], b'0' | 0) || size > most {
        return None;
    }
    let mut json = Vec::new();
    archive.take(size).read_to_end(&mut json).ok()?;
    (json.len() as u64 == size).then_some(json)
}

impl Table {
    /// What a JSON text says, known to clients by the digest of `named`.
    pub(super) fn of(json: &[u8], named: &[u8]) -> Self {
        match Contents::parse(json) {
            Some(contents) => Self::Found(Digest::of(Algorithm::Sha256, named), contents),
            None => Self::Unreadable,
        }
    }
}
