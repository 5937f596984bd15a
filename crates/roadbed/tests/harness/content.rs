//! Bytes to push and their digests, computed without our own types.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

/// A digest algorithm of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Algorithm {
    #[default]
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Its name in digests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of bytes, `algorithm:hex`.
    pub(crate) fn digest(self, bytes: &[u8]) -> String {
        let hex = match self {
            Self::Sha256 => hex::encode(Sha256::digest(bytes)),
            Self::Sha512 => hex::encode(Sha512::digest(bytes)),
        };
        format!("{}:{hex}", self.name())
    }
}

/// SHA-256 as hex, for names.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes that look random, the same for the same seed.
pub(crate) fn noise(seed: &str, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length + 64);
    let mut block: u64 = 0;
    while bytes.len() < length {
        bytes.extend_from_slice(&Sha512::digest(format!("{seed} {block}")));
        block += 1;
    }
    bytes.truncate(length);
    bytes.into()
}

/// A blob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    /// `algorithm:hex`.
    pub(crate) digest: String,
    /// Its bytes.
    pub(crate) bytes: Bytes,
}

impl Blob {
    /// A blob of these bytes.
    pub(crate) fn new(algorithm: Algorithm, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: algorithm.digest(&bytes),
            bytes,
        }
    }

    /// A blob of noise.
    pub(crate) fn noise(algorithm: Algorithm, seed: &str, length: usize) -> Self {
        Self::new(algorithm, noise(seed, length))
    }

    /// The empty JSON object, which the image specification gives to artifacts without a config.
    pub(crate) fn empty_json(algorithm: Algorithm) -> Self {
        Self::new(algorithm, &b"{}"[..])
    }

    /// What a manifest writes to name it.
    pub(crate) fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}
