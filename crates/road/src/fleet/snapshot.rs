//! The stored form of an index, so that a start need not read every report again.
//!
//! A line that names the version of the form, the length of the rest, the rest, its SHA-256. The rest: the last event that the
//! index takes in, texts, operating systems, versions of packages, units, layers, images, each with its count before it and
//! without what no image needs. Numbers are written seven bits at a time, lowest first. Sets are not written: they follow.
//!
//! Nothing that is read is believed: every number is checked against what it counts in, and no more is reserved than there are
//! bytes left.

mod read;
mod write;

use oci::{Algorithm, Digest};
use thiserror::Error;

use super::Fleet;

const HEADER: &[u8] = b"roadbed fleet 1\n";
const HASH: usize = 32;

/// Why a stored index cannot be used. It is to be built again then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Another version of the form, or no index at all.
    #[error("it is of another version or none: it has to be built again")]
    Version,
    /// Its sum is another one.
    #[error("its checksum is wrong: it was cut off or changed")]
    Checksum,
    /// A number points to nothing, or a text is none.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

impl Fleet {
    /// Writes the index. `event` is the number of the last event that it takes in.
    pub fn encode(&self, event: u64) -> Vec<u8> {
        let body = write::body(self, event);
        let mut bytes = Vec::with_capacity(HEADER.len() + body.len() + HASH);
        bytes.extend_from_slice(HEADER);
        bytes.extend_from_slice(&body);
        let hash = Digest::of(Algorithm::Sha256, &bytes);
        bytes.extend_from_slice(hash.bytes());
        bytes
    }
}

/// Reads what [`Fleet::encode`] wrote. Answers with the number of the last event that it takes in.
///
/// # Errors
/// It is of another version, or damaged.
pub fn load(bytes: &[u8]) -> Result<(Fleet, u64), SnapshotError> {
    if !bytes.starts_with(HEADER) {
        return Err(SnapshotError::Version);
    }
    let end = bytes.len().checked_sub(HASH).filter(|end| *end >= HEADER.len());
    let (said, hash) = bytes.split_at(end.ok_or(SnapshotError::Checksum)?);
    if Digest::of(Algorithm::Sha256, said).bytes() != hash {
        return Err(SnapshotError::Checksum);
    }
    read::body(&said[HEADER.len()..])
}

/// Without the checksum: for tests that damage what is behind it.
#[cfg(test)]
pub(super) fn load_unchecked(bytes: &[u8]) -> Result<(Fleet, u64), SnapshotError> {
    read::body(bytes.get(HEADER.len()..bytes.len() - HASH).unwrap_or_default())
}
