//! Images in a registry, through its own protocol.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use oci::{Descriptor, Digest, Hasher, MediaType, Reference, RepoName, media_type};
use reqwest::Response;

use super::spool;
use super::target::Remote;
use crate::cli::ClientArgs;
use crate::client::Client;

/// Bytes of one blob.
const BLOB_BYTES: u64 = 32 << 30;

/// A repository to fetch from.
pub(super) struct Registry {
    client: Client,
    repository: RepoName,
}

impl Registry {
    /// The registry that was named or signed in to last. Credentials go to no other.
    pub(super) fn connect(args: &ClientArgs, remote: &Remote) -> Result<Self> {
        let mut args = args.clone();
        if args.url.is_none() {
            args.url.clone_from(&remote.host);
        }
        let client = match (Client::connect(&args), args.url.as_deref()) {
            (Ok(client), _) => client,
            // Some repositories may be pulled by everybody; whoever may not is told so by the registry.
            (Err(_), Some(url)) => Client::anonymous(&args, url)?,
            (Err(error), None) => return Err(error),
        };
        let base = client.base();
        let authority = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        if let Some(host) = remote.host.as_deref().filter(|host| *host != authority) {
            bail!(
                "the image lies on {host} and the registry is {authority}: use --url https://{host}, or copy the image into \
                 a directory (`skopeo copy docker://… oci:DIR:TAG`) and scan that"
            );
        }
        Ok(Self {
            client,
            repository: remote.repository.clone(),
        })
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
        let path = format!("/v2/{}/manifests/{name}", self.repository);
        let mut response = self
            .client
            .fetch(&path, &media_type::MANIFESTS.join(", "))
            .await?;
        let media_type = response
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = chunk(&mut response).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > most {
                break;
            }
        }
        Ok((bytes, media_type))
    }

    /// A blob, whose bytes are those of its digest.
    pub(super) async fn blob(&self, blob: &Descriptor) -> Result<File> {
        let digest: &Digest = &blob.digest;
        ensure!(
            blob.size <= BLOB_BYTES,
            "blob {digest} has {} bytes, more than the {BLOB_BYTES} that are fetched",
            blob.size
        );
        let path = format!("/v2/{}/blobs/{digest}", self.repository);
        let mut response = self.client.fetch(&path, "*/*").await?;
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

async fn chunk(response: &mut Response) -> Result<Option<bytes::Bytes>> {
    response.chunk().await.context("the answer broke off")
}
