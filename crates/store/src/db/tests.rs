use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::{ConnectionTrait as _, FromQueryResult, SqlxSqliteConnector};
use tempfile::TempDir;

use super::*;
use crate::db::sql::{all, execute, first};

#[derive(FromQueryResult)]
struct Named {
    #[expect(dead_code, reason = "only counted")]
    name: String,
}

#[derive(FromQueryResult)]
struct Pages {
    page_count: i64,
}

#[derive(FromQueryResult)]
struct MostPages {
    max_page_count: i64,
}

async fn database() -> (TempDir, Db) {
    database_with(&StoreLimits::default()).await
}

async fn database_with(limits: &StoreLimits) -> (TempDir, Db) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("roadbed.db");
    let db = Db::open(&file, limits).await.unwrap();
    (directory, db)
}

async fn put(db: &Db, key: &str, bytes: usize) -> Result<(), StoreError> {
    let tx = db.begin(Timestamp(1)).await?;
    let insert = "INSERT INTO setting (key, value) VALUES ($1, $2)";
    match execute(tx.sql(), insert, [key.into(), "x".repeat(bytes).into()]).await {
        Ok(_) => tx.commit().await.1,
        Err(error) => {
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn count(db: &Db) -> usize {
    let found: Vec<Named> = all(
        db.read(),
        "SELECT key AS name FROM setting WHERE key LIKE 'test-%'",
        [],
    )
    .await
    .unwrap();
    found.len()
}

/// The database may grow by this many pages.
async fn limit_growth(db: &Db, pages: u32) {
    let tx = db.begin(Timestamp(1)).await.unwrap();
    let present: Option<Pages> = first(tx.sql(), "PRAGMA page_count", []).await.unwrap();
    let most = present.unwrap().page_count + i64::from(pages);
    let set: Option<MostPages> = first(tx.sql(), &format!("PRAGMA max_page_count = {most}"), [])
        .await
        .unwrap();
    assert_eq!(set.unwrap().max_page_count, most);
    tx.commit().await.1.unwrap();
}

#[tokio::test]
async fn after_a_full_disk_what_is_acknowledged_is_committed_again() {
    let (_directory, db) = database().await;
    limit_growth(&db, 8).await;
    put(&db, "test-small", 10).await.unwrap();
    assert!(matches!(
        put(&db, "test-large", 1_000_000).await,
        Err(StoreError::DiskFull)
    ));
    // A new connection knows no limit: there is room again.
    put(&db, "test-again", 1_000_000).await.unwrap();
    assert_eq!(count(&db).await, 2);
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("roadbed.db");
    let writer = sqlite::make_writer(&file, &StoreLimits::default()).await.unwrap();
    migration::Migrator::up(&writer, Some(1)).await.unwrap();
    for row in [
        "INSERT INTO repository VALUES (1, 'r', 5, 0, 0, 1, 1, 1)",
        "INSERT INTO blob VALUES (1, 'd', 5, 'l', 0, 1, 1, 1)",
        "INSERT INTO repository_blob VALUES (1, 1, 0, 1, 1)",
    ] {
        execute(&writer, row, []).await.unwrap();
    }
    writer.close().await.unwrap();
    let db = Db::open(&file, &StoreLimits::default()).await.unwrap();
    for (sql, number) in [
        ("SELECT released AS number FROM repository_blob", 0),
        ("SELECT released_bytes AS number FROM repository", 0),
        ("SELECT bytes AS number FROM repository", 5),
    ] {
        let found: Option<sql::Number> = first(db.read(), sql, []).await.unwrap();
        assert_eq!(found.unwrap().number, number, "{sql}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_dropped_half_way_leaves_nothing() {
    let (_directory, db) = database().await;
    let tx = db.begin(Timestamp(1)).await.unwrap();
    let insert = "INSERT INTO setting (key, value) VALUES ($1, $2)";
    execute(tx.sql(), insert, ["test-dropped".into(), "x".into()])
        .await
        .unwrap();
    drop(tx);
    put(&db, "test-kept", 1).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn only_so_many_transactions_wait_for_the_writer() {
    const QUEUE: usize = 8;
    let limits = StoreLimits {
        write_queue: QUEUE,
        ..StoreLimits::default()
    };
    let (_directory, db) = database_with(&limits).await;
    let db = Arc::new(db);
    let held = db.begin(Timestamp(1)).await.unwrap();
    let waiting: Vec<_> = (0..QUEUE)
        .map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { db.begin(Timestamp(1)).await.map(drop) })
        })
        .collect();
    while db.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(
        db.begin(Timestamp(1)).await.map(drop),
        Err(StoreError::Busy)
    ));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    held.rollback().await.unwrap();
    for task in waiting {
        let _ = task.await;
    }
    put(&db, "test-after", 1).await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_connection_for_ever() {
    let limits = StoreLimits {
        write_wait: Duration::from_millis(500),
        read_connections: 1,
        read_wait: Duration::from_millis(500),
        ..StoreLimits::default()
    };
    let (_directory, db) = database_with(&limits).await;
    let writes = db.begin(Timestamp(1)).await.unwrap();
    let second = db.begin(Timestamp(1)).await.map(drop);
    // Nothing was written while somebody waited: that is an outage until a try says otherwise.
    assert!(matches!(second, Err(StoreError::Unwritable)), "{second:?}");
    writes.rollback().await.unwrap();
    db.look(Timestamp(1)).await;
    put(&db, "test-after", 1).await.unwrap();

    let query = "SELECT key AS name FROM setting";
    let reads = db.read().pool().begin().await.unwrap();
    let second = all::<Named>(db.read(), query, []).await.map(drop);
    assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
    reads.rollback().await.unwrap();
    // Nothing was answered while somebody waited: that is an outage until a try says otherwise.
    db.look(Timestamp(1)).await;
    all::<Named>(db.read(), query, []).await.unwrap();
}

/// Somebody with a shell: a connection of its own that holds the lock for writing.
async fn stranger(file: &Path) -> DatabaseConnection {
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await.unwrap();
    let stranger = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
    stranger.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    stranger
}

#[tokio::test]
async fn while_a_stranger_has_the_lock_only_the_first_change_waits_and_questions_are_answered() {
    const LOCK_WAIT: Duration = Duration::from_millis(300);
    let limits = StoreLimits {
        lock_wait: LOCK_WAIT,
        ..StoreLimits::default()
    };
    let (directory, db) = database_with(&limits).await;
    put(&db, "test-before", 1).await.unwrap();
    let stranger = stranger(&directory.path().join("roadbed.db")).await;
    let first = put(&db, "test-first", 1).await;
    assert!(matches!(first, Err(StoreError::Unwritable)), "{first:?}");
    let started = std::time::Instant::now();
    for _ in 0..50 {
        assert!(matches!(
            put(&db, "test-next", 1).await,
            Err(StoreError::Unwritable)
        ));
    }
    assert!(started.elapsed() < LOCK_WAIT, "{:?}", started.elapsed());
    assert_eq!(count(&db).await, 1);
    db.look(Timestamp(1)).await;
    assert!(db.outages.outage(Use::Write).is_some(), "it is still locked");
    stranger.execute_unprepared("ROLLBACK").await.unwrap();
    db.look(Timestamp(1)).await;
    put(&db, "test-after", 1).await.unwrap();
    assert_eq!(count(&db).await, 2);
    assert_eq!(db.outages.begun(), 1);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_a_file_is_not_in_its_place() {
    let (directory, db) = database().await;
    put(&db, "test-before", 1).await.unwrap();
    for name in ["roadbed.db", "roadbed.db-wal"] {
        let (file, aside) = (directory.path().join(name), directory.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        let put_away = put(&db, "test-away", 1).await;
        assert!(matches!(put_away, Err(StoreError::Away)), "{name}: {put_away:?}");
        let query = "SELECT key AS name FROM setting";
        let asked = all::<Named>(db.read(), query, []).await.map(drop);
        assert!(matches!(asked, Err(StoreError::Away)), "{name}: {asked:?}");
        std::fs::rename(&aside, &file).unwrap();
        db.look(Timestamp(1)).await;
        put(&db, &format!("test-{name}"), 1).await.unwrap();
    }
    assert_eq!(count(&db).await, 3);
}

#[tokio::test]
async fn a_file_that_goes_between_the_change_and_its_acknowledgement_makes_it_none() {
    let (directory, db) = database().await;
    let tx = db.begin(Timestamp(1)).await.unwrap();
    let insert = "INSERT INTO setting (key, value) VALUES ($1, $2)";
    execute(tx.sql(), insert, ["test-late".into(), "x".into()])
        .await
        .unwrap();
    std::fs::rename(
        directory.path().join("roadbed.db"),
        directory.path().join("aside"),
    )
    .unwrap();
    assert!(matches!(tx.commit().await.1, Err(StoreError::Away)));
}

#[tokio::test]
async fn a_replaced_connection_leaves_the_locks_of_the_others() {
    let (directory, db) = database().await;
    put(&db, "test-first", 1).await.unwrap();
    assert_eq!(count(&db).await, 1, "a reader has the file open");
    drop(db.begin(Timestamp(1)).await.unwrap());
    put(&db, "test-second", 1).await.unwrap();
    // Whoever comes last folds the log into the database and removes it: that must not be a stranger while this one goes on.
    let file = directory.path().join("roadbed.db");
    let shell = std::process::Command::new("sqlite3")
        .arg(&file)
        .arg("SELECT 1")
        .output();
    if shell.is_err() {
        return;
    }
    put(&db, "test-third", 1).await.unwrap();
    assert_eq!(count(&db).await, 3);
}

#[tokio::test]
async fn only_so_many_questions_are_asked_at_the_same_time() {
    let limits = StoreLimits {
        read_queue: 2,
        read_connections: 1,
        ..StoreLimits::default()
    };
    let (_directory, db) = database_with(&limits).await;
    let db = Arc::new(db);
    let held = db.read().pool().begin().await.unwrap();
    let query = "SELECT key AS name FROM setting";
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let db = Arc::clone(&db);
            tokio::spawn(async move { all::<Named>(db.read(), query, []).await.map(drop) })
        })
        .collect();
    while db.read().free_places() > 0 {
        tokio::task::yield_now().await;
    }
    let third = all::<Named>(db.read(), query, []).await.map(drop);
    assert!(matches!(third, Err(StoreError::Busy)), "{third:?}");
    held.rollback().await.unwrap();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
}
