//! Blobs on their way from an upstream: one request each, whatever the number of those who wait.
//!
//! A flight belongs to a task of its own and not to the client who asked first. It looks whether the blob is here, waits for its
//! turn, looks whether it came meanwhile, asks the upstream once, and stores what comes while others read it along
//! ([`store::Incoming`]). It ends by itself: its turn, each silence of the upstream and all of it have a deadline. One that waits for
//! its turn goes with the last who waits for it; one that has begun is brought to its end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use oci::{Digest, RepoName};
use store::{Incoming, Intake, Store};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::ProxyError;
use super::metrics::ProxyMetrics;
use super::places::{Payer, Place, Places, Words, asker};
use super::question::question;
use super::resume::{Patience, Resuming};
use super::room;
use super::source::{SourceBlob, SourceError};
use super::upstreams::Proxied;
use crate::traffic::turnstile::Turn;
use hold::Hold;

mod hold;

/// How much may be on its way.
#[derive(Debug, Clone, Copy)]
pub struct FlightLimits {
    /// Blobs that come in or wait for that, half of them for one user or robot, and for one upstream where there are several; one
    /// more is answered 429. Default 4,096.
    pub queued: usize,
    /// Bytes of all blobs that come in at the same time, in the same parts; one whose length is not said is counted as it comes.
    /// Default 256 GiB.
    pub bytes: u64,
    /// Longest time that a blob waits for its turn at its upstream; then whoever wants it is answered 503. Default 5 min.
    pub wait: Duration,
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
            wait: Duration::from_mins(5),
            time: Duration::from_hours(6),
            idle: Duration::from_secs(30),
            resumes: 5,
            absent: Duration::from_secs(10),
        }
    }
}

/// Blobs of which it is remembered that their upstream does not have them.
const ABSENT_BLOBS: u64 = 100_000;

const BLOBS: Words = Words {
    all: "too many blobs are on their way from upstreams",
    upstream: "too many blobs of this upstream are on their way",
    payer: "too many blobs that this user or robot wants are on their way from upstreams",
};

const BYTES: Words = Words {
    all: "blobs with too many bytes (proxy.flight_bytes) are on their way from upstreams",
    upstream: "blobs with too many bytes (proxy.flight_bytes) are on their way from this upstream",
    payer: "blobs with too many bytes (proxy.flight_bytes) that this user or robot wants are on their way from upstreams",
};

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
    /// Who wants it first.
    pub(crate) payer: Payer,
}

/// A share in a flight.
pub(crate) type Boarded = watch::Receiver<Stage>;

type Key = (RepoName, Digest);

/// How far a flight is, for all who want it. Who waits for it is counted by it.
type Told = Arc<watch::Sender<Stage>>;

/// All blobs on their way.
pub(crate) struct Flights {
    store: Store,
    runtime: Handle,
    limits: FlightLimits,
    running: Mutex<HashMap<Key, Told>>,
    places: Places,
    bytes: Arc<Places>,
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
        upstreams: usize,
    ) -> Arc<Self> {
        let bytes = usize::try_from(limits.bytes).unwrap_or(usize::MAX);
        Arc::new(Self {
            store,
            runtime,
            limits,
            running: Mutex::default(),
            places: Places::new(limits.queued, upstreams, BLOBS),
            bytes: Arc::new(Places::new(bytes, upstreams, BYTES)),
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
        let told = running.get(&(repo.clone(), *digest));
        told.is_some_and(|told| !matches!(*told.borrow(), Stage::New))
    }

    /// The flight of a blob that is under way, or a new one.
    pub(crate) fn board(self: &Arc<Self>, wanted: Wanted) -> Result<Boarded, ProxyError> {
        let key = (wanted.intake.repo().clone(), wanted.digest);
        if let Some(error) = self.absent.get(&key) {
            return Err(error);
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match running.entry(key.clone()) {
            Entry::Occupied(entry) => return Ok(entry.get().subscribe()),
            Entry::Vacant(entry) => entry,
        };
        let place = self.places.take(&wanted.proxied.upstream, wanted.payer, 1)?;
        let stage = Arc::new(watch::Sender::new(Stage::New));
        let boarded = stage.subscribe();
        entry.insert(Arc::clone(&stage));
        drop(running);
        let ended = Ended {
            flights: Arc::clone(self),
            key,
            stage: Arc::clone(&stage),
            _place: place,
        };
        let flights = Arc::clone(self);
        self.runtime.spawn(async move {
            let flown = flights.fly(wanted, &stage).await;
            if let Err(error) = &flown
                && error.is_a_no()
            {
                flights.absent.insert(ended.key.clone(), error.clone());
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

    async fn fly(&self, wanted: Wanted, stage: &Told) -> Result<(), ProxyError> {
        // The layers that an image has in common with one that is here need no turn.
        if self.store.has_taken_in(&wanted.intake, &wanted.digest).await? {
            return Ok(());
        }
        stage.send_replace(Stage::Asked);
        let upstream = Arc::clone(&wanted.proxied.upstream);
        let _turn = self.turn(&wanted, stage).await?;
        let until = Instant::now() + self.limits.time;
        // It may have come while this one waited.
        if self.store.has_taken_in(&wanted.intake, &wanted.digest).await? {
            return Ok(());
        }
        let mut begun = self
            .ask(&wanted)
            .await
            .inspect_err(|_| self.metrics.error(&upstream))?;
        begun.size = agreed(&wanted, &begun)?;
        self.take_in(wanted, begun, until, stage).await
    }

    /// Stores what comes.
    async fn take_in(
        &self,
        wanted: Wanted,
        begun: SourceBlob,
        until: Instant,
        stage: &Told,
    ) -> Result<(), ProxyError> {
        let upstream = wanted.proxied.upstream;
        let mut hold = Hold::new(&self.bytes, self.room_on_disk.as_ref(), &upstream, wanted.payer);
        match begun.size {
            Some(size) => hold.more(size).await?,
            None => hold.step().await?,
        }
        let failed = |source| ProxyError::Blob {
            upstream: Arc::clone(&upstream.config.name),
            source: Box::new(source),
        };
        let landing = self.store.begin_intake(wanted.intake, wanted.digest, begun.size);
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
        let body = Resuming::new(source, what, begun.size, begun.body, patience).stream();
        let refused = hold.refused();
        let landed = self.store.land(landing, hold.count(body)).await;
        match (landed, refused.get()) {
            (Ok(blob), _) => {
                self.metrics.fetched(&upstream, blob.size);
                Ok(())
            }
            // Not the upstream's fault.
            (Err(_), Some(refused)) => Err(refused.clone()),
            (Err(error), None) => {
                self.metrics.error(&upstream);
                tracing::warn!(
                    upstream = upstream.name(), digest = %wanted.digest, error = &error as &dyn std::error::Error,
                    "a blob of an upstream was not taken in"
                );
                Err(failed(error))
            }
        }
    }

    /// Its turn at the upstream. Who waits last and goes before it comes takes the flight along: nobody wants it any more.
    async fn turn(&self, wanted: &Wanted, stage: &Told) -> Result<Turn, ProxyError> {
        let upstream = &wanted.proxied.upstream;
        if let Some(turn) = upstream.flights.try_pass() {
            return Ok(turn);
        }
        tokio::select! {
            turn = upstream.flights.wait(asker(wanted.payer), self.limits.wait) => {
                turn.map_err(|shed| ProxyError::no_turn(upstream, shed))
            }
            () = self.is_left(wanted, stage) => Err(ProxyError::Lost),
        }
    }

    /// Waits until nobody waits for a flight any more, and takes it off the list: whoever comes from then on begins another one.
    async fn is_left(&self, wanted: &Wanted, stage: &Told) {
        let key = (wanted.intake.repo().clone(), wanted.digest);
        loop {
            stage.closed().await;
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if stage.receiver_count() == 0 {
                running.remove(&key);
                return;
            }
        }
    }

    async fn ask(&self, wanted: &Wanted) -> Result<SourceBlob, ProxyError> {
        let upstream = &wanted.proxied.upstream;
        let asked = upstream
            .config
            .source
            .blob(&wanted.proxied.name, &wanted.digest, 0);
        let path = format!("{}/blobs/{}", wanted.proxied.name, wanted.digest);
        question(upstream, &path, self.limits.idle, asked).await
    }
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

/// Takes a flight off the list, if it is still the one that is on it, and gives its place back.
struct Ended {
    flights: Arc<Flights>,
    key: Key,
    stage: Told,
    _place: Place,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let running = &self.flights.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let here = running.get(&self.key);
        if here.is_some_and(|here| Arc::ptr_eq(here, &self.stage)) {
            running.remove(&self.key);
        }
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
