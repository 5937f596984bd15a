//! What the API knows besides the store.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{GcReport, Store, Timestamp};
use tokio::sync::Semaphore;

/// What the process says about itself.
#[derive(Debug, Clone)]
pub struct SystemInfo {
    /// Version of the program.
    pub version: &'static str,
    /// Names this process, so that it can be told from another one behind the same address.
    pub instance: Arc<str>,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether pushes are refused for now.
    pub read_only: Arc<AtomicBool>,
}

/// Everything that handlers need. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    pub(crate) store: Store,
    pub(crate) info: SystemInfo,
    pub(crate) token_lifetime: Duration,
    pub(crate) collection: Arc<Mutex<Collection>>,
    /// One collection on demand at a time.
    pub(crate) collector: Arc<Semaphore>,
    /// One check at a time: it reads every byte that is stored.
    pub(crate) checker: Arc<Semaphore>,
}

/// The last collection on demand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Collection {
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) report: GcReport,
}

impl WebState {
    /// `token_lifetime` is how long a token of `POST /session` lives at most; longer than
    /// [`access::token::MAX_LIFETIME_SECONDS`] is cut to it.
    pub fn new(store: Store, info: SystemInfo, token_lifetime: Duration) -> Self {
        Self {
            store,
            info,
            token_lifetime,
            collection: Arc::default(),
            collector: Arc::new(Semaphore::new(1)),
            checker: Arc::new(Semaphore::new(1)),
        }
    }
}
