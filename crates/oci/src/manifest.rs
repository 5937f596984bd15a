//! Manifests: images, artifacts and indexes.

mod error;
mod limits;
mod wire;

use std::collections::BTreeMap;

pub use error::ManifestError;
pub use limits::ManifestLimits;

use crate::media_type::{
    DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, HELM_CHART, HELM_CONFIG,
    HELM_PROVENANCE, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST,
};
use crate::{Descriptor, MediaType};
use wire::{Field, WireManifest};

/// Which of the two shapes a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// A config and layers: an image, or any other artifact.
    Image,
    /// A list of manifests.
    Index,
}

/// What a manifest means. Its bytes are kept beside it, unchanged; this is never turned back into JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Image or index.
    pub kind: ManifestKind,
    /// One of [`media_type::MANIFESTS`](crate::media_type::MANIFESTS): the `Content-Type` to serve it with.
    pub media_type: MediaType,
    /// What the referrers API calls its type: its own `artifactType`, else, for an image, the config's media
    /// type (distribution-spec, "Listing Referrers").
    pub artifact_type: Option<String>,
    /// Its own `artifactType`, if it has one that is not empty.
    pub declared_artifact_type: Option<String>,
    /// The config; always there in an image, never in an index.
    pub config: Option<Descriptor>,
    /// The layers of an image, lowest first.
    pub layers: Vec<Descriptor>,
    /// The children of an index.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about. It need not exist.
    pub subject: Option<Descriptor>,
    /// Free metadata.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest within `limits`.
    ///
    /// Taken are the OCI image manifest and index, Docker's manifest version 2 schema 2 and its list.
    /// `content_type` is what the client sent; without it the body's `mediaType` decides, and without that
    /// the fields, as OCI types.
    ///
    /// Legal are unknown fields, no layers, no children, `data`, `null` where a field could be left out, and
    /// any config type. Refused is what two readers could understand in two ways: index and image fields in
    /// one body (CVE-2021-41190), a `mediaType` that contradicts `content_type`, a key given twice, and a key
    /// that differs from a known one only in case, because Go's decoder, so most clients, would take it for
    /// the known one.
    pub fn parse(
        bytes: &[u8],
        content_type: Option<&MediaType>,
        limits: &ManifestLimits,
    ) -> Result<Manifest, ManifestError> {
        if let Some(content_type) = content_type {
            kind_of(content_type)?;
        }
        let wire = wire::read(bytes, limits)?;
        match wire.schema_version {
            Some(2) => {}
            Some(1) => return Err(ManifestError::Schema1),
            found => return Err(ManifestError::SchemaVersion { found }),
        }
        let media_type = decide_media_type(&wire, content_type)?;
        match kind_of(&media_type)? {
            ManifestKind::Image => image(wire, media_type),
            ManifestKind::Index => index(wire, media_type),
        }
    }

    /// The archive of a Helm chart, if the artifact is one.
    pub fn chart_archive(&self) -> Option<&Descriptor> {
        self.chart_layer(HELM_CHART)
    }

    /// What is signed of a Helm chart, if the artifact is one and has it.
    pub fn chart_provenance(&self) -> Option<&Descriptor> {
        self.chart_layer(HELM_PROVENANCE)
    }

    fn chart_layer(&self, media_type: &str) -> Option<&Descriptor> {
        let config = self.config.as_ref()?;
        let is_chart = config.media_type.as_str() == HELM_CONFIG;
        let mut layers = self.layers.iter().filter(|_| is_chart);
        layers.find(|layer| layer.media_type.as_str() == media_type)
    }

    /// The blobs that must be in the repository before the manifest: the config and the layers that are not
    /// foreign.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config
            .iter()
            .chain(self.layers.iter().filter(|layer| !layer.is_foreign()))
    }
}

fn kind_of(media_type: &MediaType) -> Result<ManifestKind, ManifestError> {
    match media_type.as_str() {
        OCI_IMAGE_MANIFEST | DOCKER_MANIFEST => Ok(ManifestKind::Image),
        OCI_IMAGE_INDEX | DOCKER_MANIFEST_LIST => Ok(ManifestKind::Index),
        DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED => Err(ManifestError::Schema1),
        _ => Err(ManifestError::UnsupportedMediaType {
            media_type: media_type.clone(),
        }),
    }
}

fn decide_media_type(
    wire: &WireManifest,
    content_type: Option<&MediaType>,
) -> Result<MediaType, ManifestError> {
    let index = matches!(wire.manifests, Field::Given(_));
    let image = matches!(wire.config, Field::Given(_)) || matches!(wire.layers, Field::Given(_));
    if index && image {
        return Err(ManifestError::Ambiguous);
    }
    match (&wire.media_type, content_type) {
        (Some(body), Some(header)) if body != header => Err(ManifestError::MediaTypeMismatch {
            body: body.clone(),
            content_type: header.clone(),
        }),
        (Some(body), _) => Ok(body.clone()),
        (None, Some(header)) => Ok(header.clone()),
        (None, None) if index => Ok(MediaType::known_good(OCI_IMAGE_INDEX)),
        (None, None) if image => Ok(MediaType::known_good(OCI_IMAGE_MANIFEST)),
        (None, None) => Err(ManifestError::Unrecognised),
    }
}

fn image(wire: WireManifest, media_type: MediaType) -> Result<Manifest, ManifestError> {
    if matches!(wire.manifests, Field::Given(_)) {
        return Err(ManifestError::Misplaced {
            field: "manifests",
            media_type,
        });
    }
    let Field::Given(config) = wire.config else {
        return Err(ManifestError::Missing { field: "config" });
    };
    Ok(Manifest {
        kind: ManifestKind::Image,
        media_type,
        artifact_type: Some(
            wire.artifact_type
                .clone()
                .unwrap_or_else(|| config.media_type.to_string()),
        ),
        declared_artifact_type: wire.artifact_type,
        config: Some(config),
        layers: wire.layers.given().unwrap_or_default(),
        manifests: Vec::new(),
        subject: wire.subject,
        annotations: wire.annotations,
    })
}

fn index(wire: WireManifest, media_type: MediaType) -> Result<Manifest, ManifestError> {
    for (given, field) in [
        (matches!(wire.config, Field::Given(_)), "config"),
        (matches!(wire.layers, Field::Given(_)), "layers"),
    ] {
        if given {
            return Err(ManifestError::Misplaced { field, media_type });
        }
    }
    if matches!(wire.manifests, Field::Absent) {
        return Err(ManifestError::Missing { field: "manifests" });
    }
    Ok(Manifest {
        kind: ManifestKind::Index,
        media_type,
        artifact_type: wire.artifact_type.clone(),
        declared_artifact_type: wire.artifact_type,
        config: None,
        layers: Vec::new(),
        manifests: wire.manifests.given().unwrap_or_default(),
        subject: wire.subject,
        annotations: wire.annotations,
    })
}

#[cfg(test)]
mod tests;
