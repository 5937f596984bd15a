//! Which address a place has, and who is told there who asks.
//!
//! The person at the terminal says where to go, and may name a registry inside. Where a registry sends us is another thing: one
//! that is outside must not have us ask for something inside, with credentials at that, so what it redirects to and where it has
//! tokens made is public unless `--allow-private` says otherwise. Credentials go to the token service that a registry names.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use oci::RepoName;
use outbound::distribution::{
    Budget, DOCKER_HUB, DOCKER_IO, Upstream, UpstreamError, UpstreamLogin, UpstreamSettings,
};
use outbound::{AddressGuard, OutboundError, Settings, Url};
use thiserror::Error;

use super::destination::Destination;
use super::layout::Directory;
use super::place::Place;
use super::shelf::Shelf;
use super::source::Source;
use crate::cli::ClientArgs;
use crate::client::{Client, Login};

/// Longest time until a registry begins to answer.
const FIRST_BYTE: Duration = Duration::from_mins(1);

/// Longest silence in the middle of an answer.
const IDLE: Duration = Duration::from_mins(1);

/// Longest time for everything but a blob.
const TOTAL: Duration = Duration::from_mins(5);

/// How long the name of a registry is looked up to see whether it is inside.
const LOOKUP: Duration = Duration::from_secs(5);

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
    /// Follow a registry on the Internet to addresses of this machine and of private networks, too
    #[arg(long)]
    allow_private: bool,
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
    pub(super) fn explained(self, heard: UpstreamError) -> anyhow::Error {
        let (user, password) = self.words();
        // A server that says why it cannot answer now was reached.
        let said = match &heard {
            UpstreamError::Unreachable(source) if matches!(**source, OutboundError::Busy { .. }) => {
                source.to_string()
            }
            error => format!("{:#}", anyhow::Error::new(error.clone())),
        };
        let remedy = match (&heard, heard.retry_after()) {
            (UpstreamError::Denied { .. }, _) => {
                format!(" (another login: `docker login` or `podman login`, or {user} and {password})")
            }
            _ if is_inside(&heard) => {
                " (addresses inside are gone to with --allow-private, if that is right)".to_owned()
            }
            (_, Some(wait)) => format!(" (try again in {} seconds)", wait.as_secs().max(1)),
            (_, None) => String::new(),
        };
        let words = format!("{said}{remedy}");
        anyhow::Error::new(Told { words, heard })
    }
}

/// What a registry said, in words for a person.
#[derive(Debug, Error)]
#[error("{words}")]
pub(super) struct Told {
    words: String,
    /// For who asks again.
    pub(super) heard: UpstreamError,
}

/// Whether it was the guard that did not let us go there.
fn is_inside(error: &UpstreamError) -> bool {
    let source = match error {
        UpstreamError::Unreachable(source) => Some(source),
        UpstreamError::Broken { source, .. } => source.as_ref(),
        _ => None,
    };
    source.is_some_and(|source: &Arc<OutboundError>| matches!(**source, OutboundError::Address { .. }))
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
        let guard = if self.allow_private {
            AddressGuard::with_listed(|_| true)
        } else {
            guard_of(&addresses_of(&url).await)
        };
        let settings = UpstreamSettings {
            url,
            login: login(end, user.as_deref(), kept)?,
            realm_hosts: vec!["*".to_owned()],
            blob_hosts: Vec::new(),
            budget: Budget::default(),
            client: Settings {
                guard,
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

/// Where a registry is; nowhere, if its name says nothing here (a proxy may know it).
async fn addresses_of(url: &Url) -> Vec<IpAddr> {
    let host = url.host_str().unwrap_or_default();
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return vec![address];
    }
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
    let found = found.ok().and_then(Result::ok);
    found.into_iter().flatten().map(|address| address.ip()).collect()
}

/// Where a registry at these addresses may have us go. One that is inside may name others inside; but what is link-local, such as
/// where clouds hand out their keys, only if it is there itself.
fn guard_of(own: &[IpAddr]) -> AddressGuard {
    let public = AddressGuard::public_only();
    let is_inside = !own.is_empty() && own.iter().all(|address| !public.admits(*address));
    let own = own.to_vec();
    AddressGuard::with_listed(move |address| {
        is_inside && (!is_link_local(address) || own.contains(&address.to_canonical()))
    })
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        // The second is where a cloud has its keys.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
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

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn admits(own: &[&str], address: &str) -> bool {
        let own: Vec<IpAddr> = own.iter().map(|address| address.parse().unwrap()).collect();
        guard_of(&own).admits(address.parse().unwrap())
    }

    #[test]
    fn a_registry_outside_has_us_go_nowhere_inside() {
        let inside = [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "fd00::1",
        ];
        for own in [&["8.8.8.8"][..], &["8.8.8.8", "10.0.0.7"], &[]] {
            for address in inside {
                assert!(!admits(own, address), "{own:?} {address}");
            }
            assert!(admits(own, "1.1.1.1"));
        }
        for own in [&["127.0.0.1"][..], &["10.0.0.7", "fd00::7"]] {
            for address in ["1.1.1.1", "127.0.0.1", "10.0.0.1", "::1"] {
                assert!(admits(own, address), "{own:?} {address}");
            }
            for keys in [
                "169.254.169.254",
                "::ffff:169.254.169.254",
                "fe80::1",
                "fd00:ec2::254",
            ] {
                assert!(!admits(own, keys), "{own:?} {keys}");
            }
        }
        assert!(admits(&["169.254.1.1"], "169.254.1.1"));
    }

    #[test]
    fn what_a_registry_says_is_told() {
        let busy = UpstreamError::Unreachable(Arc::new(OutboundError::Busy {
            url: Box::new(Url::parse("https://a.example/v2/").unwrap()),
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(Duration::from_secs(90)),
            said: Some("closed until noon".to_owned()),
        }));
        let told = End::Source.explained(busy).to_string();
        assert_eq!(
            told,
            "https://a.example/v2/ answers 503 Service Unavailable: closed until noon (try again in 90 seconds)"
        );
        let broken = UpstreamError::Broken {
            host: "a.example".to_owned(),
            offence: "it sends us to b.example".to_owned(),
            source: Some(Arc::new(OutboundError::Address {
                host: "b.example".to_owned(),
                address: "10.0.0.1".parse().unwrap(),
            })),
        };
        let told = End::Source.explained(broken).to_string();
        assert!(
            told.contains("10.0.0.1") && told.contains("--allow-private"),
            "{told}"
        );
    }
}
