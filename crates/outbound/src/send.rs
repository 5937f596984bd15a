//! What is sent, and what is answered to it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::{Method, Response, StatusCode, Url};
use std::time::Duration;

use crate::exchange::redirect;
use crate::retry::retry_after;
use crate::{Authorization, Client, OutboundError};

/// Something that is sent to a URL, once.
#[derive(Debug, Clone)]
pub struct Sending {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    authorization: Option<Authorization>,
    most_bytes: usize,
}

/// How a server answers what it was sent, whatever it thinks of it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body: as many bytes as were allowed.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub is_cut: bool,
    /// For how long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Sending {
    /// Asks for what is at a URL; of the answer, so many bytes are read.
    pub fn get(url: Url, most_bytes: usize) -> Self {
        Self::new(Method::GET, url, Bytes::new(), most_bytes)
    }

    /// Posts a body.
    pub fn post(url: Url, body: impl Into<Bytes>, most_bytes: usize) -> Self {
        Self::new(Method::POST, url, body.into(), most_bytes)
    }

    /// Puts a body in the place of what is at a URL.
    pub fn put(url: Url, body: impl Into<Bytes>, most_bytes: usize) -> Self {
        Self::new(Method::PUT, url, body.into(), most_bytes)
    }

    /// Changes a part of what is at a URL.
    pub fn patch(url: Url, body: impl Into<Bytes>, most_bytes: usize) -> Self {
        Self::new(Method::PATCH, url, body.into(), most_bytes)
    }

    fn new(method: Method, url: Url, body: Bytes, most_bytes: usize) -> Self {
        Self {
            url,
            method,
            headers: HeaderMap::new(),
            body,
            authorization: None,
            most_bytes,
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With credentials. They are sent to the origin of the URL and nowhere else.
    #[must_use]
    pub fn authorized(self, authorization: Option<Authorization>) -> Self {
        Self {
            authorization,
            ..self
        }
    }
}

impl Client {
    /// Sends something once; whoever wants it to arrive tries again. Redirects are followed where they keep what is sent (307 and
    /// 308), each address is looked at; the others are answers like any other.
    ///
    /// # Errors
    /// [`OutboundError::Url`], [`OutboundError::Address`], [`OutboundError::Downgrade`], [`OutboundError::Redirects`],
    /// [`OutboundError::Unreachable`], [`OutboundError::Broken`], [`OutboundError::Slow`].
    pub async fn send(&self, sending: &Sending) -> Result<Reply, OutboundError> {
        let limit = self.settings.total_timeout;
        let done = tokio::time::timeout(limit, self.send_and_read(sending)).await;
        done.unwrap_or_else(|_| {
            Err(OutboundError::Slow {
                url: Box::new(sending.url.clone()),
                limit,
            })
        })
    }

    async fn send_and_read(&self, sending: &Sending) -> Result<Reply, OutboundError> {
        let mut url = sending.url.clone();
        let mut authorization = sending.authorization.as_ref();
        for _ in 0..=self.settings.redirects {
            let response = self.send_to(sending, &url, authorization).await?;
            let keeps = matches!(
                response.status(),
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
            );
            let next = if keeps { redirect(&response)? } else { None };
            let Some(next) = next else {
                return read(response, sending.most_bytes).await;
            };
            if next.origin() != sending.url.origin() {
                authorization = None;
            }
            url = next;
        }
        Err(OutboundError::Redirects {
            url: Box::new(sending.url.clone()),
            most: self.settings.redirects,
        })
    }

    async fn send_to(
        &self,
        sending: &Sending,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, OutboundError> {
        self.check(url).await?;
        let mut request = self
            .http
            .request(sending.method.clone(), url.clone())
            .headers(sending.headers.clone());
        if let Some(value) = authorization.and_then(Authorization::header) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if sending.method != Method::GET {
            request = request.body(sending.body.clone());
        }
        let sent = request.send().await;
        sent.map_err(|error| crate::exchange::not_sent(url, error))
    }
}

/// The beginning of the body. One that breaks off behind it is no matter: the status has come.
async fn read(mut response: Response, most: usize) -> Result<Reply, OutboundError> {
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let url = Box::new(response.url().clone());
    let mut body = Vec::new();
    let mut is_cut = false;
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) => {
                let room = most - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    is_cut = true;
                    break;
                }
            }
            Err(error) => {
                let source = Some(error.without_url());
                return Err(OutboundError::Broken { url, source });
            }
        }
    }
    Ok(Reply {
        status,
        body,
        is_cut,
        retry_after,
    })
}
