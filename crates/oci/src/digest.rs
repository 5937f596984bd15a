//! Content digests: `algorithm:hex`.

mod hasher;

use std::fmt;
use std::str::FromStr;

pub use hasher::Hasher;

use crate::Tag;
use crate::text::{excerpt, serde_as_text};

/// A hash algorithm that the registry computes and verifies itself.
///
/// The image specification registers these two (image-spec, descriptor.md, "Registered algorithms").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, 32 bytes; what every client uses unless told otherwise.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// The spelling in a digest: `sha256` or `sha512`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// Length of the raw hash in bytes.
    pub const fn byte_len(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// Length of the encoded hash in hexadecimal characters.
    pub const fn hex_len(self) -> usize {
        self.byte_len() * 2
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| DigestError::UnknownAlgorithm {
                algorithm: excerpt(text),
            })
    }
}

serde_as_text!(Algorithm, "a digest algorithm such as sha256");

/// The verified name of some content: an algorithm and the hash that it gave.
///
/// Copied, compared and printed without allocating. Orders like its text: by algorithm, then by hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Hash);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Hash {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// Why a text is not a digest. Answered to clients as `DIGEST_INVALID`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Well formed, but made with an algorithm that this registry does not compute.
    #[error("digest algorithm `{algorithm}` is not supported: use sha256 or sha512")]
    UnknownAlgorithm {
        /// The algorithm, clipped and escaped.
        algorithm: String,
    },
    /// Not of the form `algorithm:hex`.
    #[error("digest `{digest}` is malformed: {problem}")]
    Malformed {
        /// The text, clipped and escaped.
        digest: String,
        /// What is wrong and what is expected instead.
        problem: &'static str,
    },
}

impl Digest {
    /// Length in bytes of the longest digest text (`sha512:` and 128 characters); the size of
    /// [`encode`](Self::encode)'s buffer.
    pub const MAX_LEN: usize = 7 + 128;

    /// Hashes `bytes`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// A digest from its raw hash; `None` if the length is not the algorithm's.
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Digest> {
        match algorithm {
            Algorithm::Sha256 => hash.try_into().ok().map(Hash::Sha256),
            Algorithm::Sha512 => hash.try_into().ok().map(Hash::Sha512),
        }
        .map(Digest)
    }

    /// The algorithm that made it.
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Hash::Sha256(_) => Algorithm::Sha256,
            Hash::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The raw hash.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Hash::Sha256(hash) => hash,
            Hash::Sha512(hash) => hash,
        }
    }

    /// The hash in lowercase hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        let mut buffer = [0; Self::MAX_LEN];
        let prefix = self.algorithm().as_str().len() + 1;
        self.encode(&mut buffer)[prefix..].to_owned()
    }

    /// Writes the text (`sha256:…`) into `buffer` and returns it; for hot paths that must not allocate.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; Self::MAX_LEN]) -> &'a str {
        let algorithm = self.algorithm();
        let name = algorithm.as_str().as_bytes();
        let len = name.len() + 1 + algorithm.hex_len();
        buffer[..name.len()].copy_from_slice(name);
        buffer[name.len()] = b':';
        hex::encode_to_slice(self.bytes(), &mut buffer[name.len() + 1..len])
            .expect("the slice has the algorithm's hex length");
        std::str::from_utf8(&buffer[..len]).expect("an algorithm, a colon and hex are ASCII")
    }

    /// The tag under which clients keep this manifest's referrers on registries without the referrers API.
    ///
    /// `<algorithm>-<hex>`, the hash cut to 64 characters (distribution-spec, "Referrers Tag Schema"), so two
    /// sha512 digests may share one: read the index under it with that in mind.
    pub fn fallback_tag(&self) -> Tag {
        let hex = self.hex();
        let kept = hex.len().min(64);
        Tag::known_good(&format!("{}-{}", self.algorithm(), &hex[..kept]))
    }

    /// The tags under which clients keep what is attached to this manifest: the fallback tag, and those under which cosign
    /// keeps signatures (`.sig`) and attestations (`.att`).
    pub fn attachment_tags(&self) -> [Tag; 3] {
        let fallback = self.fallback_tag();
        let cosign = |end: &str| Tag::known_good(&format!("{fallback}{end}"));
        [cosign(".sig"), cosign(".att"), fallback]
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = |problem| DigestError::Malformed {
            digest: excerpt(text),
            problem,
        };
        let (name, encoded) = text
            .split_once(':')
            .ok_or_else(|| malformed("expected `algorithm:hex`, such as sha256:…"))?;
        if !is_algorithm_name(name) {
            return Err(malformed(
                "the part before the colon is no algorithm name, such as sha256",
            ));
        }
        let algorithm: Algorithm = name.parse()?;
        if encoded.len() != algorithm.hex_len() {
            return Err(malformed(
                "wrong length: sha256 has 64 hexadecimal characters, sha512 has 128",
            ));
        }
        if !encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(malformed("the hash may hold only 0-9 and lowercase a-f"));
        }
        let mut buffer = [0; 64];
        let hash = &mut buffer[..algorithm.byte_len()];
        hex::decode_to_slice(encoded, hash).expect("length and characters were checked");
        Ok(Digest::from_bytes(algorithm, hash).expect("the slice has the algorithm's length"))
    }
}

/// image-spec, descriptor.md, "Digests": components of `[a-z0-9]+` joined by one of `+._-`.
fn is_algorithm_name(name: &str) -> bool {
    name.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode(&mut [0; Self::MAX_LEN]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

serde_as_text!(Digest, "a digest such as sha256:…");

#[cfg(test)]
mod tests;
