//! One sync: every source that is wanted, one after the other, and then all that came.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Actor, FeedState, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use web::wire::{SourceOutcome, SyncProgress, SyncReport, SyncRequest};
use web::{RunningSync, SourcesAsked, SyncRefused, Syncing};

use super::error::FeedError;
use super::fetcher::Fetcher;
use super::osv::{self, Ecosystem};
use super::source::{Kind, Source};
use super::staged::{Fetched, Staged};
use super::take_in::{TakenIn, take_in};
use super::{catalogue, status};
use crate::config;

/// Where archives lie below the data directory while they come.
const DIRECTORY: &str = "feeds";

/// Documents that were not taken and are named; more are only counted.
const REFUSALS: usize = 20;

/// The feeds of a registry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeds {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: config::Feeds,
    pub(super) sources: Vec<Source>,
    pub(super) store: Store,
    /// One sync at a time.
    place: Arc<Semaphore>,
    ended: Arc<AtomicBool>,
    /// Where syncs run: whoever asks for one may be on a thread that serves requests, and must not be held up by it.
    runtime: Handle,
    running: Mutex<Option<AbortHandle>>,
}

/// What a sync has gathered so far.
struct Run {
    inner: Arc<Inner>,
    states: HashMap<String, FeedState>,
    report: SyncReport,
    staged: Vec<Staged>,
    /// Hosts that cannot be asked, and why.
    down: HashMap<String, (String, Option<Duration>)>,
}

impl Feeds {
    /// Those that the configuration names. Called within the runtime in which they are to be fetched.
    pub(crate) fn new(config: &config::Feeds, store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                sources: Source::all(config),
                config: config.clone(),
                store,
                place: Arc::new(Semaphore::new(1)),
                ended: Arc::default(),
                runtime: Handle::current(),
                running: Mutex::default(),
            }),
        }
    }

    /// The sources that are called so; all of them if nobody is called.
    pub(crate) fn called(&self, names: &[String]) -> Result<Vec<Source>, SyncRefused> {
        let all = &self.inner.sources;
        let known = || {
            let names: Vec<&str> = all.iter().map(Source::name).collect();
            names.join(", ")
        };
        for name in names {
            if !all.iter().any(|source| source.is_called(name)) {
                return Err(SyncRefused::Unknown(format!(
                    "{name:?} is no source here; there are osv (all ecosystems), {}: see [feeds] of the configuration",
                    known()
                )));
            }
        }
        if all.is_empty() {
            let nothing = "no source is configured: set feeds.osv, feeds.kev or feeds.epss";
            return Err(SyncRefused::Unknown(nothing.to_owned()));
        }
        let is_called =
            |source: &&Source| names.is_empty() || names.iter().any(|name| source.is_called(name));
        Ok(all.iter().filter(is_called).cloned().collect())
    }

    /// Begins a sync of these sources.
    pub(crate) fn begin(
        &self,
        sources: Vec<Source>,
        accepts_removals: bool,
        actor: Actor,
    ) -> Result<RunningSync, SyncRefused> {
        let place = Arc::clone(&self.inner.place).try_acquire_owned();
        let place = place.map_err(|_| SyncRefused::Running)?;
        let (sender, progress) = watch::channel(SyncProgress {
            sources: sources.len() as u64,
            ..SyncProgress::default()
        });
        let inner = Arc::clone(&self.inner);
        let result = self.inner.runtime.spawn(async move {
            // Held until it has really ended, also when nobody looks any more.
            let _place = place;
            inner
                .run(sources, accepts_removals, actor, Arc::new(sender))
                .await
        });
        self.inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(result.abort_handle());
        Ok(RunningSync { progress, result })
    }

    /// Ends what runs. What has come of archives stays, and nothing else.
    pub(crate) fn end(&self) {
        self.inner.ended.store(true, Ordering::Relaxed);
        let running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            running.abort();
        }
    }
}

impl Syncing for Feeds {
    fn sync(&self, request: &SyncRequest, actor: Actor) -> Result<RunningSync, SyncRefused> {
        self.begin(self.called(&request.sources)?, request.accept_removals, actor)
    }

    fn sources(&self) -> SourcesAsked<'_> {
        Box::pin(status::sources(&self.inner))
    }
}

impl Inner {
    async fn run(
        self: Arc<Self>,
        sources: Vec<Source>,
        accepts_removals: bool,
        actor: Actor,
        progress: Arc<watch::Sender<SyncProgress>>,
    ) -> Result<SyncReport, StoreError> {
        let states = self.store.feeds().await?;
        let fetcher = Fetcher::new(
            &self.config,
            self.store.data_dir().join(DIRECTORY),
            accepts_removals,
            Arc::clone(&progress),
            Arc::clone(&self.ended),
        );
        let mut run = Run {
            states: states
                .into_iter()
                .map(|state| (state.source.clone(), state))
                .collect(),
            report: SyncReport::default(),
            staged: Vec::new(),
            down: HashMap::new(),
            inner: self,
        };
        match fetcher {
            Err(error) => {
                for source in &sources {
                    run.fail(source, error.with_remedy(), None).await?;
                }
            }
            Ok(fetcher) => {
                for source in &sources {
                    progress.send_modify(|progress| source.name().clone_into(&mut progress.source));
                    run.fetch(&fetcher, source).await?;
                    progress.send_modify(|progress| progress.sources_done += 1);
                }
                progress.send_modify(|progress| progress.source.clear());
                run.take_in(&fetcher, &actor).await?;
            }
        }
        run.report.bytes = progress.borrow().bytes;
        let place =
            |outcome: &SourceOutcome| sources.iter().position(|source| source.name() == outcome.source);
        run.report.sources.sort_by_key(place);
        Ok(run.report)
    }
}

impl Run {
    /// Fetches one source. Fails only where the store does.
    async fn fetch(&mut self, fetcher: &Fetcher, source: &Source) -> Result<(), StoreError> {
        let host = source.url.origin().ascii_serialization();
        if let Some((error, retry_after)) = self.down.get(&host).cloned() {
            return self.fail(source, error, retry_after).await;
        }
        let known = self.state(source);
        let inner = Arc::clone(&self.inner);
        let result = match &source.kind {
            Kind::Kev | Kind::Epss => catalogue::fetch(fetcher, source, &known).await,
            Kind::Osv(_) => {
                let ecosystem = Ecosystem {
                    fetcher,
                    store: &inner.store,
                    source,
                    all: &inner.sources,
                };
                ecosystem.fetch(&known).await
            }
        };
        match result {
            Ok(Fetched::Unchanged) => self.succeed(source, None, 0).await,
            Ok(Fetched::New(staged)) => {
                self.note_refusals(&staged.refused);
                self.staged.push(*staged);
                Ok(())
            }
            Err(FeedError::Store(error)) => Err(error),
            Err(error) => {
                let retry_after = retry_after(&error);
                let text = error.with_remedy();
                if error.is_of_host(source.url.host_str().unwrap_or_default()) {
                    self.down.insert(host, (text.clone(), retry_after));
                }
                self.fail(source, text, retry_after).await
            }
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
        let store = self.inner.store.clone();
        match take_in(&store, fetcher, &something, actor).await {
            Ok(TakenIn { summary, changed }) => {
                self.report.generation = summary.generation;
                self.report.refused += summary.refused;
                self.note_names(summary.refusals);
                for (staged, changed) in something.into_iter().zip(changed) {
                    if let Some((path, _)) = &staged.archive {
                        osv::remove_archive(path).await;
                    }
                    self.succeed(&staged.source.clone(), Some(staged), changed)
                        .await?;
                }
                Ok(())
            }
            Err(error) => {
                for staged in &something {
                    self.fail(&staged.source, error.with_remedy(), None).await?;
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

    fn state(&self, source: &Source) -> FeedState {
        let known = self.states.get(source.name()).cloned();
        known.unwrap_or_else(|| FeedState {
            source: source.name().to_owned(),
            ..FeedState::default()
        })
    }

    /// Keeps that a source was reached; `staged`: with something that was not known.
    async fn succeed(
        &mut self,
        source: &Source,
        staged: Option<Staged>,
        changed: u64,
    ) -> Result<(), StoreError> {
        let now = self.inner.store.now();
        let mut state = self.state(source);
        let (mut list, mut gone) = (None, 0);
        if let Some(staged) = staged {
            state.url = source.url.to_string();
            state.etag = staged.validators.etag;
            state.last_modified = staged.validators.last_modified;
            state.covers = staged.covers;
            gone = staged.gone.len() as u64;
            list = Some(staged.list);
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
        self.report.sources.push(SourceOutcome {
            source: source.name().to_owned(),
            changed,
            gone,
            error: None,
        });
        self.inner.store.set_feed(state, list).await
    }

    /// Keeps that a source failed. What is known of it stays.
    async fn fail(
        &mut self,
        source: &Source,
        error: String,
        retry_after: Option<Duration>,
    ) -> Result<(), StoreError> {
        let now = self.inner.store.now();
        let mut state = self.state(source);
        state.failures += 1;
        state.tried_at = now;
        let pause = status::after_failure(self.inner.config.interval.0, state.failures);
        state.next_at = now.plus(pause.max(retry_after.unwrap_or_default()));
        state.error = Some(error.clone());
        self.report.sources.push(SourceOutcome {
            source: source.name().to_owned(),
            error: Some(error),
            ..SourceOutcome::default()
        });
        self.inner.store.set_feed(state, None).await
    }
}

fn retry_after(error: &FeedError) -> Option<Duration> {
    match error {
        FeedError::Outbound(error) => error.retry_after(),
        _ => None,
    }
}
