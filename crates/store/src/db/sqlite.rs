//! What is said to `SQLite` alone: how connections are opened, how a write begins, and the snapshot for a backup. The
//! counterpart for `PostgreSQL` goes beside this file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode, SqlxSqliteConnector,
    TransactionOptions,
};

use crate::{StoreError, StoreLimits};

/// Page cache of one reader, KiB. Small: what is hot is in our own caches, what is warm in the kernel's.
const READER_CACHE_KIB: u32 = 512;
/// Page cache of the writer, KiB.
const WRITER_CACHE_KIB: u32 = 2_048;
/// How long a connection waits for a lock that a stranger holds (a person with a shell).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the one user of a connection waits until it is open.
const OPEN_WAIT: Duration = Duration::from_secs(10);
/// The write-ahead log is cut to this after a checkpoint, bytes.
const LOG_BYTES: &str = "67108864";

/// Opens the one connection that writes. A commit is on the disk before it is acknowledged.
///
/// `SQLite` would make the file readable for everybody, and it holds the key that tokens are signed with; its log gets
/// the mode of the file.
pub(super) async fn open_writer(file: &Path) -> Result<DatabaseConnection, StoreError> {
    crate::lock::open_private(file).map_err(|error| StoreError::file("open", file, error))?;
    let options = options(file, WRITER_CACHE_KIB).create_if_missing(true);
    let pool = pool(1, OPEN_WAIT)
        .connect_with(options)
        .await
        .map_err(connecting)?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}

/// Opens the connections that read, when they are needed.
pub(super) fn open_readers(file: &Path, limits: &StoreLimits) -> DatabaseConnection {
    let options = options(file, READER_CACHE_KIB).pragma("query_only", "ON");
    let pool = pool(limits.read_connections, limits.read_wait);
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.connect_lazy_with(options))
}

/// Whether a statement failed for want of space.
pub(crate) fn is_disk_full(error: &DbErr) -> bool {
    /// `SQLITE_FULL`.
    const FULL: &str = "13";
    let (DbErr::Exec(RuntimeErr::SqlxError(source))
    | DbErr::Query(RuntimeErr::SqlxError(source))
    | DbErr::Conn(RuntimeErr::SqlxError(source))) = error
    else {
        return false;
    };
    let error = source.as_database_error();
    error.is_some_and(|error| error.code().is_some_and(|code| code == FULL))
}

fn connecting(error: sea_orm::sqlx::Error) -> StoreError {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))).into()
}

fn options(file: &Path, cache_kib: u32) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
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
        .connect_with(options(database, READER_CACHE_KIB))
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
        let name = verb.to_ascii_lowercase();
        on.execute_unprepared(&format!(
            "CREATE TRIGGER {table}_refuses_{name} BEFORE {verb} ON {table} \
             BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        ))
        .await?;
    }
    Ok(())
}
