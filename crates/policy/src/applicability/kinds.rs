//! The kinds of artifacts that are known, by what they say of themselves.

use oci::Manifest;
use oci::media_type::{HELM_CHART, HELM_CONFIG, HELM_PROVENANCE, OCI_EMPTY};
use serde::{Deserialize, Serialize};

/// What a manifest is that is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// Cosign's or Notation's.
    Signature,
    /// in-toto, in an envelope or plain; also a bundle of sigstore.
    Attestation,
    /// SPDX, `CycloneDX`, Syft.
    Sbom,
    /// Helm's.
    Chart,
    /// `BuildKit`'s.
    BuildCache,
    /// Text or JSON of some other kind; or nothing at all.
    Data,
}

const HELM_LAYERS: [&str; 2] = [HELM_CHART, HELM_PROVENANCE];
const CACHE_CONFIGS: [&str; 2] = [
    "application/vnd.buildkit.cacheconfig.v0",
    "application/vnd.buildkit.cacheconfig.v0+json",
];
const SIGNATURES: [&str; 3] = [
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/jose+json",
    "application/cose",
];
const ATTESTATIONS: [&str; 2] = [
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.in-toto+json",
];
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const SBOMS: [&str; 6] = [
    "text/spdx",
    "text/spdx+json",
    "application/spdx+json",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/vnd.syft+json",
];

/// What the types of a manifest say that it is, if that is something that is not judged and all of its layers agree.
pub(super) fn declared(manifest: &Manifest) -> Option<ArtifactKind> {
    let config = manifest
        .config
        .as_ref()
        .map_or("", |config| config.media_type.as_str());
    let layers: Vec<&str> = manifest
        .layers
        .iter()
        .map(|layer| layer.media_type.as_str())
        .collect();
    if config == HELM_CONFIG {
        let is_chart = !layers.is_empty() && layers.iter().all(|layer| HELM_LAYERS.contains(layer));
        return is_chart.then_some(ArtifactKind::Chart);
    }
    if CACHE_CONFIGS.contains(&config) {
        return Some(ArtifactKind::BuildCache);
    }
    if layers.is_empty() {
        // An image without layers runs nothing, but what it says of itself is an image's.
        return (config == OCI_EMPTY).then_some(ArtifactKind::Data);
    }
    let kinds: Option<Vec<ArtifactKind>> = layers.into_iter().map(layer_kind).collect();
    let first = *kinds.as_ref()?.first()?;
    let is_one = kinds?.iter().all(|kind| *kind == first);
    Some(if is_one { first } else { ArtifactKind::Data })
}

fn layer_kind(media_type: &str) -> Option<ArtifactKind> {
    if SIGNATURES.contains(&media_type) {
        return Some(ArtifactKind::Signature);
    }
    if ATTESTATIONS.contains(&media_type) || media_type.starts_with(BUNDLE) {
        return Some(ArtifactKind::Attestation);
    }
    if SBOMS.contains(&media_type) {
        return Some(ArtifactKind::Sbom);
    }
    let is_data = media_type == OCI_EMPTY
        || media_type == "application/json"
        || media_type.ends_with("+json")
        || media_type.starts_with("text/");
    is_data.then_some(ArtifactKind::Data)
}
