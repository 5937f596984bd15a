//! An upstream tried step by step, for whoever wants to know at which of them it does not answer.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use oci::{Reference, RepoName};
use reqwest::{StatusCode, Url};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::ask::{Asked, challenges_of};
use super::challenge::{Bearer, Challenge};
use super::hosts::authority;
use super::pause::Kind;
use super::tokens::Scope;
use super::{Upstream, UpstreamError, WantedFile};
use crate::connect::connect_to;
use crate::mail::tls;
use crate::{Authorization, OutboundError};

/// Addresses of a name that are told.
const TOLD_ADDRESSES: usize = 4;

/// What is tried, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeStep {
    /// Finding the addresses of the host, or of the proxy before it.
    Resolve,
    /// Connecting to one of them.
    Connect,
    /// A connection that nobody in between can read; not through a proxy.
    Tls,
    /// Asking whether it is a registry.
    Ping,
    /// Getting a token, or having user and password taken.
    Login,
    /// Asking for a manifest without fetching it.
    Manifest,
    /// Fetching the index of a repository of charts.
    Index,
}

impl ProbeStep {
    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Ping => "ping",
            Self::Login => "login",
            Self::Manifest => "manifest",
            Self::Index => "index",
        }
    }
}

/// What is tried once there is a connection.
#[derive(Debug, Clone, Copy)]
pub enum Probe<'a> {
    /// A registry, and a manifest if one is named.
    Registry(Option<(&'a RepoName, &'a Reference)>),
    /// A file of a repository of charts.
    File(&'a WantedFile),
}

/// Why a step failed.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Before anything was asked.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// What it answered.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Its certificate, or that it speaks no TLS.
    #[error("{0}")]
    Tls(String),
    /// All steps together took longer than they may.
    #[error("it was not there after {0:?}")]
    Slow(Duration),
}

/// A step that was taken.
#[derive(Debug)]
pub struct Probed {
    /// Which.
    pub step: ProbeStep,
    /// How long it took.
    pub took: Duration,
    /// What was found, in a few words.
    pub outcome: Result<String, ProbeError>,
}

/// The steps so far.
struct Course {
    steps: Vec<Probed>,
    limit: Duration,
    until: Instant,
}

impl Course {
    /// Takes one. `None`: it failed, and those behind it cannot be tried.
    async fn take<T>(
        &mut self,
        step: ProbeStep,
        work: impl Future<Output = Result<(T, String), ProbeError>>,
    ) -> Option<T> {
        let begun = Instant::now();
        let done = timeout_at(self.until, work).await;
        let done = done.unwrap_or(Err(ProbeError::Slow(self.limit)));
        let (found, outcome) = match done {
            Ok((found, told)) => (Some(found), Ok(told)),
            Err(error) => (None, Err(error)),
        };
        self.steps.push(Probed {
            step,
            took: begun.elapsed(),
            outcome,
        });
        found
    }
}

impl Upstream {
    /// Tries it, in `limit` altogether: the steps that were taken, of which only the last one can have failed. What it asks counts
    /// against the budget.
    pub async fn probe(&self, probe: Probe<'_>, limit: Duration) -> Vec<Probed> {
        let mut course = Course {
            steps: Vec::new(),
            limit,
            until: Instant::now() + limit,
        };
        // Whatever fails is among the steps.
        let _ = self.probe_all(&mut course, probe).await;
        course.steps
    }

    async fn probe_all(&self, course: &mut Course, probe: Probe<'_>) -> Option<()> {
        let client = &self.inner.client;
        let (own, proxy) = (&self.inner.url, client.settings.proxy.as_ref());
        let hop = proxy.unwrap_or(own);
        let addresses = course.take(ProbeStep::Resolve, self.addresses_of(hop)).await?;
        let stream = course
            .take(ProbeStep::Connect, self.connected(hop, addresses))
            .await?;
        if proxy.is_none() && own.scheme() == "https" {
            course.take(ProbeStep::Tls, self.wrapped(stream)).await?;
        } else {
            drop(stream);
        }
        let wanted = match probe {
            Probe::Registry(wanted) => wanted,
            Probe::File(wanted) => return course.take(ProbeStep::Index, self.index(wanted)).await,
        };
        let challenged = course.take(ProbeStep::Ping, self.pinged()).await?;
        if !challenged.is_empty() {
            let repo = wanted.map(|(repo, _)| repo);
            course
                .take(ProbeStep::Login, self.logged_in(&challenged, repo))
                .await?;
        }
        if let Some((repo, reference)) = wanted {
            course
                .take(ProbeStep::Manifest, self.named(repo, reference))
                .await?;
        }
        Some(())
    }

    async fn addresses_of(&self, hop: &Url) -> Result<(Vec<SocketAddr>, String), ProbeError> {
        let client = &self.inner.client;
        let host = hop.host_str().unwrap_or_default();
        let port = hop.port_or_known_default().unwrap_or_default();
        let found = client.lookup(host, port).await?;
        // The operator has named the proxy; what is behind it is looked at with the request.
        let admitted = if client.settings.proxy.is_some() {
            found
        } else {
            client.admitted(host, found)?
        };
        let told: Vec<String> = admitted
            .iter()
            .take(TOLD_ADDRESSES)
            .map(|address| address.ip().to_string())
            .collect();
        Ok((admitted, format!("{host} is {}", told.join(", "))))
    }

    async fn connected(
        &self,
        hop: &Url,
        addresses: Vec<SocketAddr>,
    ) -> Result<(TcpStream, String), ProbeError> {
        let host = hop.host_str().unwrap_or_default();
        let limit = self.inner.client.settings.connect_timeout;
        let stream = connect_to(host, addresses, limit).await?;
        let told = match stream.peer_addr() {
            Ok(address) => format!("to {address}"),
            Err(_) => format!("to {host}"),
        };
        Ok((stream, told))
    }

    async fn wrapped(&self, stream: TcpStream) -> Result<((), String), ProbeError> {
        let settings = &self.inner.client.settings;
        let host = self.inner.url.host_str().unwrap_or_default();
        let limit = settings.connect_timeout;
        let wrapped = tls::wrap(Box::new(stream), host, &settings.authorities);
        match tokio::time::timeout(limit, wrapped).await {
            Ok(Ok(_)) => Ok(((), format!("the certificate of {host} is trusted"))),
            Ok(Err(reason)) => Err(ProbeError::Tls(reason)),
            Err(_) => Err(ProbeError::Tls(format!("no TLS after {limit:?}"))),
        }
    }

    /// What it wants to be told; nothing where it answers whomever.
    async fn pinged(&self) -> Result<(Vec<Challenge>, String), ProbeError> {
        let asked = pinging();
        self.in_time(async {
            let response = self.follow(&asked, None).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenges = challenges_of(response.headers());
                let told = match bearer_of(&challenges) {
                    // Whether that may be asked is the next step's.
                    Some(bearer) => match self.inner.url.join(&bearer.realm) {
                        Ok(realm) => format!("it wants a token of {}", authority(&realm)),
                        Err(_) => "it wants a token".to_owned(),
                    },
                    None if challenges.contains(&Challenge::Basic) => "it wants user and password".to_owned(),
                    None => return Err(self.denied("it says 401 and not what it wants to be told")),
                };
                return Ok((challenges, told));
            }
            match self.sort(&asked, response).await {
                Ok(_) => Ok((Vec::new(), "it asks nobody who they are".to_owned())),
                Err(UpstreamError::NotFound) => Err(self.broken("it has nothing at /v2/: it is no registry")),
                Err(error) => Err(error),
            }
        })
        .await
        .map_err(ProbeError::from)
    }

    async fn logged_in(
        &self,
        challenged: &[Challenge],
        repo: Option<&RepoName>,
    ) -> Result<((), String), ProbeError> {
        let done = self.in_time(async {
            if let Some(bearer) = bearer_of(challenged) {
                let scope = repo.map_or_else(Scope::login, Scope::pull);
                self.fetch_token(&scope, bearer).await?;
                return Ok(match &self.inner.login {
                    Some(login) => format!("a token for {}", login.user().escape_debug()),
                    None => "a token for nobody in particular".to_owned(),
                });
            }
            let Some(basic) = self.basic() else {
                return Err(self.denied("it wants a user and a password: set a login for it"));
            };
            self.takes(&basic).await
        });
        Ok(((), done.await?))
    }

    async fn takes(&self, basic: &Authorization) -> Result<String, UpstreamError> {
        let asked = pinging();
        let response = self.follow(&asked, Some(basic)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.denied("it does not take the login: correct user and password"));
        }
        self.sort(&asked, response).await?;
        Ok("user and password are taken".to_owned())
    }

    async fn named(&self, repo: &RepoName, reference: &Reference) -> Result<((), String), ProbeError> {
        let head = self.head_manifest(repo, reference).await?;
        let told = match head.digest {
            Some(digest) => format!("{repo} has {reference}: {digest}"),
            None => format!("{repo} has {reference}"),
        };
        Ok(((), told))
    }

    async fn index(&self, wanted: &WantedFile) -> Result<((), String), ProbeError> {
        let file = self.file(wanted).await?;
        let bytes = file.map_or(0, |file| file.bytes.len());
        Ok(((), format!("{bytes} bytes")))
    }
}

fn pinging() -> Asked {
    let path = "/v2/".to_owned();
    Asked::new(Kind::Head, Method::GET, path, Scope::login())
}

fn bearer_of(challenges: &[Challenge]) -> Option<&Bearer> {
    challenges.iter().find_map(|challenge| match challenge {
        Challenge::Bearer(bearer) => Some(bearer),
        Challenge::Basic => None,
    })
}
