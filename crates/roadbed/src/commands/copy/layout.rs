//! Directories with an OCI layout (image-spec, image-layout.md) to copy from. To copy to one: `shelf.rs`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use oci::media_type::OCI_IMAGE_INDEX;
use oci::{Descriptor, Digest, Manifest, ManifestLimits, MediaType, Reference, Tag};

use super::source::MANIFEST_BYTES;
use crate::commands::scan::Layout;

/// The annotation that holds a tag (image-spec, annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A directory to copy from.
pub(super) struct Directory {
    layout: Layout,
    index: Manifest,
    /// By what they refer to; read when somebody asks.
    referrers: OnceLock<HashMap<Digest, Vec<Digest>>>,
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let layout = Layout::open(root)?;
        let index = layout.index(MANIFEST_BYTES as u64)?;
        let media_type: MediaType = OCI_IMAGE_INDEX.parse()?;
        let index = Manifest::parse(&index, Some(&media_type), &ManifestLimits::default())
            .with_context(|| format!("{}/index.json cannot be read", root.display()))?;
        Ok(Self {
            layout,
            index,
            referrers: OnceLock::new(),
        })
    }

    /// What is meant where nothing is named.
    pub(super) fn only(&self) -> Result<Reference> {
        let images = &self.index.manifests;
        let Some(first) = images.first() else {
            bail!("there is no image in index.json");
        };
        // What is signed lies beside its signatures.
        let mut tagged = images.iter().filter(|image| tag_of(image).is_some());
        let only = match (tagged.next(), tagged.next()) {
            (Some(only), None) => only,
            (None, _) if images.iter().all(|image| image.digest == first.digest) => first,
            _ => {
                bail!("there are several images: name one as oci:DIRECTORY:TAG, or copy all with --all-tags")
            }
        };
        Ok(tag_of(only).map_or(Reference::Digest(only.digest), Reference::Tag))
    }

    pub(super) fn tags(&self) -> Vec<Tag> {
        self.index.manifests.iter().filter_map(tag_of).collect()
    }

    /// A manifest with its media type, as far as `index.json` says it.
    pub(super) fn manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<(Bytes, Option<MediaType>, Digest)>> {
        let listed = self.index.manifests.iter().find(|image| match reference {
            Reference::Tag(tag) => tag_of(image).as_ref() == Some(tag),
            Reference::Digest(digest) => image.digest == *digest,
        });
        let Some(digest) = listed.map(|image| image.digest).or(reference.digest()) else {
            return Ok(None);
        };
        let Some(bytes) = self.small(&digest)? else {
            return Ok(None);
        };
        Ok(Some((
            bytes,
            listed.map(|image| image.media_type.clone()),
            digest,
        )))
    }

    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<File>> {
        self.layout.unverified(digest)
    }

    /// What `index.json` lists and says that it is about a manifest.
    pub(super) fn referrers(&self, digest: &Digest) -> Result<Vec<Digest>> {
        let known = if let Some(known) = self.referrers.get() {
            known
        } else {
            let read = self.read_referrers()?;
            self.referrers.get_or_init(|| read)
        };
        Ok(known.get(digest).cloned().unwrap_or_default())
    }

    fn read_referrers(&self) -> Result<HashMap<Digest, Vec<Digest>>> {
        let mut found: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for listed in &self.index.manifests {
            let Some(bytes) = self.small(&listed.digest)? else {
                continue;
            };
            // What cannot be read refers to nothing.
            let manifest = Manifest::parse(&bytes, Some(&listed.media_type), &ManifestLimits::default());
            if let Some(subject) = manifest.ok().and_then(|manifest| manifest.subject) {
                found.entry(subject.digest).or_default().push(listed.digest);
            }
        }
        Ok(found)
    }

    /// A blob that fits into memory, as a manifest does.
    fn small(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let Some(file) = self.layout.unverified(digest)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read blob {digest}"))?;
        ensure!(
            bytes.len() <= MANIFEST_BYTES,
            "blob {digest} has more than {MANIFEST_BYTES} bytes: it is no manifest"
        );
        ensure!(
            Digest::of(digest.algorithm(), &bytes) == *digest,
            "the bytes of blob {digest} have another digest: copy the image again"
        );
        Ok(Some(bytes.into()))
    }
}

/// The tag of an image in a layout; some tools write the repository in front of it.
fn tag_of(image: &Descriptor) -> Option<Tag> {
    let name = image.annotations.get(REF_NAME)?;
    let tag = name.rsplit_once(':').map_or(name.as_str(), |(_, tag)| tag);
    tag.parse().ok()
}
