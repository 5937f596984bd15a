//! Pulling through: what public registries have, kept here.
//!
//! A repository below the prefix of an upstream is that upstream's. What is held of it is served from memory like everything else;
//! for the rest the upstream is asked, once for all who want the same:
//!
//! 1. A **tag** is taken as it was for as long as its rule says. Then the upstream is asked what it is called now (`HEAD`), by one
//!    question for all who pull it, and nobody waits long for the answer while something is held. `pulls.rs`
//! 2. A **manifest** that is new is fetched once. An index is stored at once; the blobs of an image are fetched by the registry
//!    itself, and the image is stored when they are here, as a push is: `images.rs`.
//! 3. A **blob** comes by one request, is stored as it comes and read along by all who want it: `flights.rs`.
//! 4. A classic **repository of charts** looks like a registry of artifacts: `charts.rs`.
//! 5. An upstream that **cannot be reached** is left alone for a while (`breaker.rs`), and what is held is served with a warning. Of one
//!    that answers, only what fails is left alone (`question.rs`).
//! 6. Nobody who pulls, and no upstream, **takes it all**: `places.rs`.
//!
//! How an upstream is spoken to is behind [`Source`]. All work is done by tasks of their own, on the runtime that made the proxy:
//! a client that goes away stops nobody.

use std::sync::Arc;
use std::time::Duration;

use access::permit::Pull;
use access::{Caller, Class, Permit};
use moka::sync::Cache;
use oci::{Digest, ManifestLimits, MediaType, Reference, RepoName, Tag};
use store::{Intake, Store, StoredManifest, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::gate::Gate;

mod breaker;
mod charts;
mod coalesce;
mod condition;
#[cfg(test)]
mod dice;
mod error;
#[cfg(test)]
mod fake;
mod flights;
mod images;
mod lookalike;
mod lookers;
mod metrics;
mod places;
mod prefetch;
mod pulls;
mod question;
mod refresh;
mod resume;
mod room;
mod source;
mod spending;
mod upstreams;

pub use charts::{ChartFile, ChartFiles, ChartIndex, ChartLimits, ChartRepository, IndexError, IndexLimits};
pub(crate) use charts::{ProxiedCharts, tag_of};
pub use condition::{UpstreamCondition, UpstreamKind};
pub(crate) use error::{AskedFor, ProxyError};
pub use flights::FlightLimits;
pub(crate) use flights::{Stage, Wanted};
pub(crate) use images::Coming;
pub use images::ImageLimits;
pub use lookalike::lookalike;
pub use metrics::ProxyMetrics;
pub use prefetch::{OfUpstream, PrefetchError, Prefetched};
pub use room::{MakingRoom, NoRoom, Room, RoomHeld};
pub use source::{
    Asked, Cause, Source, SourceBlob, SourceBody, SourceBudget, SourceError, SourceHead, SourceManifest,
    SourceSpent,
};
pub(crate) use upstreams::Proxied;
pub use upstreams::{Gone, MAX_UPSTREAMS, Undecided, UpstreamConfig, UpstreamRule};

use coalesce::Coalesce;
use flights::Flights;
use images::Images;
use lookers::{Lookers, Looking};
use metrics::UpstreamCollector;
use places::{Payer, Place, Places, Words};
use pulls::QUESTIONS;
use refresh::Outcome;
use upstreams::Upstreams;

/// What pulling through is bounded by.
#[derive(Debug, Clone, Copy)]
pub struct ProxyLimits {
    /// Blobs on their way.
    pub flights: FlightLimits,
    /// Images on their way.
    pub images: ImageLimits,
    /// Longest time that a pull waits for what is not here yet, its decision included. Default 10 s.
    pub first_wait: Duration,
    /// Longest time that a pull waits for an upstream while something is held. Default 1 s.
    pub revalidate_wait: Duration,
    /// Longest time that an upstream may take for a manifest. Default 30 s.
    pub manifest_time: Duration,
    /// Manifests that upstreams are asked for at the same time, half of them for one user or robot, and of one upstream where there are
    /// several; one more is answered 429. Default 1,024.
    pub questions: usize,
    /// Clients that read along what comes in, in the same parts; one more is answered 429. Default 16,384.
    pub readers: usize,
    /// Tags that are remembered. Default 100,000.
    pub tags: u64,
    /// How long it is remembered that an upstream does not have something. Default 10 s.
    pub absent: Duration,
    /// Most names that a new one is compared with. Default 10,000.
    pub names: usize,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            flights: FlightLimits::default(),
            images: ImageLimits::default(),
            first_wait: Duration::from_secs(10),
            revalidate_wait: Duration::from_secs(1),
            manifest_time: Duration::from_secs(30),
            questions: 1_024,
            readers: 16_384,
            tags: 100_000,
            absent: Duration::from_secs(10),
            names: 10_000,
        }
    }
}

/// All that is pulled through. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Store,
    runtime: Handle,
    limits: ProxyLimits,
    manifest_limits: ManifestLimits,
    upstreams: Arc<Upstreams>,
    flights: Arc<Flights>,
    images: Arc<Images>,
    questions: Arc<Coalesce<(RepoName, Reference), Outcome>>,
    known: Cache<(RepoName, Tag), Known>,
    absent: Cache<(RepoName, Reference), ProxyError>,
    /// What those that are new are nearly called like.
    names: Cache<RepoName, Arc<[RepoName]>>,
    lookers: Lookers,
    asking: Places,
    readers: Places,
    metrics: ProxyMetrics,
}

const READERS: Words = Words {
    all: "too many clients read what is on its way from upstreams",
    upstream: "too many clients read what is on its way from this upstream",
    payer: "too many clients of this user or robot read what is on its way from upstreams",
};

/// What a tag was when its upstream was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    digest: Digest,
    checked_at: Timestamp,
    gone: bool,
}

/// Why what is served is not what the upstream has now, as far as anybody knows.
pub(crate) type Stale = String;

/// A manifest that is here, or on its way.
pub(crate) enum Found {
    /// It is here.
    Held(Arc<StoredManifest>, Option<Stale>),
    /// Its blobs are on their way.
    Coming(Arc<Coming>),
}

impl Found {
    pub(crate) fn manifest(&self) -> &Arc<StoredManifest> {
        match self {
            Self::Held(manifest, _) => manifest,
            Self::Coming(coming) => &coming.manifest,
        }
    }
}

/// What is known here of what somebody wants.
pub(crate) enum Seen {
    /// All that is needed.
    Enough(Found),
    /// What the tag was when the upstream was last asked, too long ago.
    Old(Arc<StoredManifest>),
    /// Nothing.
    Nothing,
}

/// Who pulls what through.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) proxied: Proxied,
    pub(crate) permit: Permit<Pull>,
    pub(crate) caller: Caller,
}

impl Ask {
    pub(crate) fn repo(&self) -> &RepoName {
        self.permit.repo()
    }

    /// Who is charged for what it needs.
    pub(crate) fn payer(&self) -> Payer {
        self.caller.principal_id()
    }

    /// Whether the rules of the upstream let it be pulled.
    pub(crate) fn allow(&self) -> Result<(), ProxyError> {
        if self.proxied.is_allowed() {
            return Ok(());
        }
        Err(ProxyError::NotAllowed {
            upstream: Arc::clone(&self.proxied.upstream.config.name),
            name: self.proxied.name.to_string(),
        })
    }

    pub(crate) fn intake(&self) -> Intake {
        Intake::new(&self.permit, Arc::clone(&self.proxied.upstream.config.place))
    }
}

impl Proxy {
    /// Prepares it, on the runtime of the caller. `None` where there are no upstreams. Without a `room`, the disk is all there is.
    pub fn new(
        store: Store,
        gate: Arc<dyn Gate>,
        upstreams: Vec<UpstreamConfig>,
        limits: ProxyLimits,
        manifest_limits: ManifestLimits,
        metrics: ProxyMetrics,
        room: Option<Arc<dyn Room>>,
    ) -> Option<Self> {
        if upstreams.is_empty() {
            return None;
        }
        let (runtime, upstreams) = (Handle::current(), Upstreams::new(upstreams));
        let flights = Flights::new(
            store.clone(),
            runtime.clone(),
            limits.flights,
            metrics.clone(),
            room,
            upstreams.len(),
        );
        let known = Cache::new(limits.tags);
        let images = Images::new(
            store.clone(),
            gate,
            Arc::clone(&flights),
            runtime.clone(),
            limits.images,
            known.clone(),
            upstreams.len(),
        );
        let inner = Inner {
            asking: Places::new(limits.questions, upstreams.len(), QUESTIONS),
            readers: Places::new(limits.readers, upstreams.len(), READERS),
            upstreams: Arc::new(upstreams),
            flights,
            images,
            questions: Coalesce::new(limits.questions),
            known,
            absent: Cache::builder()
                .max_capacity(limits.tags)
                .time_to_live(limits.absent)
                .build(),
            names: Cache::new(limits.tags),
            lookers: Lookers::default(),
            store,
            runtime,
            limits,
            manifest_limits,
            metrics,
        };
        let inner = Arc::new(inner);
        inner.runtime.spawn(spending::keep(Arc::downgrade(&inner)));
        Some(Self { inner })
    }

    /// Adds what upstreams are asked when somebody asks for the metrics.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        registry.register_collector(Box::new(UpstreamCollector(Arc::clone(&self.inner.upstreams))));
    }

    /// The repository of an upstream that one here is.
    pub(crate) fn of(&self, repo: &RepoName) -> Option<Proxied> {
        self.inner.upstreams.of(repo)
    }

    /// The one name here of what can be called two ways.
    pub(crate) fn canonical(&self, repo: &RepoName) -> Option<RepoName> {
        self.inner.upstreams.canonical(repo)
    }

    pub(crate) fn limits(&self) -> &ProxyLimits {
        &self.inner.limits
    }

    /// Whether an upstream is asked for this just now. Whoever began has looked for it here.
    pub(crate) fn is_asking(&self, ask: &Ask, reference: &Reference) -> bool {
        let key = (ask.repo().clone(), reference.clone());
        self.inner.questions.is_under_way(&key)
    }

    /// Whether an upstream is asked for any manifest of this repository just now.
    pub(crate) fn is_asking_in(&self, repo: &RepoName) -> bool {
        self.inner.questions.is_any_under_way(|(asked, _)| asked == repo)
    }

    /// Whether a blob is on its way, and so not here.
    pub(crate) fn is_coming(&self, ask: &Ask, digest: &Digest) -> bool {
        self.inner.flights.is_flying(ask.repo(), digest)
    }

    /// Whoever looks here for what nobody asks an upstream for yet, when all who came before have looked.
    pub(crate) async fn look_alone(&self, ask: &Ask, reference: &Reference, class: Class) -> Looking<'_> {
        let key = (ask.repo().clone(), reference.clone(), ask.payer(), class);
        self.inner.lookers.enter(key).await
    }

    /// A place to read along.
    pub(crate) fn reader(&self, ask: &Ask) -> Result<Place, ProxyError> {
        self.inner.readers.take(&ask.proxied.upstream, ask.payer(), 1)
    }

    /// The flight of a blob. `size` is what a manifest says of its length.
    pub(crate) fn board(
        &self,
        ask: &Ask,
        digest: Digest,
        size: Option<u64>,
    ) -> Result<watch::Receiver<Stage>, ProxyError> {
        if !self.is_coming(ask, &digest) {
            self.demand_writable()?;
        }
        self.inner.metrics.miss(&ask.proxied.upstream);
        self.inner.flights.board(Wanted {
            proxied: ask.proxied.clone(),
            intake: ask.intake(),
            digest,
            size,
            payer: ask.payer(),
        })
    }

    /// Fails while the registry is maintained: what is not here would come in. What is on its way already comes.
    fn demand_writable(&self) -> Result<(), ProxyError> {
        let store = &self.inner.store;
        match store.maintenance() {
            None => Ok(()),
            Some(maintenance) => Err(ProxyError::ReadOnly {
                reason: maintenance.reason.clone(),
                retry_after: maintenance.retry_after(store.now()),
            }),
        }
    }

    /// An image on its way that has the blob, or one that did not arrive a moment ago.
    pub(crate) fn naming(&self, repo: &RepoName, blob: &Digest) -> Option<(Arc<Coming>, u64)> {
        self.inner.images.naming(repo, blob)
    }

    /// What a repository is nearly called like, if that was noticed: the first such name that whoever asks may see.
    pub(crate) fn looks_like(
        &self,
        repo: &RepoName,
        may_see: impl Fn(&RepoName) -> bool,
    ) -> Option<RepoName> {
        let like = self.inner.names.get(repo)?;
        like.iter().find(|name| may_see(name)).cloned()
    }

    /// Somebody has deleted this here: it is to be asked for anew.
    pub(crate) fn forget(&self, repo: &RepoName, reference: &Reference) {
        if let Reference::Tag(tag) = reference {
            self.inner.known.invalidate(&(repo.clone(), tag.clone()));
        }
    }
}

/// The content type that a manifest came with, if it is one of manifests: what else is said of it says nothing.
fn manifest_type(text: Option<&str>) -> Option<MediaType> {
    let essence = text?.split(';').next()?.trim();
    let is_one = oci::media_type::MANIFESTS.contains(&essence);
    essence.parse().ok().filter(|_| is_one)
}

#[cfg(test)]
mod tests;
