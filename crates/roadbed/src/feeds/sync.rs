//! The feeds of a registry: which sources there are, and who is being asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use store::{Actor, Store, StoreError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use web::wire::{EndOfBundle, SourceOutcome, SyncProgress, SyncReport, SyncRequest};
use web::{BundleAsked, BundleRefused, Judging, RunningSync, SourcesAsked, SyncRefused, Syncing};

use super::bundle::{BundleRequest, Taking, Uploads};
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
    /// The bundle that somebody brings.
    uploads: Uploads,
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
                uploads: Uploads::default(),
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
        self.note_running(result.abort_handle());
        Ok(RunningSync { progress, result })
    }

    /// Begins to take in a bundle.
    pub(crate) fn begin_taking(
        &self,
        file: impl AsRef<Path> + Send + Sync + 'static,
        request: BundleRequest,
        actor: Actor,
    ) -> RunningSync {
        let inner = Arc::clone(&self.inner);
        let (sender, progress) = watch::channel(SyncProgress {
            source: "bundle".to_owned(),
            sources: 1,
            ..SyncProgress::default()
        });
        let result = self.inner.runtime.spawn(async move {
            // Whoever looks sees that it goes on.
            let _sender = sender;
            let _turn = inner.importing.lock().await;
            let taking = Taking {
                store: &inner.store,
                config: &inner.config,
                judging: inner.judging.as_deref(),
                actor: &actor,
            };
            taking.take(file.as_ref(), &request).await
        });
        self.note_running(result.abort_handle());
        RunningSync { progress, result }
    }

    fn note_running(&self, handle: AbortHandle) {
        let mut running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|running| !running.is_finished());
        running.push(handle);
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
            unreadable: !request.sources.is_empty(),
        };
        self.begin(self.called(&request.sources)?, accepts, actor)
    }

    fn sources(&self) -> SourcesAsked<'_> {
        Box::pin(status::sources(&self.inner))
    }

    fn begin_bundle(&self) -> BundleAsked<'_, String> {
        let directory = self.inner.store.data_dir().join(DIRECTORY);
        Box::pin(async move { self.inner.uploads.begin(&directory).await })
    }

    fn add_to_bundle<'a>(&'a self, id: &'a str, offset: u64, bytes: Bytes) -> BundleAsked<'a, ()> {
        let limits = self.inner.config.bundle_limits();
        Box::pin(async move { self.inner.uploads.add(id, offset, bytes, limits).await })
    }

    fn take_bundle(&self, id: &str, end: EndOfBundle, actor: Actor) -> Result<RunningSync, BundleRefused> {
        let signature = end.signature.as_ref();
        let signature = signature.map(|text| BASE64_STANDARD.decode(text)).transpose();
        let request = BundleRequest {
            signature: signature.map_err(|error| BundleRefused::Signature(Box::new(error)))?,
            unsigned: end.unsigned,
            accept_older: end.accept_older,
            accept_lifts: end.accept_lifts,
        };
        let file = self.inner.uploads.finish(id)?;
        Ok(self.begin_taking(file, request, actor))
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
