//! The client side of the JSON API.

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::FeedHold;
use web::wire::{Page, Problem};

use crate::cli::{ClientArgs, Format};
use crate::commands::advisories::HeldImport;
use crate::output;

mod challenge;
mod credentials;
mod distribution;
mod docker_config;
mod hosts;
mod patience;
mod reach;

pub(crate) use credentials::{Credentials, Saved};
pub(crate) use distribution::{DOCKER_IO, Distribution};
pub(crate) use docker_config::Login;
pub(crate) use patience::Answered;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence in the middle of an answer. Streams show progress twice a second.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// Largest JSON answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Kinds of problems whose remedy says nothing to a person at a terminal that the detail does not say: what was typed is
/// wrong, not allowed or not there, or the detail names what stands in the way.
const CLEAR_WITHOUT_REMEDY: [&str; 5] = [
    "urn:roadbed:problem:malformed",
    "urn:roadbed:problem:denied",
    "urn:roadbed:problem:not-found",
    "urn:roadbed:problem:conflict",
    "urn:roadbed:problem:too-many",
];

/// Items asked for at once.
const PAGE_ITEMS: usize = 1_000;

/// A client of one registry.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    credentials: Option<Credentials>,
    format: Format,
}

impl Client {
    /// A client with the credentials that the environment or the last sign-in gives.
    pub(crate) fn connect(args: &ClientArgs) -> anyhow::Result<Self> {
        let saved = Saved::load()?;
        let url = match args.url.as_deref().or(saved.current()) {
            Some(url) => url.to_owned(),
            None => bail!("no registry is named: run `roadbed login URL`, or use --url or ROADBED_URL"),
        };
        let base = base_url(&url)?;
        let credentials = Credentials::find(&saved, &base)?;
        Self::new(args, base, Some(credentials))
    }

    /// A client that nobody is signed in with.
    pub(crate) fn anonymous(args: &ClientArgs, url: &str) -> anyhow::Result<Self> {
        Self::new(args, base_url(url)?, None)
    }

    fn new(args: &ClientArgs, base: Url, credentials: Option<Credentials>) -> anyhow::Result<Self> {
        // A redirect could take the credentials elsewhere.
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("roadbed/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &args.ca_cert {
            builder = builder.tls_certs_merge(read_certificates(path)?);
        }
        let http = builder
            .tls_danger_accept_invalid_certs(args.insecure)
            .build()
            .context("cannot prepare TLS")?;
        Ok(Self {
            http,
            base,
            credentials,
            format: args.output,
        })
    }

    /// How to print.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The registry's address.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        read_json(self.send(self.request(Method::GET, path, query)).await?).await
    }

    /// The same; `None` where the answer is `nothing`.
    pub(crate) async fn get_unless<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        nothing: StatusCode,
    ) -> anyhow::Result<Option<T>> {
        let response = self.answered(self.request(Method::GET, path, query)).await?;
        if response.status() == nothing {
            return Ok(None);
        }
        read_json(self.taken(response).await?).await.map(Some)
    }

    /// Every item of a list, page after page, up to `most`; says so where that was not all.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
    ) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        while items.len() < most {
            let mut query = query.to_vec();
            query.push(("limit", PAGE_ITEMS.min(most - items.len()).to_string()));
            query.extend(after.take().map(|after| ("after", after)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            match page.next {
                Some(_) if items.len() >= most => {
                    output::note(format!("Only the first {most} are shown; there are more."));
                    break;
                }
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(items)
    }

    /// The last `most` items of a list, in its order; all pages are read and only so many items kept.
    pub(crate) async fn last<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
    ) -> anyhow::Result<Vec<T>> {
        let mut last = VecDeque::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE_ITEMS.to_string()));
            query.extend(after.take().map(|after| ("after", after)));
            let page: Page<T> = self.get(path, &query).await?;
            last.extend(page.items);
            last.drain(..last.len().saturating_sub(most));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(last.into()),
            }
        }
    }

    /// Whether there is something at a path; `None` where the caller may not know.
    pub(crate) async fn exists(&self, path: &str) -> Option<bool> {
        let response = self.request(Method::GET, path, &[]).send().await.ok()?;
        match response.status() {
            StatusCode::NOT_FOUND => Some(false),
            status => status.is_success().then_some(true),
        }
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        read_json(self.post_streamed(path, body).await?).await
    }

    pub(crate) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        read_json(
            self.send(self.request(Method::POST, path, query).json(body))
                .await?,
        )
        .await
    }

    /// The answer before its body is read.
    pub(crate) async fn post_streamed(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Response> {
        self.send(self.request(Method::POST, path, &[]).json(body)).await
    }

    /// PUT of bytes where the answer has no body.
    pub(crate) async fn put_bytes(
        &self,
        path: &str,
        query: &[(&str, String)],
        bytes: Vec<u8>,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::PUT, path, query);
        let request = request.header(http::header::CONTENT_TYPE, "application/octet-stream");
        self.send(request.body(bytes)).await.map(drop)
    }

    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        read_json(self.send(self.request(Method::PUT, path, &[]).json(body)).await?).await
    }

    /// PUT where the answer has no body.
    pub(crate) async fn put_quietly(&self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        self.send(self.request(Method::PUT, path, &[]).json(body))
            .await
            .map(drop)
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        read_json(
            self.send(self.request(Method::PATCH, path, &[]).json(body))
                .await?,
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<()> {
        self.send(self.request(Method::DELETE, path, query))
            .await
            .map(drop)
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}{path}",
            self.base.path().trim_end_matches('/'),
            web::PREFIX
        ));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.credentials {
            None => request,
            Some(Credentials::Password { user, password }) => request.basic_auth(user, Some(password)),
            Some(Credentials::Token(token)) => request.bearer_auth(token),
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        self.taken(self.answered(request).await?).await
    }

    async fn answered(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answered = request.send().await;
        answered.map_err(|error| unreachable(&self.base, error))
    }

    async fn taken(&self, response: Response) -> anyhow::Result<Response> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    async fn refused(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        let problem = read_bounded(response)
            .await
            .ok()
            .and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
        let Some(problem) = problem else {
            return anyhow!(
                "{} answered {status} and no problem of Roadbed's: is it a Roadbed registry?",
                self.base
            );
        };
        self.explained(status, &problem)
    }

    fn explained(&self, status: StatusCode, problem: &Problem) -> anyhow::Error {
        if status == StatusCode::UNAUTHORIZED {
            return self.unauthorized(problem);
        }
        if let Some(FeedHold::Lifts { lifts }) = problem.held.as_deref() {
            return HeldImport {
                said: problem.detail.clone(),
                lifts: lifts.clone(),
            }
            .into();
        }
        if CLEAR_WITHOUT_REMEDY.contains(&problem.kind.as_str()) {
            return anyhow!(problem.detail.clone());
        }
        anyhow!("{} ({})", problem.detail, problem.remedy)
    }

    /// The server's own remedy is to sign in; what helps depends on how that was done.
    fn unauthorized(&self, problem: &Problem) -> anyhow::Error {
        match &self.credentials {
            Some(Credentials::Token(_)) => anyhow!(
                "the saved sign-in to {} is over: run `roadbed login {}`",
                self.base,
                self.base
            ),
            Some(Credentials::Password { .. }) => {
                anyhow!("{} (check ROADBED_USER and ROADBED_PASSWORD)", problem.detail)
            }
            // Whoever is just signing in need not be told to.
            None => anyhow!("{}", problem.detail),
        }
    }
}

fn unreachable(base: &Url, error: reqwest::Error) -> anyhow::Error {
    let what = match reach::remedy(base, &error) {
        Some(remedy) => format!("cannot reach {base}: {remedy}"),
        None => format!("cannot reach {base}"),
    };
    anyhow::Error::from(error.without_url()).context(what)
}

/// Host and port, as images name a registry.
pub(crate) fn authority(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// A name as a part of a path.
pub(crate) fn segment(name: impl Display) -> String {
    let mut escaped = String::new();
    for byte in name.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@+".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    // A lone dot would be taken for this directory.
    if escaped.bytes().all(|byte| byte == b'.') {
        escaped.replace('.', "%2E")
    } else {
        escaped
    }
}

fn read_certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let holds_none = || format!("{} holds no certificates in PEM form", path.display());
    let certificates = Certificate::from_pem_bundle(&pem).with_context(holds_none)?;
    ensure!(!certificates.is_empty(), holds_none());
    Ok(certificates)
}

fn base_url(text: &str) -> anyhow::Result<Url> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme)
        .with_context(|| format!("{text:?} is not a URL such as https://registry.example"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        bail!("{text:?} is not a URL such as https://registry.example");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!(
            "leave user and password out of the URL: run `roadbed login`, or use ROADBED_USER and ROADBED_PASSWORD"
        );
    }
    Ok(url)
}

async fn read_json<T: DeserializeOwned>(response: Response) -> anyhow::Result<T> {
    let body = read_bounded(response).await?;
    serde_json::from_slice(&body)
        .context("the answer is not what this version expects: use the registry's own version")
}

async fn read_bounded(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the answer broke off")? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            bail!("the answer is larger than {MAX_ANSWER_BYTES} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(segment("ann@example.org"), "ann@example.org");
        assert_eq!(segment("a/../b c?"), "a%2F..%2Fb%20c%3F");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn addresses_are_read_with_and_without_a_scheme() {
        assert_eq!(
            base_url("registry.example:5000").unwrap().as_str(),
            "https://registry.example:5000/"
        );
        assert_eq!(
            base_url("http://127.0.0.1:5000").unwrap().as_str(),
            "http://127.0.0.1:5000/"
        );
        for bad in ["", "ftp://x", "https://", "https://ann:secret@registry.example"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
