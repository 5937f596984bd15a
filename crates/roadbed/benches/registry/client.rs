//! What a client of a registry does, on one connection.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    content::{Blob, MANIFEST_TYPE},
    http::{Answer, Connection, Endpoint},
};

/// How long an image may stay undecided: ten thousand may be pushed at once.
const DECIDED_WITHIN: Duration = Duration::from_mins(10);

/// A connection with a login.
#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    connection: Connection,
    authorization: Option<String>,
}

impl Client {
    /// Connects; `authorization` is the value of the header, if the server wants one.
    pub(crate) fn connect(endpoint: &Endpoint, authorization: Option<String>) -> Result<Self> {
        Ok(Self {
            endpoint: endpoint.clone(),
            connection: endpoint.dialer()?.connect()?,
            authorization,
        })
    }

    /// Pushes a blob: a session, then all of it in one PUT.
    pub(crate) fn push_blob(&mut self, repository: &str, blob: &Blob) -> Result<()> {
        self.push_pieces(repository, &blob.digest, &[&blob.bytes])
    }

    /// Pushes a blob that is in pieces.
    pub(crate) fn push_pieces(&mut self, repository: &str, digest: &str, pieces: &[&[u8]]) -> Result<()> {
        let path = self.start_upload(repository, digest)?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", &length.to_string()),
        ];
        self.expect(201, "PUT", &path, &headers, pieces)?;
        Ok(())
    }

    /// Pushes the blob that a file has, in one PUT.
    pub(crate) fn push_file(&mut self, repository: &str, digest: &str, file: &Path) -> Result<()> {
        let bytes = std::fs::read(file)?;
        self.push_pieces(repository, digest, &[&bytes])
    }

    /// Starts an upload; the path (with query) that takes all of it in one PUT.
    pub(crate) fn start_upload(&mut self, repository: &str, digest: &str) -> Result<String> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let (answer, _) = self.expect(202, "POST", &path, &[("Content-Length", "0")], &[])?;
        let location = answer.header("Location").context("no Location")?;
        let path = location
            .split_once("://")
            .map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let mark = if path.contains('?') { '&' } else { '?' };
        Ok(format!("{path}{mark}digest={digest}"))
    }

    /// Takes a blob over from another repository.
    pub(crate) fn mount_blob(&mut self, repository: &str, digest: &str, from: &str) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        self.expect(201, "POST", &path, &[("Content-Length", "0")], &[])?;
        Ok(())
    }

    /// Pushes a manifest under a tag or its digest.
    pub(crate) fn push_manifest(&mut self, repository: &str, reference: &str, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let headers = [
            ("Content-Type", MANIFEST_TYPE),
            ("Content-Length", &bytes.len().to_string()),
        ];
        self.expect(201, "PUT", &path, &headers, &[bytes])?;
        Ok(())
    }

    /// The bytes of a manifest.
    pub(crate) fn pull_manifest(&mut self, repository: &str, reference: &str) -> Result<Vec<u8>> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        Ok(self
            .expect(200, "GET", &path, &[("Accept", MANIFEST_TYPE)], &[])?
            .1)
    }

    /// Pulls a manifest, over and over while it is not decided whether that may be.
    pub(crate) fn pull_when_decided(&mut self, repository: &str, reference: &str) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let until = Instant::now() + DECIDED_WITHIN;
        loop {
            let answer = self.send("GET", &path, &[("Accept", MANIFEST_TYPE)], &[])?;
            self.connection.skip_body(&answer)?;
            match answer.status {
                200 => return Ok(()),
                503 => ensure!(
                    Instant::now() < until,
                    "{path} was not decided in {DECIDED_WITHIN:?}"
                ),
                status => bail!("{path}: {status}"),
            }
        }
    }

    /// Deletes a tag.
    pub(crate) fn delete_tag(&mut self, repository: &str, tag: &str) -> Result<()> {
        self.expect(
            202,
            "DELETE",
            &format!("/v2/{repository}/manifests/{tag}"),
            &[],
            &[],
        )?;
        Ok(())
    }

    /// The body of a GET.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        Ok(self.expect(200, "GET", path, &[], &[])?.1)
    }

    /// Reads a blob away; its length.
    pub(crate) fn pull_blob(&mut self, repository: &str, digest: &str) -> Result<u64> {
        let answer = self.send("GET", &format!("/v2/{repository}/blobs/{digest}"), &[], &[])?;
        ensure!(
            answer.status == 200,
            "the blob is answered with {}",
            answer.status
        );
        self.connection.skip_body(&answer)?;
        Ok(answer.length)
    }

    /// Reads a blob away; when its first byte came.
    pub(crate) fn first_byte_of_blob(&mut self, repository: &str, digest: &str) -> Result<Instant> {
        let answer = self.send("GET", &format!("/v2/{repository}/blobs/{digest}"), &[], &[])?;
        ensure!(
            answer.status == 200,
            "the blob is answered with {}",
            answer.status
        );
        let came = self.connection.await_body()?;
        self.connection.skip_body(&answer)?;
        Ok(came)
    }

    fn expect(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[&[u8]],
    ) -> Result<(Answer, Vec<u8>)> {
        let answer = self.send(method, path, headers, body)?;
        let text = self.connection.body(&answer)?;
        let found = answer.status;
        ensure!(
            found == status,
            "{method} {path}: {found} instead of {status}: {}",
            String::from_utf8_lossy(&text)
        );
        Ok((answer, text))
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[&[u8]]) -> Result<Answer> {
        let mut headers = headers.to_vec();
        headers.extend(
            self.authorization
                .as_deref()
                .map(|value| ("Authorization", value)),
        );
        let head = self.endpoint.head(method, path, &headers);
        self.connection
            .exchange(&head, body)
            .with_context(|| format!("{method} {path}"))
    }
}
