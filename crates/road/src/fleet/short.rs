//! Digests in 33 bytes: there are millions of them, and nearly all are SHA-256.

use oci::{Algorithm, Digest};

use super::strings::Strings;

const SHA256: u8 = 0;
/// The text of the digest is interned.
const OTHER: u8 = 1;
const ABSENT: u8 = 2;

/// A digest, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Short([u8; 33]);

impl Short {
    pub(super) const ABSENT: Self = Self::new(ABSENT, [0; 32]);

    const fn new(kind: u8, hash: [u8; 32]) -> Self {
        let mut bytes = [0; 33];
        bytes[0] = kind;
        let (_, rest) = bytes.split_at_mut(1);
        rest.copy_from_slice(&hash);
        Self(bytes)
    }

    fn of_number(number: u32) -> Self {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_le_bytes());
        Self::new(OTHER, hash)
    }

    fn of_sha256(digest: &Digest) -> Option<Self> {
        let hash: [u8; 32] = digest.bytes().try_into().ok()?;
        (digest.algorithm() == Algorithm::Sha256).then(|| Self::new(SHA256, hash))
    }

    pub(super) fn of(digest: &Digest, strings: &mut Strings) -> Self {
        Self::of_sha256(digest).unwrap_or_else(|| Self::of_number(strings.intern(&digest.to_string())))
    }

    pub(super) fn of_some(digest: Option<&Digest>, strings: &mut Strings) -> Self {
        digest.map_or(Self::ABSENT, |digest| Self::of(digest, strings))
    }

    /// Of a digest that is known already.
    pub(super) fn find(digest: &Digest, strings: &Strings) -> Option<Self> {
        Self::of_sha256(digest).or_else(|| strings.find(&digest.to_string()).map(Self::of_number))
    }

    pub(super) fn digest(&self, strings: &Strings) -> Option<Digest> {
        let (kind, hash) = self.0.split_first()?;
        match *kind {
            SHA256 => Digest::from_bytes(Algorithm::Sha256, hash),
            OTHER => {
                let number = u32::from_le_bytes(hash[..4].try_into().ok()?);
                strings.get(number).parse().ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_comes_back() {
        let mut strings = Strings::default();
        for algorithm in Algorithm::ALL {
            let digest = Digest::of(algorithm, b"x");
            let short = Short::of(&digest, &mut strings);
            assert_eq!(short.digest(&strings), Some(digest));
            assert_eq!(Short::find(&digest, &strings), Some(short));
        }
        assert_eq!(Short::ABSENT.digest(&strings), None);
        let unknown = Digest::of(Algorithm::Sha512, b"y");
        assert_eq!(Short::find(&unknown, &strings), None);
    }
}
