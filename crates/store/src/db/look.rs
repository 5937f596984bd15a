//! Looking after the database: whether its files are in their place, and whether one that was away is back.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sea_orm::DatabaseConnection;

use super::outage::Use;
use super::{Db, sql, sqlite};
use crate::handle::Inner;
use crate::{Store, Timestamp};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How long a try may take, beside the wait for a lock.
const TRY_WAIT: Duration = Duration::from_secs(2);

/// Looks until the last handle is gone. Whatever is wrong is tried one after the other: where the disk hangs, one try hangs and
/// not one more each second.
pub(crate) async fn look_after(inner: Weak<Inner>) {
    let Some(outages) = inner.upgrade().map(|inner| Arc::clone(&inner.db.outages)) else {
        return;
    };
    loop {
        let _ = tokio::time::timeout(EVERY, outages.doubt.notified()).await;
        let Some(store) = inner.upgrade().map(|inner| Store { inner }) else {
            return;
        };
        // On threads of its own: where the disk hangs, nothing is known of its room.
        if let Err(error) = store.look_for_room().await {
            tracing::debug!(%error, "the room of the disk is not known");
        }
        store.inner.db.look(store.now()).await;
        store.end_maintenance_in_time().await;
    }
}

impl Db {
    /// Looks at the files, and tries again what was found to be away.
    pub(crate) async fn look(&self, now: Timestamp) {
        let outages = &self.outages;
        if outages.demand_place().is_err() {
            return;
        }
        if outages.outage(Use::Read).is_some() && self.reopen_readers().await {
            outages.recovered(Use::Read);
        }
        if outages.outage(Use::Write).is_some() && self.try_writer(now).await {
            outages.recovered(Use::Write);
        }
    }

    /// Asks over new connections: the old ones may be dead. They take the place of the old ones if they are answered.
    async fn reopen_readers(&self) -> bool {
        let fresh = sqlite::open_readers(&self.file, &self.limits);
        if !answers(&fresh).await {
            let _ = fresh.close().await;
            return false;
        }
        let old = self.readers.replace(fresh);
        // A question that hangs holds its connection; nobody waits for it.
        tokio::spawn(async move { old.close_by_ref().await });
        true
    }

    /// Begins a transaction that changes nothing.
    async fn try_writer(&self, now: Timestamp) -> bool {
        let turn = tokio::time::timeout(TRY_WAIT, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return false;
        };
        match self.begin_in_turn(turn, now).await {
            Ok(tx) => tx.rollback().await.is_ok(),
            Err(_) => false,
        }
    }
}

async fn answers(pool: &DatabaseConnection) -> bool {
    let asked = sql::first::<sql::Number, 0>(pool, "SELECT COUNT(*) AS number FROM setting", []);
    matches!(tokio::time::timeout(TRY_WAIT, asked).await, Ok(Ok(Some(_))))
}
