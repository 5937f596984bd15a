//! Where zstd:chunked keeps its table of contents: compressed, in a skippable frame near the end of the blob, which the footer in
//! the last frame names.
//!
//! Source of the form: containers/storage, docs/containers-storage-zstd-chunked.md and `pkg/chunked/internal/compression.go`.

use std::io::{self, Read, Seek, SeekFrom};

use oci::Digest;

use super::contents::Contents;
use crate::Limits;

/// Bytes of the footer: seven numbers and the magic.
const FOOTER: usize = 64;

/// The last bytes of a blob that has a table.
const MAGIC: &[u8] = b"GNUlInUx";

/// What there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// The blob is none of zstd:chunked.
    Absent,
    /// It says that it has one, which cannot be read.
    Unreadable,
    /// This one, and the digest by which manifests name it.
    Found(Digest, Contents),
}

/// Looks for the table. The blob is left where it happens to be read to.
pub(super) fn table(blob: &mut (impl Read + Seek), limits: &Limits) -> io::Result<Table> {
    let size = blob.seek(SeekFrom::End(0))?;
    let Some(footer) = size.checked_sub(FOOTER as u64) else {
        return Ok(Table::Absent);
    };
    blob.seek(SeekFrom::Start(footer))?;
    let mut bytes = [0; FOOTER];
    blob.read_exact(&mut bytes)?;
    if !bytes.ends_with(MAGIC) {
        return Ok(Table::Absent);
    }
    let number = |place: usize| {
        let word = bytes[place * 8..].first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(word)
    };
    let (offset, packed, unpacked) = (number(0), number(1), number(2));
    let is_inside = offset.checked_add(packed).is_some_and(|end| end <= footer);
    if !is_inside || packed.max(unpacked) > limits.file_memory {
        return Ok(Table::Unreadable);
    }
    blob.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    blob.take(packed).read_to_end(&mut bytes)?;
    let json = unpack(bytes.as_slice(), unpacked, limits.zstd_window);
    Ok(json.map_or(Table::Unreadable, |json| Table::of(&json, &bytes)))
}

/// The bytes, if there are exactly as many as was said.
fn unpack(packed: impl Read, unpacked: u64, window: u64) -> Option<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::new(packed).ok()?;
    decoder.window_log_max(window.max(1 << 10).ilog2()).ok()?;
    let mut json = Vec::new();
    decoder.take(unpacked + 1).read_to_end(&mut json).ok()?;
    (json.len() as u64 == unpacked).then_some(json)
}
