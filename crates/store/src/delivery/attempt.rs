//! Tries to deliver, and what becomes of deliveries afterwards.

use std::time::Duration;

use sea_orm::{FromQueryResult, Value};

use super::{Delivery, DeliveryState, MAX_DIGEST, Row, SELECT};
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

/// Finished deliveries that one transaction forgets.
const FORGOTTEN_AT_ONCE: u64 = 500;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It was taken; with what should be known although it was.
    Sent {
        /// What was answered (HTTP).
        status: Option<u16>,
        /// Such as recipients who were refused.
        note: Option<String>,
    },
    /// It failed, and is tried again.
    Failed {
        /// What was answered (HTTP).
        status: Option<u16>,
        /// Why.
        error: String,
        /// When.
        next_at: Timestamp,
    },
    /// It failed, and is not tried again.
    Dead {
        /// What was answered (HTTP).
        status: Option<u16>,
        /// Why.
        error: String,
    },
}

#[derive(FromQueryResult)]
struct SinkOf {
    text: String,
}

impl Store {
    /// The first delivery of a sink whose time has come by its schedule, whether or not it is to be tried already: whatever comes
    /// behind it waits for it.
    pub async fn next_delivery(&self, sink: &str) -> Result<Option<Delivery>, StoreError> {
        let sql = format!("{SELECT} WHERE sink = $1 AND state = 0 AND not_before <= $2 ORDER BY id LIMIT 1");
        let values = [sink.into(), self.now().micros().into()];
        let row: Option<Row> = sql::first(self.inner.db.read(), &sql, values).await?;
        row.map(Row::into_delivery).transpose()
    }

    /// What goes together with a message that was held back: others to the same owner that were, too.
    pub async fn digest_of(&self, delivery: &Delivery) -> Result<Vec<Delivery>, StoreError> {
        let sql = format!(
            "{SELECT} WHERE sink = $1 AND state = 0 AND not_before <= $2 AND held AND incident IS NOT NULL AND owner = $3 \
             ORDER BY id LIMIT $4"
        );
        let values: [Value; 4] = [
            delivery.sink.clone().into(),
            self.now().micros().into(),
            delivery.owner.clone().into(),
            sql::to_db(MAX_DIGEST as u64).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        rows.into_iter().map(Row::into_delivery).collect()
    }

    /// Notes what came of a try. Deliveries that are gone or not pending any more stay as they are.
    pub async fn note_attempt(&self, deliveries: &[Delivery], attempt: Attempt) -> Result<(), StoreError> {
        let deliveries = deliveries.to_vec();
        self.write(move |tx| {
            Box::pin(async move {
                for delivery in &deliveries {
                    note(tx, delivery, &attempt).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Tries a delivery again, from the start and at once; one that was sent, too. [`AdminError::NotFound`]: there is none of this
    /// number.
    pub async fn retry_delivery(&self, actor: &Actor, id: i64) -> Result<(), AdminError> {
        let actor = actor.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT sink AS text FROM delivery WHERE id = $1";
                let sink: Option<SinkOf> = sql::first(tx.sql(), sql, [id.into()]).await?;
                let Some(SinkOf { text: sink }) = sink else {
                    return Err(AdminError::NotFound {
                        kind: "delivery",
                        name: id.to_string(),
                    });
                };
                retry(tx, "id = $2", id.into()).await?;
                let body = serde_json::json!({ "delivery": id });
                event::record(tx, &actor, EventKind::DeliveryRetry, &sink, body).await?;
                Ok(())
            })
        })
        .await
    }

    /// Tries everything again that a sink could not be told, given up or not; answers how much that is. What waits for its hour by
    /// the sink's schedule, and what was not tried yet, stays as it is.
    pub async fn retry_failed(&self, actor: &Actor, sink: &str) -> Result<u64, StoreError> {
        let (actor, sink) = (actor.clone(), sink.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let which = "(state = 2 OR (state = 0 AND attempts > 0)) AND sink = $2";
                let count = retry(tx, which, sink.clone().into()).await?;
                let body = serde_json::json!({ "deliveries": count });
                event::record(tx, &actor, EventKind::DeliveryRetry, &sink, body).await?;
                Ok(count)
            })
        })
        .await
    }

    /// Forgets deliveries that are older than `age`, or more than `most` that were sent, or more than `most` that were given up; at
    /// most some hundreds of each at once.
    pub async fn forget_deliveries(&self, age: Duration, most: u64) -> Result<(), StoreError> {
        let before = self.now().minus(age).micros();
        self.write(move |tx| {
            Box::pin(async move {
                for state in [DeliveryState::Sent, DeliveryState::Dead] {
                    forget(tx, state, before, most).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

async fn forget(tx: &Tx, state: DeliveryState, before: i64, most: u64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE state = $1 AND (finished_at < $2 OR id <= \
               COALESCE((SELECT id FROM delivery WHERE state = $1 ORDER BY id DESC LIMIT 1 OFFSET $3), 0)) LIMIT $4)";
    let values = [
        state.to_db().into(),
        before.into(),
        sql::to_db(most).into(),
        sql::to_db(FORGOTTEN_AT_ONCE).into(),
    ];
    sql::execute(tx.sql(), sql, values).await
}

async fn note(tx: &Tx, delivery: &Delivery, attempt: &Attempt) -> Result<(), StoreError> {
    let now = tx.now().micros();
    let (state, status, error, next_at, finished_at) = match attempt {
        Attempt::Sent { status, note } => (DeliveryState::Sent, status, note.clone(), now, Some(now)),
        Attempt::Failed {
            status,
            error,
            next_at,
        } => (
            DeliveryState::Pending,
            status,
            Some(error.clone()),
            next_at.micros(),
            None,
        ),
        Attempt::Dead { status, error } => (DeliveryState::Dead, status, Some(error.clone()), now, Some(now)),
    };
    let sql = "UPDATE delivery SET state = $2, status = $3, error = $4, next_at = $5, finished_at = $6, \
               attempts = attempts + 1 WHERE id = $1 AND state = 0";
    let values: [Value; 6] = [
        delivery.id.into(),
        state.to_db().into(),
        status.map(i64::from).into(),
        error.clone().into(),
        next_at.into(),
        finished_at.into(),
    ];
    let changed = sql::execute(tx.sql(), sql, values).await?;
    if changed > 0 && state == DeliveryState::Dead {
        let body = serde_json::json!({
            "delivery": delivery.id, "kind": delivery.kind, "about": delivery.subject, "error": error,
            "attempts": delivery.attempts + 1,
        });
        let actor = Actor::system("telling");
        event::record(tx, &actor, EventKind::DeliveryDead, &delivery.sink, body).await?;
    }
    Ok(())
}

async fn retry(tx: &Tx, which: &str, value: Value) -> Result<u64, StoreError> {
    let sql = format!(
        "UPDATE delivery SET state = 0, held = FALSE, not_before = $1, tried_from = $1, next_at = $1, attempts = 0, \
         finished_at = NULL WHERE {which}"
    );
    sql::execute(tx.sql(), &sql, [tx.now().micros().into(), value]).await
}
