//! Revocation with a database that cannot be read for a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use access::permit::Pull;
use access::{Caller, Role};

use crate::db::sql;
use crate::snapshot::Snapshot;
use crate::testing::{Kit, PASSWORD};
use crate::{AuthError, Store, StoreError};

/// From now on reading the access data fails, writing it does not.
async fn break_reading(store: &Store) {
    rename(store, "ALTER TABLE rule RENAME TO rule_elsewhere").await;
}

async fn mend_reading(store: &Store) {
    rename(store, "ALTER TABLE rule_elsewhere RENAME TO rule").await;
}

async fn rename(store: &Store, statement: &'static str) {
    let renamed: Result<u64, StoreError> = store
        .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), statement, []).await }))
        .await;
    renamed.unwrap();
}

fn may(kit: &Kit, caller: &Caller) -> bool {
    kit.store.access().may::<Pull>(caller, &"r".parse().unwrap())
}

async fn revoke(kit: &Kit, name: &str) {
    kit.store
        .delete_principal(&Kit::operator(), &name.parse().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_revocation_whose_first_reload_fails_is_effective_when_it_is_acknowledged() {
    let kit = Kit::new().await;
    let (robot, other) = (
        kit.robot("robot", &[Role::Pull], "**").await,
        kit.all("other").await,
    );
    break_reading(&kit.store).await;
    let store = kit.store.clone();
    let mending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        mend_reading(&store).await;
    });
    assert!(may(&kit, &robot));
    revoke(&kit, "robot").await;
    assert!(!may(&kit, &robot) && may(&kit, &other));
    assert!(kit.store.ping().await.is_ok());
    mending.await.unwrap();
}

#[tokio::test]
async fn where_a_revocation_cannot_be_read_nobody_may_do_anything_until_it_can() {
    let kit = Kit::with(|limits| limits.access_reload = Duration::from_millis(200)).await;
    let (robot, other) = (
        kit.robot("robot", &[Role::Pull], "**").await,
        kit.all("other").await,
    );
    break_reading(&kit.store).await;
    revoke(&kit, "robot").await;
    assert!(!may(&kit, &robot) && !may(&kit, &other));
    assert!(kit.store.ping().await.is_err(), "not ready");
    assert!(kit.store.refresh_access().await.is_err());
    assert!(!may(&kit, &other));

    mend_reading(&kit.store).await;
    kit.store.refresh_access().await.unwrap();
    assert!(!may(&kit, &robot) && may(&kit, &other));
    assert!(kit.store.ping().await.is_ok());
}

#[tokio::test]
async fn a_good_password_is_not_called_wrong_while_the_book_is_closed() {
    let kit = Kit::new().await;
    kit.administrator("ann").await;
    let log_in = || async {
        let from = IpAddr::from([192, 0, 2, 1]);
        kit.store.authenticate("ann", &PASSWORD.into(), from).await
    };
    kit.store.close_access(kit.store.access().generation() + 1);
    // More often than failures are forgiven.
    for _ in 0..=kit.store.limits().login_failures {
        let refused = log_in().await;
        assert!(
            matches!(refused, Err(AuthError::Store(StoreError::Closed))),
            "{refused:?}"
        );
    }
    let loaded = Snapshot::load(kit.store.inner.db.read()).await.unwrap();
    kit.store.inner.snapshot.store(Arc::new(loaded));
    log_in().await.unwrap();
}

#[tokio::test]
async fn an_older_state_never_replaces_a_closed_book() {
    let kit = Kit::new().await;
    let robot = kit.robot("robot", &[Role::Pull], "**").await;
    let before = Instant::now();
    kit.store.close_access(kit.store.access().generation());
    assert!(may(&kit, &robot), "what is effective closes nothing");
    kit.store.close_access(kit.store.access().generation() + 1);
    // What this reads was so before the change that could not be read.
    kit.store.reload_access().await.unwrap();
    assert!(!may(&kit, &robot));
    assert!(
        before.elapsed() < super::REFRESH_EVERY,
        "the refresh had no part in it"
    );
}
