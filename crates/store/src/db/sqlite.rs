//! What is said to `SQLite` alone: how connections are opened, how a write begins, and the snapshot for a backup. The
//! counterpart for `PostgreSQL` goes beside this file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode,
    SqlxSqliteConnector, TransactionOptions,
};

use super::outage::AwayReason;
use crate::{StoreError, StoreLimits};

/// Page cache of one reader, KiB. Small: what is hot is in our own caches, what is warm in the kernel's.
const READER_CACHE_KIB: u32 = 512;
/// Page cache of the writer, KiB.
const WRITER_CACHE_KIB: u32 = 2_048;
/// How long the one user of a connection waits until it is open.
const OPEN_WAIT: Duration = Duration::from_secs(10);
/// The write-ahead log is cut to this after a checkpoint, bytes.
const LOG_BYTES: &str = "67108864";

/// Opens the one connection that writes, and makes the database if it is not there. A commit is on the disk before it is
/// acknowledged.
///
/// `SQLite` would make the file readable for everybody, and it holds the key that tokens are signed with; its log gets
/// the mode of the file. Only before anything else has the file open: to close it takes all locks of the process away.
pub(super) async fn make_writer(file: &Path, limits: &StoreLimits) -> Result<DatabaseConnection, StoreError> {
    crate::lock::open_private(file).map_err(|error| StoreError::file("open", file, error))?;
    open_writer(file, limits).await.map_err(StoreError::opening)
}

/// Opens the one connection that writes to a database that is there.
pub(super) async fn open_writer(file: &Path, limits: &StoreLimits) -> Result<DatabaseConnection, DbErr> {
    let options = options(file, WRITER_CACHE_KIB, limits.lock_wait);
    let pool = pool(1, OPEN_WAIT)
        .connect_with(options)
        .await
        .map_err(connecting)?;
    let writer = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    // Opens the log.
    writer.execute_unprepared("PRAGMA schema_version").await?;
    Ok(writer)
}

/// Opens the connections that read, when they are needed.
pub(super) fn open_readers(file: &Path, limits: &StoreLimits) -> DatabaseConnection {
    let options = options(file, READER_CACHE_KIB, limits.lock_wait).pragma("query_only", "ON");
    let pool = pool(limits.read_connections, limits.read_wait);
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.connect_lazy_with(options))
}

/// Whether a statement failed for want of space.
pub(crate) fn is_disk_full(error: &DbErr) -> bool {
    /// `SQLITE_FULL`.
    const FULL: u32 = 13;
    cause(error).and_then(code) == Some(FULL)
}

/// What a failure says about the database as a whole, if anything: the next statement would fail too.
pub(crate) fn away(error: &DbErr) -> Option<AwayReason> {
    if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
        return Some(AwayReason::Slow);
    }
    let cause = cause(error)?;
    // BUSY, LOCKED and PROTOCOL; PERM, READONLY, IOERR, CANTOPEN and NOTADB.
    match code(cause) {
        Some(5 | 6 | 15) => Some(AwayReason::Locked),
        Some(3 | 8 | 10 | 14 | 26) => Some(AwayReason::Failing),
        Some(_) => None,
        None => matches!(cause, SqlxError::Io(_) | SqlxError::WorkerCrashed).then_some(AwayReason::Failing),
    }
}

fn cause(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source))
        | DbErr::Conn(RuntimeErr::SqlxError(source)) => Some(source),
        _ => None,
    }
}

/// The primary result code: the lowest eight bits of the extended one.
fn code(error: &SqlxError) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

fn connecting(error: SqlxError) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// `lock_wait`: for a lock that a stranger holds.
fn options(file: &Path, cache_kib: u32, lock_wait: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(lock_wait)
        .foreign_keys(true)
        .statement_cache_capacity(128)
        .pragma("cache_size", format!("-{cache_kib}"))
        .pragma("journal_size_limit", LOG_BYTES)
        .pragma("temp_store", "MEMORY")
}

fn pool(connections: u32, wait: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(wait)
        .idle_timeout(None)
        .max_lifetime(None)
        // A local file does not go away between two queries; the check would cost as much as a query.
        .test_before_acquire(false)
}

/// A write takes its lock at the beginning: one that took it later could fail half-way.
pub(super) fn write_transaction() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

/// Copies the database as of this moment into a new file, while others read and write.
pub(crate) async fn snapshot(database: &Path, target: &Path) -> Result<(), StoreError> {
    let pool = pool(1, OPEN_WAIT)
        .connect_with(options(database, READER_CACHE_KIB, OPEN_WAIT))
        .await
        .map_err(connecting)?;
    let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    let done = super::sql::execute(
        &connection,
        "VACUUM INTO $1",
        [target.to_string_lossy().into_owned().into()],
    )
    .await;
    connection.close().await?;
    done.map(drop)
}

/// Opens a snapshot for reading.
pub(crate) fn open_snapshot(file: &Path) -> DatabaseConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .immutable(true);
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool(1, OPEN_WAIT).connect_lazy_with(options))
}

/// Makes a table refuse UPDATE and DELETE.
pub(super) async fn make_append_only(on: &impl ConnectionTrait, table: &str) -> Result<(), DbErr> {
    for verb in ["UPDATE", "DELETE"] {
        refuse(on, table, verb).await?;
    }
    Ok(())
}

/// Makes a table refuse UPDATE or DELETE.
pub(crate) async fn refuse(on: &impl ConnectionTrait, table: &str, verb: &str) -> Result<(), DbErr> {
    let name = verb.to_ascii_lowercase();
    let sql = format!(
        "CREATE TRIGGER {table}_refuses_{name} BEFORE {verb} ON {table} \
         BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    );
    on.execute_unprepared(&sql).await.map(drop)
}

/// Has a table take DELETE again, until the same transaction makes it refuse that.
pub(crate) async fn let_go(on: &impl ConnectionTrait, table: &str) -> Result<(), DbErr> {
    let sql = format!("DROP TRIGGER {table}_refuses_delete");
    on.execute_unprepared(&sql).await.map(drop)
}
