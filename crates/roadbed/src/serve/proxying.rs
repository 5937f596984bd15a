//! The upstreams of the configuration, as the proxy asks them.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use oci::{Digest, PatternMap, Reference, RepoName, Tag};
use outbound::distribution::{
    Budget, Spent, Upstream, UpstreamError, UpstreamLogin, UpstreamSettings, usual_realms,
};
use outbound::{AddressGuard, OutboundError, Settings};
use registry::gate::Gate;
use registry::proxy::{
    Asked, Cause, ChartRepository, Proxy, ProxyMetrics, Source, SourceBlob, SourceBudget, SourceError,
    SourceHead, SourceManifest, SourceSpent, UpstreamConfig, UpstreamKind,
};
use store::Store;

use crate::config::{Config, SecretFrom, UpstreamEntry};

mod charts;

use charts::Files;

/// Bytes of a file with certificates; a bundle of all authorities has a few hundred thousand.
pub(crate) const CA_BYTES: u64 = 4 << 20;

/// Bytes of a file with a password.
pub(crate) const SECRET_BYTES: u64 = 64 << 10;

/// What is pulled through, if anything is.
pub(super) fn proxy(
    config: &Config,
    store: &Store,
    gate: &Arc<dyn Gate>,
    metrics: &mut prometheus_client::registry::Registry,
) -> Result<Option<Proxy>> {
    let entries = &config.proxy.upstreams.0;
    if entries.is_empty() {
        return Ok(None);
    }
    let numbered = entries.iter().enumerate();
    let upstreams = numbered.map(|(number, entry)| upstream(config, store, (number, entry)));
    let proxy = Proxy::new(
        store.clone(),
        Arc::clone(gate),
        upstreams.collect::<Result<_>>()?,
        config.proxy.limits(config.gate.first_wait),
        config.registry_config().manifest_limits,
        ProxyMetrics::register(metrics),
        None,
    );
    if let Some(proxy) = &proxy {
        proxy.register(metrics);
    }
    Ok(proxy)
}

/// Opens what upstreams name: files with passwords and certificates.
///
/// # Errors
/// One of them cannot be used as it is.
pub(crate) fn check(config: &Config) -> Result<()> {
    let entries = config.proxy.upstreams.0.iter();
    for numbered in entries.enumerate() {
        client(config, numbered)?;
    }
    Ok(())
}

/// An upstream with its place among the tables of the configuration, from 0.
pub(super) type Numbered<'c> = (usize, &'c UpstreamEntry);

/// What has to be done about a key of an upstream.
fn about((number, entry): Numbered<'_>, key: &str, remedy: &str) -> String {
    format!(
        "proxy.upstreams[{number}].{key}: {remedy} (upstream {:?})",
        entry.name
    )
}

/// Who asks an upstream.
pub(super) fn client(config: &Config, numbered: Numbered<'_>) -> Result<Upstream> {
    let made = Upstream::new(settings(config, numbered)?, Instant::now);
    made.map_err(|error| {
        let (key, remedy) = wrong_key(&error, numbered.1);
        anyhow::Error::new(error).context(about(numbered, key, remedy))
    })
}

/// The key that a client could not be made for, and what to do about it.
fn wrong_key(error: &OutboundError, entry: &UpstreamEntry) -> (&'static str, &'static str) {
    let is_in =
        |hosts: &[String], wrong: &str| hosts.iter().any(|host| host.escape_debug().to_string() == wrong);
    match error {
        OutboundError::Authority(_) => ("ca_file", "name a file with certificates in PEM form"),
        OutboundError::Url { url, .. } if is_in(&entry.realm_hosts, url) => {
            ("realm_hosts", "correct that host")
        }
        OutboundError::Url { url, .. } if is_in(&entry.blob_hosts, url) => {
            ("blob_hosts", "correct that host")
        }
        OutboundError::Url { .. } => ("url", "correct it"),
        _ if entry.proxy.is_some() => ("proxy", "name a proxy that can be used"),
        _ => (
            "ca_file",
            "name a file with certificates: the system brings none that could be trusted",
        ),
    }
}

fn upstream(config: &Config, store: &Store, numbered: Numbered<'_>) -> Result<UpstreamConfig> {
    let (_, entry) = numbered;
    let rules =
        PatternMap::build(entry.rules.clone()).with_context(|| about(numbered, "rules", "correct them"))?;
    let client = client(config, numbered)?;
    let (place, source, charts): (Arc<str>, Arc<dyn Source>, _) = match entry.kind {
        UpstreamKind::Registry => {
            let place = entry.url.origin().ascii_serialization();
            (place.into(), Arc::new(Registry(client)), None)
        }
        UpstreamKind::Helm => {
            let place: Arc<str> = entry.url.as_str().into();
            let files = Arc::new(Files::new(client, entry.url.clone(), settings(config, numbered)?));
            let limits = config.proxy.chart_limits(entry.rule.fresh);
            let charts = ChartRepository::new(files, store.clone(), Arc::clone(&place), limits);
            let charts = Arc::new(charts);
            (place, Arc::clone(&charts) as _, Some(charts))
        }
    };
    Ok(UpstreamConfig {
        name: entry.name.as_str().into(),
        prefix: entry.prefix.clone(),
        place,
        library: entry.library,
        allow: entry.allow.clone(),
        deny: entry.deny.clone(),
        rule: entry.rule,
        rules,
        flights: config.proxy.flights,
        fetches: config.proxy.fetches,
        source,
        charts,
    })
}

fn settings(config: &Config, numbered: Numbered<'_>) -> Result<UpstreamSettings> {
    let (proxy, (_, entry)) = (&config.proxy, numbered);
    let listed = entry.allowed_private.clone();
    let client = Settings {
        guard: AddressGuard::with_listed(move |address| {
            listed.iter().any(|network| network.contains(address))
        }),
        authorities: match &entry.ca_file {
            Some(path) => vec![read(path, CA_BYTES).with_context(|| {
                about(
                    numbered,
                    "ca_file",
                    "name a file with certificates that the server may read",
                )
            })?],
            None => Vec::new(),
        },
        proxy: entry.proxy.clone(),
        connect_timeout: proxy.connect_timeout.0,
        total_timeout: proxy.manifest_time.0,
        redirects: proxy.redirects,
        ..Settings::default()
    };
    let realm_hosts = if entry.realm_hosts.is_empty() {
        let host = entry.url.host_str().unwrap_or_default();
        usual_realms(host).iter().map(|host| (*host).to_owned()).collect()
    } else {
        entry.realm_hosts.clone()
    };
    let mut url = entry.url.clone();
    url.set_path("");
    Ok(UpstreamSettings {
        url,
        login: login(numbered)?,
        realm_hosts,
        blob_hosts: entry.blob_hosts.clone(),
        budget: Budget {
            requests_per_hour: entry.requests_per_hour,
            bytes_per_hour: entry.bytes_per_hour,
        },
        client,
        first_byte: proxy.manifest_time.0,
        idle: proxy.idle_timeout.0,
    })
}

fn login(numbered: Numbered<'_>) -> Result<Option<UpstreamLogin>> {
    let (_, entry) = numbered;
    let Some((user, secret)) = &entry.login else {
        return Ok(None);
    };
    let login = match secret {
        SecretFrom::File(path) => {
            let secret = secret_in(path)
                .with_context(|| about(numbered, "password_file", "name a file with the password alone"))?;
            let login = UpstreamLogin::new(user.clone(), secret);
            let (path, upstream) = (path.clone(), entry.name.clone());
            login.read_again_by(move || reread(&upstream, &path))
        }
        SecretFrom::Variable(name) => {
            let secret = std::env::var(name)
                .ok()
                .with_context(|| format!("the variable {name} is not set"))
                .and_then(|text| line_of(&text))
                .with_context(|| about(numbered, "password_env", "set it where the server is started"))?;
            UpstreamLogin::new(user.clone(), secret)
        }
    };
    Ok(Some(login))
}

fn secret_in(path: &Path) -> Result<String> {
    let text = String::from_utf8(read(path, SECRET_BYTES)?);
    let text = text
        .ok()
        .with_context(|| format!("{} is no text", path.display()))?;
    line_of(&text)
}

fn line_of(text: &str) -> Result<String> {
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("the password is empty");
    }
    Ok(secret.to_owned())
}

/// What the password is by now: the upstream did not take the one that was read before.
fn reread(upstream: &str, path: &Path) -> Option<String> {
    match secret_in(path) {
        Ok(secret) => Some(secret),
        Err(error) => {
            tracing::warn!(
                upstream,
                error = format!("{error:#}"),
                "an upstream does not take its password, and its password_file cannot be read again"
            );
            None
        }
    }
}

pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let failed = || format!("cannot read {}", path.display());
    let file = std::fs::File::open(path).with_context(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).with_context(failed)?;
    if bytes.len() as u64 > most {
        bail!("{} has more than {most} bytes", path.display());
    }
    Ok(bytes)
}

/// An upstream that is asked over HTTP.
struct Registry(Upstream);

impl Source for Registry {
    fn head_manifest<'a>(&'a self, repo: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead> {
        Box::pin(async move {
            let head = self.0.head_manifest(repo, reference).await.map_err(told)?;
            Ok(SourceHead { digest: head.digest })
        })
    }

    fn manifest<'a>(
        &'a self,
        repo: &'a RepoName,
        reference: &'a Reference,
        most: usize,
    ) -> Asked<'a, SourceManifest> {
        Box::pin(async move {
            let manifest = self.0.manifest(repo, reference, most).await.map_err(told)?;
            Ok(SourceManifest {
                bytes: manifest.bytes,
                media_type: manifest.media_type,
                digest: manifest.digest,
            })
        })
    }

    fn blob<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob> {
        Box::pin(async move {
            let blob = self.0.blob(repo, digest, from).await.map_err(told)?;
            Ok(SourceBlob {
                size: blob.size,
                from: blob.from,
                body: Box::pin(blob.body.map(|piece| piece.map_err(told))),
            })
        })
    }

    fn tags<'a>(&'a self, repo: &'a RepoName, most: usize) -> Asked<'a, Vec<Tag>> {
        Box::pin(async move { self.0.tags(repo, most).await.map_err(told) })
    }

    fn spent(&self) -> Vec<SourceSpent> {
        spent(&self.0)
    }

    fn recall(&self, spent: &[SourceSpent]) {
        recall(&self.0, spent);
    }

    fn heard_since(&self, moment: Instant) -> bool {
        self.0.heard_since(moment)
    }

    fn budget_left(&self) -> SourceBudget {
        left(&self.0)
    }
}

fn left(client: &Upstream) -> SourceBudget {
    let left = client.budget_left();
    SourceBudget {
        requests: left.requests.map(u64::from),
        bytes: left.bytes,
    }
}

fn spent(client: &Upstream) -> Vec<SourceSpent> {
    let spent = client.spent().into_iter();
    spent
        .map(|Spent { ago, requests, bytes }| SourceSpent { ago, requests, bytes })
        .collect()
}

fn recall(client: &Upstream, spent: &[SourceSpent]) {
    let spent = spent.iter();
    let spent: Vec<Spent> = spent
        .map(|&SourceSpent { ago, requests, bytes }| Spent { ago, requests, bytes })
        .collect();
    client.recall(&spent);
}

/// What an upstream said, in the words of the proxy; with its causes, because nobody else writes them down. They name what lies between
/// here and there, and are for operators alone.
#[expect(clippy::needless_pass_by_value, reason = "it is what errors are mapped by")]
fn told(error: UpstreamError) -> SourceError {
    let whole = || {
        let causes = anyhow::Error::new(error.clone());
        Cause::inner(match remedy(&error) {
            Some(remedy) => format!("{causes:#}: {remedy}"),
            None => format!("{causes:#}"),
        })
    };
    match &error {
        UpstreamError::NotFound => SourceError::NotFound,
        UpstreamError::Denied { .. } | UpstreamError::Refused { .. } => SourceError::Denied(whole()),
        UpstreamError::Throttled { retry_after } => SourceError::Throttled {
            retry_after: *retry_after,
        },
        UpstreamError::OverBudget { retry_after, .. } => SourceError::OverBudget {
            retry_after: *retry_after,
        },
        UpstreamError::Unreachable(_) => SourceError::Unreachable(whole()),
        UpstreamError::Broken { .. } | UpstreamError::Circle { .. } => SourceError::Broken(whole()),
        UpstreamError::TooLarge { most } => SourceError::TooLarge { most: *most },
    }
}

/// What an operator can do about an address that is refused.
pub(super) fn remedy(error: &UpstreamError) -> Option<String> {
    let (UpstreamError::Unreachable(cause)
    | UpstreamError::Broken {
        source: Some(cause), ..
    }) = error
    else {
        return None;
    };
    match &**cause {
        OutboundError::Address { address, .. } => Some(listed(*address)),
        _ => None,
    }
}

/// The same of one address.
pub(super) fn listed(address: std::net::IpAddr) -> String {
    format!("list {address} or its network in allowed_private of this upstream if it may be connected to")
}
