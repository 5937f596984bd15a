//! The feeds of a registry: which sources there are, and who is being asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use store::{Actor, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use web::wire::{SourceOutcome, SyncProgress, SyncReport, SyncRequest};
use web::{Judging, RunningSync, SourcesAsked, SyncRefused, Syncing};

use super::fetcher::{Accepts, Fetcher};
use super::run::{Failure, Run};
use super::source::Source;
use super::status;
use crate::config;

/// Where archives lie below the data directory while they come.
const DIRECTORY: &str = "feeds";

/// The feeds of a registry. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Feeds {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: config::Feeds,
    pub(super) sources: Vec<Source>,
    pub(super) store: Store,
    /// Who says what an import would let pass; `None` where no images are judged.
    pub(super) judging: Option<Arc<dyn Judging>>,
    /// Sources that are being asked: each by one sync at a time.
    asked: Mutex<BTreeSet<String>>,
    /// Whose turn it is to take in what came.
    pub(super) importing: tokio::sync::Mutex<()>,
    ended: Arc<AtomicBool>,
    /// Where syncs run: whoever asks for one may be on a thread that serves requests, and must not be held up by it.
    runtime: Handle,
    running: Mutex<Vec<AbortHandle>>,
}

/// The right to ask some sources; given back when it is dropped.
struct Asking {
    inner: Arc<Inner>,
    sources: Vec<String>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asked = self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for source in &self.sources {
            asked.remove(source);
        }
    }
}

impl Feeds {
    /// Those that the configuration names. Called within the runtime in which they are to be fetched.
    pub(crate) fn new(config: &config::Feeds, store: Store, judging: Option<Arc<dyn Judging>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                sources: Source::all(config),
                config: config.clone(),
                store,
                judging,
                asked: Mutex::default(),
                importing: tokio::sync::Mutex::default(),
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

    /// Those of some sources that nobody is asking.
    pub(super) fn unasked(&self, mut sources: Vec<Source>) -> Vec<Source> {
        let asked = self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|source| !asked.contains(source.name()));
        sources
    }

    fn take(&self, sources: &[Source]) -> Result<Asking, SyncRefused> {
        let mut asked = self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.iter().any(|source| asked.contains(source.name())) {
            return Err(SyncRefused::Running);
        }
        let names: Vec<String> = sources.iter().map(|source| source.name().to_owned()).collect();
        asked.extend(names.iter().cloned());
        Ok(Asking {
            inner: Arc::clone(&self.inner),
            sources: names,
        })
    }

    /// Begins a sync of these sources.
    pub(crate) fn begin(
        &self,
        sources: Vec<Source>,
        accepts: Accepts,
        actor: Actor,
    ) -> Result<RunningSync, SyncRefused> {
        let asking = self.take(&sources)?;
        let (sender, progress) = watch::channel(SyncProgress {
            sources: sources.len() as u64,
            ..SyncProgress::default()
        });
        let inner = Arc::clone(&self.inner);
        let result = self.inner.runtime.spawn(async move {
            // Held until it has really ended, also when nobody looks any more.
            let _asking = asking;
            inner.run(sources, accepts, actor, Arc::new(sender)).await
        });
        let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|running| !running.is_finished());
        running.push(result.abort_handle());
        drop(running);
        Ok(RunningSync { progress, result })
    }

    /// Ends what runs. What has come of archives stays, and nothing else.
    pub(crate) fn end(&self) {
        self.inner.ended.store(true, Ordering::Relaxed);
        let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        for running in running.drain(..) {
            running.abort();
        }
    }
}

impl Syncing for Feeds {
    fn sync(&self, request: &SyncRequest, actor: Actor) -> Result<RunningSync, SyncRefused> {
        let accepts = Accepts {
            removals: request.accept_removals,
            lifts: request.accept_lifts,
        };
        self.begin(self.called(&request.sources)?, accepts, actor)
    }

    fn sources(&self) -> SourcesAsked<'_> {
        Box::pin(status::sources(&self.inner))
    }
}

impl Inner {
    async fn run(
        self: Arc<Self>,
        sources: Vec<Source>,
        accepts: Accepts,
        actor: Actor,
        progress: Arc<watch::Sender<SyncProgress>>,
    ) -> Result<SyncReport, StoreError> {
        let fetcher = Fetcher::new(
            &self.config,
            self.store.data_dir().join(DIRECTORY),
            accepts,
            Arc::clone(&progress),
            Arc::clone(&self.ended),
        );
        let states = self.store.feeds().await?;
        let mut run = Run::new(self, states, accepts);
        match fetcher {
            Err(error) => {
                for source in &sources {
                    run.fail(source, Failure::of(&error)).await?;
                }
            }
            Ok(fetcher) => run.fetch(&fetcher, &sources, &actor).await?,
        }
        run.report.bytes = progress.borrow().bytes;
        let place =
            |outcome: &SourceOutcome| sources.iter().position(|source| source.name() == outcome.source);
        run.report.sources.sort_by_key(place);
        Ok(run.report)
    }
}
