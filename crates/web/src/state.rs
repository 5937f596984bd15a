//! What the API knows besides the store.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::shares::{Share, Shares};
use store::{Store, Timestamp};
use tokio::sync::Semaphore;

use crate::admission::{PARTS, REQUEST_TIMEOUT, SIGN_IN_TIMEOUT};
use crate::advisories::OpenImport;
use crate::affected::{Asker, Asking, EXPENSIVE_QUESTIONS, QUESTIONS};
use crate::feeds::Syncing;
use crate::gc::CollectionReport;
use crate::incidents::Incidents;
use crate::judging::Judging;
use crate::maturity::Maturing;
use crate::problem::{ApiError, Kind};
use crate::rebases::Rebasing;
use crate::road::adoption::Surveying;
use crate::session::PeerAddress;
use crate::sinks::Telling;
use crate::traffic::Watching;
use crate::upstreams::Proxying;

/// What the process says about itself, and how long it believes its own tokens.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Version of the program.
    pub version: String,
    /// Names this process, so that it can be told from another one behind the same address.
    pub instance: String,
    /// How long a token of `POST /session` lives at most; longer than [`access::token::MAX_LIFETIME_SECONDS`] is cut to
    /// that. Default 12 hours.
    pub api_token_lifetime: Duration,
    /// Requests worked on at the same time, a quarter of them for one address; one more is answered 429. Default 256.
    pub concurrent_requests: usize,
    /// Longest time until an answer begins. Default [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// Sign-ins worked on at the same time; one more is answered 429. Their bodies are read before anybody is known
    /// (16 KiB at most), so strangers have places of their own and cannot keep those out who are signed in; all other
    /// requests prove who they are first. Default 1,024.
    pub concurrent_sign_ins: usize,
    /// Longest time until a sign-in is answered. Default [`SIGN_IN_TIMEOUT`].
    pub sign_in_timeout: Duration,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            version: String::new(),
            instance: String::new(),
            api_token_lifetime: Duration::from_hours(12),
            concurrent_requests: 256,
            request_timeout: REQUEST_TIMEOUT,
            concurrent_sign_ins: 1_024,
            sign_in_timeout: SIGN_IN_TIMEOUT,
        }
    }
}

/// Everything that handlers need. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(crate) store: Store,
    pub(crate) config: Arc<WebConfig>,
    pub(crate) started_at: Timestamp,
    /// One per request that may be worked on.
    pub(crate) places: Arc<Shares<Option<IpAddr>>>,
    /// One per sign-in that may be worked on.
    pub(crate) sign_ins: Arc<Shares<Option<IpAddr>>>,
    pub(crate) collection: Arc<Mutex<Collection>>,
    /// One collection on demand at a time.
    pub(crate) collector: Arc<Semaphore>,
    /// One check at a time: it reads every byte that is stored.
    pub(crate) checker: Arc<Semaphore>,
    /// The import of advisories that is on its way.
    pub(crate) import: Arc<tokio::sync::Mutex<Option<OpenImport>>>,
    /// Who judges images; nobody where none are looked into.
    pub(crate) judging: Option<Arc<dyn Judging>>,
    pub(crate) rebasing: Option<Arc<dyn Rebasing>>,
    /// Who knows where all images stand; nobody where none are looked into.
    pub(crate) surveying: Option<Arc<dyn Surveying>>,
    /// Who fetches advisories; nobody where none are fetched.
    pub(crate) syncing: Option<Arc<dyn Syncing>>,
    /// Who tells sinks; nobody where nobody is told.
    pub(crate) telling: Option<Arc<dyn Telling>>,
    /// Who knows what goes on; nobody where no traffic is served.
    pub(crate) watching: Option<Arc<dyn Watching>>,
    /// Who pulls through other registries; nobody where none are.
    pub(crate) proxying: Option<Arc<dyn Proxying>>,
    /// Who answers questions about all images; nobody where none are looked into.
    pub(crate) asking: Option<Arc<dyn Asking>>,
    /// Who keeps incidents; nobody where no images are looked into.
    pub(crate) incidents: Option<Arc<dyn Incidents>>,
    /// Who keeps the assessment of maturity; nobody where no images are looked into.
    pub(crate) maturing: Option<Arc<dyn Maturing>>,
    /// One per question that is being answered.
    pub(crate) questions: Arc<Shares<Asker>>,
    /// One per question that costs much.
    pub(crate) expensive_questions: Arc<Shares<Asker>>,
    /// One preview at a time.
    pub(crate) previewer: Arc<Semaphore>,
    /// One per image that is not here and may be judged.
    pub(crate) judgements: Arc<Shares<Option<IpAddr>>>,
    /// One per image whose report is made, or all of whose findings are.
    pub(crate) reports: Arc<Shares<Option<IpAddr>>>,
}

/// Images whose report or findings are made at the same time, most of which wait for a thread that computes; one address may have
/// a quarter of them.
const REPORTS: usize = 16;

/// Images that are not here and are judged at the same time, each with a body of [`MAX_JUDGEMENT_BYTES`](crate::MAX_JUDGEMENT_BYTES)
/// at most; one address may have a quarter of them.
const JUDGEMENTS: usize = 8;

/// The last collection on demand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Collection {
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) report: CollectionReport,
}

/// When it is worth asking again for a place, in seconds.
const RETRY_AFTER_SECONDS: u64 = 3;

impl WebState {
    /// A place among the images whose report or findings are made for somebody at this address.
    pub(crate) fn place_for_report(
        &self,
        from: Option<PeerAddress>,
    ) -> Result<Share<Option<IpAddr>>, ApiError> {
        self.reports.take(from.map(|peer| peer.0), 1).map_err(|_| {
            let detail = "too many images are being reported about";
            ApiError::retry_after(Kind::TooMany, detail, RETRY_AFTER_SECONDS)
        })
    }

    /// A place among the images that are not here and are judged for somebody at this address.
    pub(crate) fn place_for_judgement(
        &self,
        from: Option<PeerAddress>,
    ) -> Result<Share<Option<IpAddr>>, ApiError> {
        self.judgements.take(from.map(|peer| peer.0), 1).map_err(|_| {
            let detail = "too many images are being judged for others";
            ApiError::retry_after(Kind::TooMany, detail, RETRY_AFTER_SECONDS)
        })
    }

    /// The API over a store, from now on.
    pub fn new(store: Store, config: WebConfig) -> Self {
        Self {
            started_at: store.now(),
            store,
            places: Shares::new(config.concurrent_requests, PARTS),
            sign_ins: Shares::new(config.concurrent_sign_ins, PARTS),
            config: Arc::new(config),
            collection: Arc::default(),
            collector: Arc::new(Semaphore::new(1)),
            checker: Arc::new(Semaphore::new(1)),
            import: Arc::default(),
            judging: None,
            rebasing: None,
            surveying: None,
            syncing: None,
            telling: None,
            watching: None,
            proxying: None,
            asking: None,
            incidents: None,
            maturing: None,
            questions: Shares::new(QUESTIONS, PARTS),
            expensive_questions: Shares::new(EXPENSIVE_QUESTIONS, 2),
            previewer: Arc::new(Semaphore::new(1)),
            judgements: Shares::new(JUDGEMENTS, PARTS),
            reports: Shares::new(REPORTS, PARTS),
        }
    }

    /// The same with somebody who fetches advisories.
    #[must_use]
    pub fn fed_by(self, syncing: Arc<dyn Syncing>) -> Self {
        Self {
            syncing: Some(syncing),
            ..self
        }
    }

    /// The same with somebody who tells sinks.
    #[must_use]
    pub fn told_by(self, telling: Option<Arc<dyn Telling>>) -> Self {
        Self { telling, ..self }
    }

    /// The same with somebody who knows what goes on.
    #[must_use]
    pub fn watched_by(self, watching: Arc<dyn Watching>) -> Self {
        Self {
            watching: Some(watching),
            ..self
        }
    }

    /// The same with somebody who pulls through other registries.
    #[must_use]
    pub fn proxied_by(self, proxying: Arc<dyn Proxying>) -> Self {
        Self {
            proxying: Some(proxying),
            ..self
        }
    }

    /// The same with somebody who knows all images.
    #[must_use]
    pub fn answered_by(self, asking: Option<Arc<dyn Asking>>) -> Self {
        Self { asking, ..self }
    }

    /// The same with somebody who plans rebases.
    #[must_use]
    pub fn rebased_by(self, rebasing: Option<Arc<dyn Rebasing>>) -> Self {
        Self { rebasing, ..self }
    }

    /// The same with somebody who knows where all images stand.
    #[must_use]
    pub fn surveyed_by(self, surveying: Option<Arc<dyn Surveying>>) -> Self {
        Self { surveying, ..self }
    }

    /// The same with somebody who keeps incidents.
    #[must_use]
    pub fn followed_by(self, incidents: Option<Arc<dyn Incidents>>) -> Self {
        Self { incidents, ..self }
    }

    /// The same with somebody who keeps the assessment of maturity.
    #[must_use]
    pub fn assessed_by(self, maturing: Option<Arc<dyn Maturing>>) -> Self {
        Self { maturing, ..self }
    }

    /// The same with somebody who judges images.
    #[must_use]
    pub fn judged_by(self, judging: Option<Arc<dyn Judging>>) -> Self {
        Self { judging, ..self }
    }
}
