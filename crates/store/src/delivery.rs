//! What is told to whom: what is to be delivered, what was, and what could not be.
//!
//! Whoever follows the audit log writes what is to be told and how far they came in one transaction ([`Store::tell`]): a kill at any
//! moment loses nothing and tells nothing twice. What was sent and not yet noted as such is sent again after a kill, under the
//! same id.

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use crate::db::sql;
use crate::{Page, Store, StoreError, Timestamp};

mod attempt;
mod forget;
mod tell;
mod ticket;

pub use attempt::Attempt;
pub use forget::{MAX_TOLD, TOLD_KEPT};
pub use tell::{MessageOf, NewDelivery, Telling, ToldState};
pub use ticket::StoredTicket;

/// Most deliveries that are read together as one digest.
pub const MAX_DIGEST: usize = 100;

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is still to be made.
    Pending,
    /// It was made.
    Sent,
    /// It could not be made, and is not tried any more unless somebody says so.
    Dead,
}

impl DeliveryState {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Sent, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    pub(crate) const fn to_db(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Sent => 1,
            Self::Dead => 2,
        }
    }

    fn from_db(number: i64) -> Result<Self, StoreError> {
        match number {
            0 => Ok(Self::Pending),
            1 => Ok(Self::Sent),
            2 => Ok(Self::Dead),
            other => Err(StoreError::damaged(format!("a delivery has the state {other}"))),
        }
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The same for every try: what receivers know it by.
    pub uid: Uuid,
    /// To which sink.
    pub sink: String,
    /// What it is about: a kind of event, or `incident.message`.
    pub kind: String,
    /// About what: the subject of the event, or incident and owner.
    pub subject: String,
    /// Which incident.
    pub incident: Option<String>,
    /// Which owner; empty: nobody's.
    pub owner: String,
    /// What is told.
    pub body: serde_json::Value,
    /// How it stands.
    pub state: DeliveryState,
    /// Whether it was held back for quiet hours or a digest.
    pub is_held: bool,
    /// Since when it is tried.
    pub tried_from: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// What was last answered (HTTP).
    pub status: Option<u16>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When there came to be something to tell.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub finished_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    id: i64,
    uid: String,
    sink: String,
    kind: String,
    subject: String,
    incident: Option<String>,
    owner: String,
    body: String,
    state: i64,
    held: bool,
    tried_from: i64,
    not_before: i64,
    next_at: i64,
    attempts: i64,
    status: Option<i64>,
    error: Option<String>,
    created_at: i64,
    finished_at: Option<i64>,
}

pub(crate) const SELECT: &str = "SELECT id, uid, sink, kind, subject, incident, owner, body, state, held, tried_from, \
                                 not_before, next_at, attempts, status, error, created_at, finished_at FROM delivery";

impl Row {
    pub(crate) fn into_delivery(self) -> Result<Delivery, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("delivery {}: {what}", self.id));
        Ok(Delivery {
            id: self.id,
            uid: self.uid.parse().map_err(|_| damaged("its id cannot be read"))?,
            body: serde_json::from_str(&self.body).map_err(|_| damaged("its body cannot be read"))?,
            state: DeliveryState::from_db(self.state)?,
            sink: self.sink,
            kind: self.kind,
            subject: self.subject,
            incident: self.incident,
            owner: self.owner,
            is_held: self.held,
            tried_from: Timestamp(self.tried_from),
            next_at: Timestamp(self.next_at.max(self.not_before)),
            attempts: sql::from_db(self.attempts),
            status: self.status.and_then(|status| u16::try_from(status).ok()),
            error: self.error,
            created_at: Timestamp(self.created_at),
            finished_at: self.finished_at.map(Timestamp),
        })
    }
}

/// How many deliveries of each state there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Still to be made.
    pub pending: u64,
    /// Made, as far as it is kept.
    pub sent: u64,
    /// Given up.
    pub dead: u64,
    /// For which there was no room, since there are sinks.
    pub dropped: u64,
}

#[derive(FromQueryResult)]
struct CountRow {
    state: i64,
    number: i64,
}

impl Store {
    /// Deliveries, the newest first, behind the one with the number `before`.
    pub async fn deliveries(
        &self,
        sink: Option<&str>,
        state: Option<DeliveryState>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<Delivery>, StoreError> {
        let limit = self.page_limit(limit);
        let rows: Vec<Row> = sql::Filter::new("id <", before.unwrap_or(i64::MAX))
            .and("sink =", sink.map(str::to_owned))
            .and("state =", state.map(DeliveryState::to_db))
            .rows(self.inner.db.read(), SELECT, "id DESC", limit as u64 + 1)
            .await?;
        let rows = rows
            .into_iter()
            .map(Row::into_delivery)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(rows, limit))
    }

    /// The delivery of this number.
    pub async fn delivery(&self, id: i64) -> Result<Option<Delivery>, StoreError> {
        let row: Option<Row> = sql::first(
            self.inner.db.read(),
            &format!("{SELECT} WHERE id = $1"),
            [id.into()],
        )
        .await?;
        row.map(Row::into_delivery).transpose()
    }

    /// How many there are; of one sink, or of all.
    pub async fn delivery_counts(&self, sink: Option<&str>) -> Result<DeliveryCounts, StoreError> {
        let of = sink.map_or(Value::String(None), Into::into);
        let sql =
            "SELECT state, COUNT(*) AS number FROM delivery WHERE $1 IS NULL OR sink = $1 GROUP BY state";
        let rows: Vec<CountRow> = sql::all(self.inner.db.read(), sql, [of.clone()]).await?;
        let sql = "SELECT COALESCE(SUM(dropped), 0) AS number FROM sink WHERE $1 IS NULL OR name = $1";
        let dropped: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [of]).await?;
        let mut counts = DeliveryCounts {
            dropped: dropped.map_or(0, |row| sql::from_db(row.number)),
            ..DeliveryCounts::default()
        };
        for row in rows {
            let number = sql::from_db(row.number);
            match DeliveryState::from_db(row.state)? {
                DeliveryState::Pending => counts.pending = number,
                DeliveryState::Sent => counts.sent = number,
                DeliveryState::Dead => counts.dead = number,
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests;
