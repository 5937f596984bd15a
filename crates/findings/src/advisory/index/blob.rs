//! The form that the advisories of an index are kept in: a line that names the version of the form, then a line of JSON for
//! each advisory, deflated. What the matcher does not need is left out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

use super::{AdvisoryIndex, IndexBuilder};
use crate::advisory::{
    error::AdvisoryError,
    limits::{BLOB_BYTES, OSV_DOCUMENT_BYTES},
    record::Advisory,
};

const HEADER: &str = "advisories 1\n";
/// A stored advisory is smaller than the document that it was read from, but its fields have longer names.
const LINE_BYTES: u64 = 4 * OSV_DOCUMENT_BYTES as u64;

/// Writes advisories for [`AdvisoryIndex::load`].
pub fn encode<'a>(advisories: impl IntoIterator<Item = &'a Advisory>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(HEADER.as_bytes());
    for advisory in advisories {
        let mut line = serde_json::to_vec(&without_details(advisory)).unwrap_or_default();
        line.push(b'\n');
        let _ = encoder.write_all(&line);
    }
    encoder.finish().unwrap_or_default()
}

fn without_details(advisory: &Advisory) -> Advisory {
    Advisory {
        details: String::new(),
        ..advisory.clone()
    }
}

pub(super) fn load(blob: &[u8]) -> Result<AdvisoryIndex, AdvisoryError> {
    let damaged = |what: String| AdvisoryError::Damaged(what);
    let mut lines = BufReader::with_capacity(1 << 16, ZlibDecoder::new(blob).take(BLOB_BYTES));
    let mut builder = IndexBuilder::default();
    let mut line = Vec::new();
    for number in 0_usize.. {
        line.clear();
        let read = lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| damaged(error.to_string()))? == 0 {
            if number == 0 {
                return Err(damaged("they are empty".to_owned()));
            }
            break;
        }
        if number == 0 {
            if line != HEADER.as_bytes() {
                return Err(damaged("they are of another version".to_owned()));
            }
            continue;
        }
        let advisory: Advisory =
            serde_json::from_slice(&line).map_err(|error| damaged(format!("line {number}: {error}")))?;
        builder.add(advisory)?;
    }
    builder.finish()
}

#[cfg(test)]
pub(super) fn tests_only_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}
