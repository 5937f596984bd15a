//! The store as a value: opening, closing, and how its modules reach what they share.

use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use access::AccessBook;
use access::token::Signer;
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::advisory::Imports;
use crate::authenticate::Authenticator;
use crate::cache::Caches;
use crate::condition::Workers;
use crate::db::{Db, Effects, Tx, Work, look};
use crate::disk::fault::Table;
use crate::files::{BlobFiles, FilesConfig};
use crate::gc::Collector;
use crate::lock::{DATABASE_FILE, DirLock};
use crate::pull_log::PullQueue;
use crate::road_entries::RoadCache;
use crate::room::{DataVolume, Room, Volume};
use crate::snapshot::{Snapshot, follow};
use crate::upload::UploadBook;
use crate::{
    Clock, Maintenance, StoreConfig, StoreError, StoreLimits, Timestamp, fleet, maintenance, setting,
};

/// The store. A handle: cheap to clone, all clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What the handles share.
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) db: Db,
    /// What is free on the disk, and kept free.
    pub(crate) room: Arc<Room>,
    pub(crate) files: BlobFiles,
    pub(crate) caches: Caches,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) signer: Signer,
    pub(crate) uploads: UploadBook,
    pub(crate) authenticator: Authenticator,
    pub(crate) pulls: PullQueue,
    pub(crate) collector: Collector,
    /// Who imports advisories.
    pub(crate) imports: Arc<Imports>,
    /// Why nothing may be changed for now.
    pub(crate) maintenance: ArcSwapOption<Maintenance>,
    /// Whether anybody takes jobs.
    pub(crate) worked: Workers,
    /// Told when a job may have become ready.
    pub(crate) workers: watch::Sender<u64>,
    /// Told when advisories, the policy or waivers have changed.
    pub(crate) rulings: watch::Sender<u64>,
    /// Told when applications, bases, their releases or words of images have changed.
    pub(crate) entries: watch::Sender<u64>,
    /// What these say, read when somebody asks.
    pub(crate) road: RoadCache,
    /// Told when something was decided.
    pub(crate) decided: watch::Sender<u64>,
    /// Told of every transaction, except of those that only note who pulled what.
    pub(crate) written: watch::Sender<u64>,
    /// Turns to make a list of referrers.
    pub(crate) referrer_lists: Semaphore,
    /// Places to read or write a report.
    pub(crate) reports: Arc<Semaphore>,
    /// Where transactions run: callers may be on threads of lower priority, and who holds the only writer must not wait
    /// behind what those leave over.
    runtime: Handle,
    refresh: Mutex<Option<JoinHandle<()>>>,
    looking: Mutex<Option<JoinHandle<()>>>,
    pull_writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<DirLock>>,
}

impl Store {
    /// Opens the data directory: takes its lock, brings the database to the present schema. Nothing is loaded per
    /// manifest; what a crash left of an upload behind its last promise is cut when the upload goes on.
    pub async fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let volume = Box::new(DataVolume::of(config.data_dir.clone()));
        Self::open_on(config, clock, volume).await
    }

    /// The same on a disk that may be another one.
    pub(crate) async fn open_on(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        volume: Box<dyn Volume>,
    ) -> Result<Self, StoreError> {
        let (wanted, now) = (config.clone(), clock.now());
        let opened = tokio::task::spawn_blocking(move || open_directory(&wanted, volume, now));
        let (lock, room, files) = opened.await??;
        let db = Db::open(&config.data_dir.join(DATABASE_FILE), &config.limits).await?;
        fleet::gone::begin(&db, clock.now()).await?;
        let signer = Signer::new(setting::token_key(&db, clock.now()).await?);
        let uploads = UploadBook::load(&db, &config.limits).await?;
        let (pulls, pull_writer) = PullQueue::new(&config.limits);
        let inner = Arc::new(Inner {
            caches: Caches::new(&config.limits),
            authenticator: Authenticator::new(&config.limits)?,
            collector: Collector::default(),
            imports: Arc::default(),
            maintenance: ArcSwapOption::new(maintenance::load(db.read()).await?),
            worked: Workers::beginning(clock.now()),
            workers: watch::Sender::new(0),
            rulings: watch::Sender::new(0),
            entries: watch::Sender::new(0),
            road: RoadCache::default(),
            decided: watch::Sender::new(0),
            written: watch::Sender::new(0),
            referrer_lists: Semaphore::new(config.limits.referrer_lists),
            reports: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(2, NonZero::get),
            )),
            snapshot: ArcSwap::from_pointee(Snapshot::load(db.read()).await?),
            refresh: Mutex::default(),
            looking: Mutex::default(),
            pull_writer: Mutex::default(),
            lock: Mutex::new(Some(lock)),
            runtime: Handle::current(),
            config,
            clock,
            db,
            room,
            files,
            signer,
            uploads,
            pulls,
        });
        put(
            &inner.refresh,
            tokio::spawn(follow::refresh(Arc::downgrade(&inner))),
        );
        put(
            &inner.looking,
            tokio::spawn(look::look_after(Arc::downgrade(&inner))),
        );
        put(
            &inner.pull_writer,
            tokio::spawn(pull_writer.run(Arc::downgrade(&inner))),
        );
        Ok(Self { inner })
    }

    /// Writes what is queued, closes the database and gives back the lock. Later calls on other clones fail.
    pub async fn close(self) -> Result<(), StoreError> {
        for task in [&self.inner.refresh, &self.inner.looking] {
            if let Some(task) = take(task) {
                task.abort();
                let _ = task.await;
            }
        }
        self.inner.pulls.close();
        if let Some(pull_writer) = take(&self.inner.pull_writer) {
            let _ = pull_writer.await;
        }
        // What cannot be written keeps nothing else from being closed.
        let flushed = self.flush_last_logins().await;
        self.inner.authenticator.close().await;
        self.inner.files.close().await;
        let closed = self.inner.db.close().await;
        drop(take(&self.inner.lock));
        flushed.and(closed)
    }

    /// Where the data lies.
    pub fn data_dir(&self) -> &Path {
        &self.inner.config.data_dir
    }

    /// The present time, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Who may do what, as of now. Follows local changes before they are acknowledged and those of others within ten
    /// seconds. Nobody may do anything while a change that was made cannot be read (see `snapshot/follow.rs`).
    pub fn access(&self) -> Arc<AccessBook> {
        Arc::clone(&self.inner.snapshot.load().book)
    }

    /// Asks the database for a sign of life; for readiness. Not ready either while the access data cannot be read.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.demand_open_book()?;
        setting::access_generation(self.inner.db.read()).await.map(drop)
    }

    /// Changes whenever something was written, whatever it is, notes of pulls excepted. Nobody else writes while this store is
    /// open: as long as it stays the same, what was read is as it was, and only time can make a difference.
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.inner.written.subscribe()
    }

    pub(crate) fn limits(&self) -> &StoreLimits {
        &self.inner.config.limits
    }

    /// `limit`, cut to what a page may have.
    pub(crate) fn page_limit(&self, limit: usize) -> usize {
        limit.min(self.limits().page_items)
    }

    /// Runs `work` in a transaction of the writer, in a task of its own: it is carried out or not, but never left
    /// half-way because the caller went away. Commits on `Ok`, takes everything back on `Err`.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: for<'t> FnOnce(&'t Tx) -> Work<'t, T, E> + Send + 'static,
    {
        let store = self.clone();
        let task = self
            .inner
            .runtime
            .spawn(async move { store.write_here(work).await });
        task.await.map_err(StoreError::from)?
    }

    /// The same in the present task, which must be one that nobody cancels.
    pub(crate) async fn write_here<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<StoreError>,
        F: for<'t> FnOnce(&'t Tx) -> Work<'t, T, E>,
    {
        self.inner.room.notice(self.now());
        let tx = self.inner.db.begin(self.now()).await?;
        let done = work(&tx).await;
        if done.is_err() {
            if let Err(error) = tx.rollback().await {
                tracing::warn!(%error, "a transaction could not be rolled back");
            }
            return done;
        }
        let (facts, touched) = tx.take_facts();
        let learned = self.inner.caches.learn(facts, &touched);
        let (mut effects, committed) = tx.commit().await;
        if matches!(committed, Err(StoreError::DiskFull)) {
            self.inner.room.ran_out(self.now());
        }
        let switched = effects.maintenance.take();
        self.apply(effects).await;
        committed?;
        if let Some(switched) = switched {
            self.inner.maintenance.store(switched.0);
        }
        self.inner.caches.keep(learned).await;
        done
    }

    async fn apply(&self, effects: Effects) {
        let Inner { caches, .. } = &*self.inner;
        effects.keys.into_iter().for_each(|key| caches.epochs.bump(key));
        if effects.everything {
            caches.epochs.bump_all();
        }
        if effects.jobs {
            self.inner.workers.send_modify(|changes| *changes += 1);
        }
        if effects.rulings {
            self.inner.rulings.send_modify(|changes| *changes += 1);
        }
        if effects.entries {
            self.inner.entries.send_modify(|changes| *changes += 1);
        }
        if !effects.aside {
            self.inner.written.send_modify(|writes| *writes += 1);
        }
        if let Some(generation) = effects.access {
            self.follow_access(generation).await;
        }
    }
}

/// Takes the data directory: its lock, room for what follows, its files. Blocks.
fn open_directory(
    config: &StoreConfig,
    volume: Box<dyn Volume>,
    now: Timestamp,
) -> Result<(DirLock, Arc<Room>, BlobFiles), StoreError> {
    let dir = &config.data_dir;
    let lock = DirLock::take(dir)?;
    // First of all: on a disk that is full nothing of what follows could be made.
    let room = Room::open(volume, config.limits.reserve_bytes, now);
    room.clear(dir);
    lock.prepare(dir)?;
    lock.demand_database(dir)?;
    let mut files = FilesConfig::within(dir, &config.limits);
    files.reader.touched = config.touches_blobs.then(Table::of_process);
    Ok((lock, Arc::new(room), BlobFiles::open(&files)?))
}

fn put<T>(place: &Mutex<Option<T>>, value: T) {
    place
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .replace(value);
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}
