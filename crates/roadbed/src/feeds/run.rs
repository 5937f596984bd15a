//! What one sync does: sources are fetched beside each other, and what came of them is taken in.
//!
//! KEV, EPSS and the ecosystems of OSV wait for one another in no way: each source has a deadline of its own, and what came is
//! taken in after a short while, whoever is still being asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Actor, FeedHold, FeedState, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use web::wire::{SourceOutcome, SyncReport};

use super::error::FeedError;
use super::fetcher::{Accepts, Fetcher};
use super::losses::Losses;
use super::osv::{self, Ecosystem};
use super::source::{Kind, Source};
use super::staged::{Fetched, Staged};
use super::sync::Inner;
use super::take_in::{TakenIn, take_in};
use super::{catalogue, status};

/// Documents that were not taken and are named; more are only counted.
const REFUSALS: usize = 20;

/// Why a source was not even asked, or what came of it.
struct Came {
    source: Source,
    result: Result<Fetched, Failure>,
}

/// Why a source brought nothing.
#[derive(Clone)]
pub(super) struct Failure {
    text: String,
    retry_after: Option<Duration>,
    held: Option<FeedHold>,
}

impl Failure {
    pub(super) fn of(error: &FeedError) -> Self {
        Self {
            text: error.with_remedy(),
            retry_after: match error {
                FeedError::Outbound(error) => error.retry_after(),
                _ => None,
            },
            held: error.hold(),
        }
    }
}

/// What fetching a source needs. Cheap to clone.
#[derive(Clone)]
struct Fetching {
    inner: Arc<Inner>,
    fetcher: Fetcher,
    states: Arc<HashMap<String, FeedState>>,
    /// Hosts that cannot be asked, and why.
    down: Arc<Mutex<HashMap<String, Failure>>>,
}

/// What a sync has gathered so far.
pub(super) struct Run {
    inner: Arc<Inner>,
    states: Arc<HashMap<String, FeedState>>,
    accepts: Accepts,
    pub(super) report: SyncReport,
    staged: Vec<Staged>,
}

impl Fetching {
    /// Fetches sources, so many at the same time, and tells what came of each.
    async fn lane(self, mut sources: VecDeque<Source>, at_once: usize, came: mpsc::Sender<Came>) {
        let mut running = JoinSet::new();
        loop {
            while running.len() < at_once
                && let Some(source) = sources.pop_front()
            {
                running.spawn(self.clone().one(source));
            }
            let Some(done) = running.join_next().await else {
                return;
            };
            if let Ok(one) = done
                && came.send(one).await.is_err()
            {
                // Nobody waits for it any more.
                return;
            }
        }
    }

    async fn one(self, source: Source) -> Came {
        let host = source.url.origin().ascii_serialization();
        let is_down = self.lock_down().get(&host).cloned();
        let result = match is_down {
            Some(failure) => Err(failure),
            None => self.ask(&source).await.map_err(|error| {
                let failure = Failure::of(&error);
                if error.is_of_host(source.url.host_str().unwrap_or_default()) {
                    self.lock_down().insert(host, failure.clone());
                }
                failure
            }),
        };
        Came { source, result }
    }

    fn lock_down(&self) -> std::sync::MutexGuard<'_, HashMap<String, Failure>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, source: &Source) -> Result<Fetched, FeedError> {
        self.fetcher.begins(source.name());
        let known = state_in(&self.states, source);
        if known.held == Some(FeedHold::Unreadable) && !self.fetcher.accepts.unreadable {
            return Err(FeedError::Unreadable(source.name().to_owned()));
        }
        let store = &self.inner.store;
        let limit = self.inner.config.source_timeout.0;
        let fetched = async {
            match &source.kind {
                Kind::Kev | Kind::Epss => catalogue::fetch(&self.fetcher, store, source, &known).await,
                Kind::Osv(_) => {
                    let ecosystem = Ecosystem {
                        fetcher: &self.fetcher,
                        store,
                        source,
                        all: &self.inner.sources,
                    };
                    ecosystem.fetch(&known).await
                }
            }
        };
        timeout(limit, fetched).await.unwrap_or_else(|_| {
            let url = source.url.to_string();
            Err(FeedError::Deadline { url, limit })
        })
    }
}

impl Run {
    pub(super) fn new(inner: Arc<Inner>, states: Vec<FeedState>, accepts: Accepts) -> Self {
        let states = states.into_iter().map(|state| (state.source.clone(), state));
        Self {
            states: Arc::new(states.collect()),
            accepts,
            report: SyncReport::default(),
            staged: Vec::new(),
            inner,
        }
    }

    /// Fetches sources and takes in what comes. Fails only where the store does.
    pub(super) async fn fetch(
        &mut self,
        fetcher: &Fetcher,
        sources: &[Source],
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let fetching = Fetching {
            inner: Arc::clone(&self.inner),
            fetcher: fetcher.clone(),
            states: Arc::clone(&self.states),
            down: Arc::default(),
        };
        let (sender, mut came) = mpsc::channel(1);
        // Ended with this.
        let mut lanes = JoinSet::new();
        let (of_osv, catalogues): (Vec<Source>, Vec<Source>) = sources
            .iter()
            .cloned()
            .partition(|source| matches!(source.kind, Kind::Osv(_)));
        let at_once = self.inner.config.concurrent_sources;
        for (lane, at_once) in [(catalogues, 2), (of_osv, at_once)] {
            lanes.spawn(fetching.clone().lane(lane.into(), at_once, sender.clone()));
        }
        drop((sender, fetching));
        while let Some(one) = came.recv().await {
            self.note(fetcher, one).await?;
            if self.staged.is_empty() {
                continue;
            }
            // What comes soon after it makes the same generation.
            let until = Instant::now() + self.inner.config.gather.0;
            while let Ok(Some(one)) = timeout_at(until, came.recv()).await {
                self.note(fetcher, one).await?;
            }
            self.take_in(fetcher, actor).await?;
        }
        Ok(())
    }

    async fn note(&mut self, fetcher: &Fetcher, Came { source, result }: Came) -> Result<(), StoreError> {
        fetcher.ends();
        match result {
            Ok(Fetched::Unchanged) => self.succeed(&source, None, 0).await,
            Ok(Fetched::New(staged)) => {
                self.note_refusals(&staged.refused);
                self.staged.push(*staged);
                Ok(())
            }
            Err(failure) => self.fail(&source, failure).await,
        }
    }

    /// Takes in what came.
    async fn take_in(&mut self, fetcher: &Fetcher, actor: &Actor) -> Result<(), StoreError> {
        let (nothing, something): (Vec<Staged>, Vec<Staged>) = std::mem::take(&mut self.staged)
            .into_iter()
            .partition(Staged::is_empty);
        for staged in nothing {
            self.succeed(&staged.source.clone(), Some(staged), 0).await?;
        }
        if something.is_empty() {
            return Ok(());
        }
        // Two syncs of other sources may be under way.
        let inner = Arc::clone(&self.inner);
        let _turn = inner.importing.lock().await;
        self.import(fetcher, something, actor).await
    }

    async fn import(
        &mut self,
        fetcher: &Fetcher,
        staged: Vec<Staged>,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let store = self.inner.store.clone();
        let judging = self.inner.judging.clone();
        match take_in(&store, fetcher, &staged, judging.as_deref(), actor).await {
            Ok(TakenIn { summary, changed }) => {
                self.report.generation = summary.generation.or(self.report.generation);
                self.report.refused += summary.refused;
                self.report.older += summary.older;
                self.note_names(summary.refusals);
                for (staged, changed) in staged.into_iter().zip(changed) {
                    if let Some((path, _)) = &staged.archive {
                        osv::remove_archive(path).await;
                    }
                    self.succeed(&staged.source.clone(), Some(staged), changed)
                        .await?;
                }
                Ok(())
            }
            // What is wrong with one must not keep out the others.
            Err(error) if staged.len() > 1 && !is_busy(&error) => {
                for one in staged {
                    Box::pin(self.import(fetcher, vec![one], actor)).await?;
                }
                Ok(())
            }
            Err(error) => {
                for staged in &staged {
                    self.fail(&staged.source, Failure::of(&error)).await?;
                }
                Ok(())
            }
        }
    }

    fn note_refusals(&mut self, refusals: &[String]) {
        self.report.refused += refusals.len() as u64;
        self.note_names(refusals.to_vec());
    }

    fn note_names(&mut self, refusals: Vec<String>) {
        let room = REFUSALS.saturating_sub(self.report.refusals.len());
        self.report.refusals.extend(refusals.into_iter().take(room));
    }

    /// Keeps that a source was reached; `staged`: with something that was not known.
    async fn succeed(
        &mut self,
        source: &Source,
        staged: Option<Staged>,
        changed: u64,
    ) -> Result<(), StoreError> {
        let now = self.inner.store.now();
        let mut state = state_in(&self.states, source);
        let (mut list, mut gone) = (None, 0);
        if let Some(staged) = staged {
            state.url = source.url.to_string();
            state.etag = staged.validators.etag;
            state.last_modified = staged.validators.last_modified;
            state.covers = staged.covers;
            gone = staged.gone.len() as u64;
            list = Some(staged.list);
            let losses = if self.accepts.removals {
                Losses::none(now)
            } else {
                Losses::of(&state, now).with(usize::try_from(staged.lost).unwrap_or(usize::MAX))
            };
            (state.lost, state.lost_since) = (losses.ids, losses.since);
        }
        if changed > 0 {
            state.changed_at = Some(now);
            state.generation = self.report.generation.unwrap_or(state.generation);
        }
        state.tried_at = now;
        state.succeeded_at = Some(now);
        state.next_at = now.plus(status::after_success(self.inner.config.interval.0));
        state.failures = 0;
        state.error = None;
        state.held = None;
        self.report.sources.push(SourceOutcome {
            source: source.name().to_owned(),
            changed,
            gone,
            ..SourceOutcome::default()
        });
        self.inner.store.set_feed(state, list).await
    }

    /// Keeps that a source failed. What is known of it stays.
    pub(super) async fn fail(
        &mut self,
        source: &Source,
        Failure {
            text,
            retry_after,
            held,
        }: Failure,
    ) -> Result<(), StoreError> {
        let now = self.inner.store.now();
        let mut state = state_in(&self.states, source);
        state.failures += 1;
        state.tried_at = now;
        let interval = self.inner.config.interval.0;
        // What waits for a person is not fetched again and again meanwhile.
        let pause = match held {
            Some(_) => status::after_success(interval),
            None => status::after_failure(interval, state.failures),
        };
        state.next_at = now.plus(pause.max(retry_after.unwrap_or_default()));
        state.error = Some(text.clone());
        state.held.clone_from(&held);
        self.report.sources.push(SourceOutcome {
            source: source.name().to_owned(),
            error: Some(text),
            held,
            ..SourceOutcome::default()
        });
        self.inner.store.set_feed(state, None).await
    }
}

fn state_in(states: &HashMap<String, FeedState>, source: &Source) -> FeedState {
    let known = states.get(source.name()).cloned();
    known.unwrap_or_else(|| FeedState {
        source: source.name().to_owned(),
        ..FeedState::default()
    })
}

fn is_busy(error: &FeedError) -> bool {
    matches!(
        error,
        FeedError::Ended
            | FeedError::Store(
                StoreError::ImportRunning
                    | StoreError::Busy
                    | StoreError::Closed
                    | StoreError::DiskFull
                    | StoreError::Away
                    | StoreError::Unwritable
            )
    )
}
