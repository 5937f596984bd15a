//! The registry that is mirrored, as it is asked: in one of its namespaces, with somebody's credentials, and not at all while it does
//! not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;
use oci::RepoName;
use outbound::OutboundError;
use outbound::distribution::{Upstream, UpstreamError, View};
use thiserror::Error;

use super::reach::{Away, Reach};
use super::spaces::Space;
use super::who::{Fingerprint, Who};

/// Says that a mirror asks, and which one.
pub(super) static MARK: HeaderName = HeaderName::from_static("roadbed-mirror");

/// Clients for which a way to ask is kept, with the tokens that they got.
const VIEWS: u64 = 4_096;

/// How long one is kept that nobody uses.
const VIEW_TIME: Duration = Duration::from_hours(1);

/// How often it is looked whether the centre is to be asked just to know whether it answers.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// How long nobody need have heard of it.
const QUIET: Duration = Duration::from_secs(30);

/// Why the centre did not bring what it was asked for.
#[derive(Debug, Clone, Error)]
pub(super) enum CentreError {
    /// It does not answer, or did not a moment ago.
    #[error("the registry {host} that this mirror stands before cannot be reached: {why}")]
    Away {
        /// Which.
        host: String,
        /// Why.
        why: String,
    },
    /// It said so.
    #[error(transparent)]
    Said(UpstreamError),
}

/// Somebody as whom the centre is asked.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) who: Fingerprint,
    pub(super) upstream: Upstream,
}

/// The centre.
pub(super) struct Centre {
    base: Upstream,
    host: String,
    marks: HeaderMap,
    itself: Who,
    reach: Reach,
    views: Cache<(Fingerprint, Option<String>), Upstream>,
    /// By repository here, whose credentials the centre took last.
    taken: Cache<RepoName, Asker>,
}

impl Centre {
    /// `itself` is whom it is asked as where nobody's credentials are known to be good; `instance` names this mirror.
    pub(super) fn new(base: Upstream, host: String, itself: Who, instance: &str, kept: Duration) -> Self {
        let mut marks = HeaderMap::new();
        if let Ok(instance) = HeaderValue::try_from(instance) {
            marks.insert(MARK.clone(), instance);
        }
        Self {
            base,
            host,
            marks,
            itself,
            reach: Reach::default(),
            views: Cache::builder()
                .max_capacity(VIEWS)
                .time_to_idle(VIEW_TIME)
                .build(),
            taken: Cache::builder().max_capacity(VIEWS).time_to_live(kept).build(),
        }
    }

    /// Host and port, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Since when it does not answer, and why.
    pub(super) fn away(&self) -> Option<Away> {
        self.reach.away()
    }

    /// Somebody asks in a namespace.
    pub(super) fn asker(&self, who: &Who, space: &Space) -> Asker {
        let key = (who.fingerprint, space.asked_as.clone());
        let upstream = self.views.get_with(key, || {
            self.base.view(View {
                login: who.login.clone(),
                namespace: space.asked_as.clone(),
                marks: self.marks.clone(),
            })
        });
        Asker {
            who: who.fingerprint,
            upstream,
        }
    }

    /// The one whose credentials the centre took last for a repository here, else the mirror itself.
    pub(super) fn asker_for(&self, space: &Space, local: &RepoName) -> Asker {
        let taken = self.taken.get(local);
        taken.unwrap_or_else(|| self.asker(&self.itself, space))
    }

    /// The centre takes these credentials for a repository here: what it has of it may be fetched with them.
    pub(super) fn takes(&self, local: &RepoName, asker: &Asker) {
        let is_known = self.taken.get(local).is_some_and(|taken| taken.who == asker.who);
        if !is_known {
            self.taken.insert(local.clone(), asker.clone());
        }
    }

    /// Whether anybody's are known to be taken.
    pub(super) fn has_taken(&self, local: &RepoName) -> bool {
        self.taken.contains_key(local)
    }

    /// It does not take them any more.
    pub(super) fn refuses(&self, local: &RepoName, who: Fingerprint) {
        if self.taken.get(local).is_some_and(|taken| taken.who == who) {
            self.taken.invalidate(local);
        }
    }

    /// Asks, unless it did not answer a moment ago.
    pub(super) async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, CentreError> {
        self.reach
            .admit(Instant::now())
            .map_err(|away| self.away_since(&away))?;
        self.heard(asked.await)
    }

    /// What an answer, or none, says of it.
    fn heard<T>(&self, answer: Result<T, UpstreamError>) -> Result<T, CentreError> {
        match answer {
            // A server that cannot answer now is one that is there.
            Err(UpstreamError::Unreachable(source)) if !matches!(&*source, OutboundError::Busy { .. }) => {
                let why = format!("{:#}", anyhow::Error::new(Arc::clone(&source)));
                if self.reach.failed(Instant::now(), why.clone()) {
                    tracing::warn!(
                        centre = self.host,
                        why,
                        "the centre does not answer: what is held is served"
                    );
                }
                Err(CentreError::Away {
                    host: self.host.clone(),
                    why,
                })
            }
            answer => {
                if self.reach.answered(Instant::now()) {
                    tracing::info!(centre = self.host, "the centre answers again");
                }
                answer.map_err(CentreError::Said)
            }
        }
    }

    fn away_since(&self, away: &Away) -> CentreError {
        CentreError::Away {
            host: self.host.clone(),
            why: format!("{} (for {} s)", away.why, away.since.elapsed().as_secs()),
        }
    }

    /// Looks from time to time whether it answers, so that no pull has to find out. Never ends.
    pub(super) async fn watch(self: Arc<Self>) {
        let anonymous = self.base.view(View {
            marks: self.marks.clone(),
            ..View::default()
        });
        loop {
            if self.reach.is_due(Instant::now(), QUIET) {
                let answer = self.heard(anonymous.ping().await);
                if let Err(CentreError::Said(error @ UpstreamError::Circle { .. })) = answer {
                    tracing::error!(%error, "mirror.centre names this mirror, or one that asks this one: name the registry");
                }
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }
}

/// An error with its causes, because nobody else writes them down.
pub(super) fn whole(error: &UpstreamError) -> String {
    format!("{:#}", anyhow::Error::new(error.clone()))
}
