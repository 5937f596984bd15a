//! All images in memory, by what is in them: who is affected is answered from here.
//!
//! The index (`road::fleet`) is read from a file in the data directory at a start, or built from the store where there is none that
//! can be believed, and follows the audit log and the reports of layers from then on. All of it happens behind requests: until the
//! index stands, answers say how much of it does.
//!
//! - `fleet/follow.rs`: how it is built and kept current.
//! - `fleet/look.rs`: what is known of one image. `fleet/gone.rs`: of those that were deleted. `fleet/bases.rs`: what it stands on.
//! - `fleet/file.rs`: the file that a start reads.
//! - `fleet/ask.rs`: questions. `fleet/headline.rs`: their answer in a line. `fleet/rows.rs`: images of an answer.
//! - `fleet/excuses.rs`: by whose word findings do not count.
//! - `fleet/owners.rs`: whose they are and what is to be done.
//! - `fleet/sightings.rs`: what tags and images are affected by, for incidents.
//! - `fleet/search.rs`: digests of single files. `fleet/then.rs`: what advisories said at a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use oci::Digest;
use road::fleet::{Fleet, ImageKey};
use store::{FleetMark, RoadEntries, Store, StoreError};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::judge::Knowledge;

mod absent;
mod ask;
mod bases;
mod excuses;
mod file;
mod follow;
mod gone;
mod headline;
mod look;
mod owners;
mod rows;
mod search;
mod sightings;
mod then;

pub(crate) use ask::Questions;
pub(crate) use sightings::{Seen, Sought};

/// How long the last writing of the file may take when the server stops.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// How often it is looked whether the index takes in what somebody waits for.
const CATCH_UP: Duration = Duration::from_millis(20);

/// The index with what is known beside it.
#[derive(Debug, Default)]
struct State {
    fleet: Fleet,
    /// Images of which a layer was not looked into yet, by repository.
    waiting: BTreeMap<String, BTreeSet<Digest>>,
    /// What it takes in.
    mark: FleetMark,
}

/// How much of the index stands.
#[derive(Debug, Default)]
struct Progress {
    done: AtomicU64,
    all: AtomicU64,
    /// 1 once it stands.
    stands: AtomicU64,
}

/// Answers questions about all images of a store.
pub(crate) struct FleetService {
    store: Store,
    knowledge: Arc<Knowledge>,
    state: RwLock<State>,
    progress: Progress,
    /// The state of bases that the index takes in.
    bases: Mutex<Option<Arc<RoadEntries>>>,
    then: then::Then,
    /// Somebody waits for what has happened to be taken in.
    hurry: Notify,
}

/// The task that keeps an index current. Dropping it ends it where it is.
pub(crate) struct Following {
    task: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

impl FleetService {
    /// Knows nothing yet: [`FleetService::follow`] builds the index, so that a server is ready before it stands.
    pub(crate) fn of(store: Store, knowledge: Arc<Knowledge>) -> Arc<Self> {
        Arc::new(Self {
            then: then::Then::default(),
            hurry: Notify::new(),
            state: RwLock::default(),
            progress: Progress::default(),
            bases: Mutex::default(),
            store,
            knowledge,
        })
    }

    /// Builds the index and keeps it current, on the threads that this is called on: those that work behind requests.
    pub(crate) fn follow(self: &Arc<Self>) -> Following {
        let (stopping, stop) = watch::channel(false);
        let task = tokio::spawn(follow::run(Arc::clone(self), stop));
        Following { task, stopping }
    }

    /// Waits until the index takes in all that is in the store by now. `false`: it does not within `longest`.
    pub(crate) async fn caught_up(&self, longest: Duration) -> Result<bool, StoreError> {
        let wanted = self.store.fleet_mark().await?;
        let takes_it_in = || {
            let mark = self.read().mark;
            self.progress.percent() == 100 && mark.event >= wanted.event && mark.report >= wanted.report
        };
        let until = Instant::now() + longest;
        while !takes_it_in() {
            if Instant::now() >= until {
                return Ok(false);
            }
            self.hurry.notify_one();
            tokio::time::sleep(CATCH_UP).await;
        }
        Ok(true)
    }

    /// Looks at the index as it stands. Whoever looks for long holds up those who keep it current, and then all others.
    pub(crate) fn look<R>(&self, at: impl FnOnce(&Fleet) -> R) -> R {
        at(&self.read().fleet)
    }

    /// Whether an image is known to be there and is still being looked into.
    pub(crate) fn waits(&self, key: &ImageKey) -> bool {
        let state = self.read();
        let waiting = state.waiting.get(&key.repository);
        waiting.is_some_and(|digests| digests.contains(&key.digest))
    }

    /// Whether an image is in the index.
    pub(crate) fn has(&self, key: &ImageKey) -> bool {
        self.read().fleet.has(key)
    }

    /// Whether it takes in what images stand on by now.
    #[cfg(test)]
    pub(crate) async fn stands_on(&self, store: &Store) -> bool {
        let road = store.road().await.unwrap();
        self.bases()
            .as_ref()
            .is_some_and(|taken| taken.change == road.change)
    }

    /// The index as it stands.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn bases(&self) -> MutexGuard<'_, Option<Arc<RoadEntries>>> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Following {
    /// Has what is known written down, so that the next start need not build it again, and ends.
    pub(crate) async fn stop(mut self) {
        self.stopping.send_replace(true);
        if tokio::time::timeout(STOP_WAIT, &mut self.task).await.is_err() {
            tracing::warn!("the index of the fleet was not written down: the next start has more to read");
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn waits(&mut self, key: &ImageKey) {
        let waiting = self.waiting.entry(key.repository.clone()).or_default();
        waiting.insert(key.digest);
    }

    fn waits_no_more(&mut self, key: &ImageKey) {
        if let Some(waiting) = self.waiting.get_mut(&key.repository) {
            waiting.remove(&key.digest);
            if waiting.is_empty() {
                self.waiting.remove(&key.repository);
            }
        }
    }

    /// The images of a repository that are there.
    fn keys_of(&self, repository: &str) -> Vec<ImageKey> {
        let scope = self.fleet.scope(|name| name == repository, None);
        self.fleet.keys_in(&scope)
    }
}

impl Progress {
    fn begin(&self, images: u64) {
        self.all.store(images, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn stands(&self) {
        self.stands.store(1, Ordering::Relaxed);
    }

    /// From 0 to 100; 100 only once it stands.
    fn percent(&self) -> u8 {
        if self.stands.load(Ordering::Relaxed) == 1 {
            return 100;
        }
        let all = self.all.load(Ordering::Relaxed).max(1);
        let done = self.done.load(Ordering::Relaxed).saturating_mul(100) / all;
        u8::try_from(done.min(99)).unwrap_or(99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_only_once_it_stands() {
        let progress = Progress::default();
        assert_eq!(progress.percent(), 0);
        progress.begin(4);
        progress.step();
        assert_eq!(progress.percent(), 25);
        (0..10).for_each(|_| progress.step());
        assert_eq!(progress.percent(), 99);
        progress.stands();
        assert_eq!(progress.percent(), 100);
    }
}
