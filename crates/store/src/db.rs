//! The database: how a query is run and how a transaction lives and dies. No table is named here.
//!
//! - Statements are plain SQL with `$1` placeholders in the dialect that `SQLite` and `PostgreSQL` share; they stand in the
//!   module of the noun that they are about. What only one of them understands is in `db/sqlite.rs`.
//! - There is one writer. A transaction begins with `BEGIN IMMEDIATE`, so that it never fails half-way because another
//!   one came first, and runs in a task of its own: a request that is dropped does not cancel it.
//! - `SQLite` ends a transaction by itself when the disk is full or fails, and the driver does not notice: it would take the
//!   next transaction for a nested one and never commit again. So after every transaction that did not end cleanly the
//!   writer's connection is thrown away and a new one opened; see [`Ending`].
//! - What memory knows about rows (caches, the access book) is brought up to date after the commit and before anybody
//!   hears of it; see [`Tx::touch`].

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cache::{Fact, Key};
use crate::{StoreError, StoreLimits, Timestamp};

mod migration;
pub(crate) mod sql;
pub(crate) mod sqlite;

/// What a closure that runs in a transaction returns.
pub(crate) type Work<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// The connections.
pub(crate) struct Db {
    file: PathBuf,
    writer: Mutex<DatabaseConnection>,
    /// The writer's connection may be in a transaction that nobody runs any more.
    doubtful: Arc<AtomicBool>,
    readers: DatabaseConnection,
    turn: Arc<Semaphore>,
    /// Transactions that may wait for the writer; what comes on top is refused at once.
    waiting: Semaphore,
    /// How long a transaction waits for the writer before it is refused.
    wait: Duration,
    calls: AtomicU64,
}

impl Db {
    /// Opens the database file, makes it if it is not there, and brings it to the present schema.
    pub(crate) async fn open(file: &Path, limits: &StoreLimits) -> Result<Self, StoreError> {
        let writer = sqlite::open_writer(file).await?;
        migration::Migrator::up(&writer, None).await?;
        let readers = sqlite::open_readers(file, limits);
        Ok(Self {
            file: file.to_owned(),
            writer: Mutex::new(writer),
            doubtful: Arc::default(),
            readers,
            turn: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(limits.write_queue),
            wait: limits.write_wait,
            calls: AtomicU64::new(0),
        })
    }

    /// A connection for reading, which sees what was committed before.
    pub(crate) fn read(&self) -> &DatabaseConnection {
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
        let place = self.waiting.try_acquire().map_err(|_| StoreError::Busy)?;
        let turn = match tokio::time::timeout(self.wait, Arc::clone(&self.turn).acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(StoreError::TaskLost),
            Err(_) => return Err(StoreError::Busy),
        };
        drop(place);
        let writer = self.trusted_writer().await?;
        let mut ending = Ending::begun(&self.doubtful);
        let inner = writer.begin_with_options(sqlite::write_transaction()).await?;
        ending.is_clean = false;
        Ok(Tx {
            inner,
            now,
            effects: Mutex::default(),
            ending,
            _turn: turn,
        })
    }

    /// The writer's connection, a new one if the last transaction did not end cleanly. The caller has the turn.
    async fn trusted_writer(&self) -> Result<DatabaseConnection, StoreError> {
        let writer = self.writer().clone();
        if !self.doubtful.load(Ordering::SeqCst) {
            return Ok(writer);
        }
        // Closed first: it may still hold the lock.
        let _ = writer.close().await;
        let fresh = sqlite::open_writer(&self.file).await?;
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
        self.readers.clone().close().await?;
        let writer = self.writer().clone();
        writer.close().await?;
        Ok(())
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

    fn effects(&self) -> std::sync::MutexGuard<'_, Effects> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits. The effects are handed out also when the commit fails: nobody knows then what the disk says.
    pub(crate) async fn commit(self) -> (Effects, Result<(), StoreError>) {
        let Self {
            inner,
            effects,
            mut ending,
            _turn,
            ..
        } = self;
        let effects = effects.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = inner.commit().await.map_err(StoreError::from);
        ending.is_clean = done.is_ok();
        drop(ending);
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
