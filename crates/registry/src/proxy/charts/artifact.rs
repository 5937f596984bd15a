//! What a version of a chart is in a registry: the artifact that `helm push` makes of it.
//!
//! The same version with the same archive is the same artifact, byte for byte, whenever it is made: nothing in it tells the time.

use bytes::Bytes;
use oci::media_type::{HELM_CHART, HELM_CONFIG};
use oci::{Algorithm, Digest, Tag};
use serde_json::json;

use super::index::ChartVersion;

/// A chart as an artifact.
#[derive(Debug)]
pub(super) struct Artifact {
    /// Of the manifest.
    pub(super) digest: Digest,
    pub(super) manifest: Bytes,
    /// What `Chart.yaml` says, as JSON.
    pub(super) config: Bytes,
    /// Digest of the archive.
    pub(super) archive: Digest,
    /// What the index said of it.
    stated: (Option<Digest>, Box<str>, Box<str>),
}

impl Artifact {
    /// Makes one.
    pub(super) fn of(version: &ChartVersion, archive: &Bytes) -> Self {
        let config = Bytes::copy_from_slice(version.metadata.as_bytes());
        let of = |media_type: &str, bytes: &Bytes| {
            json!({
                "mediaType": media_type,
                "digest": Digest::of(Algorithm::Sha256, bytes),
                "size": bytes.len(),
            })
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
            "config": of(HELM_CONFIG, &config),
            "layers": [of(HELM_CHART, archive)],
            "annotations": {
                "org.opencontainers.image.title": &*version.name,
                "org.opencontainers.image.version": &*version.version,
            },
        });
        let manifest = Bytes::from(manifest.to_string());
        Self {
            digest: Digest::of(Algorithm::Sha256, &manifest),
            manifest,
            config,
            archive: Digest::of(Algorithm::Sha256, archive),
            stated: stated(version),
        }
    }

    /// Whether it is still what the index says of the version. Where that states no digest, an archive that was changed behind
    /// the same URL is not noticed.
    pub(super) fn is_of(&self, version: &ChartVersion) -> bool {
        self.stated == stated(version)
    }

    pub(super) fn config_digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.config)
    }
}

fn stated(version: &ChartVersion) -> (Option<Digest>, Box<str>, Box<str>) {
    (version.digest, version.url.clone(), version.metadata.clone())
}

/// A version as a tag: registries know no `+` (Helm's documentation, "Use OCI-based registries").
pub(crate) fn tag_of(version: &str) -> Option<Tag> {
    version.replace('+', "_").parse().ok()
}
