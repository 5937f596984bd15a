//! Questions to the database: so many at a time, none while it is known to be away, and each tells how it went.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};
use sea_orm_migration::async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::outage::{AwayReason, Outages, Use};
use super::sqlite;
use crate::StoreLimits;

/// The connections that read.
pub(crate) struct Reader {
    pool: ArcSwap<DatabaseConnection>,
    outages: Arc<Outages>,
    /// Questions that may be asked at the same time; what comes on top is refused at once.
    places: Semaphore,
    /// How long a question may take before giving it up says something about the database.
    patience: Duration,
}

impl Reader {
    pub(crate) fn new(pool: DatabaseConnection, outages: Arc<Outages>, limits: &StoreLimits) -> Self {
        Self {
            pool: ArcSwap::from_pointee(pool),
            outages,
            places: Semaphore::new(limits.read_queue),
            patience: limits.answer_wait,
        }
    }

    /// The connections as they are now.
    pub(crate) fn pool(&self) -> Arc<DatabaseConnection> {
        self.pool.load_full()
    }

    /// Takes other connections, and hands back those that were there.
    pub(crate) fn replace(&self, fresh: DatabaseConnection) -> Arc<DatabaseConnection> {
        self.pool.swap(Arc::new(fresh))
    }

    /// Questions that may still be asked.
    #[cfg(test)]
    pub(crate) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    fn begin(&self) -> Result<Asked<'_>, DbErr> {
        if self.outages.outage(Use::Read).is_some() {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        }
        let place = self
            .places
            .try_acquire()
            .map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        Ok(Asked {
            reader: self,
            pool: self.pool(),
            since: Instant::now(),
            is_answered: false,
            _place: place,
        })
    }
}

/// A question under way.
struct Asked<'r> {
    reader: &'r Reader,
    pool: Arc<DatabaseConnection>,
    since: Instant,
    is_answered: bool,
    _place: SemaphorePermit<'r>,
}

impl Asked<'_> {
    fn tell<T>(mut self, answer: Result<T, DbErr>) -> Result<T, DbErr> {
        self.is_answered = true;
        let outages = &self.reader.outages;
        match &answer {
            Ok(_) => outages.answered(Use::Read),
            Err(error) => {
                if let Some(reason) = sqlite::away(error)
                    && outages.failed(Use::Read, reason)
                {
                    tracing::warn!(%error, "what the database said");
                }
            }
        }
        answer
    }
}

impl Drop for Asked<'_> {
    /// Given up: by a client that went away, or because it took too long.
    fn drop(&mut self) {
        if !self.is_answered && self.since.elapsed() >= self.reader.patience {
            self.reader.outages.failed(Use::Read, AwayReason::Slow);
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.load().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let asked = self.begin()?;
        let answer = asked.pool.execute_raw(statement).await;
        asked.tell(answer)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let asked = self.begin()?;
        let answer = asked.pool.execute_unprepared(sql).await;
        asked.tell(answer)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let asked = self.begin()?;
        let answer = asked.pool.query_one_raw(statement).await;
        asked.tell(answer)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let asked = self.begin()?;
        let answer = asked.pool.query_all_raw(statement).await;
        asked.tell(answer)
    }
}
