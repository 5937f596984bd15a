//! What is attached to an image of a registry as signatures, for the registry that judges it: this one verifies nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::{Context as _, Result};
use oci::{Digest, Manifest, ManifestLimits};
use signatures::{Form, announced, limits};
use web::wire::{UnpushedArtifact, UnpushedSignatures};

use super::blobs::Blobs;
use super::registry::Registry;
use super::resolve::{Image, MANIFEST_BYTES, parse};
use crate::output;

/// Bytes of all documents together: what the registry reads of one image.
const TOTAL_BYTES: u64 = 16 << 20;

/// How cosign's tags end; without an ending it is the index of what refers to the image, where the registry keeps none itself.
const ENDINGS: [&str; 2] = [".sig", ".att"];

/// Manifests of one image that are looked at: most of what refers to it may be something else.
const LOOKED: usize = 400;

/// What is being gathered.
struct Gathering<'a> {
    registry: &'a Registry,
    artifacts: Vec<UnpushedArtifact>,
    bytes: u64,
    is_cut: bool,
}

/// What is attached to the image and to the index that led to it. `None`: it lies in no registry, or has no manifest.
pub(super) async fn of(image: &Image) -> Result<Option<UnpushedSignatures>> {
    let (Blobs::Registry(registry), Some(bytes)) = (&image.blobs, &image.bytes) else {
        return Ok(None);
    };
    let Ok(manifest) = String::from_utf8(bytes.clone()) else {
        return Ok(None);
    };
    let index = image
        .index
        .clone()
        .and_then(|index| String::from_utf8(index).ok());
    let mut gathering = Gathering {
        registry,
        artifacts: Vec::new(),
        bytes: 0,
        is_cut: false,
    };
    gathering.add(&image.digest, false).await?;
    if let Some(index) = &index {
        let digest = Digest::of(image.digest.algorithm(), index.as_bytes());
        gathering.add(&digest, true).await?;
    }
    if gathering.artifacts.is_empty() && !gathering.is_cut {
        return Ok(None);
    }
    Ok(Some(UnpushedSignatures {
        manifest,
        index,
        artifacts: gathering.artifacts,
        is_cut: gathering.is_cut,
    }))
}

impl Gathering<'_> {
    /// What refers to `subject`, and what lies under the tags that clients keep for it.
    async fn add(&mut self, subject: &Digest, of_index: bool) -> Result<()> {
        let mut seen = BTreeSet::new();
        let tag = format!("{}-{}", subject.algorithm(), subject.hex());
        for ending in ENDINGS {
            let named = format!("manifests/{tag}{ending}");
            if let Some(bytes) = self.registry.find(&named, MANIFEST_BYTES).await? {
                seen.insert(Digest::of(subject.algorithm(), &bytes));
                self.take(bytes, of_index).await?;
            }
        }
        for list in [format!("referrers/{subject}"), format!("manifests/{tag}")] {
            let bytes = match self.registry.find(&list, MANIFEST_BYTES).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                // Registries that know no referrers say so in many ways; then nobody knows what there is.
                Err(error) => {
                    output::note(format!("signatures may be missing: {error:#}"));
                    self.is_cut = true;
                    continue;
                }
            };
            // Whatever else lies under such a tag is no list.
            let Ok(list) = parse(&bytes, None) else { continue };
            for named in list.manifests {
                if !seen.insert(named.digest) {
                    continue;
                }
                if self.artifacts.len() >= limits::DOCUMENTS || seen.len() > LOOKED {
                    self.is_cut = true;
                    return Ok(());
                }
                let path = format!("manifests/{}", named.digest);
                match self.registry.find(&path, MANIFEST_BYTES).await? {
                    Some(bytes) if Digest::of(named.digest.algorithm(), &bytes) == named.digest => {
                        self.take(bytes, of_index).await?;
                    }
                    _ => self.is_cut = true,
                }
            }
        }
        Ok(())
    }

    /// Takes an artifact if any of its documents is a signature. What is too large is left out; the registry says so.
    async fn take(&mut self, bytes: Vec<u8>, of_index: bool) -> Result<()> {
        let Ok(parsed) = Manifest::parse(&bytes, None, &ManifestLimits::default()) else {
            return Ok(());
        };
        let Ok(manifest) = String::from_utf8(bytes) else {
            return Ok(());
        };
        let mut documents = BTreeMap::new();
        let mut is_signature = false;
        for announced in announced(&parsed) {
            is_signature = true;
            let blob = &announced.blob;
            if announced.form == Form::Notation || blob.size > limits::DOCUMENT_BYTES {
                continue;
            }
            self.bytes += blob.size;
            if self.bytes > TOTAL_BYTES {
                self.is_cut = true;
                break;
            }
            let mut text = String::new();
            let file = self.registry.blob(blob).await?;
            file.take(limits::DOCUMENT_BYTES)
                .read_to_string(&mut text)
                .with_context(|| format!("the signature {} is no text", blob.digest))?;
            documents.insert(blob.digest.to_string(), text);
        }
        if is_signature {
            self.artifacts.push(UnpushedArtifact {
                of_index,
                manifest,
                documents,
            });
        }
        Ok(())
    }
}
