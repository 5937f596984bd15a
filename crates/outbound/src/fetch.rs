//! What fits into memory.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderValue, header};
use reqwest::{Response, StatusCode};

use crate::retry::Tries;
use crate::{Client, OutboundError, Request, Validators};

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It still is what was known.
    Unchanged,
    /// It is there.
    Body {
        /// All of it, unpacked where it came packed on the way (`Content-Encoding`).
        bytes: Vec<u8>,
        /// What to ask by next time.
        validators: Validators,
    },
}

impl Client {
    /// Gets what is at the URL of the request.
    ///
    /// # Errors
    /// Every variant of [`OutboundError`] but [`OutboundError::File`].
    pub async fn get(&self, request: &Request) -> Result<Answer, OutboundError> {
        let limit = self.settings.total_timeout;
        let done = tokio::time::timeout(limit, self.get_with_retries(request)).await;
        done.unwrap_or_else(|_| {
            Err(OutboundError::Slow {
                url: Box::new(request.url.clone()),
                limit,
            })
        })
    }

    async fn get_with_retries(&self, request: &Request) -> Result<Answer, OutboundError> {
        let mut headers = HeaderMap::new();
        request.known.ask_in(&mut headers);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut tries = Tries::new(&self.settings);
        loop {
            match self.get_once(request, &headers).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.wait_after(error).await?,
            }
        }
    }

    async fn get_once(&self, request: &Request, headers: &HeaderMap) -> Result<Answer, OutboundError> {
        let response = self.exchange(request, headers).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if !request.known.is_empty() => return Ok(Answer::Unchanged),
            status => {
                return Err(OutboundError::Status {
                    url: Box::new(response.url().clone()),
                    status,
                });
            }
        }
        let validators = Validators::of(response.headers());
        let coding = coding(&response);
        let url = Box::new(response.url().clone());
        let body = read(response, request).await?;
        let bytes = match coding.as_str() {
            "" | "identity" => body,
            "gzip" | "x-gzip" => unpack(body, request.most_bytes, url).await?,
            _ => return Err(OutboundError::Coding { url, coding }),
        };
        Ok(Answer::Body { bytes, validators })
    }
}

/// How the answer is packed on the way; empty where it is not.
pub(crate) fn coding(response: &Response) -> String {
    let named = response.headers().get(header::CONTENT_ENCODING);
    let text = named.map(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .trim()
            .to_ascii_lowercase()
    });
    text.unwrap_or_default().chars().take(64).collect()
}

/// Refuses an answer that says that it is too large.
pub(crate) fn check_announced(response: &Response, most: u64) -> Result<(), OutboundError> {
    if response.content_length().is_some_and(|length| length > most) {
        return Err(OutboundError::TooLarge {
            url: Box::new(response.url().clone()),
            most,
        });
    }
    Ok(())
}

async fn read(mut response: Response, request: &Request) -> Result<Vec<u8>, OutboundError> {
    let most = request.most_bytes;
    check_announced(&response, most)?;
    let url = Box::new(response.url().clone());
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(OutboundError::Broken {
                    url,
                    source: Some(error.without_url()),
                });
            }
        };
        (request.on_bytes)(chunk.len() as u64);
        if body.len() as u64 + chunk.len() as u64 > most {
            return Err(OutboundError::TooLarge { url, most });
        }
        body.extend_from_slice(&chunk);
    }
}

/// A few bytes can unpack to as many as their sender likes.
async fn unpack(packed: Vec<u8>, most: u64, url: Box<reqwest::Url>) -> Result<Vec<u8>, OutboundError> {
    let broken = |url| OutboundError::Broken { url, source: None };
    let unpacked = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let read = MultiGzDecoder::new(packed.as_slice())
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let Ok(Ok(bytes)) = unpacked.await else {
        return Err(broken(url));
    };
    if bytes.len() as u64 > most {
        return Err(OutboundError::TooLarge { url, most });
    }
    Ok(bytes)
}
