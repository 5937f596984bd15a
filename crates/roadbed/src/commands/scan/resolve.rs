//! From what was named to one image: through indexes, by tag and platform.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use findings::harmless;
use oci::media_type::{DOCKER_CONFIG, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, OCI_LAYER};
use oci::{Algorithm, Descriptor, Digest, Manifest, ManifestKind, ManifestLimits, MediaType, Reference};
use serde::Deserialize;

use super::archive::Archive;
use super::blobs::Blobs;
use super::directory;
use super::layout::Layout;
use super::platform::{self, Wanted};
use super::registry::Registry;
use super::target::{Remote, Target};
use crate::cli::ClientArgs;

/// Indexes in indexes.
const DEPTH: usize = 4;

/// Bytes of a manifest or index: the registry's own limit.
const MANIFEST_BYTES: u64 = 4 << 20;

/// Tags that an error names.
const NAMED: usize = 20;

/// The annotation that holds a tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The same with the repository, as Docker and containerd write it.
const IMAGE_NAME: &str = "io.containerd.image.name";

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
    /// Whether it is a directory and no image.
    pub(super) is_directory: bool,
}

/// Finds the image.
pub(super) async fn image(target: Target, client: &ClientArgs, wanted: Option<&Wanted>) -> Result<Image> {
    match target {
        Target::Layout { root, reference } => {
            let layout = Layout::open(&root)?;
            let index = layout.index(MANIFEST_BYTES)?;
            let top = top(&index, reference.as_ref())?;
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
        Target::Registry(remote) => in_registry(client, remote, wanted).await,
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
enum Step {
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
        let mut platform = None;
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
                    is_directory: false,
                });
            }
            step = Step::Descriptor(platform::choose(&manifest, wanted)?.clone());
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

fn parse(bytes: &[u8], media_type: Option<&MediaType>) -> Result<Manifest> {
    Ok(Manifest::parse(bytes, media_type, &ManifestLimits::default())?)
}

/// The manifest that `index.json` names.
fn top(index: &[u8], reference: Option<&Reference>) -> Result<Step> {
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
    let digests: std::collections::BTreeSet<&Digest> =
        index.manifests.iter().map(|child| &child.digest).collect();
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

async fn in_archive(
    name: String,
    archive: Archive,
    reference: Option<&Reference>,
    wanted: Option<&Wanted>,
) -> Result<Image> {
    if let Some(index) = archive.read("index.json", MANIFEST_BYTES)? {
        let top = top(&index, reference)?;
        let start = Start::of(name, Blobs::Archive(Arc::new(archive)));
        return start.follow(top, wanted).await;
    }
    tokio::task::spawn_blocking({
        let reference = reference.cloned();
        move || saved(name, archive, reference.as_ref())
    })
    .await
    .context("the archive was lost")?
}

/// What Docker saved without a manifest of its own: one is made of what is there.
fn saved(name: String, archive: Archive, reference: Option<&Reference>) -> Result<Image> {
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
        is_directory: false,
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

fn made(config: Option<Descriptor>, layers: Vec<Descriptor>) -> Result<Manifest> {
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
        is_directory: true,
    })
}

async fn in_registry(client: &ClientArgs, remote: Remote, wanted: Option<&Wanted>) -> Result<Image> {
    let registry = Registry::connect(client, &remote)?;
    let name = named(remote.repository.as_ref(), Some(&remote.reference));
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
