//! Other mirrors, asked before the centre for what has a digest.
//!
//! Peers know each other by certificates of one authority, and ask each other for digests alone: what a tag is, only the centre
//! says. Whoever asks compares with the digest, so a peer can withhold and delay, and nothing else. One that does not answer is left
//! alone for a while, one that sends something else for long. A peer that is asked answers from what it holds and asks nobody
//! (`listener.rs`), so no question goes in a circle.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue};
use oci::{Digest, Reference, RepoName};
use outbound::distribution::{Budget, Upstream, UpstreamError, UpstreamSettings};
use outbound::{AddressGuard, Settings, Url};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry as Metrics;
use registry::proxy::{SourceBlob, SourceManifest};

use super::centre::MARK;
use super::spaces::Space;
use crate::config::mirror::PeerName;

pub(super) mod listener;
mod peer;
mod srv;

use peer::{Peer, checked};
use srv::NameServers;

/// Peers that are asked for one thing, those first that are asked for it by everybody.
const ASKED: usize = 8;

/// Addresses of all names together.
const MOST: usize = 256;

/// How long what a name resolved to is believed.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// How long resolving one may take.
const RESOLVE_WAIT: Duration = Duration::from_secs(1);

/// Longest silence of a peer in the middle of a blob.
const IDLE: Duration = Duration::from_secs(5);

/// What peers are asked with.
pub(super) struct PeerSettings {
    pub(super) names: Vec<PeerName>,
    /// The name in all their certificates; `None`: the host as it is listed.
    pub(super) server_name: Option<String>,
    /// PEM.
    pub(super) authority: Vec<u8>,
    /// Chain and key, PEM.
    pub(super) identity: Vec<u8>,
    pub(super) wait: Duration,
    /// Names this mirror.
    pub(super) instance: String,
}

/// All peers.
pub(super) struct Peers {
    settings: PeerSettings,
    known: Mutex<Known>,
    counts: Counts,
}

#[derive(Default)]
struct Known {
    peers: HashMap<SocketAddr, Arc<Peer>>,
    resolved_at: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    hits: Counter,
    misses: Counter,
    pub(super) lies: Counter,
}

impl Peers {
    /// Prepares to ask. Does not connect to anything.
    pub(super) fn new(settings: PeerSettings, metrics: &mut Metrics) -> anyhow::Result<Self> {
        let counts = Counts::default();
        for (name, help, counter) in [
            (
                "mirror_peer_hits",
                "Manifests and blobs that came from a peer",
                &counts.hits,
            ),
            (
                "mirror_peer_misses",
                "Questions that no peer could answer",
                &counts.misses,
            ),
            (
                "mirror_peer_lies",
                "Answers of peers that were not what was asked for",
                &counts.lies,
            ),
        ] {
            metrics.register(name, help, counter.clone());
        }
        let peers = Self {
            settings,
            known: Mutex::default(),
            counts,
        };
        // What cannot be made at all is to be told at the start.
        peers.make("localhost", SocketAddr::from(([127, 0, 0, 1], 1)))?;
        Ok(peers)
    }

    /// A manifest, where a peer has it.
    pub(super) async fn manifest(
        &self,
        space: &Space,
        there: &RepoName,
        digest: &Digest,
        most: usize,
    ) -> Option<SourceManifest> {
        let reference = Reference::Digest(*digest);
        let (_, manifest) = self
            .first(digest, |peer| {
                let reference = &reference;
                async move { peer.upstream(space).manifest(there, reference, most).await }
            })
            .await?;
        Some(SourceManifest {
            bytes: manifest.bytes,
            media_type: manifest.media_type,
            digest: manifest.digest,
        })
    }

    /// A blob, where a peer has it.
    pub(super) async fn blob(
        &self,
        space: &Space,
        there: &RepoName,
        digest: &Digest,
        from: u64,
    ) -> Option<SourceBlob> {
        let (peer, blob) = self
            .first(digest, |peer| async move {
                peer.upstream(space).blob(there, digest, from).await
            })
            .await?;
        Some(SourceBlob {
            size: blob.size,
            from: blob.from,
            body: checked(blob, *digest, peer, self.counts.clone()),
        })
    }

    /// What the first peer answers that has it.
    async fn first<T, F>(&self, digest: &Digest, ask: impl Fn(Arc<Peer>) -> F) -> Option<(Arc<Peer>, T)>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let peers = self.asked_for(digest).await;
        if peers.is_empty() {
            return None;
        }
        let wait = self.settings.wait;
        let mut asked: FuturesUnordered<_> = peers
            .into_iter()
            .map(|peer| {
                let asked = ask(Arc::clone(&peer));
                async move { (peer, tokio::time::timeout(wait, asked).await) }
            })
            .collect();
        while let Some((peer, answer)) = asked.next().await {
            match answer {
                Ok(Ok(found)) => {
                    peer.answered();
                    self.counts.hits.inc();
                    return Some((peer, found));
                }
                Ok(Err(error)) => peer.failed(&error, &self.counts),
                Err(_) => peer.silent(),
            }
        }
        self.counts.misses.inc();
        None
    }

    /// Those that may be asked now, in an order that is the same for everybody who looks for this digest.
    async fn asked_for(&self, digest: &Digest) -> Vec<Arc<Peer>> {
        self.resolve().await;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut peers: Vec<_> = known
            .peers
            .values()
            .filter(|peer| peer.may_be_asked(now))
            .map(|peer| (rank(digest, &peer.address), Arc::clone(peer)))
            .collect();
        drop(known);
        peers.sort_by_key(|(rank, _)| *rank);
        peers.into_iter().take(ASKED).map(|(_, peer)| peer).collect()
    }

    /// Looks where the names lead, from time to time; what cannot be resolved now stays as it was.
    async fn resolve(&self) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.resolved_at.is_some_and(|at| at.elapsed() < RESOLVED_FOR) {
                return;
            }
            // One looks for all.
            known.resolved_at = Some(Instant::now());
        }
        let mut found = Vec::new();
        let mut is_whole = true;
        for name in &self.settings.names {
            match tokio::time::timeout(RESOLVE_WAIT, addresses(name)).await {
                Ok(Ok(addresses)) => found.extend(addresses),
                Ok(Err(error)) => {
                    is_whole = false;
                    tracing::debug!(peers = %name, %error, "the name of peers could not be resolved");
                }
                Err(_) => {
                    is_whole = false;
                    tracing::debug!(peers = %name, "the name of peers could not be resolved in time");
                }
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if is_whole {
            known
                .peers
                .retain(|address, _| found.iter().any(|(_, here)| here == address));
        }
        for (host, address) in found {
            if known.peers.contains_key(&address) || known.peers.len() >= MOST {
                continue;
            }
            match self.make(&host, address) {
                Ok(peer) => drop(known.peers.insert(address, Arc::new(peer))),
                Err(error) => tracing::warn!(%address, %error, "a peer cannot be asked"),
            }
        }
    }

    fn make(&self, host: &str, address: SocketAddr) -> anyhow::Result<Peer> {
        let settings = &self.settings;
        let host = settings.server_name.as_deref().unwrap_or(host);
        let mut marks = HeaderMap::new();
        marks.insert(MARK.clone(), HeaderValue::try_from(&settings.instance)?);
        let upstream = Upstream::new(
            UpstreamSettings {
                url: Url::parse(&format!("https://{host}:{}", address.port()))?,
                login: None,
                realm_hosts: Vec::new(),
                blob_hosts: Vec::new(),
                budget: Budget::default(),
                client: Settings {
                    guard: AddressGuard::with_listed(|_| true),
                    authorities: vec![settings.authority.clone()],
                    only_authorities: true,
                    identity: Some(settings.identity.clone()),
                    pinned: Some(pinned(address)),
                    connect_timeout: settings.wait,
                    total_timeout: settings.wait,
                    redirects: 0,
                    ..Settings::default()
                },
                first_byte: settings.wait,
                idle: IDLE,
            },
            Instant::now,
        )?;
        Ok(Peer::new(address, upstream, marks))
    }
}

/// Where peers of a name are, each with the name of its host: those of its addresses, or of its SRV records where no port is said.
async fn addresses(name: &PeerName) -> std::io::Result<Vec<(String, SocketAddr)>> {
    let Some(port) = name.port else {
        let mut found = Vec::new();
        for target in NameServers::of_system().await?.targets(&name.host).await? {
            found.extend(of_host(&target.host, target.port).await?);
        }
        return Ok(found);
    };
    of_host(&name.host, port).await
}

async fn of_host(host: &str, port: u16) -> std::io::Result<Vec<(String, SocketAddr)>> {
    let addresses = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await?;
    Ok(addresses.map(|address| (host.to_owned(), address)).collect())
}

fn pinned(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// Peers in an order of each digest's own, so that all ask the same few.
fn rank(digest: &Digest, address: &SocketAddr) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (digest, address).hash(&mut hasher);
    hasher.finish()
}
