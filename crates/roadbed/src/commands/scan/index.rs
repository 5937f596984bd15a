//! Which manifest of an `index.json` is meant.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use findings::harmless;
use oci::media_type::OCI_IMAGE_INDEX;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, Reference};

use super::resolve::{Step, parse};

/// Tags that an error names.
const NAMED: usize = 20;

/// The annotation that holds a tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The same with the repository, as Docker and containerd write it.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// The manifest that `index.json` names.
pub(super) fn top(index: &[u8], reference: Option<&Reference>) -> Result<Step> {
    let media_type: MediaType = OCI_IMAGE_INDEX.parse()?;
    let index = parse(index, Some(&media_type)).context("index.json cannot be read")?;
    let found = match reference {
        Some(Reference::Digest(digest)) => index.manifests.iter().find(|child| child.digest == *digest),
        Some(Reference::Tag(tag)) => index
            .manifests
            .iter()
            .find(|child| is_tagged(child, tag.as_str())),
        None if distinct(&index) <= 1 => index.manifests.first(),
        // Images of one tag for several platforms, as some tools write them without an index of their own.
        None if index.manifests.iter().all(|child| child.platform.is_some()) => {
            return Ok(Step::Bytes(
                index_bytes(&index),
                Some(media_type),
                Digest::of(Algorithm::Sha256, b""),
            ));
        }
        None => bail!(
            "there are several images: name one, as TARGET:TAG, of {}",
            tags(&index)
        ),
    };
    match found {
        Some(found) => Ok(Step::Descriptor(found.clone())),
        None if index.manifests.is_empty() => bail!("there is no image in index.json"),
        None => bail!("there is no such image in index.json; there are {}", tags(&index)),
    }
}

/// The index again, of which only what was understood is left.
fn index_bytes(index: &Manifest) -> Vec<u8> {
    let value = serde_json::json!({ "schemaVersion": 2, "manifests": index.manifests });
    value.to_string().into_bytes()
}

fn distinct(index: &Manifest) -> usize {
    let digests: BTreeSet<&Digest> = index.manifests.iter().map(|child| &child.digest).collect();
    digests.len()
}

fn is_tagged(child: &Descriptor, tag: &str) -> bool {
    [REF_NAME, IMAGE_NAME]
        .iter()
        .filter_map(|name| child.annotations.get(*name))
        .any(|value| value == tag || value.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':')))
}

fn tags(index: &Manifest) -> String {
    let names = index.manifests.iter().map(|child| {
        let name = child
            .annotations
            .get(REF_NAME)
            .or(child.annotations.get(IMAGE_NAME));
        name.map_or_else(|| child.digest.to_string(), |name| harmless(name).into_owned())
    });
    names.take(NAMED).collect::<Vec<_>>().join(", ")
}
