//! Files that are not part of the protocol: what a classic repository of Helm charts consists of.

use bytes::Bytes;
use http::{HeaderValue, header};
use reqwest::{StatusCode, Url};

use super::ask::Asked;
use super::pause::Kind;
use super::{Upstream, UpstreamError};

/// Bytes of an entity tag that is kept; a longer one is none.
const ETAG_BYTES: usize = 1_024;

/// A file that is asked for.
#[derive(Debug, Clone)]
pub struct WantedFile {
    /// Where it is. On another host than the upstream's own it is asked for without credentials, and only where that host is
    /// listed, if any is.
    pub url: Url,
    /// The entity tag of what is here already.
    pub known: Option<String>,
    /// Bytes that are taken.
    pub most: usize,
    /// Whether it is content, and not a list of it: what an upstream says about coming again (429) is kept apart for the two.
    pub is_content: bool,
}

/// A file as it was sent. Nobody has compared it with anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFile {
    /// The bytes.
    pub bytes: Bytes,
    /// What the server calls this state of it.
    pub etag: Option<String>,
}

impl Upstream {
    /// A file. `None`: it is still what is known.
    ///
    /// The login goes along from the beginning, as Helm sends it: who serves files seldom asks for one.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn file(&self, wanted: &WantedFile) -> Result<Option<UpstreamFile>, UpstreamError> {
        let kind = if wanted.is_content { Kind::Blob } else { Kind::List };
        let known = wanted.known.as_ref();
        let known = known.and_then(|known| HeaderValue::from_str(known).ok());
        let asked = Asked::file(kind, wanted.url.clone(), known);
        self.in_time(async {
            let response = self.ask(&asked).await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            let etag = response.headers().get(header::ETAG);
            let etag = etag.and_then(|etag| etag.to_str().ok());
            let etag = etag.filter(|etag| etag.len() <= ETAG_BYTES).map(str::to_owned);
            let bytes = self.read(response, wanted.most).await?;
            Ok(Some(UpstreamFile { bytes, etag }))
        })
        .await
    }
}
