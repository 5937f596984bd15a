//! One question, with its challenge and its redirects, up to the head of an answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::challenge::{Challenge, challenges};
use super::hosts::authority;
use super::pause::{Kind, UNSAID};
use super::tokens::Scope;
use super::{Upstream, UpstreamError};
use crate::exchange::{not_sent, redirect};
use crate::retry::retry_after;
use crate::{Authorization, OutboundError};

/// Headers with challenges that are read.
const CHALLENGE_HEADERS: usize = 8;

/// Bytes of an answer that refuses; of more, nothing is told.
const REFUSAL_BYTES: usize = 16 * 1024;

/// How long such an answer may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Characters of what an upstream says that are told.
const SAID_CHARS: usize = 200;

/// Characters of the reasons of a policy that are told.
const REASON_CHARS: usize = 4_000;

/// What is asked for.
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) method: Method,
    /// Behind the host; begins with `/v2/`. Of no meaning where a `file` is asked for.
    pub(super) path: String,
    /// A file in place of something of the protocol, perhaps on another host.
    pub(super) file: Option<Url>,
    /// The entity tag of what is here already: it is sent only if it is something else.
    pub(super) known: Option<HeaderValue>,
    pub(super) query: Option<String>,
    pub(super) accept: &'static str,
    /// From which byte on.
    pub(super) from: u64,
    /// What is sent, and its media type.
    pub(super) body: Option<(Bytes, HeaderValue)>,
    /// What a token must be for; `None`: no token is of any use.
    pub(super) scope: Option<Scope>,
}

impl Asked {
    pub(super) fn new(kind: Kind, method: Method, path: String, scope: Scope) -> Self {
        Self {
            kind,
            method,
            path,
            file: None,
            known: None,
            query: None,
            accept: "*/*",
            from: 0,
            body: None,
            scope: Some(scope),
        }
    }

    /// A file.
    pub(super) fn file(kind: Kind, url: Url, known: Option<HeaderValue>) -> Self {
        Self {
            kind,
            method: Method::GET,
            path: String::new(),
            file: Some(url),
            known,
            query: None,
            accept: "*/*",
            from: 0,
            body: None,
            scope: None,
        }
    }

    /// Whether an answer of this status brings what was asked for.
    fn is_answered_by(&self, status: StatusCode) -> bool {
        match status {
            StatusCode::OK => true,
            StatusCode::NOT_MODIFIED => self.known.is_some(),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => self.from > 0,
            StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => self.kind == Kind::Push,
            _ => false,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(self.accept));
        // Whatever is packed on the way would have another digest.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if self.from > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.from))
        {
            headers.insert(header::RANGE, range);
        }
        if let Some(known) = &self.known {
            headers.insert(header::IF_NONE_MATCH, known.clone());
        }
        if let Some((_, media_type)) = &self.body {
            headers.insert(header::CONTENT_TYPE, media_type.clone());
        }
        headers
    }
}

impl Upstream {
    /// An answer that brings something: 200; where a part was asked for 206 or 416, where something was sent 201, 202 or 204.
    pub(super) async fn ask(&self, asked: &Asked) -> Result<Response, UpstreamError> {
        self.check_pause(asked.kind)?;
        let Some(scope) = &asked.scope else {
            // Nobody who serves files asks for a login that could be had from somewhere else.
            let (sent, login) = (self.secret(), self.basic());
            let mut response = self.follow(asked, login.as_ref()).await?;
            if response.status() == StatusCode::UNAUTHORIZED && self.has_changed(sent).await {
                response = self.follow(asked, self.basic().as_ref()).await?;
            }
            return self.sort(asked, response).await;
        };
        let known = self.credentials(scope).await?;
        let response = self.follow(asked, known.as_ref()).await?;
        // Whom it redirects to may know nobody; that is no reason to tell them who asks.
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return self.sort(asked, response).await;
        }
        let challenged = challenges_of(response.headers());
        self.drain(response).await;
        let answer = self.answer(&challenged, scope, known.as_ref()).await?;
        let response = self.follow(asked, Some(&answer)).await?;
        self.sort(asked, response).await
    }

    /// Within the deadline for everything.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let limit = self.inner.client.settings.total_timeout;
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_) => Err(slow(&self.inner.url, limit)),
        }
    }

    pub(super) async fn follow(
        &self,
        asked: &Asked,
        credentials: Option<&Authorization>,
    ) -> Result<Response, UpstreamError> {
        let most = self.inner.client.settings.redirects;
        let mut url = self.begins_at(asked)?;
        let (mut authorization, mut been) = (credentials, Vec::new());
        if !self.is_own(&url) {
            authorization = None;
        }
        loop {
            let response = self.send(asked, &url, authorization).await?;
            let Some(mut next) = redirect(&response).map_err(|error| self.misled(&error))? else {
                return Ok(response);
            };
            if asked.kind == Kind::Push {
                return Err(self.broken("it redirects what is pushed: name the registry that takes it"));
            }
            next.set_fragment(None);
            if !self.is_own(&next) {
                // Once somebody else decides what is asked for, it is asked for without credentials.
                authorization = None;
                self.check_listed(&next)?;
            }
            been.push(std::mem::replace(&mut url, next));
            if been.contains(&url) {
                return Err(self.broken("it redirects in circles"));
            }
            if been.len() > most {
                return Err(self.broken(format!("it redirects more than {most} times")));
            }
        }
    }

    /// Where it is asked first.
    fn begins_at(&self, asked: &Asked) -> Result<Url, UpstreamError> {
        let own = &self.inner.url;
        let Some(file) = &asked.file else {
            let mut url = own.clone();
            url.set_path(&asked.path);
            url.set_query(asked.query.as_deref());
            if let Some(namespace) = &self.inner.namespace {
                url.query_pairs_mut().append_pair("ns", namespace);
            }
            return Ok(url);
        };
        if !matches!(file.scheme(), "http" | "https") {
            return Err(self.broken("it names a file that is not at an http(s) URL"));
        }
        if own.scheme() == "https" && file.scheme() != "https" {
            return Err(self.broken(
                "it names a file at an http URL, where everybody in between could read and change it",
            ));
        }
        if !self.is_own(file) {
            self.check_listed(file)?;
        }
        Ok(file.clone())
    }

    async fn send(
        &self,
        asked: &Asked,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, UpstreamError> {
        let client = &self.inner.client;
        let checked = client.check(url).await;
        checked.map_err(|error| self.failed(url, error))?;
        if self.is_own(url) || asked.file.as_ref() == Some(url) {
            self.spend_request()?;
        }
        let request = client.http.request(asked.method.clone(), url.clone());
        let mut request = request.headers(asked.headers());
        if self.is_own(url) {
            request = request.headers(self.inner.marks.clone());
        }
        if let Some(value) = authorization.and_then(Authorization::header) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some((bytes, _)) = &asked.body {
            request = request.body(bytes.clone());
        }
        self.answered(url, request).await
    }

    /// The head of an answer, within its deadline.
    pub(super) async fn answered(
        &self,
        url: &Url,
        request: RequestBuilder,
    ) -> Result<Response, UpstreamError> {
        let limit = self.inner.first_byte;
        match tokio::time::timeout(limit, request.send()).await {
            Ok(Ok(response)) => {
                if self.is_own(url) {
                    self.hear();
                }
                Ok(response)
            }
            Ok(Err(error)) => Err(self.failed(url, not_sent(&plain(url), error))),
            Err(_) => Err(slow(url, limit)),
        }
    }

    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.inner.url.origin()
    }

    fn check_listed(&self, url: &Url) -> Result<(), UpstreamError> {
        let hosts = &self.inner.blob_hosts;
        if hosts.is_empty() || hosts.has(url) {
            return Ok(());
        }
        let host = authority(url);
        Err(self.broken(format!(
            "it redirects to {host}, from which nothing is fetched: list {host} among its blob hosts if that is right"
        )))
    }

    /// Takes apart what brings something and what does not.
    pub(super) async fn sort(&self, asked: &Asked, response: Response) -> Result<Response, UpstreamError> {
        let status = response.status();
        match status {
            _ if asked.is_answered_by(status) => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                self.drain(response).await;
                Err(UpstreamError::NotFound)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let host = authority(response.url());
                Err(refused(host, status, self.said(response).await))
            }
            StatusCode::LOOP_DETECTED => {
                let host = authority(response.url());
                let reason = self
                    .said(response)
                    .await
                    .map_or_else(|| status.to_string(), |said| said.clipped(SAID_CHARS));
                Err(UpstreamError::Circle { host, reason })
            }
            StatusCode::TOO_MANY_REQUESTS => Err(self.throttled(asked.kind, &response)),
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(self.busy(response).await),
            status => Err(self.broken(match self.said(response).await {
                Some(said) => format!("it answers {status}: {}", said.clipped(SAID_CHARS)),
                None => format!("it answers {status}"),
            })),
        }
    }

    /// Refuses what it asked not to be asked for.
    pub(super) fn check_pause(&self, kind: Kind) -> Result<(), UpstreamError> {
        let retry_after = self.inner.pauses.left(kind, self.now());
        match retry_after {
            None => Ok(()),
            Some(_) => Err(UpstreamError::Throttled { retry_after }),
        }
    }

    /// It asks to be left alone, and is.
    pub(super) fn throttled(&self, kind: Kind, response: &Response) -> UpstreamError {
        let retry_after = retry_after(response.headers());
        let pause = retry_after.unwrap_or(UNSAID);
        self.inner.pauses.begin(kind, self.now(), pause);
        UpstreamError::Throttled { retry_after }
    }

    /// What a request that brought no answer means.
    pub(super) fn failed(&self, url: &Url, error: OutboundError) -> UpstreamError {
        let offence = match &error {
            OutboundError::Broken { .. } => "what it sends is no whole answer".to_owned(),
            OutboundError::Address { .. } | OutboundError::Url { .. } if !self.is_own(url) => {
                format!("it sends us to {}, from which nothing is fetched", authority(url))
            }
            _ => return UpstreamError::Unreachable(Arc::new(error)),
        };
        UpstreamError::Broken {
            host: self.inner.host.clone(),
            offence,
            source: Some(Arc::new(error)),
        }
    }

    /// Reads a little that nobody wants, so that the connection can be used again.
    async fn drain(&self, response: Response) {
        let _ = self.refusal(response).await;
    }

    /// What a refusal says; `None`: too much, too late, or broken off.
    async fn refusal(&self, mut response: Response) -> Option<Vec<u8>> {
        let read = async {
            let mut body = Vec::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                self.spend_bytes(chunk.len());
                if body.len() + chunk.len() > REFUSAL_BYTES {
                    return None;
                }
                body.extend_from_slice(&chunk);
            }
            Some(body)
        };
        tokio::time::timeout(REFUSAL_TIME, read).await.ok().flatten()
    }

    /// A server that cannot answer now, with the reason that it tells.
    pub(super) async fn busy(&self, response: Response) -> UpstreamError {
        let (url, status) = (Box::new(plain(response.url())), response.status());
        let retry_after = retry_after(response.headers());
        let said = self.said(response).await;
        UpstreamError::Unreachable(Arc::new(OutboundError::Busy {
            url,
            status,
            retry_after,
            said: said.map(|said| said.clipped(SAID_CHARS)),
        }))
    }

    async fn said(&self, response: Response) -> Option<Said> {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<Said>,
        }
        let body = self.refusal(response).await?;
        let errors: Errors = serde_json::from_slice(&body).ok()?;
        let said = errors.errors.into_iter().next()?;
        (!said.message.is_empty()).then_some(said)
    }

    /// What is wrong with a redirect. The target may be signed, so it is not told.
    fn misled(&self, error: &OutboundError) -> UpstreamError {
        self.broken(match error {
            OutboundError::Downgrade { .. } => {
                "it redirects from https to http, where everybody in between could read and change it"
            }
            _ => "it redirects to what is no URL",
        })
    }
}

/// Not there in time.
pub(super) fn slow(url: &Url, limit: Duration) -> UpstreamError {
    UpstreamError::Unreachable(Arc::new(OutboundError::Slow {
        url: Box::new(plain(url)),
        limit,
    }))
}

/// The URL without what may be a signature.
pub(super) fn plain(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url
}

pub(super) fn challenges_of(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    values
        .take(CHALLENGE_HEADERS)
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenges)
        .collect()
}

/// The first error of an answer, as registries write it.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
}

impl Said {
    fn clipped(&self, most: usize) -> String {
        self.message
            .chars()
            .take(most)
            .flat_map(char::escape_debug)
            .collect()
    }
}

/// What it means that something is not let have. Who decides by a policy says so, and may pull there all the same.
fn refused(host: String, status: StatusCode, said: Option<Said>) -> UpstreamError {
    match said {
        Some(said)
            if said
                .detail
                .get("decision")
                .is_some_and(|decision| decision == "refuse") =>
        {
            UpstreamError::Refused {
                host,
                message: said.clipped(REASON_CHARS),
                detail: said.detail,
            }
        }
        said => UpstreamError::Denied {
            host,
            reason: said.map_or_else(|| status.to_string(), |said| said.clipped(SAID_CHARS)),
        },
    }
}
