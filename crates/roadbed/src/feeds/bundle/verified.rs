//! A bundle of which is known whose it is. It is opened once, and hashed anew whenever it is read: what is parsed is what was signed,
//! whoever puts another file in its place or writes to it meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use oci::{Algorithm, Digest};
use signatures::{BlobDigest, BlobHasher, BlobKey};
use store::Timestamp;

use super::take::Refused;
use super::{BundleError, BundleLimits, BundleReader, BundleRequest, Document};

/// Bytes that are hashed at a time.
const PIECE: usize = 1 << 20;

/// Longest key file that is read, in bytes.
const KEY_BYTES: u64 = 16 << 10;

/// A bundle that somebody stands behind, or that an administrator brings unsigned.
pub(super) struct Verified {
    file: File,
    hash: BlobDigest,
    bytes: u64,
    /// The key; `None`: nobody signed it.
    signed_by: Option<String>,
    limits: BundleLimits,
}

impl Verified {
    /// Opens a bundle and finds out whose it is. Nothing of it is parsed before that is known.
    pub(super) fn open(
        path: &Path,
        keys: &[PathBuf],
        request: &BundleRequest,
        limits: BundleLimits,
    ) -> Result<Self, Refused> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let hash = Hashing::of(&file)?.finish(limits)?;
        let signed_by = signer_of(&hash, keys, request)?;
        Ok(Self {
            file,
            hash,
            bytes,
            signed_by,
            limits,
        })
    }

    /// Which file it is, as people write that: `sha256:…`.
    pub(super) fn digest(&self) -> String {
        let digest = Digest::from_bytes(Algorithm::Sha256, self.hash.bytes());
        digest.map(|digest| digest.to_string()).unwrap_or_default()
    }

    /// Who signed it, in words.
    pub(super) fn signer(&self) -> String {
        let by = self.signed_by.as_deref().unwrap_or("nobody");
        format!("signed by {by}")
    }

    /// The key that signed it; `None`: nobody did.
    pub(super) fn signed_by(&self) -> Option<&str> {
        self.signed_by.as_deref()
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads all of it. Answers when it was made.
    ///
    /// # Errors
    /// It is none, or it is not any more what was verified: what `each` was given then is nobody's word.
    pub(super) fn read(
        &self,
        mut each: impl FnMut(Document) -> Result<(), Refused>,
    ) -> Result<Timestamp, Refused> {
        let mut bytes = Hashing::of(&self.file)?;
        let mut reader = BundleReader::open(&mut bytes, self.limits)?;
        while let Some(document) = reader.next()? {
            each(document)?;
        }
        let created = reader.created;
        drop(reader);
        if bytes.finish(self.limits)?.bytes() != self.hash.bytes() {
            return Err(Refused::Changed);
        }
        Ok(created)
    }
}

/// A file from its start, hashed as it is read.
struct Hashing<'a> {
    file: &'a File,
    hasher: BlobHasher,
    bytes: u64,
}

impl<'a> Hashing<'a> {
    fn of(mut file: &'a File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            file,
            hasher: BlobHasher::default(),
            bytes: 0,
        })
    }

    /// The hash of all of it, also of what nobody has read.
    fn finish(mut self, limits: BundleLimits) -> Result<BlobDigest, Refused> {
        let mut piece = vec![0; PIECE];
        while self.read(&mut piece)? > 0 {
            if self.bytes > limits.bytes {
                return Err(too_large(limits).into());
            }
        }
        Ok(self.hasher.finish())
    }
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn too_large(limits: BundleLimits) -> BundleError {
    BundleError::TooLarge {
        what: "the file",
        limit: limits.bytes,
        key: BUNDLE_BYTES,
    }
}

/// The key of the limit of the file.
pub(super) const BUNDLE_BYTES: &str = "feeds.bundle_bytes";

/// The key that signed it; `None`: an administrator says that nobody has to.
fn signer_of(
    hash: &BlobDigest,
    keys: &[PathBuf],
    request: &BundleRequest,
) -> Result<Option<String>, Refused> {
    let signature = match (&request.signature, request.unsigned) {
        (Some(_), true) => return Err(Refused::Both),
        (None, true) => return Ok(None),
        _ if keys.is_empty() => return Err(Refused::NoKey),
        (None, false) => return Err(Refused::NoSignature),
        (Some(signature), false) => signature,
    };
    for path in keys {
        if key(path)?.made(hash, signature) {
            return Ok(Some(path.display().to_string()));
        }
    }
    Err(Refused::NotSigned(keys.len()))
}

fn key(path: &Path) -> Result<BlobKey, Refused> {
    let unusable = |why: String| Refused::Key {
        path: path.to_owned(),
        why,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
    let read = file.take(KEY_BYTES).read_to_string(&mut text);
    read.map_err(|error| unusable(error.to_string()))?;
    BlobKey::from_pem(&text).map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMITS: BundleLimits = BundleLimits {
        bytes: 1 << 20,
        unpacked: 1 << 20,
    };

    fn bundle(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let document = Document {
            name: "kev.json".to_owned(),
            text: text.to_owned(),
        };
        super::super::write(&mut bytes, Timestamp(0), std::iter::once(Ok(document))).unwrap();
        bytes
    }

    fn open(path: &Path, limits: BundleLimits) -> Result<Verified, Refused> {
        let request = BundleRequest {
            unsigned: true,
            ..BundleRequest::default()
        };
        Verified::open(path, &[], &request, limits)
    }

    fn texts(verified: &Verified) -> Result<Vec<String>, Refused> {
        let mut texts = Vec::new();
        verified.read(|document| {
            texts.push(document.text);
            Ok(())
        })?;
        Ok(texts)
    }

    #[test]
    fn what_is_read_is_what_was_verified() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle");
        fs::write(&path, bundle("signed")).unwrap();
        let verified = open(&path, LIMITS).unwrap();
        assert_eq!(
            verified.digest(),
            Digest::of(Algorithm::Sha256, &bundle("signed")).to_string()
        );
        assert_eq!(texts(&verified).unwrap(), ["signed"]);
        // Another file in its place is another file.
        let other = directory.path().join("other");
        fs::write(&other, bundle("forged")).unwrap();
        fs::rename(&other, &path).unwrap();
        for _ in 0..2 {
            assert_eq!(texts(&verified).unwrap(), ["signed"]);
        }
    }

    #[test]
    fn what_is_written_over_it_is_refused_before_it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle");
        fs::write(&path, bundle("signed")).unwrap();
        let verified = open(&path, LIMITS).unwrap();
        // Whole and well-formed, and nobody has signed it.
        fs::write(&path, bundle("forged")).unwrap();
        assert!(matches!(texts(&verified), Err(Refused::Changed)));
        fs::write(&path, bundle("signed")).unwrap();
        assert_eq!(texts(&verified).unwrap(), ["signed"]);
    }

    #[test]
    fn a_file_over_the_limit_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle");
        let bytes = bundle("signed");
        fs::write(&path, &bytes).unwrap();
        let limits = |bytes: usize| BundleLimits {
            bytes: bytes as u64,
            ..LIMITS
        };
        assert!(open(&path, limits(bytes.len())).is_ok());
        let said = open(&path, limits(bytes.len() - 1)).err().unwrap().to_string();
        assert!(said.contains("feeds.bundle_bytes"), "{said}");
    }
}
