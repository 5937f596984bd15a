//! A registry's client: plain requests, no redirects, tokens as Docker gets them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Certificate, Method, Url, header, redirect::Policy};

use super::{
    answer::Answer,
    login::{Challenge, Login, basic_header},
};

/// No answer may take longer; a stuck server fails the test instead of hanging it.
const ANSWER_DEADLINE: Duration = Duration::from_mins(1);

/// Size of the chunks in which a streamed body is sent.
const STREAM_CHUNK_BYTES: usize = 16 * 1024;

/// One caller of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Login,
    tokens: Arc<Mutex<HashMap<String, String>>>,
}

/// What every HTTP client of the tests is made from: no proxy, and no authority (PEM) but the named one.
pub(crate) fn builder(authority: Option<&str>) -> reqwest::ClientBuilder {
    let trusted =
        authority.map(|pem| Certificate::from_pem(pem.as_bytes()).expect("tests issue valid certificates"));
    reqwest::Client::builder().no_proxy().tls_certs_only(trusted)
}

impl Client {
    /// A client of the server at `base`.
    pub(crate) fn new(base: &str, login: Login) -> Self {
        Self::trusting(base, login, None)
    }

    /// A client that trusts certificates issued by `authority` (PEM).
    pub(crate) fn trusting(base: &str, login: Login, authority: Option<&str>) -> Self {
        let http = builder(authority)
            .redirect(Policy::none())
            .timeout(ANSWER_DEADLINE)
            .build()
            .expect("a plain client needs nothing");
        let base = Url::parse(base).expect("the server's address is a URL");
        Self {
            http,
            base,
            login,
            tokens: Arc::default(),
        }
    }

    /// The same server with another login.
    pub(crate) fn with_login(&self, login: Login) -> Self {
        Self {
            login,
            tokens: Arc::default(),
            ..self.clone()
        }
    }

    /// A path of the server as a URL.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base
            .join(path)
            .expect("tests write valid paths; invalid ones go through `raw`")
    }

    /// A request to a path of the server, or to a whole URL.
    pub(crate) fn request(&self, method: &str, target: impl AsRef<str>) -> Request<'_> {
        let url = self.url(target.as_ref());
        let method = Method::from_bytes(method.as_bytes()).expect("tests write valid methods");
        Request {
            client: self,
            method,
            url,
            headers: Vec::new(),
            payload: Payload::None,
        }
    }

    /// GET.
    pub(crate) fn get(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("GET", target)
    }

    /// HEAD.
    pub(crate) fn head(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("HEAD", target)
    }

    /// POST.
    pub(crate) fn post(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("POST", target)
    }

    /// PUT.
    pub(crate) fn put(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("PUT", target)
    }

    /// PATCH.
    pub(crate) fn patch(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("PATCH", target)
    }

    /// DELETE.
    pub(crate) fn delete(&self, target: impl AsRef<str>) -> Request<'_> {
        self.request("DELETE", target)
    }

    /// Gets a token for scopes (`repository:NAME:pull,push`, separated by spaces) as a client would after a challenge.
    pub(crate) async fn fetch_token(&self, challenge: &Challenge) -> Result<Answer> {
        let mut url = self
            .base
            .join(&challenge.realm)
            .context("the realm is not a URL")?;
        url.query_pairs_mut().append_pair("service", &challenge.service);
        if !challenge.scope.is_empty() {
            url.query_pairs_mut().append_pair("scope", &challenge.scope);
        }
        let mut request = self.http.get(url.clone());
        if let Login::Token { user, password } | Login::Basic { user, password } = &self.login {
            request = request.header(header::AUTHORIZATION, basic_header(user, password));
        }
        Answer::read(format!("GET {url}"), request.send().await?).await
    }

    fn cached_authorization(&self, key: &str) -> Option<String> {
        match &self.login {
            Login::Anonymous => None,
            Login::Basic { user, password } => Some(basic_header(user, password)),
            Login::Bearer(token) => Some(format!("Bearer {token}")),
            Login::Token { .. } => self
                .tokens
                .lock()
                .expect("nothing panics while it holds the lock")
                .get(key)
                .map(|token| format!("Bearer {token}")),
        }
    }

    /// A new token for the refused request, kept for the next ones of its kind.
    async fn answer_challenge(&self, key: &str, refused: &Answer) -> Result<String> {
        let challenge = Challenge::parse(refused.require("www-authenticate")?)?;
        let answer = self.fetch_token(&challenge).await?.expect(&[200])?;
        let token = answer.json()?["token"]
            .as_str()
            .context("the token answer has no token")?
            .to_owned();
        self.tokens
            .lock()
            .expect("nothing panics while it holds the lock")
            .insert(key.to_owned(), token.clone());
        Ok(token)
    }
}

/// A body and how it is sent.
#[derive(Debug, Clone)]
enum Payload {
    None,
    /// With `Content-Length`.
    Sized(Bytes),
    /// With `Transfer-Encoding: chunked`: what Docker and containerd send.
    Streamed(Bytes),
}

/// A request under construction.
#[derive(Debug, Clone)]
pub(crate) struct Request<'c> {
    client: &'c Client,
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    payload: Payload,
}

impl Request<'_> {
    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter, encoded.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends a body with its length.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.payload = Payload::Sized(body.into());
        self
    }

    /// Sends a body in chunks, its length unknown to the server.
    pub(crate) fn streamed(mut self, body: impl Into<Bytes>) -> Self {
        self.payload = Payload::Streamed(body.into());
        self
    }

    /// Sends it; with [`Login::Token`] a 401 is answered with a new token once.
    pub(crate) async fn send(self) -> Result<Answer> {
        let key = self.token_key();
        let answer = self.send_once(self.client.cached_authorization(&key)).await?;
        if answer.status != 401 || !matches!(self.client.login, Login::Token { .. }) {
            return Ok(answer);
        }
        let token = self.client.answer_challenge(&key, &answer).await?;
        self.send_once(Some(format!("Bearer {token}"))).await
    }

    async fn send_once(&self, authorization: Option<String>) -> Result<Answer> {
        let mut request = self.client.http.request(self.method.clone(), self.url.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request = match &self.payload {
            Payload::None if [Method::GET, Method::HEAD, Method::DELETE].contains(&self.method) => request,
            Payload::None => request.header(header::CONTENT_LENGTH, 0),
            Payload::Sized(body) => request
                .header(header::CONTENT_LENGTH, body.len())
                .body(body.clone()),
            Payload::Streamed(body) => request.body(chunked(body)),
        };
        let sent = format!("{} {}", self.method, self.url);
        let response = request
            .send()
            .await
            .with_context(|| format!("{sent}: no answer"))?;
        ensure!(
            response.version() == reqwest::Version::HTTP_11,
            "{sent}: {:?}",
            response.version()
        );
        Answer::read(sent, response).await
    }

    /// Tokens are kept per repository and kind of request; the kinds are those of the conformance program.
    fn token_key(&self) -> String {
        let kind = match self.method.as_str() {
            "GET" | "HEAD" => "pull",
            "POST" | "PUT" | "PATCH" => "push",
            other => other,
        };
        let path = self.url.path();
        let ends = ["/blobs/", "/manifests/", "/tags/", "/referrers/"].map(|part| path.rfind(part));
        let repository = ends.into_iter().flatten().min().map_or(path, |end| &path[..end]);
        format!("{kind} {repository}")
    }
}

fn chunked(body: &Bytes) -> Body {
    let chunks: Vec<std::io::Result<Bytes>> = (0..body.len())
        .step_by(STREAM_CHUNK_BYTES)
        .map(|at| Ok(body.slice(at..body.len().min(at + STREAM_CHUNK_BYTES))))
        .collect();
    Body::wrap_stream(stream::iter(chunks))
}
