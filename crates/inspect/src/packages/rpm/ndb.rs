//! `Packages.db`: rpm's own format. Pages of slots, each of which says where a blob lies, in blocks of 16 bytes.
//!
//! The blobs may not add up to more than the file, so that slots that all point at one large blob cost no more than it.

use super::{Blobs, u32_le};
use crate::FileError;
use crate::packages::random_access::RandomAccess;

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"RpmP";

const PAGE: usize = 4_096;
const BLOCK: u64 = 16;
const SLOT: usize = 16;

/// Bytes before the first slot.
const FILE_HEADER: usize = 32;

/// Bytes before a blob: magic, package, generation, length.
const BLOB_HEADER: usize = 16;

/// Hands over the blobs.
pub(super) fn walk(source: &mut RandomAccess<'_, '_>, blobs: &mut Blobs<'_>) -> Result<(), FileError> {
    let header = source.read(0, FILE_HEADER)?;
    let version = u32_le(&header, 4);
    if version != 0 {
        return Err(FileError::malformed(format!(
            "version {version} of ndb is not known"
        )));
    }
    let mut left = source.size();
    for page in 0..u64::from(u32_le(&header, 12)) {
        let offset = page * PAGE as u64;
        if offset >= source.size() {
            return Err(FileError::malformed("a page of slots is beyond the end"));
        }
        let slots = source.read_some(offset, PAGE)?;
        let start = if page == 0 { FILE_HEADER } else { 0 };
        for slot in slots.get(start..).unwrap_or_default().chunks_exact(SLOT) {
            match blob(source, slot, &mut left, blobs) {
                Ok(Some(blob)) => blobs.take(&blob)?,
                Ok(None) => {}
                Err(problem) => blobs.note(problem),
            }
        }
    }
    Ok(())
}

/// The blob of a slot: magic, package, first block (0: the slot is free), number of blocks.
fn blob(
    source: &mut RandomAccess<'_, '_>,
    slot: &[u8],
    left: &mut u64,
    blobs: &mut Blobs<'_>,
) -> Result<Option<Vec<u8>>, FileError> {
    let package = u32_le(slot, 4);
    if !slot.starts_with(b"Slot") {
        return Err(FileError::malformed("a slot does not begin as one"));
    }
    let offset = u64::from(u32_le(slot, 8)) * BLOCK;
    if offset == 0 {
        return Ok(None);
    }
    let header = source.read(offset, BLOB_HEADER)?;
    if !header.starts_with(b"BlbS") || u32_le(&header, 4) != package {
        return Err(FileError::malformed(format!(
            "the blob of package {package} does not begin as one"
        )));
    }
    let length = u32_le(&header, 12);
    if !blobs.admits(u64::from(length)) {
        return Ok(None);
    }
    *left = left
        .checked_sub(u64::from(length) + BLOB_HEADER as u64)
        .ok_or_else(|| FileError::malformed("the blobs lie over each other"))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    source.read(offset + BLOB_HEADER as u64, length).map(Some)
}
