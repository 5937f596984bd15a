//! What does not fit into memory.

use std::path::Path;

use http::{HeaderMap, HeaderValue, header};
use reqwest::{Response, StatusCode};
use tokio::io::AsyncWriteExt as _;

use crate::fetch::{check_announced, coding};
use crate::headers::Range;
use crate::partial::Partial;
use crate::retry::Tries;
use crate::{Client, OutboundError, Request, Validators};

/// A file that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Its bytes.
    pub bytes: u64,
    /// How many of them came by this call; the others were there.
    pub came: u64,
}

impl Client {
    /// Downloads what is at the URL of the request into a file. What an earlier call has left there, and what came before a
    /// connection broke, is gone on with if the server still has the same bytes (a strong `ETag`) and hands out a part of them;
    /// a file beside it, `<path>.of`, says what its bytes are. The validators of the request are not asked by.
    ///
    /// What comes is not compared with any digest: the caller has to find out whether it is what it should be, and to remove the
    /// file if it is not.
    ///
    /// # Errors
    /// Every variant of [`OutboundError`]. What came until then stays in the file, unless there was too much of it.
    pub async fn download(&self, request: &Request, path: &Path) -> Result<Downloaded, OutboundError> {
        let limit = self.settings.total_timeout;
        let done = tokio::time::timeout(limit, self.download_with_retries(request, path)).await;
        done.unwrap_or_else(|_| {
            Err(OutboundError::Slow {
                url: Box::new(request.url.clone()),
                limit,
            })
        })
    }

    async fn download_with_retries(
        &self,
        request: &Request,
        path: &Path,
    ) -> Result<Downloaded, OutboundError> {
        let mut tries = Tries::new(&self.settings);
        let mut came = 0;
        loop {
            let mut partial = Partial::open(path, &request.url).await?;
            match self.go_on(request, &mut partial, &mut came).await {
                Ok(()) => {
                    return Ok(Downloaded {
                        bytes: partial.length,
                        came,
                    });
                }
                Err(error) => tries.wait_after(error).await?,
            }
        }
    }

    /// One try.
    async fn go_on(
        &self,
        request: &Request,
        partial: &mut Partial,
        came: &mut u64,
    ) -> Result<(), OutboundError> {
        let response = self.exchange(request, &headers(partial)).await?;
        let url = Box::new(response.url().clone());
        let coding = coding(&response);
        if !matches!(coding.as_str(), "" | "identity") {
            return Err(OutboundError::Coding { url, coding });
        }
        match response.status() {
            StatusCode::OK => {
                check_announced(&response, request.most_bytes)?;
                let validators = Validators::of(response.headers());
                partial.begin(&request.url, validators.strong_etag()).await?;
                write(response, request, partial, came).await
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = range_of(&response).filter(|range| range.start == partial.length);
                let Some(range) = range else {
                    partial.begin(&request.url, None).await?;
                    return Err(OutboundError::Broken { url, source: None });
                };
                if range.total > request.most_bytes {
                    let most = request.most_bytes;
                    return Err(OutboundError::TooLarge { url, most });
                }
                write(response, request, partial, came).await?;
                if partial.length == range.total {
                    return Ok(());
                }
                partial.begin(&request.url, None).await?;
                Err(OutboundError::Broken { url, source: None })
            }
            // There is nothing behind what is there already.
            StatusCode::RANGE_NOT_SATISFIABLE if total_of(&response) == Some(partial.length) => Ok(()),
            StatusCode::RANGE_NOT_SATISFIABLE if partial.length > 0 => {
                partial.begin(&request.url, None).await?;
                Err(OutboundError::Broken { url, source: None })
            }
            status => Err(OutboundError::Status { url, status }),
        }
    }
}

fn headers(partial: &Partial) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let range = HeaderValue::from_str(&format!("bytes={}-", partial.length));
    let tag = partial.etag.as_deref().map(HeaderValue::from_str);
    if let (Ok(range), Some(Ok(tag))) = (range, tag)
        && partial.length > 0
    {
        headers.insert(header::RANGE, range);
        headers.insert(header::IF_RANGE, tag);
    }
    headers
}

/// Appends the body to what is there.
async fn write(
    mut response: Response,
    request: &Request,
    partial: &mut Partial,
    came: &mut u64,
) -> Result<(), OutboundError> {
    let url = Box::new(response.url().clone());
    let most = request.most_bytes;
    let ended = loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(error) => {
                let source = Some(error.without_url());
                break Err(OutboundError::Broken { url, source });
            }
        };
        let length = chunk.len() as u64;
        (request.on_bytes)(length);
        if partial.length + length > most {
            partial.begin(&request.url, None).await?;
            return Err(OutboundError::TooLarge { url, most });
        }
        partial
            .file
            .write_all(&chunk)
            .await
            .map_err(|source| partial.failed(source))?;
        partial.length += length;
        *came += length;
    };
    partial
        .file
        .flush()
        .await
        .map_err(|source| partial.failed(source))?;
    ended
}

/// What an answer says about the part that it is, if it is one.
pub(crate) fn range_of(response: &Response) -> Option<Range> {
    content_range(response).and_then(Range::parse)
}

/// How long it says that the whole is.
pub(crate) fn total_of(response: &Response) -> Option<u64> {
    content_range(response).and_then(Range::total_in)
}

fn content_range(response: &Response) -> Option<&str> {
    response.headers().get(header::CONTENT_RANGE)?.to_str().ok()
}
