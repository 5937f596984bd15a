//! What is brought to a registry.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderValue, header};
use oci::{Digest, MediaType, Reference, RepoName};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};

use super::ask::{Asked, slow};
use super::pause::Kind;
use super::tokens::Scope;
use super::{Upstream, UpstreamError};
use crate::Authorization;
use crate::exchange::not_sent;

/// What bytes without a meaning are called.
const OCTETS: &str = "application/octet-stream";

/// Why a stream that is pushed ends before it is whole.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

impl Upstream {
    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `NotFound` and `TooLarge`.
    pub async fn has_blob(&self, repo: &RepoName, digest: &Digest) -> Result<bool, UpstreamError> {
        let path = format!("/v2/{repo}/blobs/{digest}");
        let asked = Asked::new(Kind::Head, Method::HEAD, path, Scope::push(repo, None));
        match self.in_time(self.ask(&asked)).await {
            Ok(_) => Ok(true),
            Err(UpstreamError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has the registry link a blob that another of its repositories has. `false`: it does not.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn mount(
        &self,
        repo: &RepoName,
        digest: &Digest,
        from: &RepoName,
    ) -> Result<bool, UpstreamError> {
        let mut query = self.inner.url.clone();
        query
            .query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from.as_str());
        let scope = Scope::push(repo, Some(from));
        let asked = Asked {
            query: query.query().map(str::to_owned),
            ..opening(repo, scope.clone())
        };
        let response = self.in_time(self.ask(&asked)).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(true);
        }
        self.give_up(&scope, self.session(&response)).await;
        Ok(false)
    }

    /// Pushes a blob of so many bytes. The registry compares them with the digest; a stream that ends in an error leaves nothing.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`; `Unreachable` also where the registry takes nothing for longer than it may be silent.
    pub async fn push_blob<S>(
        &self,
        repo: &RepoName,
        digest: &Digest,
        size: u64,
        body: S,
    ) -> Result<(), UpstreamError>
    where
        S: Stream<Item = Result<Bytes, StreamError>> + Send + 'static,
    {
        let scope = Scope::push(repo, None);
        let asked = opening(repo, scope.clone());
        let opened = self.in_time(self.ask(&asked)).await?;
        let session = self.session(&opened)?;
        let sent = self.send_stream((&asked, &scope), &session, size, body).await;
        let next = match sent {
            Ok(response) => self.session(&response),
            Err(error) => Err(error),
        };
        let mut last = match next {
            Ok(next) => next,
            Err(error) => {
                self.give_up(&scope, Ok(session)).await;
                return Err(error);
            }
        };
        last.query_pairs_mut().append_pair("digest", &digest.to_string());
        self.in_time(async {
            let request = self.request(Method::PUT, &last, &scope).await?;
            let request = request.header(header::CONTENT_LENGTH, 0_u64);
            let response = self.pushed(&last, request, &AtomicU64::new(0)).await?;
            self.sort(&asked, response).await.map(drop)
        })
        .await
    }

    /// Pushes a manifest whose blobs and children are there.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn push_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<(), UpstreamError> {
        let path = format!("/v2/{repo}/manifests/{reference}");
        let media_type = HeaderValue::from_str(media_type.as_str());
        let media_type = media_type.map_err(|_| self.broken("the media type of a manifest is none"))?;
        let asked = Asked {
            body: Some((bytes, media_type)),
            ..Asked::new(Kind::Push, Method::PUT, path, Scope::push(repo, None))
        };
        self.in_time(self.ask(&asked)).await.map(drop)
    }

    /// Where an upload goes on.
    fn session(&self, response: &Response) -> Result<Url, UpstreamError> {
        let location = response.headers().get(header::LOCATION);
        let url = location
            .and_then(|location| response.url().join(location.to_str().ok()?).ok())
            .ok_or_else(|| self.broken("it does not say where an upload goes on"))?;
        if !self.is_own(&url) {
            return Err(self.broken(
                "it has an upload go on at another address than its own: its public address may be configured wrongly",
            ));
        }
        Ok(url)
    }

    async fn request(
        &self,
        method: Method,
        url: &Url,
        scope: &Scope,
    ) -> Result<RequestBuilder, UpstreamError> {
        let credentials = self.credentials(scope).await?;
        self.spend_request()?;
        let request = self.inner.client.http.request(method, url.clone());
        Ok(match credentials.as_ref().and_then(Authorization::header) {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        }
        .header(header::CONTENT_TYPE, OCTETS))
    }

    async fn send_stream<S>(
        &self,
        (asked, scope): (&Asked, &Scope),
        session: &Url,
        size: u64,
        body: S,
    ) -> Result<Response, UpstreamError>
    where
        S: Stream<Item = Result<Bytes, StreamError>> + Send + 'static,
    {
        let moved = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            body: Box::pin(body),
            moved: Arc::clone(&moved),
        };
        let request = self.request(Method::PATCH, session, scope).await?;
        let request = request
            .header(header::CONTENT_LENGTH, size)
            .body(Body::wrap_stream(counted));
        let response = self.pushed(session, request, &moved).await?;
        self.sort(asked, response).await
    }

    /// The answer to what may be long: it is waited for as long as bytes move.
    async fn pushed(
        &self,
        url: &Url,
        request: RequestBuilder,
        moved: &AtomicU64,
    ) -> Result<Response, UpstreamError> {
        let limit = self.inner.first_byte.max(self.inner.idle);
        let mut sending = Box::pin(request.send());
        let mut seen = 0;
        loop {
            match tokio::time::timeout(limit, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => return Err(self.failed(url, not_sent(&super::ask::plain(url), error))),
                Err(_) => {}
            }
            let now = moved.load(Ordering::Relaxed);
            if now == seen {
                return Err(slow(url, limit));
            }
            seen = now;
        }
    }

    /// Tells the registry that a session is not gone on with. If it does not hear, the session ends by itself.
    async fn give_up(&self, scope: &Scope, session: Result<Url, UpstreamError>) {
        let Ok(session) = session else { return };
        if let Ok(request) = self.request(Method::DELETE, &session, scope).await {
            let _ = self.answered(&session, request).await;
        }
    }
}

fn opening(repo: &RepoName, scope: Scope) -> Asked {
    let path = format!("/v2/{repo}/blobs/uploads/");
    Asked {
        body: Some((Bytes::new(), HeaderValue::from_static(OCTETS))),
        ..Asked::new(Kind::Push, Method::POST, path, scope)
    }
}

/// Tells how many pieces were taken.
struct Counted<S> {
    body: Pin<Box<S>>,
    moved: Arc<AtomicU64>,
}

impl<S: Stream> Stream for Counted<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = self.body.as_mut().poll_next(cx);
        if polled.is_ready() {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}
