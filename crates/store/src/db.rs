//! The database: how a query is run and how a transaction lives and dies. No table is named here.
//!
//! - Statements are plain SQL with `$1` placeholders in the dialect that `SQLite` and `PostgreSQL` share; they stand in the
//!   module of the noun that they are about. What only one of them understands is in `db/sqlite.rs`.
//! - There is one writer. A transaction begins with `BEGIN IMMEDIATE`, so that it never fails half-way because another
//!   one came first, and runs in a task of its own: a request that is dropped does not cancel it.
//! - `SQLite` ends a transaction by itself when the disk is full or fails, and the driver does not notice: it would take the
//!   next transaction for a nested one and never commit again. So after every transaction that did not end cleanly the
//!   writer's connection is thrown away and a new one opened; see [`Ending`].
//! - What is found out about a database that is locked, gone or slow is remembered, so that not everybody finds it out again; see
//!   `db/outage.rs`. `db/look.rs` notices when it is back.
//! - What memory knows about rows (caches, the access book) is brought up to date after the commit and before anybody
//!   hears of it; see [`Tx::touch`].

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::{Fact, Key};
use crate::maintenance::MaintenanceSwitch;
use crate::{StoreError, StoreLimits, Timestamp};

pub(crate) mod look;
mod migration;
pub(crate) mod outage;
pub(crate) mod place;
mod reader;
pub(crate) mod sql;
pub(crate) mod sqlite;

use outage::{AwayReason, Outages, Use};
use place::Place;
use reader::Reader;

/// What a closure that runs in a transaction returns.
pub(crate) type Work<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// The connections.
pub(crate) struct Db {
    file: PathBuf,
    writer: Mutex<DatabaseConnection>,
    /// The writer's connection may be in a transaction that nobody runs any more.
    doubtful: Arc<AtomicBool>,
    readers: Reader,
    pub(crate) outages: Arc<Outages>,
    turn: Arc<Semaphore>,
    /// Transactions that may wait for the writer; what comes on top is refused at once.
    waiting: Semaphore,
    limits: StoreLimits,
    calls: AtomicU64,
}

impl Db {
    /// Opens the database file, makes it if it is not there, and brings it to the present schema.
    pub(crate) async fn open(file: &Path, limits: &StoreLimits) -> Result<Self, StoreError> {
        let writer = sqlite::make_writer(file, limits).await?;
        migration::Migrator::up(&writer, None)
            .await
            .map_err(StoreError::opening)?;
        let place = Place::of(file);
        place.note();
        let outages = Arc::new(Outages::new(place, limits.read_wait, limits.write_wait));
        let readers = sqlite::open_readers(file, limits);
        Ok(Self {
            file: file.to_owned(),
            writer: Mutex::new(writer),
            doubtful: Arc::default(),
            readers: Reader::new(readers, Arc::clone(&outages), limits),
            outages,
            turn: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(limits.write_queue),
            limits: limits.clone(),
            calls: AtomicU64::new(0),
        })
    }

    /// Connections for reading, which see what was committed before.
    pub(crate) fn read(&self) -> &Reader {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.readers
    }

    /// Calls so far: reads and transactions.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Begins a transaction of the writer. The caller runs it in a task that nobody cancels.
    pub(crate) async fn begin(&self, now: Timestamp) -> Result<Tx, StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.outages.demand_both()?;
        let place = self.waiting.try_acquire().map_err(|_| StoreError::Busy)?;
        let turn = Arc::clone(&self.turn).acquire_owned();
        let turn = match tokio::time::timeout(self.limits.write_wait, turn).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(StoreError::TaskLost),
            Err(_) => {
                // One that is only late among many is no outage.
                let begins = self.outages.failed(Use::Write, AwayReason::Slow);
                return Err(if begins {
                    self.outages.told()
                } else {
                    StoreError::Busy
                });
            }
        };
        drop(place);
        // Whoever waited behind one that found it away need not find out again.
        self.outages.demand_both()?;
        self.begin_in_turn(turn, now).await
    }

    /// Begins a transaction and tells how that went. The caller has the turn.
    async fn begin_in_turn(&self, turn: OwnedSemaphorePermit, now: Timestamp) -> Result<Tx, StoreError> {
        self.outages.demand_place()?;
        let writer = self.trusted_writer().await?;
        let mut ending = Ending::begun(&self.doubtful);
        let inner = writer.begin_with_options(sqlite::write_transaction()).await;
        let inner = inner.map_err(|error| self.failed(error))?;
        ending.is_clean = false;
        Ok(Tx {
            inner,
            now,
            effects: Mutex::default(),
            ending,
            outages: Arc::clone(&self.outages),
            _turn: turn,
        })
    }

    fn failed(&self, error: DbErr) -> StoreError {
        told(&self.outages, error)
    }

    /// The writer's connection, a new one if the last transaction did not end cleanly. The caller has the turn.
    async fn trusted_writer(&self) -> Result<DatabaseConnection, StoreError> {
        let writer = self.writer().clone();
        if !self.doubtful.load(Ordering::SeqCst) {
            return Ok(writer);
        }
        // Closed first: it may still hold the lock.
        let _ = writer.close().await;
        let fresh = sqlite::open_writer(&self.file, &self.limits).await;
        let fresh = fresh.map_err(|error| self.failed(error))?;
        // Without readers the log has gone with the old connection and come with the new one.
        self.outages.place.note();
        *self.writer() = fresh.clone();
        self.doubtful.store(false, Ordering::SeqCst);
        tracing::warn!("a transaction did not end cleanly, the writer's connection was replaced");
        Ok(fresh)
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, DatabaseConnection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections; the writer last, so that it can fold the log into the database.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.turn.close();
        self.readers.pool().close_by_ref().await?;
        let writer = self.writer().clone();
        writer.close().await?;
        Ok(())
    }
}

/// What an error of the writer means, once it was told to whoever remembers.
fn told(outages: &Outages, error: DbErr) -> StoreError {
    if let Some(reason) = sqlite::away(&error)
        && outages.failed(Use::Write, reason)
    {
        tracing::warn!(%error, "what the database said");
    }
    match error.into() {
        StoreError::Away => outages.told(),
        error => error,
    }
}

/// What has to be made true in memory after the commit.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is something of its own to be done after the commit"
)]
pub(crate) struct Effects {
    /// Cache entries that are no longer true.
    pub(crate) keys: Vec<Key>,
    /// What is true instead.
    pub(crate) facts: Vec<(Key, Fact)>,
    /// All cache entries are in doubt.
    pub(crate) everything: bool,
    /// A job may have become ready.
    pub(crate) jobs: bool,
    /// What images are judged by has changed.
    pub(crate) rulings: bool,
    /// Whose repositories are, or what images may stand on, has changed.
    pub(crate) entries: bool,
    /// Principals, secrets, grants or rules have changed; the generation that they have now.
    pub(crate) access: Option<u64>,
    /// Nobody who follows the store asks for what was written.
    pub(crate) aside: bool,
    /// Whether the registry is read-only; only what was committed counts.
    pub(crate) maintenance: Option<MaintenanceSwitch>,
}

/// How a transaction ended: cleanly (committed, or taken back), or else the connection is in doubt. A failed commit, a
/// failed rollback and a transaction that is dropped half-way all come to the same.
struct Ending {
    is_clean: bool,
    doubtful: Arc<AtomicBool>,
}

impl Ending {
    /// Not yet in a transaction, so nothing to doubt.
    fn begun(doubtful: &Arc<AtomicBool>) -> Self {
        Self {
            is_clean: true,
            doubtful: Arc::clone(doubtful),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.is_clean {
            self.doubtful.store(true, Ordering::SeqCst);
        }
    }
}

/// A running transaction of the writer.
pub(crate) struct Tx {
    inner: DatabaseTransaction,
    now: Timestamp,
    effects: Mutex<Effects>,
    /// Dropped before the turn: whoever has it next must see the doubt.
    ending: Ending,
    outages: Arc<Outages>,
    _turn: OwnedSemaphorePermit,
}

impl Tx {
    /// The one moment at which everything in this transaction happens.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// A connection within the transaction.
    pub(crate) fn sql(&self) -> &DatabaseTransaction {
        &self.inner
    }

    /// Whatever is cached under `key` is no longer true once this is committed.
    pub(crate) fn touch(&self, key: Key) {
        self.effects().keys.push(key);
    }

    /// Whoever asks for `key` once this is committed need not ask the database.
    pub(crate) fn teach(&self, key: Key, fact: Fact) {
        self.effects().facts.push((key, fact));
    }

    /// What was taught so far, and the keys that were touched.
    pub(crate) fn take_facts(&self) -> (Vec<(Key, Fact)>, Vec<Key>) {
        let mut effects = self.effects();
        (std::mem::take(&mut effects.facts), effects.keys.clone())
    }

    /// Nothing that is cached may be believed once this is committed.
    pub(crate) fn touch_everything(&self) {
        self.effects().everything = true;
    }

    /// There is something to do once this is committed.
    pub(crate) fn wake_workers(&self) {
        self.effects().jobs = true;
    }

    /// Images are judged by something else once this is committed.
    pub(crate) fn touch_rulings(&self) {
        self.effects().rulings = true;
    }

    /// Whose repositories are, or what images may stand on, is another once this is committed.
    pub(crate) fn touch_entries(&self) {
        self.effects().entries = true;
    }

    /// Who may do what has changed once this is committed, to this generation.
    pub(crate) fn touch_access(&self, generation: u64) {
        self.effects().access = Some(generation);
    }

    /// Nobody who follows the store need look again once this is committed.
    pub(crate) fn pass_by_followers(&self) {
        self.effects().aside = true;
    }

    /// The registry is read-only from now on, or no longer, once this is committed.
    pub(crate) fn switch_maintenance(&self, switch: MaintenanceSwitch) {
        self.effects().maintenance = Some(switch);
    }

    fn effects(&self) -> std::sync::MutexGuard<'_, Effects> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits. The effects are handed out also when the commit fails: nobody knows then what the disk says.
    pub(crate) async fn commit(self) -> (Effects, Result<(), StoreError>) {
        let Self {
            inner,
            effects,
            mut ending,
            outages,
            _turn,
            ..
        } = self;
        let effects = effects.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = inner.commit().await.map_err(|error| told(&outages, error));
        ending.is_clean = done.is_ok();
        drop(ending);
        // What went into a file that is no longer in its place may be gone with the next start: nobody is told that it is done.
        let done = done.and_then(|()| outages.demand_place());
        if done.is_ok() {
            outages.answered(Use::Write);
        }
        (effects, done)
    }

    /// Takes everything back.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        let Self {
            inner,
            mut ending,
            _turn,
            ..
        } = self;
        let done = inner.rollback().await.map_err(StoreError::from);
        ending.is_clean = done.is_ok();
        drop(ending);
        done
    }
}

#[cfg(test)]
mod tests;
