//! What a version of a chart is in a registry: the artifact that `helm push` makes of it.
//!
//! The same version with the same archive is the same artifact, byte for byte, whenever it is made: nothing in it tells the time.

use bytes::Bytes;
use oci::media_type::{HELM_CHART, HELM_CONFIG, HELM_PROVENANCE};
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
    /// Digest of what is signed of it.
    pub(super) provenance: Option<Digest>,
    /// Whether it is known what is signed.
    is_whole: bool,
    /// What the index said of it.
    stated: (Option<Digest>, Box<str>, Box<str>),
}

/// What is signed of an archive, as Helm writes it into a file beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Provenance {
    Signed(Bytes),
    /// There is none, or none that is taken.
    Unsigned,
    /// It could not be had now.
    Unknown,
}

impl Artifact {
    /// Makes one, as `helm push` does: what is signed is a layer of its own.
    pub(super) fn of(version: &ChartVersion, archive: &Bytes, provenance: &Provenance) -> Self {
        let config = Bytes::copy_from_slice(version.metadata.as_bytes());
        let of = |media_type: &str, bytes: &Bytes| {
            json!({
                "mediaType": media_type,
                "digest": Digest::of(Algorithm::Sha256, bytes),
                "size": bytes.len(),
            })
        };
        let mut layers = vec![of(HELM_CHART, archive)];
        let mut signed = None;
        if let Provenance::Signed(bytes) = provenance {
            layers.push(of(HELM_PROVENANCE, bytes));
            signed = Some(Digest::of(Algorithm::Sha256, bytes));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
            "config": of(HELM_CONFIG, &config),
            "layers": layers,
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
            provenance: signed,
            is_whole: *provenance != Provenance::Unknown,
            stated: stated(version),
        }
    }

    /// Whether it is still what the index says of the version, with what is signed. Where that states no digest, an archive that was
    /// changed behind the same URL is not noticed.
    pub(super) fn is_of(&self, version: &ChartVersion) -> bool {
        self.is_whole && self.stated == stated(version)
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
