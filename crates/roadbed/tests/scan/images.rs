//! Images with something in them.

use std::io::{Cursor, Write as _};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, LAYER_GZIP},
};

/// Where an image comes from, so that nothing is said but what a test is about.
const TOLD: [(&str, &str); 4] = [
    ("revision", "0123456789abcdef0123456789abcdef01234567"),
    ("source", "https://example.com/app"),
    ("base.name", "example.com/base:1"),
    (
        "base.digest",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
];

/// A layer and what it is unpacked.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) blob: Blob,
    pub(super) diff_id: String,
}

impl Layer {
    /// A layer of these files.
    pub(super) fn of_files(files: &[(&str, Vec<u8>)]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            append(&mut tar, path, bytes);
        }
        Self::of_tar(&tar.into_inner().expect("memory can be written"))
    }

    /// A layer that was packed by somebody else, and the digest of what is in it.
    pub(super) fn packed(bytes: Vec<u8>, diff_id: String) -> Self {
        Self {
            blob: Blob::new(Algorithm::Sha256, bytes),
            diff_id,
        }
    }

    /// A layer of these bytes, packed.
    pub(super) fn of_tar(tar: &[u8]) -> Self {
        Self {
            blob: Blob::new(Algorithm::Sha256, gzip(tar)),
            diff_id: Algorithm::Sha256.digest(tar),
        }
    }
}

/// Adds a file to an archive.
pub(super) fn append(tar: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, path, bytes)
        .expect("memory can be written");
}

/// Packs bytes as well as it goes: bombs are small.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// A zip archive of these files.
pub(super) fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in files {
        archive
            .start_file(*path, SimpleFileOptions::default())
            .expect("memory can be written");
        archive.write_all(bytes).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

/// The jar of log4j-core as Maven makes it, without its classes.
pub(super) fn log4j_core(version: &str) -> Vec<u8> {
    let properties = format!("version={version}\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n");
    let manifest = format!(
        "Manifest-Version: 1.0\r\nImplementation-Title: Apache Log4j Core\r\nImplementation-Version: {version}\r\n\r\n"
    );
    zip(&[
        ("META-INF/MANIFEST.MF", manifest.into_bytes()),
        (
            "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties",
            properties.into_bytes(),
        ),
        (
            "org/apache/logging/log4j/core/lookup/JndiLookup.class",
            b"\xca\xfe\xba\xbe".to_vec(),
        ),
    ])
}

/// An image that is ready to be pushed.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) blobs: Vec<Blob>,
    pub(super) document: Document,
}

impl Image {
    /// An image of these layers; `seed` makes its configuration another one.
    pub(super) fn of(seed: &str, layers: &[Layer]) -> Self {
        Self::with_config(
            layers,
            &json!({ "Cmd": ["/app"], "User": "1000", "Labels": { "seed": seed } }),
        )
    }

    /// An image with `config` in its configuration.
    pub(super) fn with_config(layers: &[Layer], config: &Value) -> Self {
        Self::with_words(layers, config, &TOLD)
    }

    /// The same with these annotations of `org.opencontainers.image`.
    pub(super) fn with_words(layers: &[Layer], config: &Value, words: &[(&str, &str)]) -> Self {
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = Blob::new(Algorithm::Sha256, config.to_string());
        let described = layers
            .iter()
            .map(|layer| layer.blob.descriptor(LAYER_GZIP))
            .collect();
        let mut draft = Draft::image(config.descriptor(CONFIG), described);
        for (name, value) in words {
            draft = draft.annotation(&format!("org.opencontainers.image.{name}"), value);
        }
        let document = draft.finish();
        let mut blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob.clone()).collect();
        blobs.push(config);
        Self { blobs, document }
    }

    /// An application that ships log4j-core.
    pub(super) fn with_log4j(version: &str) -> Self {
        let path = format!("app/lib/log4j-core-{version}.jar");
        Self::of(version, &[Layer::of_files(&[(&path, log4j_core(version))])])
    }

    /// The digest of its first layer.
    pub(super) fn layer(&self) -> &Blob {
        &self.blobs[0]
    }
}
