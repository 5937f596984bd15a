//! Where images go.

use anyhow::{Result, anyhow};
use futures_util::stream;
use oci::{Descriptor, Reference, RepoName};
use outbound::distribution::{Upstream, UpstreamError};

use super::reach::End;
use super::shelf::Shelf;
use super::source::Found;
use super::verified::{Bytestream, Reason, sendable};

/// Where images go.
pub(super) enum Destination {
    Registry {
        upstream: Upstream,
        repository: RepoName,
        /// Another repository of the same registry, from which they come.
        linked_from: Option<RepoName>,
    },
    Layout(Shelf),
}

impl Destination {
    pub(super) async fn has(&self, blob: &Descriptor) -> Result<bool> {
        match self {
            Self::Registry {
                upstream, repository, ..
            } => {
                let has = upstream.has_blob(repository, &blob.digest).await;
                has.map_err(|error| End::Destination.explained(error))
            }
            Self::Layout(files) => files.has(&blob.digest, blob.size).await,
        }
    }

    /// Has the registry take a blob from the repository where it is; `false`: it does not.
    pub(super) async fn link(&self, blob: &Descriptor) -> Result<bool> {
        let Self::Registry {
            upstream,
            repository,
            linked_from: Some(from),
        } = self
        else {
            return Ok(false);
        };
        match upstream.mount(repository, &blob.digest, from).await {
            Ok(linked) => Ok(linked),
            // Who may push here need not be able to pull there by this login.
            Err(UpstreamError::Denied { .. } | UpstreamError::NotFound) => Ok(false),
            Err(error) => Err(End::Destination.explained(error)),
        }
    }

    pub(super) async fn put(&self, blob: &Descriptor, bytes: Bytestream) -> Result<()> {
        match self {
            Self::Registry {
                upstream, repository, ..
            } => {
                let reason = Reason::default();
                let body = sendable(bytes, reason.clone());
                let pushed = upstream
                    .push_blob(repository, &blob.digest, blob.size, body)
                    .await;
                pushed.map_err(|error| reason.or(explained(error)))
            }
            Self::Layout(files) => files.put(&blob.digest, bytes).await,
        }
    }

    /// A manifest, whose blobs and children are there. `is_listed`: it is not only a part of another one.
    pub(super) async fn put_manifest(&self, found: &Found, under: &Reference, is_listed: bool) -> Result<()> {
        match self {
            Self::Registry {
                upstream, repository, ..
            } => {
                let media_type = &found.manifest.media_type;
                let bytes = found.bytes.clone();
                let pushed = upstream.push_manifest(repository, under, media_type, bytes).await;
                pushed.map_err(explained)
            }
            Self::Layout(files) => {
                if !files.has(&found.digest, found.bytes.len() as u64).await? {
                    let bytes = found.bytes.clone();
                    let bytes = stream::once(async move { anyhow::Ok(bytes) });
                    files.put(&found.digest, Box::pin(bytes)).await?;
                }
                if is_listed {
                    files.list(found, under);
                }
                Ok(())
            }
        }
    }

    /// An image is whole.
    pub(super) fn finish(&self) -> Result<()> {
        match self {
            Self::Registry { .. } => Ok(()),
            Self::Layout(files) => files.finish(),
        }
    }
}

fn explained(error: UpstreamError) -> anyhow::Error {
    match error {
        UpstreamError::NotFound => {
            anyhow!("the destination does not take it: is there such a repository, and may you push to it?")
        }
        error => End::Destination.explained(error),
    }
}
