//! Images that Docker saved without a manifest of their own.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use findings::harmless;
use oci::media_type::{DOCKER_CONFIG, OCI_LAYER};
use oci::{Algorithm, Descriptor, Digest, ManifestLimits, Reference};
use serde::Deserialize;

use super::archive::Archive;
use super::blobs::Blobs;
use super::resolve::{Image, MANIFEST_BYTES, made};

/// Tags that an error names.
const NAMED: usize = 20;

/// An entry of Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

/// What Docker saved without a manifest of its own: one is made of what is there.
pub(super) fn saved(name: String, archive: Archive, reference: Option<&Reference>) -> Result<Image> {
    let list = archive.read("manifest.json", MANIFEST_BYTES)?.context(
        "the archive holds neither index.json nor manifest.json: unpack it and scan the directory, or write it with `docker save`",
    )?;
    ensure!(
        list.len() as u64 <= MANIFEST_BYTES,
        "manifest.json has more than {MANIFEST_BYTES} bytes"
    );
    let list: Vec<Saved> = serde_json::from_slice(&list).context("manifest.json cannot be read")?;
    let entry = chosen(&list, reference)?;
    ensure!(
        entry.layers.len() <= ManifestLimits::default().layers,
        "manifest.json names too many layers"
    );
    let mut names = HashMap::new();
    let config = described(&archive, &entry.config, DOCKER_CONFIG, &mut names)?;
    let layers: Vec<Descriptor> = entry
        .layers
        .iter()
        .map(|layer| described(&archive, layer, OCI_LAYER, &mut names))
        .collect::<Result<_>>()?;
    Ok(Image {
        name,
        remote: None,
        digest: config.digest,
        manifest: made(Some(config), layers)?,
        platform: None,
        blobs: Blobs::Named(Arc::new(archive), Arc::new(names)),
        unread: Vec::new(),
        bytes: None,
        index: None,
    })
}

fn chosen<'a>(list: &'a [Saved], reference: Option<&Reference>) -> Result<&'a Saved> {
    let tags = || {
        let names = list.iter().flat_map(|entry| entry.tags.iter().flatten());
        let names: Vec<String> = names
            .take(NAMED)
            .map(|name| harmless(name).into_owned())
            .collect();
        names.join(", ")
    };
    match (list, reference) {
        ([], _) => bail!("there is no image in manifest.json"),
        ([only], None) => Ok(only),
        (_, Some(Reference::Tag(tag))) => list
            .iter()
            .find(|entry| {
                let mut tags = entry.tags.iter().flatten();
                tags.any(|name| {
                    name.rsplit_once(':')
                        .is_some_and(|(_, last)| last == tag.as_str())
                })
            })
            .ok_or_else(|| anyhow!("there is no such image in manifest.json; there are {}", tags())),
        (_, Some(Reference::Digest(_))) => {
            bail!("images in this archive have no digests: name a tag of {}", tags())
        }
        (_, None) => bail!("there are several images: name one, as TARGET:TAG, of {}", tags()),
    }
}

fn described(
    archive: &Archive,
    name: &str,
    media_type: &str,
    names: &mut HashMap<Digest, String>,
) -> Result<Descriptor> {
    let missing = || {
        let name: String = harmless(name).chars().take(200).collect();
        anyhow!("{name} is missing in the archive: save the image again")
    };
    let (file, digest) = archive.extract(name, Algorithm::Sha256)?.ok_or_else(missing)?;
    names.insert(digest, name.to_owned());
    Ok(Descriptor::new(
        media_type.parse()?,
        digest,
        file.metadata()?.len(),
    ))
}
