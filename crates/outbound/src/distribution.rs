//! The client's side of the OCI distribution protocol: what a proxy asks an upstream registry for, and what a copy pushes.
//!
//! The registry at the other end may be hostile, broken or gone. So an [`Upstream`]
//!
//! - sends credentials to its own origin, to the token services that are listed for it, and to nobody else; a token service
//!   that it names and nobody listed gets no request at all (`tokens.rs`);
//! - follows few redirects, each through the address guard, never from `https` to `http`, and without credentials once they
//!   lead elsewhere (`ask.rs`);
//! - hands out bytes as they came: nothing is unpacked on the way;
//! - asks each question once. Who wants to try again does so: a proxy has what it holds, a person has patience;
//! - asks no more than its [`Budget`] allows, and nothing of a kind that was answered 429 before `Retry-After` is over, or a few
//!   seconds where that is not said.
//!
//! Read first: `ask.rs` (one question with its challenge and redirects), then `tokens.rs`.

mod ask;
mod blob;
mod body;
mod budget;
mod challenge;
mod docker_hub;
mod error;
mod files;
mod hosts;
mod issued;
mod lists;
mod login;
mod manifest;
mod pages;
mod pause;
mod probe;
mod push;
mod settings;
mod tokens;
mod view;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use reqwest::Url;

pub use blob::UpstreamBlob;
pub use body::UpstreamBody;
pub use budget::{Budget, BudgetLeft, Spending, Spent};
pub use docker_hub::{DOCKER_HUB, DOCKER_IO, on_docker_hub, usual_realms};
pub use error::UpstreamError;
pub use files::{UpstreamFile, WantedFile};
pub use login::UpstreamLogin;
pub use manifest::{ManifestHead, UpstreamManifest};
pub use probe::{Probe, ProbeError, ProbeStep, Probed};
pub use push::StreamError;
pub use settings::UpstreamSettings;
pub use view::View;

use crate::{Client, OutboundError};
use budget::Ledger;
use hosts::Hosts;
use pause::Pauses;
use tokens::Tokens;

/// Longer than anything takes.
const NO_DEADLINE: Duration = Duration::from_hours(24 * 7);

/// An upstream registry. Cheap to clone; all clones share connections, tokens and budget.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    url: Url,
    /// `host[:port]`, for messages.
    host: String,
    login: Option<UpstreamLogin>,
    /// The value of `ns=`, for a registry that has what other registries have.
    namespace: Option<String>,
    /// What goes along with each request to its own origin.
    marks: HeaderMap,
    realm_hosts: Arc<Hosts>,
    blob_hosts: Arc<Hosts>,
    /// `None`: without limits nothing is counted.
    ledger: Option<Arc<Mutex<Ledger>>>,
    pauses: Arc<Pauses>,
    tokens: Tokens,
    /// Whether it wants user and password with each request, as far as is known.
    wants_basic: AtomicBool,
    /// When its own host last answered, whatever it said.
    heard: Arc<Mutex<Option<Instant>>>,
    first_byte: Duration,
    idle: Duration,
    clock: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Upstream {
    /// Makes one. Does not connect to anything. `clock` is what budgets, pauses and tokens end by, such as `Instant::now`;
    /// deadlines go by tokio's time.
    ///
    /// # Errors
    /// [`OutboundError::Url`]: the URL is more or less than scheme, host and port, or a listed host is none;
    /// [`OutboundError::Authority`], [`OutboundError::Setup`] as for [`Client::new`].
    pub fn new(
        settings: UpstreamSettings,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Result<Self, OutboundError> {
        settings::check(&settings.url)?;
        let mut client = settings.client;
        // Both deadlines are kept here: the client's own one would count while nobody reads, and while something is pushed.
        client.idle_timeout = NO_DEADLINE;
        Ok(Self {
            inner: Arc::new(Inner {
                client: Client::new(client)?,
                host: hosts::authority(&settings.url),
                url: settings.url,
                login: settings.login,
                namespace: None,
                marks: HeaderMap::new(),
                realm_hosts: Arc::new(Hosts::parse(&settings.realm_hosts)?),
                blob_hosts: Arc::new(Hosts::parse(&settings.blob_hosts)?),
                ledger: Ledger::of(settings.budget).map(|ledger| Arc::new(Mutex::new(ledger))),
                pauses: Arc::default(),
                tokens: Tokens::default(),
                wants_basic: AtomicBool::new(false),
                heard: Arc::default(),
                first_byte: settings.first_byte,
                idle: settings.idle,
                clock: Arc::new(clock),
            }),
        })
    }

    /// Whether its own host has answered since then, whatever it said: what failed meanwhile says nothing of the whole of it. `moment`
    /// is one of the clock that it was made with.
    pub fn heard_since(&self, moment: Instant) -> bool {
        let heard = self.inner.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|heard| heard >= moment)
    }

    fn hear(&self) {
        let now = self.now();
        *self.inner.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether it may send us to a URL: its own origin may, and what is listed for it, or whatever the guard lets through where nothing
    /// is listed.
    pub fn may_send_to(&self, url: &Url) -> bool {
        self.is_own(url) || self.inner.blob_hosts.is_empty() || self.inner.blob_hosts.has(url)
    }

    /// What may still be asked for within this hour.
    pub fn budget_left(&self) -> BudgetLeft {
        match &self.inner.ledger {
            None => BudgetLeft::default(),
            Some(ledger) => ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .left(self.now()),
        }
    }

    /// Notes a request, or says that there must be none now.
    fn spend_request(&self) -> Result<(), UpstreamError> {
        let Some(ledger) = &self.inner.ledger else {
            return Ok(());
        };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger
            .request(self.now())
            .map_err(|(what, retry_after)| UpstreamError::OverBudget { retry_after, what })
    }

    /// What was spent of the budget within the last hour, by minute, the oldest first. Nothing where there is no budget.
    pub fn spent(&self) -> Vec<Spent> {
        let Some(ledger) = &self.inner.ledger else {
            return Vec::new();
        };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.lately(self.now())
    }

    /// Counts what was spent before this one was made, as [`Upstream::spent`] said it.
    pub fn recall(&self, spent: &[Spent]) {
        if let Some(ledger) = &self.inner.ledger {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.recall(self.now(), spent);
        }
    }

    /// Sets bytes aside for a body that is about to come, or says that they must not come now.
    fn promise_bytes(&self, bytes: u64, goes_on: bool) -> Result<(), UpstreamError> {
        let Some(ledger) = &self.inner.ledger else {
            return Ok(());
        };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = ledger.promise(self.now(), bytes, goes_on);
        promised.map_err(|retry_after| UpstreamError::OverBudget {
            retry_after,
            what: Spending::Bytes,
        })
    }

    /// Bytes that were set aside have come, or do not.
    fn redeem_bytes(&self, bytes: u64) {
        if let Some(ledger) = &self.inner.ledger {
            ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .redeem(bytes);
        }
    }

    fn spend_bytes(&self, bytes: usize) {
        if let Some(ledger) = &self.inner.ledger {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.bytes(self.now(), bytes as u64);
        }
    }

    fn now(&self) -> Instant {
        (self.inner.clock)()
    }

    /// It lied, or spoke nonsense.
    fn broken(&self, offence: impl Into<String>) -> UpstreamError {
        UpstreamError::Broken {
            host: self.inner.host.clone(),
            offence: offence.into(),
            source: None,
        }
    }

    fn denied(&self, reason: impl Into<String>) -> UpstreamError {
        UpstreamError::Denied {
            host: self.inner.host.clone(),
            reason: reason.into(),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.inner.host)
    }
}
