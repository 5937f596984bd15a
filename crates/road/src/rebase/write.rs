//! The new manifest, configuration and index, byte for byte the same each time.

use oci::media_type::{DOCKER_LAYER_GZIP, OCI_LAYER_GZIP};
use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::config::{BASE_DIGEST, BASE_NAME, ConfigConflict, Three};
use super::document::{Document, DocumentError};
use super::history::spliced;

/// A layer that is put on top of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopLayer {
    /// Its digest as it is stored, gzip.
    pub digest: Digest,
    /// Its bytes as it is stored.
    pub size: u64,
    /// Its digest without compression.
    pub diff_id: Digest,
}

/// How the new base is called in what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseNamed {
    /// `registry.example/base/java17:stable`, as far as the registry knows its own name.
    pub name: String,
    /// The release: the index where it is one.
    pub digest: Digest,
}

/// An image on its new base, not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The configuration.
    pub config: Vec<u8>,
    /// Its digest.
    pub config_digest: Digest,
    /// Fields that both had changed.
    pub conflicts: Vec<ConfigConflict>,
}

/// What an index says about one of its children after a rebase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The child as it was.
    pub old: Digest,
    /// As it is now.
    pub new: Digest,
    /// Bytes of its manifest now.
    pub size: u64,
}

/// Writes what `app` becomes when the layers of `old` below it are replaced with those of `new`.
pub(super) fn image(
    app: &Document,
    old: &Document,
    new: &Document,
    top: Option<&TopLayer>,
    named: &BaseNamed,
) -> Result<Written, DocumentError> {
    let (config, conflicts) = configuration(app, old, new, top, named);
    let config = bytes(&config);
    let config_digest = Digest::of(Algorithm::Sha256, &config);
    let mut layers = Vec::new();
    for layer in &new.layers {
        layers.push(Value::Object(new.layer_for(layer, app)?));
    }
    layers.extend(app.layers[old.layers.len()..].iter().cloned().map(Value::Object));
    layers.extend(top.map(|top| {
        let media_type = if app.is_docker {
            DOCKER_LAYER_GZIP
        } else {
            OCI_LAYER_GZIP
        };
        json!({"mediaType": media_type, "digest": top.digest.to_string(), "size": top.size})
    }));
    let mut manifest = app.manifest.clone();
    let Some(Value::Object(mut described)) = manifest.remove("config") else {
        return Err(DocumentError::Member("config"));
    };
    described.insert("digest".to_owned(), json!(config_digest.to_string()));
    described.insert("size".to_owned(), json!(config.len()));
    // The embedded copy is of the old one.
    described.remove("data");
    manifest.insert("config".to_owned(), Value::Object(described));
    manifest.insert("layers".to_owned(), Value::Array(layers));
    if !app.is_docker {
        name_base(manifest.entry("annotations").or_insert_with(|| json!({})), named);
    }
    let manifest = bytes(&manifest);
    Ok(Written {
        digest: Digest::of(Algorithm::Sha256, &manifest),
        manifest,
        config,
        config_digest,
        conflicts,
    })
}

fn bytes(object: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(object).unwrap_or_default()
}

fn name_base(annotations: &mut Value, named: &BaseNamed) {
    if !annotations.is_object() {
        *annotations = json!({});
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(BASE_NAME.to_owned(), json!(named.name));
        annotations.insert(BASE_DIGEST.to_owned(), json!(named.digest.to_string()));
    }
}

fn configuration(
    app: &Document,
    old: &Document,
    new: &Document,
    top: Option<&TopLayer>,
    named: &BaseNamed,
) -> (Map<String, Value>, Vec<ConfigConflict>) {
    let mut config = app.config.clone();
    let [was, is, own] = [old, new, app].map(Document::settings);
    let three = Three {
        old: &was,
        new: &is,
        app: &own,
    };
    let (mut settings, conflicts) = three.merge();
    let said = |name: &str| own.get("Labels").is_some_and(|labels| labels.get(name).is_some());
    if said(BASE_NAME) || said(BASE_DIGEST) {
        name_base(settings.entry("Labels").or_insert_with(|| json!({})), named);
    }
    config.insert("config".to_owned(), Value::Object(settings));
    let created = app.text("created").max(new.text("created")).to_owned();
    let diff_ids = new.diff_ids.iter().chain(&app.diff_ids[old.layers.len()..]);
    let diff_ids = diff_ids
        .chain(top.map(|top| &top.diff_id))
        .map(ToString::to_string);
    let diff_ids: Vec<String> = diff_ids.collect();
    config.insert(
        "rootfs".to_owned(),
        json!({"type": "layers", "diff_ids": diff_ids}),
    );
    if let Some(mut history) = spliced(app, old, new) {
        if top.is_some() {
            history.push(json!({"created": created, "created_by": "roadbed rebase: what package managers keep, merged"}));
        }
        config.insert("history".to_owned(), Value::Array(history));
    }
    if !created.is_empty() {
        config.insert("created".to_owned(), json!(created));
    }
    (config, conflicts)
}

/// Writes an index whose children were replaced; all else stays as it is, attestations of the old children too: they are still
/// true of these.
///
/// # Errors
/// It is no index.
pub fn write_index(index: &[u8], replaced: &[Replaced]) -> Result<Vec<u8>, DocumentError> {
    let mut index: Map<String, Value> =
        serde_json::from_slice(index).map_err(|_| DocumentError::NotAnObject("index"))?;
    let children = index.get_mut("manifests").and_then(Value::as_array_mut);
    for child in children.ok_or(DocumentError::Member("manifests"))? {
        let Some(child) = child.as_object_mut() else {
            return Err(DocumentError::Member("manifests"));
        };
        let digest = child.get("digest").and_then(Value::as_str).unwrap_or_default();
        let Some(by) = replaced.iter().find(|by| by.old.to_string() == digest) else {
            continue;
        };
        child.insert("digest".to_owned(), json!(by.new.to_string()));
        child.insert("size".to_owned(), json!(by.size));
        child.remove("data");
    }
    Ok(bytes(&index))
}
