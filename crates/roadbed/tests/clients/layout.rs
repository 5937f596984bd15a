//! Images as files: an OCI image layout that every client can read, and the same as one archive.
//!
//! The directory holds what the image specification wants (`oci-layout`, `index.json`, `blobs/`) and Docker's own
//! `manifest.json`, so that one tree serves skopeo, buildah, podman, containerd and the Docker daemon.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use super::archive::{gzip, tar};
use crate::harness::{
    content::{Algorithm, Blob, noise},
    manifest::{CONFIG, Document, Draft, LAYER_GZIP},
};

/// The tag under which the layout itself names what it holds.
pub(super) const TAG: &str = "v1";

/// Bytes of a layer. More than all manifests and configs of a test together, so that the counter of received bytes tells
/// whether a layer was sent.
pub(super) const LAYER_BYTES: usize = 96 * 1024;

/// One image of a layout.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) architecture: String,
    pub(super) config: Blob,
    pub(super) layers: Vec<Blob>,
    pub(super) manifest: Document,
}

/// An image, or an index of images, on disk.
#[derive(Debug)]
pub(super) struct Layout {
    directory: PathBuf,
    pub(super) images: Vec<Image>,
    /// The manifest of the only image, or the index.
    pub(super) top: Document,
}

impl Layout {
    /// One image for this machine with so many layers.
    pub(super) fn image(directory: &Path, seed: &str, layers: usize) -> Result<Self> {
        let image = Image::new(seed, machine_architecture(), layers);
        let top = image.manifest.clone();
        Self::write(directory, vec![image], top)
    }

    /// An index of two images, one of them for this machine.
    pub(super) fn index(directory: &Path, seed: &str) -> Result<Self> {
        let other = if machine_architecture() == "amd64" {
            "arm64"
        } else {
            "amd64"
        };
        let images: Vec<Image> = [machine_architecture(), other]
            .map(|name| Image::new(&format!("{seed} {name}"), name, 1))
            .into();
        let descriptors = images
            .iter()
            .map(|image| image.manifest.descriptor_for(&image.architecture))
            .collect();
        let top = Draft::index(descriptors).finish();
        Self::write(directory, images, top)
    }

    /// Any manifest with what it names.
    pub(super) fn of_manifest(directory: &Path, blobs: &[Blob], manifest: &Document) -> Result<Self> {
        let layout = Self::write(directory, Vec::new(), manifest.clone())?;
        blobs
            .iter()
            .try_for_each(|blob| write_blob(directory, &blob.digest, &blob.bytes))?;
        Ok(layout)
    }

    fn write(directory: &Path, images: Vec<Image>, top: Document) -> Result<Self> {
        fs::create_dir_all(directory.join("blobs/sha256"))?;
        fs::write(
            directory.join("oci-layout"),
            json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
        )?;
        let mut named = top.descriptor();
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": TAG });
        let index = json!({ "schemaVersion": 2, "manifests": [named] });
        fs::write(directory.join("index.json"), index.to_string())?;
        let docker: Vec<Value> = images.iter().map(Image::in_docker_archive).collect();
        fs::write(directory.join("manifest.json"), Value::from(docker).to_string())?;
        write_blob(directory, &top.digest, &top.bytes)?;
        for image in &images {
            write_blob(directory, &image.manifest.digest, &image.manifest.bytes)?;
            for blob in image.layers.iter().chain([&image.config]) {
                write_blob(directory, &blob.digest, &blob.bytes)?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            images,
            top,
        })
    }

    /// Where its files are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory with a transport in front, as skopeo, buildah and podman take it.
    pub(super) fn oci(&self) -> String {
        format!("oci:{}:{TAG}", self.directory.display())
    }

    /// Everything as one tar archive, for containerd and Docker.
    pub(super) fn archive(&self) -> Result<PathBuf> {
        let path = self.directory.with_extension("tar");
        let mut archive = tar::Builder::new(fs::File::create(&path)?);
        archive.append_dir_all("", &self.directory)?;
        archive.finish()?;
        Ok(path)
    }

    /// The image that this machine would run.
    pub(super) fn native(&self) -> &Image {
        let wanted = machine_architecture();
        self.images
            .iter()
            .find(|image| image.architecture == wanted)
            .expect("every layout has an image for this machine")
    }
}

impl Image {
    fn new(seed: &str, architecture: &str, layers: usize) -> Self {
        let tars: Vec<Vec<u8>> = (0..layers).map(|number| layer_tar(seed, number)).collect();
        let diff_ids: Vec<String> = tars.iter().map(|tar| Algorithm::Sha256.digest(tar)).collect();
        let history: Vec<Value> = (0..layers)
            .map(|number| json!({ "created_by": format!("layer {number}") }))
            .collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": { "Cmd": ["/bin/true"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        let config = Blob::new(Algorithm::Sha256, config.to_string());
        let layers: Vec<Blob> = tars
            .iter()
            .map(|tar| Blob::new(Algorithm::Sha256, gzip(tar)))
            .collect();
        let descriptors = layers.iter().map(|layer| layer.descriptor(LAYER_GZIP)).collect();
        let manifest = Draft::image(config.descriptor(CONFIG), descriptors).finish();
        Self {
            architecture: architecture.to_owned(),
            config,
            layers,
            manifest,
        }
    }

    /// The hex part of the config's digest: what clients call the id of an image.
    pub(super) fn id(&self) -> &str {
        self.config.digest.trim_start_matches("sha256:")
    }

    fn in_docker_archive(&self) -> Value {
        let path = |blob: &Blob| blob.digest.replace(':', "/");
        let layers: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("blobs/{}", path(layer)))
            .collect();
        json!({ "Config": format!("blobs/{}", path(&self.config)), "RepoTags": null, "Layers": layers })
    }
}

/// What the image specification calls the processor of this machine.
pub(super) fn machine_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn layer_tar(seed: &str, number: usize) -> Vec<u8> {
    let content: Bytes = noise(&format!("{seed} layer {number}"), LAYER_BYTES);
    tar(&[(format!("opt/file-{number}"), content)])
}

fn write_blob(directory: &Path, digest: &str, bytes: &[u8]) -> Result<()> {
    Ok(fs::write(
        directory.join("blobs").join(digest.replace(':', "/")),
        bytes,
    )?)
}
