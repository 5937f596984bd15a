//! Bodies: read whole within a bound, or handed on as they come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use reqwest::{Response, Url};
use tokio::time::Sleep;

use super::ask::{plain, slow};
use super::{Upstream, UpstreamError};
use crate::OutboundError;

impl Upstream {
    /// All of a body, if it has no more than `most` bytes.
    pub(super) async fn read(&self, mut response: Response, most: usize) -> Result<Bytes, UpstreamError> {
        let too_large = UpstreamError::TooLarge { most: most as u64 };
        if response
            .content_length()
            .is_some_and(|length| length > most as u64)
        {
            return Err(too_large);
        }
        let (url, limit) = (response.url().clone(), self.inner.idle);
        let mut body = Vec::new();
        loop {
            let chunk = match tokio::time::timeout(limit, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(body.into()),
                Ok(Err(error)) => return Err(self.broke_off(&url, error)),
                Err(_) => return Err(slow(&url, limit)),
            };
            self.spend_bytes(chunk.len());
            if body.len() + chunk.len() > most {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The body as a stream that must have `left` bytes, where that is known; then they are set aside of the budget.
    pub(super) fn stream(
        &self,
        response: Response,
        left: Option<u64>,
        goes_on: bool,
    ) -> Result<UpstreamBody, UpstreamError> {
        let (url, promised) = (plain(response.url()), left.unwrap_or(0));
        self.promise_bytes(promised, goes_on)?;
        Ok(UpstreamBody {
            chunks: Some(Box::pin(response.bytes_stream())),
            upstream: self.clone(),
            url,
            left,
            promised,
            silence: None,
        })
    }

    /// A body of which nothing is left to come.
    pub(super) fn nothing(&self) -> UpstreamBody {
        UpstreamBody {
            chunks: None,
            upstream: self.clone(),
            url: self.inner.url.clone(),
            left: Some(0),
            promised: 0,
            silence: None,
        }
    }

    fn broke_off(&self, url: &Url, error: reqwest::Error) -> UpstreamError {
        UpstreamError::Broken {
            host: self.inner.host.clone(),
            offence: "its answer ends before it is whole".to_owned(),
            source: Some(Arc::new(OutboundError::Broken {
                url: Box::new(plain(url)),
                source: Some(error.without_url()),
            })),
        }
    }
}

/// The bytes of a blob as they come. Nobody has compared them with a digest. They end after as many as were announced, or with
/// an error; after an error nothing follows. Dropped, it closes the connection.
pub struct UpstreamBody {
    /// `None`: it has ended.
    chunks: Option<Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>>,
    upstream: Upstream,
    url: Url,
    /// Bytes that are still to come.
    left: Option<u64>,
    /// Those of them that are set aside of the budget.
    promised: u64,
    /// Ends when the upstream has said nothing for too long. Only there while somebody waits for it: a slow reader is no fault
    /// of the upstream's.
    silence: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn take(&mut self, chunk: Bytes) -> Result<Bytes, UpstreamError> {
        self.upstream.spend_bytes(chunk.len());
        let promised = self.promised.min(chunk.len() as u64);
        self.promised -= promised;
        self.upstream.redeem_bytes(promised);
        if let Some(left) = self.left {
            let rest = left.checked_sub(chunk.len() as u64);
            self.left = Some(rest.ok_or_else(|| self.upstream.broken("it sends more bytes than it said"))?);
        }
        Ok(chunk)
    }

    fn end(&self) -> Option<Result<Bytes, UpstreamError>> {
        match self.left {
            None | Some(0) => None,
            Some(left) => Some(Err(self
                .upstream
                .broken(format!("it sends {left} bytes less than it said")))),
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamError> {
        let limit = self.upstream.inner.idle;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        match silence.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(slow(&self.url, limit)),
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        self.upstream.redeem_bytes(self.promised);
    }
}

impl Stream for UpstreamBody {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(chunks) = &mut this.chunks else {
            return Poll::Ready(None);
        };
        let item = match chunks.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => Some(this.take(chunk)),
            Poll::Ready(Some(Err(error))) => Some(Err(this.upstream.broke_off(&this.url, error))),
            Poll::Ready(None) => this.end(),
            Poll::Pending => match this.poll_silence(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(error) => Some(Err(error)),
            },
        };
        this.silence = None;
        if !matches!(item, Some(Ok(_))) {
            // Closes the connection.
            this.chunks = None;
        }
        Poll::Ready(item)
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody")
            .field("url", &self.url.as_str())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
