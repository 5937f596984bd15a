//! Fetching through the registry's own protocol, from any registry.
//!
//! A registry that wants to know who pulls says so, and how (`client/challenge.rs`); a token is got once. Blobs may lie elsewhere:
//! redirects are followed, but no credential goes along.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use http::header;
use oci::RepoName;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use thiserror::Error;

use super::challenge::Challenge;
use super::docker_config::{self, Login};
use super::{Client, Credentials, read_bounded};

/// Redirects that are followed for one request.
const REDIRECTS: usize = 5;

/// Where the images of `docker.io` lie.
const DOCKER_HUB: &str = "https://registry-1.docker.io/";

/// Its name in images.
pub(crate) const DOCKER_IO: [&str; 2] = ["docker.io", "index.docker.io"];

/// A repository of a registry to fetch from.
#[derive(Debug)]
pub(crate) struct Distribution {
    http: reqwest::Client,
    base: Url,
    repository: RepoName,
    login: Option<Login>,
    /// The `Authorization` that the registry asked for last.
    authorization: Mutex<Option<String>>,
}

/// The registry has no such thing.
#[derive(Debug, Error)]
#[error("{0}")]
struct NotThere(String);

/// What a token service answers.
#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl Distribution {
    /// The registry of a client, with its password; else with what docker or podman keep for it.
    pub(crate) async fn of(client: &Client, repository: &RepoName) -> Result<Self> {
        let host = super::authority(&client.base);
        let login = match &client.credentials {
            Some(Credentials::Password { user, password }) => Some(Login::Password {
                user: user.clone(),
                password: password.clone(),
            }),
            // What `roadbed login` saves is a token for the JSON API only.
            Some(Credentials::Token(_)) | None => docker_config::login(&host, repository.as_str()).await?,
        };
        let base = if DOCKER_IO.contains(&host.as_str()) {
            Url::parse(DOCKER_HUB)?
        } else {
            client.base.clone()
        };
        Ok(Self {
            http: client.http.clone(),
            base,
            repository: repository.clone(),
            login,
            authorization: Mutex::new(None),
        })
    }

    /// GET of a manifest or blob, such as `manifests/v1`; the answer before its body is read.
    pub(crate) async fn get(&self, what: &str, accept: &str) -> Result<Response> {
        let mut url = self.base.clone();
        let root = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{root}/v2/{}/{what}", self.repository));
        let response = self.send(&url, accept).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.follow(response, accept).await;
        }
        self.authorize(&response).await?;
        let response = self.send(&url, accept).await?;
        self.follow(response, accept).await
    }

    /// The same; `None`: there is no such thing.
    pub(crate) async fn find(&self, what: &str, accept: &str) -> Result<Option<Response>> {
        match self.get(what, accept).await {
            Ok(response) => Ok(Some(response)),
            Err(error) if error.downcast_ref::<NotThere>().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, url: &Url, accept: &str) -> Result<Response> {
        let authorization = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut request = self.http.get(url.clone()).header(header::ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response> {
        request
            .send()
            .await
            .map_err(|error| super::unreachable(&self.base, error))
    }

    async fn follow(&self, response: Response, accept: &str) -> Result<Response> {
        let mut response = response;
        for _ in 0..REDIRECTS {
            if !response.status().is_redirection() {
                return self.checked(response).await;
            }
            let to = response
                .headers()
                .get(header::LOCATION)
                .and_then(|to| to.to_str().ok());
            let to = to.context("the registry redirects to nowhere")?;
            let to = response
                .url()
                .join(to)
                .context("the registry redirects to what is no URL")?;
            self.check_scheme(&to)?;
            let request = self.http.request(Method::GET, to).header(header::ACCEPT, accept);
            response = self.answer(request).await?;
        }
        bail!("{} redirects more than {REDIRECTS} times", self.base)
    }

    /// Who asked over TLS is not sent elsewhere without it.
    fn check_scheme(&self, to: &Url) -> Result<()> {
        let is_as_safe = to.scheme() == "https" || (to.scheme() == "http" && self.base.scheme() == "http");
        ensure!(
            is_as_safe,
            "{} sends us on without TLS, to {}",
            self.base,
            to.host_str().unwrap_or_default()
        );
        Ok(())
    }

    async fn checked(&self, response: Response) -> Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(self.unknown());
        }
        let body = read_bounded(response).await.unwrap_or_default();
        let said = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
        let told = match said["errors"][0]["message"].as_str() {
            Some(message) => format!("{} answered {status}: {}", self.base, findings::harmless(message)),
            None => format!("{} answered {status}: is it a registry?", self.base),
        };
        if status == StatusCode::NOT_FOUND {
            return Err(NotThere(told).into());
        }
        bail!(told)
    }

    fn unknown(&self) -> anyhow::Error {
        match &self.login {
            Some(_) => anyhow::anyhow!("{} does not take the credentials: sign in again", self.base),
            None => anyhow::anyhow!(
                "{} wants to know who pulls: set ROADBED_USER and ROADBED_PASSWORD for a registry of --url, else sign in with \
                 `docker login` or `podman login`",
                self.base
            ),
        }
    }

    /// Answers the registry's challenge; later requests carry what came out of it.
    async fn authorize(&self, response: &Response) -> Result<()> {
        let challenges: Vec<Challenge> = response
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| Challenge::parse(value.to_str().ok()?))
            .collect();
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service } => Some((realm, service.as_deref())),
            Challenge::Basic => None,
        });
        let authorization = match (bearer, &self.login) {
            (Some((realm, service)), _) => format!("Bearer {}", self.token(realm, service).await?),
            (None, Some(Login::Password { user, password })) if challenges.contains(&Challenge::Basic) => {
                basic(user, password)
            }
            _ => return Err(self.unknown()),
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(())
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String> {
        let url = self
            .base
            .join(realm)
            .context("the registry names a token service that is no URL")?;
        self.check_scheme(&url)?;
        let scope = format!("repository:{}:pull", self.repository);
        let mut parameters = vec![("scope", scope.as_str())];
        parameters.extend(service.map(|service| ("service", service)));
        let request = match &self.login {
            Some(Login::Identity(token)) => {
                parameters.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "roadbed"),
                    ("refresh_token", token),
                ]);
                let mut form = Url::parse("http://form/")?;
                form.query_pairs_mut().extend_pairs(parameters);
                self.http
                    .post(url)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            login => {
                let mut url = url;
                url.query_pairs_mut().extend_pairs(parameters);
                match login {
                    Some(Login::Password { user, password }) => self
                        .http
                        .get(url)
                        .header(header::AUTHORIZATION, basic(user, password)),
                    _ => self.http.get(url),
                }
            }
        };
        let response = self.answer(request).await?;
        if !response.status().is_success() {
            return Err(self.unknown());
        }
        let token: Token = serde_json::from_slice(&read_bounded(response).await?)
            .context("the token service does not answer what it should")?;
        token
            .token
            .or(token.access_token)
            .context("the token service answers no token")
    }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}
