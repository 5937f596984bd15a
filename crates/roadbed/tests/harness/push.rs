//! The common steps of a push and a pull, each checked against the specification.

use anyhow::{Context as _, Result, ensure};
use reqwest::Url;

use super::{
    answer::Answer,
    client::{Client, Request},
    content::Blob,
    manifest::{Document, IMAGE, INDEX},
};

/// What a body of bytes is called.
pub(crate) const OCTETS: &str = "application/octet-stream";

impl Client {
    /// end-4a: opens an upload session and returns its URL.
    pub(crate) async fn open_upload(&self, repository: &str) -> Result<Url> {
        self.post(format!("/v2/{repository}/blobs/uploads/"))
            .send()
            .await?
            .expect(&[202])?
            .location()
    }

    /// end-4a and end-6: pushes a blob in two requests and checks that its URL serves it.
    pub(crate) async fn push_blob(&self, repository: &str, blob: &Blob) -> Result<Answer> {
        let session = self.open_upload(repository).await?;
        let answer = self
            .finish_upload(&session, &blob.digest)
            .body(blob.bytes.clone())
            .send()
            .await?
            .expect(&[201])?;
        self.check_blob_location(&answer, blob).await?;
        Ok(answer)
    }

    /// end-6: the request that closes a session; a body or a range may be added.
    pub(crate) fn finish_upload(&self, session: &Url, digest: &str) -> Request<'_> {
        self.put(session.as_str())
            .query("digest", digest)
            .header("content-type", OCTETS)
    }

    /// end-5: sends a chunk that starts at `start`, which need not be where it belongs.
    pub(crate) fn send_chunk(&self, session: &Url, start: usize, chunk: &[u8]) -> Request<'_> {
        let range = format!("{start}-{}", (start + chunk.len()).saturating_sub(1));
        self.patch(session.as_str())
            .header("content-type", OCTETS)
            .header("content-range", range)
            .body(chunk.to_vec())
    }

    /// end-13: how far a session is; checks the form of the answer.
    pub(crate) async fn upload_offset(&self, session: &Url) -> Result<usize> {
        let answer = self.get(session.as_str()).send().await?.expect(&[204])?;
        answer.location()?;
        offset_of(&answer)
    }

    /// The `Location` of a 201 must be a URL from which the blob can be pulled.
    pub(crate) async fn check_blob_location(&self, answer: &Answer, blob: &Blob) -> Result<()> {
        self.get(answer.location()?.as_str())
            .send()
            .await?
            .expect(&[200])?
            .expect_body(&blob.bytes)?;
        Ok(())
    }

    /// end-7a: pushes a manifest under a tag or digest.
    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        document: &Document,
    ) -> Result<Answer> {
        let request = self.put(format!("/v2/{repository}/manifests/{reference}"));
        request
            .header("content-type", &document.media_type)
            .body(document.bytes.clone())
            .send()
            .await
    }

    /// Pushes blobs and then a manifest, under a tag.
    pub(crate) async fn push_image(
        &self,
        repository: &str,
        tag: &str,
        blobs: &[Blob],
        document: &Document,
    ) -> Result<()> {
        for blob in blobs {
            self.push_blob(repository, blob).await?;
        }
        self.push_manifest(repository, tag, document)
            .await?
            .expect(&[201])?;
        Ok(())
    }

    /// end-3: pulls a manifest and checks bytes, type, length and digest.
    pub(crate) async fn check_manifest(
        &self,
        repository: &str,
        reference: &str,
        document: &Document,
    ) -> Result<()> {
        for method in ["HEAD", "GET"] {
            let request = self.request(method, format!("/v2/{repository}/manifests/{reference}"));
            let answer = request
                .header("accept", INDEX)
                .header("accept", IMAGE)
                .send()
                .await?
                .expect(&[200])?;
            let answer = answer
                .expect_header("content-type", &document.media_type)?
                .expect_header("docker-content-digest", &document.digest)?
                .expect_length(document.bytes.len())?;
            if method == "GET" {
                answer.expect_body(&document.bytes)?;
            }
        }
        Ok(())
    }

    /// end-2: pulls a blob and checks bytes, length and digest.
    pub(crate) async fn check_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        for method in ["HEAD", "GET"] {
            let answer = self
                .request(method, blob_path(repository, &blob.digest))
                .send()
                .await?
                .expect(&[200])?;
            let answer = answer
                .expect_header("docker-content-digest", &blob.digest)?
                .expect_length(blob.bytes.len())?;
            if method == "GET" {
                answer.expect_body(&blob.bytes)?;
            }
        }
        Ok(())
    }

    /// A blob that must not be there.
    pub(crate) async fn check_no_blob(&self, repository: &str, digest: &str) -> Result<()> {
        self.head(blob_path(repository, digest))
            .send()
            .await?
            .expect(&[404])?;
        self.get(blob_path(repository, digest))
            .send()
            .await?
            .expect_one_error(&[404], &["BLOB_UNKNOWN", "NAME_UNKNOWN"])?;
        Ok(())
    }

    /// A manifest that must not be there.
    pub(crate) async fn check_no_manifest(&self, repository: &str, reference: &str) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.head(&path).send().await?.expect(&[404])?;
        self.get(&path)
            .send()
            .await?
            .expect_one_error(&[404], &["MANIFEST_UNKNOWN", "NAME_UNKNOWN"])?;
        Ok(())
    }

    /// All tags of a repository, on one page.
    pub(crate) async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let answer = self
            .get(format!("/v2/{repository}/tags/list"))
            .send()
            .await?
            .expect(&[200])?;
        let body = answer.json()?;
        ensure!(
            body["name"] == repository,
            "{}: the list names {}",
            answer.sent,
            body["name"]
        );
        serde_json::from_value(body["tags"].clone()).with_context(|| format!("{}: {body}", answer.sent))
    }
}

/// The path of a blob.
pub(crate) fn blob_path(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// Whether `Range` says that the server has this many bytes.
pub(crate) fn says_offset(answer: &Answer, offset: usize) -> Result<()> {
    let last = offset.saturating_sub(1);
    ensure!(
        answer.require("range")? == format!("0-{last}"),
        "after {offset} bytes: {}",
        answer.summary()
    );
    Ok(())
}

/// Reads `Range: 0-N`: N is the last byte that the server has. An empty session says `0-0`, as does one of one byte;
/// nobody can tell them apart by this header, so this is not for sessions of one byte.
pub(crate) fn offset_of(answer: &Answer) -> Result<usize> {
    let range = answer.require("range")?;
    let last = range
        .strip_prefix("0-")
        .with_context(|| format!("{}: Range: {range}", answer.sent))?;
    let last: usize = last
        .parse()
        .with_context(|| format!("{}: Range: {range}", answer.sent))?;
    Ok(if last == 0 { 0 } else { last + 1 })
}
