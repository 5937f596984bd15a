//! Which address a place has, and who is told there who asks.
//!
//! The person at the terminal says where to go: addresses inside are none of the things that are refused, and credentials go to
//! the token service that a registry names.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;
use oci::RepoName;
use outbound::distribution::{
    Budget, DOCKER_HUB, DOCKER_IO, Upstream, UpstreamError, UpstreamLogin, UpstreamSettings,
};
use outbound::{AddressGuard, Settings, Url};

use super::destination::Destination;
use super::layout::{Directory, Shelf};
use super::place::Place;
use super::source::Source;
use crate::cli::ClientArgs;
use crate::client::{Client, Login};

/// Longest time until a registry begins to answer.
const FIRST_BYTE: Duration = Duration::from_mins(1);

/// Longest silence in the middle of an answer.
const IDLE: Duration = Duration::from_mins(1);

/// Longest time for everything but a blob.
const TOTAL: Duration = Duration::from_mins(5);

/// The user name that stands for a token in place of a password.
const TOKEN_USER: &str = "<token>";

/// How to reach both ends.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
    /// Who asks for images; the password is in `ROADBED_SRC_PASSWORD`
    #[arg(long, value_name = "NAME", env = "ROADBED_SRC_USER")]
    src_user: Option<String>,
    /// Who pushes them; the password is in `ROADBED_DST_PASSWORD`
    #[arg(long, value_name = "NAME", env = "ROADBED_DST_USER")]
    dst_user: Option<String>,
    /// An HTTP proxy on the way to the source
    #[arg(long, value_name = "URL")]
    src_proxy: Option<Url>,
    /// An HTTP proxy on the way to the destination
    #[arg(long, value_name = "URL")]
    dst_proxy: Option<Url>,
    /// A registry, as HOST or HOST:PORT, that is asked without TLS; one on this machine is anyway
    #[arg(long, value_name = "HOST")]
    plain_http: Vec<String>,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

impl End {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Source => ("--src-user", "ROADBED_SRC_PASSWORD"),
            Self::Destination => ("--dst-user", "ROADBED_DST_PASSWORD"),
        }
    }

    /// What an upstream says, with what to do about it.
    pub(super) fn explained(self, error: UpstreamError) -> anyhow::Error {
        let (user, password) = self.words();
        if matches!(error, UpstreamError::Denied { .. }) {
            return anyhow!(
                "{error} (another login: `docker login` or `podman login`, or {user} and {password})"
            );
        }
        match error.retry_after() {
            Some(wait) => anyhow!("{error} (try again in {} seconds)", wait.as_secs().max(1)),
            None => error.into(),
        }
    }
}

impl ReachArgs {
    pub(super) async fn source(&self, client: &ClientArgs, place: &Place) -> Result<Source> {
        match place {
            Place::Layout { root, .. } => Ok(Source::Layout(Box::new(Directory::open(root)?))),
            Place::Registry { host, repository, .. } => Ok(Source::Registry {
                upstream: self.upstream(client, End::Source, host, repository).await?,
                repository: repository.clone(),
            }),
        }
    }

    pub(super) async fn destination(
        &self,
        client: &ClientArgs,
        place: &Place,
        from: &Place,
    ) -> Result<Destination> {
        match place {
            Place::Layout { root, .. } => Ok(Destination::Layout(Shelf::open(root)?)),
            Place::Registry { host, repository, .. } => Ok(Destination::Registry {
                upstream: self.upstream(client, End::Destination, host, repository).await?,
                repository: repository.clone(),
                linked_from: match from {
                    Place::Registry {
                        host: other,
                        repository: from,
                        ..
                    } if other == host && from != repository => Some(from.clone()),
                    _ => None,
                },
            }),
        }
    }

    async fn upstream(
        &self,
        client: &ClientArgs,
        end: End,
        host: &str,
        repository: &RepoName,
    ) -> Result<Upstream> {
        ensure!(
            !client.insecure,
            "copy believes no certificate that nobody vouches for: name the authority with --ca-cert FILE"
        );
        let (url, kept) = Client::way_to_image(client, host, repository).await?;
        let url = if DOCKER_IO.contains(&host) {
            Url::parse(DOCKER_HUB)?
        } else if self.plain_http.iter().any(|plain| plain == host) {
            Url::parse(&format!("http://{host}")).with_context(|| format!("{host:?} is no host"))?
        } else {
            url
        };
        let (user, proxy) = match end {
            End::Source => (&self.src_user, &self.src_proxy),
            End::Destination => (&self.dst_user, &self.dst_proxy),
        };
        let settings = UpstreamSettings {
            url,
            login: login(end, user.as_deref(), kept)?,
            realm_hosts: vec!["*".to_owned()],
            blob_hosts: Vec::new(),
            budget: Budget::default(),
            client: Settings {
                guard: AddressGuard::with_listed(|_| true),
                authorities: authorities(client.ca_cert.as_deref())?,
                proxy: proxy.clone(),
                total_timeout: TOTAL,
                ..Settings::default()
            },
            first_byte: FIRST_BYTE,
            idle: IDLE,
        };
        Upstream::new(settings, Instant::now).with_context(|| format!("cannot ask {host}"))
    }
}

fn authorities(path: Option<&Path>) -> Result<Vec<Vec<u8>>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(vec![pem])
}

/// What the command line says, else what is kept.
fn login(end: End, user: Option<&str>, kept: Option<Login>) -> Result<Option<UpstreamLogin>> {
    let (option, variable) = end.words();
    let said = std::env::var(variable).ok().filter(|value| !value.is_empty());
    match (user.filter(|user| !user.is_empty()), said) {
        (Some(user), Some(password)) => return Ok(Some(UpstreamLogin::new(user, password))),
        (Some(_), None) => bail!("{option} is set without {variable}"),
        (None, Some(_)) => bail!("{variable} is set without {option}"),
        (None, None) => {}
    }
    Ok(kept.map(|login| match login {
        Login::Password { user, password } => UpstreamLogin::new(user, password),
        Login::Identity(token) => UpstreamLogin::new(TOKEN_USER, token),
    }))
}
