//! An image as an OCI layout on disk.

use std::{fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{CONFIG, Draft, LAYER_GZIP},
};

/// The tag under which the layout names its image.
pub(super) const TAG: &str = "v1";

/// Writes an image of these layers, which are tar archives, lowest first.
pub(super) fn write(directory: &Path, layers: &[Vec<u8>]) {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| Algorithm::Sha256.digest(layer))
        .collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/bin/true"], "User": "1000" },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = Blob::new(Algorithm::Sha256, config.to_string());
    let layers: Vec<Blob> = layers
        .iter()
        .map(|layer| Blob::new(Algorithm::Sha256, gzip(layer)))
        .collect();
    let described = layers.iter().map(|layer| layer.descriptor(LAYER_GZIP)).collect();
    let manifest = Draft::image(config.descriptor(CONFIG), described).finish();
    fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
    let blobs = layers
        .iter()
        .chain([&config])
        .map(|blob| (&blob.digest, &blob.bytes));
    for (digest, bytes) in blobs.chain([(&manifest.digest, &manifest.bytes)]) {
        fs::write(directory.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
    }
    let mut named = manifest.descriptor();
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": TAG });
    let index = json!({ "schemaVersion": 2, "manifests": [named] });
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    fs::write(directory.join("oci-layout"), version.to_string()).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
