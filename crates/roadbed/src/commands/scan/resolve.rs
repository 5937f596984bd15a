//! From what was named to one image: through indexes, by tag and platform.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci::media_type::{OCI_IMAGE_MANIFEST, OCI_LAYER};
use oci::{Algorithm, Descriptor, Digest, Manifest, ManifestKind, ManifestLimits, MediaType, Reference};

use super::archive::Archive;
use super::blobs::Blobs;
use super::layout::Layout;
use super::registry::Registry;
use super::target::{Remote, Target};
use super::{directory, docker, index};
use crate::client::Client;
use crate::judge::{Wanted, choose};

/// Indexes in indexes.
const DEPTH: usize = 4;

/// Bytes of a manifest or index: the registry's own limit.
pub(super) const MANIFEST_BYTES: u64 = 4 << 20;

/// An image whose blobs can be had.
pub(super) struct Image {
    /// What was named.
    pub(super) name: String,
    /// Where it lies, in a registry.
    pub(super) remote: Option<Remote>,
    /// Its manifest's digest; where it has no manifest, the digest of its configuration or of its only layer.
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) platform: Option<String>,
    pub(super) blobs: Blobs,
    /// What could not be read, one line each.
    pub(super) unread: Vec<String>,
    /// Its manifest as it was sent; nothing where it has none.
    pub(super) bytes: Option<Vec<u8>>,
    /// The index that led to it, as it was sent.
    pub(super) index: Option<Vec<u8>>,
}

/// Finds the image. `client` is that of the registry that it lies in, if it lies in one.
pub(super) async fn image(target: Target, client: Option<&Client>, wanted: Option<&Wanted>) -> Result<Image> {
    match target {
        Target::Layout { root, reference } => {
            let layout = Layout::open(&root)?;
            let index = layout.index(MANIFEST_BYTES)?;
            let top = index::top(&index, reference.as_ref())?;
            let name = named(&root.display().to_string(), reference.as_ref());
            let start = Start::of(name, Blobs::Layout(Arc::new(layout)));
            start.follow(top, wanted).await
        }
        Target::Archive {
            file,
            reference,
            is_packed,
        } => {
            let name = named(&file.display().to_string(), reference.as_ref());
            let opened = tokio::task::spawn_blocking(move || Archive::open(&file, is_packed));
            let archive = opened.await.context("the archive was lost")??;
            in_archive(name, archive, reference.as_ref(), wanted).await
        }
        Target::Directory(root) => tokio::task::spawn_blocking(move || packed(&root))
            .await
            .context("the directory was lost")?,
        Target::Registry(remote) => {
            let client = client.context("no registry is named")?;
            in_registry(client, remote, wanted).await
        }
        Target::Sbom(_) => bail!("an SBOM is no image"),
    }
}

fn named(path: &str, reference: Option<&Reference>) -> String {
    match reference {
        None => path.to_owned(),
        Some(Reference::Tag(tag)) => format!("{path}:{tag}"),
        Some(Reference::Digest(digest)) => format!("{path}@{digest}"),
    }
}

/// Where a manifest is looked for.
struct Start {
    name: String,
    remote: Option<Remote>,
    blobs: Blobs,
}

/// What to follow: a descriptor, or the bytes that it led to.
pub(super) enum Step {
    Descriptor(Descriptor),
    Bytes(Vec<u8>, Option<MediaType>, Digest),
}

impl Start {
    fn of(name: String, blobs: Blobs) -> Self {
        Self {
            name,
            remote: None,
            blobs,
        }
    }

    /// Through indexes to an image.
    async fn follow(self, first: Step, wanted: Option<&Wanted>) -> Result<Image> {
        let mut step = first;
        let (mut platform, mut index) = (None, None);
        for _ in 0..DEPTH {
            let (bytes, media_type, digest) = match step {
                Step::Bytes(bytes, media_type, digest) => (bytes, media_type, digest),
                Step::Descriptor(descriptor) => {
                    platform = descriptor.platform.as_ref().map(ToString::to_string).or(platform);
                    let bytes = self.manifest(&descriptor).await?;
                    (bytes, Some(descriptor.media_type), descriptor.digest)
                }
            };
            let manifest = parse(&bytes, media_type.as_ref())
                .with_context(|| format!("the manifest {digest} cannot be read"))?;
            if manifest.kind == ManifestKind::Image {
                return Ok(Image {
                    name: self.name,
                    remote: self.remote,
                    digest,
                    manifest,
                    platform,
                    blobs: self.blobs,
                    unread: Vec::new(),
                    bytes: Some(bytes),
                    index,
                });
            }
            index = Some(bytes);
            step = Step::Descriptor(choose(&manifest, wanted, &Wanted::of_this_machine())?.clone());
        }
        bail!("indexes are nested more than {DEPTH} deep")
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = &descriptor.digest;
        if let Blobs::Registry(registry) = &self.blobs {
            let (bytes, _) = registry
                .manifest(&Reference::Digest(*digest), MANIFEST_BYTES)
                .await?;
            let found = Digest::of(digest.algorithm(), &bytes);
            ensure!(
                found == *digest,
                "the bytes of manifest {digest} have another digest, {found}"
            );
            return Ok(bytes);
        }
        let file = self.blobs.open(descriptor).await?.ok_or_else(|| {
            anyhow!("manifest {digest} is missing: copy the image again, with this platform")
        })?;
        read(file)
    }
}

/// Bytes over the limit are left to the parser to refuse.
fn read(file: File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Within the registry's limits.
pub(super) fn parse(bytes: &[u8], media_type: Option<&MediaType>) -> Result<Manifest> {
    Ok(Manifest::parse(bytes, media_type, &ManifestLimits::default())?)
}

async fn in_archive(
    name: String,
    archive: Archive,
    reference: Option<&Reference>,
    wanted: Option<&Wanted>,
) -> Result<Image> {
    if let Some(index) = archive.read("index.json", MANIFEST_BYTES)? {
        let top = index::top(&index, reference)?;
        let start = Start::of(name, Blobs::Archive(Arc::new(archive)));
        return start.follow(top, wanted).await;
    }
    tokio::task::spawn_blocking({
        let reference = reference.cloned();
        move || docker::saved(name, archive, reference.as_ref())
    })
    .await
    .context("the archive was lost")?
}

/// A manifest for what has none of its own.
pub(super) fn made(config: Option<Descriptor>, layers: Vec<Descriptor>) -> Result<Manifest> {
    Ok(Manifest {
        kind: ManifestKind::Image,
        media_type: OCI_IMAGE_MANIFEST.parse()?,
        artifact_type: None,
        declared_artifact_type: None,
        config,
        layers,
        manifests: Vec::new(),
        subject: None,
        annotations: BTreeMap::new(),
    })
}

fn packed(root: &std::path::Path) -> Result<Image> {
    let packed = directory::pack(root)?;
    let size = packed.file.metadata()?.len();
    let layer = Descriptor::new(OCI_LAYER.parse()?, packed.digest, size);
    Ok(Image {
        name: root.display().to_string(),
        remote: None,
        digest: packed.digest,
        manifest: made(None, vec![layer])?,
        platform: None,
        blobs: Blobs::One(Arc::new(packed.file)),
        unread: packed.unread,
        bytes: None,
        index: None,
    })
}

async fn in_registry(client: &Client, remote: Remote, wanted: Option<&Wanted>) -> Result<Image> {
    let registry = Registry::connect(client, &remote).await?;
    let name = named(remote.repository.as_str(), Some(&remote.reference));
    let (bytes, media_type) = registry.manifest(&remote.reference, MANIFEST_BYTES).await?;
    let algorithm = remote
        .reference
        .digest()
        .map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let digest = Digest::of(algorithm, &bytes);
    if let Some(asked) = remote.reference.digest().filter(|asked| *asked != digest) {
        bail!("the bytes of manifest {asked} have another digest, {digest}");
    }
    let start = Start {
        name,
        remote: Some(remote),
        blobs: Blobs::Registry(Arc::new(registry)),
    };
    start.follow(Step::Bytes(bytes, media_type, digest), wanted).await
}
