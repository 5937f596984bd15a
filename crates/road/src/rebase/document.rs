//! An image's manifest and configuration as JSON that can be written again without losing what nobody here knows.

mod unique;

use oci::media_type::{DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};
use oci::{Digest, MediaType};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, MAX_SETTINGS};
use crate::lineage::MAX_LAYERS;

/// What docker calls a layer that is not compressed.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// The bytes of an image of one platform, as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The manifest.
    pub manifest: &'a [u8],
    /// What the manifest is served as.
    pub media_type: &'a MediaType,
    /// The configuration.
    pub config: &'a [u8],
}

/// Why an image's own words cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// [`MAX_MANIFEST_BYTES`] or [`MAX_CONFIG_BYTES`].
    #[error("the {what} has {bytes} bytes: at most {limit} are read")]
    Large {
        /// Of what.
        what: &'static str,
        /// How many.
        bytes: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// No JSON object.
    #[error("the {0} is no JSON object")]
    NotAnObject(&'static str),
    /// Readers take one of two values, or both together.
    #[error("the {0} has a member twice: readers disagree about which one counts")]
    Twice(&'static str),
    /// A member has another shape than the specification says.
    #[error("`{0}` is missing or has another shape than in the image specification")]
    Member(&'static str),
    /// Two readers would take another value.
    #[error(
        "`{0}` is there twice in the configuration, with other case: readers disagree about which one counts"
    )]
    Ambiguous(String),
    /// Layers and diff ids are not the same in number.
    #[error("the manifest has {layers} layers and the configuration {diff_ids} diff ids")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// [`MAX_SETTINGS`].
    #[error("`{0}` of the configuration has more than {MAX_SETTINGS} entries")]
    Settings(String),
    /// A layer of another kind has no name in the manifest's format.
    #[error("docker's manifests have no name for a layer of type `{0}`: push the image with an OCI manifest")]
    MediaType(String),
}

/// A manifest and its configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// Without `layers`.
    pub(super) manifest: Map<String, Value>,
    pub(super) is_docker: bool,
    /// As the manifest describes them, lowest first.
    pub(super) layers: Vec<Map<String, Value>>,
    /// Without `rootfs` and `history`.
    pub(super) config: Map<String, Value>,
    pub(super) diff_ids: Vec<Digest>,
    /// `None`: it has no member of that name.
    pub(super) history: Option<Vec<Value>>,
}

fn object(what: &'static str, bytes: &[u8], limit: usize) -> Result<Map<String, Value>, DocumentError> {
    if bytes.len() > limit {
        let bytes = bytes.len();
        return Err(DocumentError::Large { what, bytes, limit });
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) if unique::is_unique(bytes) => Ok(object),
        Ok(Value::Object(_)) => Err(DocumentError::Twice(what)),
        _ => Err(DocumentError::NotAnObject(what)),
    }
}

/// Go's decoder, so most runtimes, does not tell `Env` and `env` apart.
fn check_case(members: &Map<String, Value>) -> Result<(), DocumentError> {
    let mut names: Vec<String> = members.keys().map(|name| name.to_lowercase()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    twice.map_or(Ok(()), |pair| Err(DocumentError::Ambiguous(pair[0].clone())))
}

fn check_sizes(settings: &Map<String, Value>) -> Result<(), DocumentError> {
    let size = |value: &Value| match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    };
    let long = settings.iter().find(|(_, value)| size(value) > MAX_SETTINGS);
    long.map_or(Ok(()), |(name, _)| {
        Err(DocumentError::Settings(policy::yaml::one_line(name, 80)))
    })
}

impl Document {
    pub(super) fn read(stored: Stored<'_>) -> Result<Self, DocumentError> {
        let mut manifest = object("manifest", stored.manifest, MAX_MANIFEST_BYTES)?;
        let mut config = object("configuration", stored.config, MAX_CONFIG_BYTES)?;
        check_case(&config)?;
        if let Some(Value::Object(members)) = config.get("config") {
            check_case(members)?;
            check_sizes(members)?;
        }
        let layers = match manifest.remove("layers") {
            Some(Value::Array(layers)) if layers.len() <= MAX_LAYERS => layers,
            _ => return Err(DocumentError::Member("layers")),
        };
        let layers: Option<Vec<_>> = layers.into_iter().map(into_object).collect();
        let layers = layers.ok_or(DocumentError::Member("layers"))?;
        let rootfs = config.remove("rootfs").and_then(into_object);
        let diff_ids = rootfs.and_then(|mut rootfs| rootfs.remove("diff_ids"));
        let diff_ids: Vec<Digest> = diff_ids
            .and_then(digests)
            .ok_or(DocumentError::Member("rootfs.diff_ids"))?;
        if layers.len() != diff_ids.len() {
            return Err(DocumentError::Layers {
                layers: layers.len(),
                diff_ids: diff_ids.len(),
            });
        }
        let history = match config.remove("history") {
            None | Some(Value::Null) => None,
            Some(Value::Array(steps)) => Some(steps),
            Some(_) => return Err(DocumentError::Member("history")),
        };
        Ok(Self {
            is_docker: stored.media_type.as_str() == DOCKER_MANIFEST,
            manifest,
            layers,
            config,
            diff_ids,
            history,
        })
    }

    /// The member `config` of the configuration: what a container starts with.
    pub(super) fn settings(&self) -> Map<String, Value> {
        let settings = self.config.get("config").and_then(Value::as_object);
        settings.cloned().unwrap_or_default()
    }

    /// A text of the configuration; empty where it has none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.config.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A layer of this image as one of `other`, whose manifest may be of the other format.
    pub(super) fn layer_for(
        &self,
        layer: &Map<String, Value>,
        other: &Self,
    ) -> Result<Map<String, Value>, DocumentError> {
        let mut layer = layer.clone();
        if self.is_docker != other.is_docker {
            let name = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
            let renamed = renamed(name).ok_or_else(|| DocumentError::MediaType(name.to_owned()))?;
            layer.insert("mediaType".to_owned(), Value::String(renamed.to_owned()));
        }
        Ok(layer)
    }
}

/// The name of a layer's type in the other format.
fn renamed(name: &str) -> Option<&'static str> {
    Some(match name {
        OCI_LAYER => DOCKER_LAYER,
        OCI_LAYER_GZIP => DOCKER_LAYER_GZIP,
        DOCKER_LAYER => OCI_LAYER,
        DOCKER_LAYER_GZIP => OCI_LAYER_GZIP,
        // Written by buildx; docker has no constant of that name.
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => OCI_LAYER_ZSTD,
        _ => return None,
    })
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn digests(value: Value) -> Option<Vec<Digest>> {
    let Value::Array(items) = value else {
        return None;
    };
    items.iter().map(|item| item.as_str()?.parse().ok()).collect()
}
