//! Images in a registry, through its own protocol.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use anyhow::{Context as _, Result, ensure};
use oci::{Descriptor, Digest, Hasher, MediaType, Reference, media_type};
use reqwest::Response;

use super::spool;
use super::target::Remote;
use crate::client::{Client, Distribution};

/// Bytes of one blob.
const BLOB_BYTES: u64 = 32 << 30;

/// A repository to fetch from.
pub(super) struct Registry {
    distribution: Distribution,
}

impl Registry {
    /// The registry that was named with the image; else that of `--url`, or the one that was signed in to last.
    pub(super) async fn connect(client: &Client, remote: &Remote) -> Result<Self> {
        let distribution = Distribution::of(client, &remote.repository).await?;
        Ok(Self { distribution })
    }

    /// A manifest by its tag or digest, or the list of what refers to one, as it was sent; `None`: there is none, or it is larger than
    /// `most`.
    pub(super) async fn find(&self, what: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let accept = media_type::MANIFESTS.join(", ");
        let Some(mut response) = self.distribution.find(what, &accept).await? else {
            return Ok(None);
        };
        let bytes = read(&mut response, most).await?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }

    /// A manifest as it was sent, with its media type, up to a byte more than `most`.
    pub(super) async fn manifest(
        &self,
        reference: &Reference,
        most: u64,
    ) -> Result<(Vec<u8>, Option<MediaType>)> {
        let name = match reference {
            Reference::Tag(tag) => tag.to_string(),
            Reference::Digest(digest) => digest.to_string(),
        };
        let accept = media_type::MANIFESTS.join(", ");
        let mut response = self
            .distribution
            .get(&format!("manifests/{name}"), &accept)
            .await?;
        let media_type = response
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Ok((read(&mut response, most).await?, media_type))
    }

    /// A blob, whose bytes are those of its digest.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<File> {
        let digest: &Digest = &blob.digest;
        ensure!(
            blob.size <= BLOB_BYTES,
            "blob {digest} has {} bytes, more than the {BLOB_BYTES} that are fetched",
            blob.size
        );
        let mut response = self.distribution.get(&format!("blobs/{digest}"), "*/*").await?;
        let mut file = spool::anonymous()?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut left = blob.size;
        while let Some(chunk) = chunk(&mut response).await? {
            left = left
                .checked_sub(chunk.len() as u64)
                .with_context(|| format!("blob {digest} is larger than its manifest says"))?;
            hasher.update(&chunk);
            file.write_all(&chunk)
                .context("cannot write a temporary file: name a directory with more room with TMPDIR")?;
        }
        let found = hasher.finish();
        ensure!(
            found == *digest,
            "the bytes of blob {digest} have another digest, {found}"
        );
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// Up to a chunk more than `most`.
async fn read(response: &mut Response, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(response).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > most {
            break;
        }
    }
    Ok(bytes)
}

async fn chunk(response: &mut Response) -> Result<Option<bytes::Bytes>> {
    response.chunk().await.context("the answer broke off")
}
