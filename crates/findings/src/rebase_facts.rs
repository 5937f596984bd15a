//! What a layer pass keeps so that an image can be put on another base without reading its bytes again.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde::{Deserialize, Serialize};

use crate::Linkage;

/// Files that package managers and their kin write for the whole system, and that more than one layer may have: their bytes are
/// kept. Relative to the root.
pub const KEPT_FILES: [&str; 22] = [
    "etc/apk/world",
    "etc/group",
    "etc/gshadow",
    "etc/ld.so.cache",
    "etc/passwd",
    "etc/shadow",
    "etc/shells",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/subgid",
    "etc/subuid",
    "lib/apk/db/installed",
    "lib/apk/db/scripts.tar",
    "lib/apk/db/triggers",
    "usr/lib/apk/db/installed",
    "usr/lib/apk/db/scripts.tar",
    "usr/lib/apk/db/triggers",
    "var/lib/apt/extended_states",
    "var/lib/dpkg/diversions",
    "var/lib/dpkg/statoverride",
    "var/lib/dpkg/status",
    "var/lib/dpkg/triggers/File",
    "var/lib/dpkg/triggers/Unincorp",
];

/// Bytes of a file that are kept; a longer one is not, and images that need it merged are not rebased.
pub const KEPT_FILE_BYTES: usize = 16 << 20;

/// A file whose bytes are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// One of [`KEPT_FILES`].
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Its bytes.
    pub content: Deflated,
}

/// What of a layer matters for a change of what lies below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebaseFacts {
    /// Its programs and libraries, in the order of their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linkages: Vec<Linkage>,
    /// How many more could not be read, or are too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_linkages: u64,
    /// Its files of [`KEPT_FILES`], in the order of their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptFile>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Bytes, deflated. In JSON they are base 16.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deflated(Vec<u8>);

impl Deflated {
    /// Deflates bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = encoder.write_all(bytes);
        Self(encoder.finish().unwrap_or_default())
    }

    /// The bytes. `None`: they are damaged, or more than `limit`.
    pub fn bytes(&self, limit: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = ZlibDecoder::new(self.0.as_slice())
            .take(most)
            .read_to_end(&mut bytes);
        read.ok().filter(|read| *read <= limit).map(|_| bytes)
    }

    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds nothing, not even an end.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Deflated {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::base16::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Deflated {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::base16::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_small_and_bombs_are_not_inflated() {
        let text = b"Package: x\n".repeat(1_000);
        let deflated = Deflated::of(&text);
        assert!(deflated.len() < 200);
        assert_eq!(deflated.bytes(text.len()).unwrap(), text);
        assert_eq!(deflated.bytes(text.len() - 1), None);
        let json = serde_json::to_string(&deflated).unwrap();
        assert_eq!(serde_json::from_str::<Deflated>(&json).unwrap(), deflated);
        for damaged in ["\"7\"", "\"zz\"", "7"] {
            assert!(serde_json::from_str::<Deflated>(damaged).is_err(), "{damaged}");
        }
        assert_eq!(
            serde_json::from_str::<Deflated>("\"00ff\"").unwrap().bytes(10),
            None
        );
    }
}
