//! Descriptors: how one piece of content points at another.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Digest, MediaType, Platform};

/// A pointer to content by digest (image-spec, descriptor.md).
///
/// Only the manifest parser makes one from bytes of strangers, under
/// [`ManifestLimits`](crate::ManifestLimits). Serialises as the specification's JSON, without `data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Type of the content.
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Length of the content in bytes; at most `i64::MAX`, since clients read it as a signed number.
    pub size: u64,
    /// Type of the artifact, when the content is a manifest of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Other places that serve the content. Kept for show; nothing is ever fetched from there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Where the content runs, in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whether the content was embedded as `data`. The embedded bytes are never used: content is served by
    /// digest alone.
    #[serde(skip)]
    pub data: bool,
}

impl Descriptor {
    /// A descriptor with nothing but what is required.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type,
            digest,
            size,
            artifact_type: None,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            data: false,
        }
    }

    /// Whether it names a layer that registries need not hold (non-distributable, or foreign in Docker's
    /// word).
    pub fn is_foreign(&self) -> bool {
        self.media_type.is_foreign_layer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, media_type};

    #[test]
    fn serialises_without_what_is_absent() {
        let digest = Digest::of(Algorithm::Sha256, b"{}");
        let mut descriptor = Descriptor::new(MediaType::known_good(media_type::OCI_EMPTY), digest, 2);
        descriptor.data = true;
        assert_eq!(
            serde_json::to_string(&descriptor).unwrap(),
            format!(r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}}"#)
        );
    }

    #[test]
    fn knows_foreign_layers() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let of = |media_type| Descriptor::new(MediaType::known_good(media_type), digest, 0).is_foreign();
        assert!(of(media_type::OCI_FOREIGN_LAYER));
        assert!(!of(media_type::OCI_LAYER));
    }
}
