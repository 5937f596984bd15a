//! Blobs and manifests to push.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::random::Random;

/// Media type of the manifests.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes at the end of a [`BlobFamily`] member that make it different from the others.
const TAIL_BYTES: usize = 32;

/// `sha256:…` of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

/// `sha256:…` of what was hashed.
pub(crate) fn digest_text(hasher: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Some bytes and their digest.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    /// `sha256:…`
    pub(crate) digest: String,
    /// The content.
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    /// Of given bytes.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self {
            digest: digest_of(&bytes),
            bytes,
        }
    }

    /// Of bytes that no store has seen.
    pub(crate) fn fresh(length: usize) -> Self {
        Self::of(Random::fresh().bytes(length))
    }

    /// What a manifest says about it.
    pub(crate) fn reference(&self) -> BlobReference {
        BlobReference {
            digest: self.digest.clone(),
            size: self.bytes.len(),
        }
    }
}

/// A blob without its bytes.
#[derive(Debug, Clone)]
pub(crate) struct BlobReference {
    /// `sha256:…`
    pub(crate) digest: String,
    /// In bytes.
    pub(crate) size: usize,
}

/// Any number of blobs of one size that differ at their end only. Their digests cost the client next to nothing, because
/// the hash of what they share is kept; the server gets them one by one and has to hash all of each.
#[derive(Debug)]
pub(crate) struct BlobFamily {
    shared: Vec<u8>,
    hashed: Sha256,
}

impl BlobFamily {
    /// Of blobs of `length` bytes (more than 32).
    pub(crate) fn fresh(length: usize) -> Self {
        let shared = Random::fresh().bytes(length.saturating_sub(TAIL_BYTES));
        Self {
            hashed: Sha256::new_with_prefix(&shared),
            shared,
        }
    }

    /// The two pieces of one member and its digest.
    pub(crate) fn member(&self, number: u64) -> (&[u8], Vec<u8>, String) {
        let tail = Random::seeded(number).bytes(TAIL_BYTES);
        let digest = digest_text(self.hashed.clone().chain_update(&tail));
        (&self.shared, tail, digest)
    }
}

/// An image manifest; `note` becomes an annotation that tells manifests of the same blobs apart.
pub(crate) fn manifest(config: &BlobReference, layers: &[BlobReference], note: &str) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| json!({"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size}))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config.digest, "size": config.size},
        "layers": layers,
        "annotations": {"org.opencontainers.image.title": note},
    });
    manifest.to_string().into_bytes()
}

/// An image configuration; `note` tells them apart.
pub(crate) fn config(note: &str) -> Blob {
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "author": note,
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    Blob::of(config.to_string().into_bytes())
}
