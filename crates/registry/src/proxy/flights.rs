//! Blobs on their way from an upstream: one request each, whatever the number of those who wait.
//!
//! A flight belongs to a task of its own and not to the client who asked first. It looks whether the blob is here, waits for a
//! place, looks whether it came meanwhile, asks the upstream once, and stores what comes while others read it along
//! ([`store::Incoming`]). It ends by itself: the upstream has a deadline for each silence and for all of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, RepoName};
use store::{Incoming, Intake, Store};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::ProxyError;
use super::metrics::ProxyMetrics;
use super::resume::{Patience, Resuming};
use super::room;
use super::source::{SourceBlob, SourceError};
use super::upstreams::{Proxied, Upstream};

/// How much may be on its way.
#[derive(Debug, Clone, Copy)]
pub struct FlightLimits {
    /// Blobs that come in or wait for that; one more is answered 429. Default 4,096.
    pub queued: usize,
    /// Bytes of all blobs that come in at the same time, as far as their length is known. Default 256 GiB.
    pub bytes: u64,
    /// Longest time that a blob may take. Default 6 hours.
    pub time: Duration,
    /// Longest silence of an upstream. Default 30 s.
    pub idle: Duration,
    /// How often a blob that was cut is gone on with. Default 5.
    pub resumes: u32,
    /// How long it is remembered that an upstream does not have a blob. Default 10 s.
    pub absent: Duration,
}

impl Default for FlightLimits {
    fn default() -> Self {
        Self {
            queued: 4_096,
            bytes: 256 << 30,
            time: Duration::from_hours(6),
            idle: Duration::from_secs(30),
            resumes: 5,
            absent: Duration::from_secs(10),
        }
    }
}

/// Blobs of which it is remembered that their upstream does not have them.
const ABSENT_BLOBS: u64 = 100_000;

/// Bytes that a blob of unknown length is counted as.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// How far a blob is.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// Perhaps it is here.
    New,
    /// It is not here, and the upstream has not answered yet.
    Asked,
    /// It comes, and can be read along where its size is known.
    Coming(Incoming),
    /// It is here.
    Landed,
    /// It does not come.
    Failed(ProxyError),
}

/// What is to be brought in.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) proxied: Proxied,
    pub(crate) intake: Intake,
    pub(crate) digest: Digest,
    /// What a manifest says of its length.
    pub(crate) size: Option<u64>,
}

/// A share in a flight.
pub(crate) type Boarded = watch::Receiver<Stage>;

type Key = (RepoName, Digest);

/// All blobs on their way.
pub(crate) struct Flights {
    store: Store,
    runtime: Handle,
    limits: FlightLimits,
    running: Mutex<HashMap<Key, Boarded>>,
    bytes: AtomicU64,
    absent: Cache<Key, ProxyError>,
    metrics: ProxyMetrics,
    room_on_disk: Option<Arc<dyn room::Room>>,
}

impl Flights {
    pub(crate) fn new(
        store: Store,
        runtime: Handle,
        limits: FlightLimits,
        metrics: ProxyMetrics,
        room_on_disk: Option<Arc<dyn room::Room>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            runtime,
            limits,
            running: Mutex::default(),
            bytes: AtomicU64::new(0),
            absent: Cache::builder()
                .max_capacity(ABSENT_BLOBS)
                .time_to_live(limits.absent)
                .build(),
            metrics,
            room_on_disk,
        })
    }

    /// Whether a blob is on its way, and so not here.
    pub(crate) fn is_flying(&self, repo: &RepoName, digest: &Digest) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let boarded = running.get(&(repo.clone(), *digest));
        boarded.is_some_and(|boarded| !matches!(*boarded.borrow(), Stage::New))
    }

    /// The flight of a blob that is under way, or a new one.
    pub(crate) fn board(self: &Arc<Self>, wanted: Wanted) -> Result<Boarded, ProxyError> {
        let key = (wanted.intake.repo().clone(), wanted.digest);
        if let Some(error) = self.absent.get(&key) {
            return Err(error);
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.len();
        let entry = match running.entry(key.clone()) {
            Entry::Occupied(entry) => return Ok(entry.get().clone()),
            Entry::Vacant(_) if count >= self.limits.queued => {
                return Err(ProxyError::TooMany(
                    "too many blobs are on their way from upstreams",
                ));
            }
            Entry::Vacant(entry) => entry,
        };
        let (stage, boarded) = watch::channel(Stage::New);
        entry.insert(boarded.clone());
        let ended = Ended(Arc::clone(self), key);
        let flights = Arc::clone(self);
        self.runtime.spawn(async move {
            let flown = flights.fly(wanted, &stage).await;
            if let Err(error) = &flown
                && error.is_a_no()
            {
                flights.absent.insert(ended.1.clone(), error.clone());
            }
            // Whoever comes from now on looks into the store first.
            drop(ended);
            stage.send_replace(match flown {
                Ok(()) => Stage::Landed,
                Err(error) => Stage::Failed(error),
            });
        });
        Ok(boarded)
    }

    /// Brings a blob in and waits until it is here.
    pub(crate) async fn bring(self: &Arc<Self>, wanted: Wanted) -> Result<(), ProxyError> {
        let mut boarded = self.board(wanted)?;
        loop {
            match &*boarded.borrow_and_update() {
                Stage::Landed => return Ok(()),
                Stage::Failed(error) => return Err(error.clone()),
                Stage::New | Stage::Asked | Stage::Coming(_) => {}
            }
            boarded.changed().await.map_err(|_| ProxyError::Lost)?;
        }
    }

    async fn fly(&self, wanted: Wanted, stage: &watch::Sender<Stage>) -> Result<(), ProxyError> {
        // The layers that an image has in common with one that is here need no place.
        if self.store.has_taken_in(&wanted.intake, &wanted.digest).await? {
            return Ok(());
        }
        stage.send_replace(Stage::Asked);
        let until = Instant::now() + self.limits.time;
        let upstream = Arc::clone(&wanted.proxied.upstream);
        let Ok(Ok(_place)) = timeout_at(until, upstream.flights.acquire()).await else {
            return Err(ProxyError::Lost);
        };
        // It may have come while this one waited.
        if self.store.has_taken_in(&wanted.intake, &wanted.digest).await? {
            return Ok(());
        }
        let begun = self
            .ask(&wanted)
            .await
            .inspect_err(|_| self.metrics.error(&upstream))?;
        let size = agreed(&wanted, &begun)?;
        let _room = self.room(size.unwrap_or(UNKNOWN_BYTES))?;
        let _on_disk = match &self.room_on_disk {
            Some(on_disk) => Some(on_disk.make(size.unwrap_or(UNKNOWN_BYTES)).await?),
            None => None,
        };
        let failed = |source| ProxyError::Blob {
            upstream: Arc::clone(&upstream.config.name),
            source: Box::new(source),
        };
        let landing = self.store.begin_intake(wanted.intake, wanted.digest, size);
        let landing = landing.await.map_err(failed)?;
        let _counted = Counted::new(&self.metrics);
        stage.send_replace(Stage::Coming(landing.incoming().clone()));
        let patience = Patience {
            idle: self.limits.idle,
            until,
            resumes: self.limits.resumes,
        };
        let source = Arc::clone(&upstream.config.source);
        let what = (wanted.proxied.name, wanted.digest);
        let body = Resuming::new(source, what, size, begun.body, patience).stream();
        match self.store.land(landing, body).await {
            Ok(blob) => {
                self.metrics.fetched(&upstream, blob.size);
                Ok(())
            }
            Err(error) => {
                self.metrics.error(&upstream);
                tracing::warn!(
                    upstream = upstream.name(), digest = %wanted.digest, error = &error as &dyn std::error::Error,
                    "a blob of an upstream was not taken in"
                );
                Err(failed(error))
            }
        }
    }

    async fn ask(&self, wanted: &Wanted) -> Result<SourceBlob, ProxyError> {
        let upstream = &wanted.proxied.upstream;
        let asked = upstream
            .config
            .source
            .blob(&wanted.proxied.name, &wanted.digest, 0);
        question(upstream, self.limits.idle, asked).await
    }

    fn room(&self, bytes: u64) -> Result<Room<'_>, ProxyError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let room = Room(self, bytes);
        if before.saturating_add(bytes) > self.limits.bytes {
            return Err(ProxyError::TooMany(
                "too many bytes are on their way from upstreams",
            ));
        }
        Ok(room)
    }
}

/// Asks an upstream unless it was not reached a moment ago, and remembers whether it was.
pub(crate) async fn question<T>(
    upstream: &Upstream,
    most: Duration,
    asked: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, ProxyError> {
    let name = || Arc::clone(&upstream.config.name);
    upstream
        .breaker
        .admit(Instant::now())
        .map_err(|retry_after| ProxyError::Shut {
            upstream: name(),
            retry_after,
        })?;
    let answer = timeout(most, asked).await;
    let answer = answer.unwrap_or_else(|_| {
        let why = format!("it has not answered for {} s", most.as_secs());
        Err(SourceError::Unreachable(why.into()))
    });
    upstream.answers.note(Instant::now(), &answer);
    match &answer {
        Err(SourceError::Unreachable(_)) => upstream.breaker.failed(Instant::now()),
        // Nothing was asked.
        Err(SourceError::OverBudget { .. }) => {}
        _ => upstream.breaker.answered(),
    }
    answer.map_err(|source| match source {
        SourceError::Refused { message, detail } => ProxyError::Refused { message, detail },
        source => ProxyError::Source {
            upstream: name(),
            source,
        },
    })
}

/// What the blob has in the end: what the manifest says, and the upstream must say the same.
fn agreed(wanted: &Wanted, begun: &SourceBlob) -> Result<Option<u64>, ProxyError> {
    if begun.from != 0 {
        return Err(broken(wanted, "it does not begin where it was asked to"));
    }
    match (wanted.size, begun.size) {
        (Some(stated), Some(said)) if stated != said => Err(broken(
            wanted,
            "a blob has another length there than its manifest says",
        )),
        (stated, said) => Ok(stated.or(said)),
    }
}

fn broken(wanted: &Wanted, offence: &str) -> ProxyError {
    ProxyError::Source {
        upstream: Arc::clone(&wanted.proxied.upstream.config.name),
        source: SourceError::Broken(offence.into()),
    }
}

/// Takes a flight off the list.
struct Ended(Arc<Flights>, Key);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.1);
    }
}

/// Bytes that are counted while they come.
struct Room<'f>(&'f Flights, u64);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.bytes.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// One more that comes in.
struct Counted<'m>(&'m ProxyMetrics);

impl<'m> Counted<'m> {
    fn new(metrics: &'m ProxyMetrics) -> Self {
        metrics.flights.inc();
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.flights.dec();
    }
}

#[cfg(test)]
mod tests;
