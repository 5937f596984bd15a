//! Where images come from.

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use futures_util::stream::{self, TryStreamExt as _};
use oci::media_type::{MANIFESTS, OCI_IMAGE_INDEX};
use oci::{Descriptor, Digest, Manifest, ManifestLimits, MediaType, Reference, RepoName, Tag};
use outbound::distribution::{Upstream, UpstreamError};
use tokio::io::AsyncReadExt as _;

use super::layout::Directory;
use super::patience::patiently;
use super::reach::End;
use super::verified::{Bytestream, verified};

/// Bytes of a manifest: the registry's own limit.
pub(super) const MANIFEST_BYTES: usize = 4 << 20;

/// Bytes of a file that are read at once.
const CHUNK: usize = 256 << 10;

/// Where images come from.
pub(super) enum Source {
    Registry {
        upstream: Upstream,
        repository: RepoName,
    },
    Layout(Box<Directory>),
}

/// A manifest, as it is and as it is understood.
pub(super) struct Found {
    pub(super) bytes: Bytes,
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
}

impl Found {
    fn read(bytes: Bytes, said: Option<MediaType>, digest: Digest) -> Result<Self> {
        // Some servers say something else of everything; then the manifest says what it is.
        let said = said.filter(|said| MANIFESTS.contains(&said.as_str()));
        let manifest = Manifest::parse(&bytes, said.as_ref(), &ManifestLimits::default())
            .with_context(|| format!("the manifest {digest} cannot be read"))?;
        Ok(Self {
            bytes,
            manifest,
            digest,
        })
    }
}

impl Source {
    /// What is copied where nothing is named.
    pub(super) fn usual(&self) -> Result<Reference> {
        match self {
            Self::Registry { .. } => Ok(Reference::Tag(Tag::latest())),
            Self::Layout(directory) => directory.only(),
        }
    }

    /// A manifest, whose bytes are those of its digest. `None`: there is none.
    pub(super) async fn find(&self, reference: &Reference) -> Result<Option<Found>> {
        patiently(|| self.find_now(reference)).await
    }

    async fn find_now(&self, reference: &Reference) -> Result<Option<Found>> {
        match self {
            Self::Registry { upstream, repository } => {
                match upstream.manifest(repository, reference, MANIFEST_BYTES).await {
                    Err(UpstreamError::NotFound) => Ok(None),
                    Err(error) => Err(End::Source.explained(error)),
                    Ok(found) => {
                        let said = found.media_type.and_then(|text| text.parse().ok());
                        Found::read(found.bytes, said, found.digest).map(Some)
                    }
                }
            }
            Self::Layout(directory) => match directory.manifest(reference)? {
                Some((bytes, said, digest)) => Found::read(bytes, said, digest).map(Some),
                None => Ok(None),
            },
        }
    }

    /// A manifest that something else names.
    pub(super) async fn named(&self, digest: Digest) -> Result<Found> {
        let found = self.find(&Reference::Digest(digest)).await?;
        found.ok_or_else(|| {
            anyhow!("manifest {digest}, which the image names, is missing: name a platform that is there with --platform")
        })
    }

    /// The bytes of a blob, which are those of its descriptor.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<Bytestream> {
        let digest = blob.digest;
        let bytes: Bytestream = match self {
            Self::Registry { upstream, repository } => {
                let coming = upstream.blob(repository, &digest, 0).await;
                let coming = coming
                    .map_err(|error| End::Source.explained(error))
                    .with_context(|| format!("cannot fetch blob {digest}"))?;
                ensure!(
                    coming.size.is_none_or(|size| size == blob.size),
                    "blob {digest} has another length than its manifest says"
                );
                Box::pin(coming.body.map_err(|error| End::Source.explained(error)))
            }
            Self::Layout(directory) => {
                let file = directory
                    .blob(&digest)?
                    .with_context(|| format!("blob {digest} is missing"))?;
                of_file(tokio::fs::File::from_std(file))
            }
        };
        Ok(verified(bytes, blob))
    }

    /// The first `most` tags.
    pub(super) async fn tags(&self, most: usize) -> Result<Vec<Tag>> {
        match self {
            Self::Registry { upstream, repository } => {
                let tags = || async {
                    let tags = upstream.tags(repository, most).await;
                    tags.map_err(|error| End::Source.explained(error))
                };
                patiently(tags).await
            }
            Self::Layout(directory) => Ok(directory.tags()),
        }
    }

    /// What refers to a manifest.
    pub(super) async fn referrers(&self, digest: &Digest) -> Result<Vec<Digest>> {
        match self {
            Self::Registry { upstream, repository } => {
                let list = || async {
                    let list = upstream.referrers(repository, digest, MANIFEST_BYTES).await;
                    list.map_err(|error| End::Source.explained(error))
                };
                let list = patiently(list).await?;
                let media_type: MediaType = OCI_IMAGE_INDEX.parse()?;
                let list = Manifest::parse(&list, Some(&media_type), &ManifestLimits::default())
                    .with_context(|| format!("the list of what refers to {digest} cannot be read"))?;
                Ok(list.manifests.iter().map(|referrer| referrer.digest).collect())
            }
            Self::Layout(directory) => directory.referrers(digest),
        }
    }
}

fn of_file(file: tokio::fs::File) -> Bytestream {
    Box::pin(stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk).await.context("cannot read a blob")?;
        chunk.truncate(count);
        anyhow::Ok((count > 0).then(|| (Bytes::from(chunk), file)))
    }))
}
