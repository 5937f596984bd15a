//! Where a committed blob lies: the text that its row carries.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci::Digest;
use thiserror::Error;
use uuid::Uuid;

use super::directories::{BLOBS, FanOut};

/// Path of one committed blob file below the data directory: `blobs/<algorithm>/<first two hex>/<hex>.<nonce>`.
///
/// Parsed into digest and nonce and printed from them again, so that a text from the database can never name
/// another place than a blob's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    digest: Digest,
    nonce: Uuid,
}

/// A text that is no location of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a location of a blob file")]
pub(crate) struct LocationError {
    text: String,
}

impl Location {
    /// The place of the blob that upload `nonce` becomes.
    pub(crate) fn new(digest: Digest, nonce: Uuid) -> Self {
        Self { digest, nonce }
    }

    /// Digest that the file was committed under.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The upload that became this file.
    pub(crate) fn upload(&self) -> Uuid {
        self.nonce
    }

    /// The directory that holds it.
    pub(super) fn fan_out(&self) -> FanOut {
        FanOut::of(&self.digest)
    }

    /// Path relative to the data directory.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }

    /// Path of the same file in quarantine.
    pub(super) fn quarantine_path(&self) -> PathBuf {
        PathBuf::from(format!(
            "{}/{}-{}.{}",
            super::QUARANTINE,
            self.digest.algorithm(),
            self.digest.hex(),
            self.nonce.as_simple()
        ))
    }

    /// Reads a file name found in a fan-out directory.
    pub(super) fn in_dir(dir: &Path, name: &str) -> Result<Self, LocationError> {
        format!("{}/{name}", dir.display()).parse()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.digest.hex();
        let fan_out = hex.get(..2).unwrap_or_default();
        write!(
            f,
            "{BLOBS}/{}/{fan_out}/{hex}.{}",
            self.digest.algorithm(),
            self.nonce.as_simple()
        )
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let parse = || {
            let mut parts = text.split('/');
            let (BLOBS, algorithm, _, name, None) = (
                parts.next()?,
                parts.next()?,
                parts.next()?,
                parts.next()?,
                parts.next(),
            ) else {
                return None;
            };
            let (hex, nonce) = name.split_once('.')?;
            let digest = format!("{algorithm}:{hex}").parse::<Digest>().ok()?;
            Some(Self {
                digest,
                nonce: Uuid::try_parse(nonce).ok()?,
            })
        };
        parse()
            // One text per place: whatever reads otherwise than it prints (upper case, another fan-out) is refused.
            .filter(|location| location.to_string() == text)
            .ok_or_else(|| LocationError {
                text: text.chars().take(300).collect(),
            })
    }
}

#[cfg(test)]
mod tests;
