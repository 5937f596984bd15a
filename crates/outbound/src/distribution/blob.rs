//! Blobs of an upstream.

use oci::{Digest, RepoName};
use reqwest::{Method, Response, StatusCode};

use super::ask::Asked;
use super::pause::Kind;
use super::tokens::Scope;
use super::{Upstream, UpstreamBody, UpstreamError};
use crate::download::{range_of, total_of};

/// A blob on its way.
#[derive(Debug)]
pub struct UpstreamBlob {
    /// Bytes of the whole blob, as the upstream says.
    pub size: Option<u64>,
    /// The byte that the stream begins with: the one that was asked for, or 0 where the upstream hands out no parts.
    pub from: u64,
    /// The bytes from there to the end, as they come. Nobody has compared them with the digest.
    pub body: UpstreamBody,
}

impl Upstream {
    /// A blob from a byte on. The deadline for everything ends with the head of the answer; what follows may take as long as it
    /// does not stop.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`; the stream ends with `Broken` or `Unreachable` where it does not end well.
    pub async fn blob(
        &self,
        repo: &RepoName,
        digest: &Digest,
        from: u64,
    ) -> Result<UpstreamBlob, UpstreamError> {
        let path = format!("/v2/{repo}/blobs/{digest}");
        let asked = Asked {
            from,
            ..Asked::new(Kind::Blob, Method::GET, path, Scope::pull(repo))
        };
        let response = self.in_time(self.ask(&asked)).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => self.part(response, from),
            StatusCode::RANGE_NOT_SATISFIABLE => self.behind_the_end(&response, from),
            _ => {
                let size = response.content_length();
                Ok(UpstreamBlob {
                    size,
                    from: 0,
                    body: self.stream(response, size, from > 0)?,
                })
            }
        }
    }

    /// Whether there is a blob that may be had.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn head_blob(&self, repo: &RepoName, digest: &Digest) -> Result<(), UpstreamError> {
        let path = format!("/v2/{repo}/blobs/{digest}");
        let asked = Asked::new(Kind::Head, Method::HEAD, path, Scope::pull(repo));
        self.in_time(self.ask(&asked)).await.map(drop)
    }

    fn part(&self, response: Response, from: u64) -> Result<UpstreamBlob, UpstreamError> {
        let range = range_of(&response).filter(|range| range.start == from && range.total >= from);
        let Some(range) = range else {
            return Err(self.broken("it sends another part of the blob than it was asked for"));
        };
        let left = range.total - from;
        if response.content_length().is_some_and(|length| length != left) {
            return Err(self.broken("it sends less of the blob than it was asked for"));
        }
        Ok(UpstreamBlob {
            size: Some(range.total),
            from,
            body: self.stream(response, Some(left), true)?,
        })
    }

    fn behind_the_end(&self, response: &Response, from: u64) -> Result<UpstreamBlob, UpstreamError> {
        if total_of(response) != Some(from) {
            return Err(self.broken(format!("it says that the blob has fewer than {from} bytes")));
        }
        Ok(UpstreamBlob {
            size: Some(from),
            from,
            body: self.nothing(),
        })
    }
}
