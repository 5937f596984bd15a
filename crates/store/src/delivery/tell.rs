//! What is to be told, and how far whoever says so has come.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use super::DeliveryState;
use crate::db::{Tx, sql};
use crate::setting::{self, Setting};
use crate::{Store, StoreError, Timestamp};

/// Something to tell a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Which sink.
    pub sink: String,
    /// What it is about: a kind of event, or `incident.message`.
    pub kind: String,
    /// About what.
    pub subject: String,
    /// What is told.
    pub body: serde_json::Value,
    /// Not before this.
    pub not_before: Timestamp,
    /// Of messages about incidents. What is still to be told to the same owner about the same incident goes: this says more.
    pub message: Option<MessageOf>,
}

/// What a message about an incident leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageOf {
    /// About which.
    pub incident: String,
    /// To whom; empty: to those who look after what nobody owns.
    pub owner: String,
    /// Noted together with it.
    pub told: ToldState,
}

/// What was last said to an owner about an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldState {
    /// Tells messages apart that say something else.
    pub fingerprint: String,
    /// How things stood, JSON.
    pub body: String,
}

/// What follows from a part of the audit log, or from time going by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Telling {
    /// From where to where the log was followed.
    pub followed: Option<(i64, i64)>,
    /// What is to be told.
    pub deliveries: Vec<NewDelivery>,
    /// Sink, incident and owner where things stand otherwise without anybody being told.
    pub unsaid: Vec<(String, MessageOf)>,
}

impl Telling {
    /// Whether nothing follows.
    pub fn is_empty(&self) -> bool {
        self.followed.is_none() && self.deliveries.is_empty() && self.unsaid.is_empty()
    }
}

#[derive(FromQueryResult)]
struct ToldRow {
    sink: String,
    owner: String,
    fingerprint: String,
    body: String,
}

impl Store {
    /// The last line of the audit log that was followed.
    pub async fn telling_cursor(&self) -> Result<i64, StoreError> {
        cursor(self.inner.db.read()).await
    }

    /// What was last said about an incident, by sink and owner.
    pub async fn told(&self, incident: &str) -> Result<HashMap<(String, String), ToldState>, StoreError> {
        let sql = "SELECT sink, owner, fingerprint, body FROM told WHERE incident = $1";
        let rows: Vec<ToldRow> = sql::all(self.inner.db.read(), sql, [incident.into()]).await?;
        let state = |row: ToldRow| {
            let state = ToldState {
                fingerprint: row.fingerprint,
                body: row.body,
            };
            ((row.sink, row.owner), state)
        };
        Ok(rows.into_iter().map(state).collect())
    }

    /// Writes all of it in one transaction. A sink that has more than `most_pending` to be told is not told more, which is counted.
    /// `false`: somebody else has followed the log meanwhile, and nothing was written.
    pub async fn tell(&self, telling: Telling, most_pending: u64) -> Result<bool, StoreError> {
        self.write(move |tx| Box::pin(async move { tell(tx, telling, most_pending).await }))
            .await
    }
}

async fn cursor(on: &impl sea_orm::ConnectionTrait) -> Result<i64, StoreError> {
    let text = setting::get(on, Setting::TellingCursor).await?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

async fn tell(tx: &Tx, telling: Telling, most_pending: u64) -> Result<bool, StoreError> {
    if let Some((from, to)) = telling.followed {
        if cursor(tx.sql()).await? != from {
            return Ok(false);
        }
        setting::set(tx.sql(), Setting::TellingCursor, to.to_string()).await?;
    }
    let mut room: HashMap<String, Option<u64>> = HashMap::new();
    for delivery in telling.deliveries {
        let name = delivery.sink.clone();
        let left = match room.get(&name) {
            Some(left) => *left,
            None => left_of(tx, &name, most_pending).await?,
        };
        // A sink that was removed meanwhile.
        let Some(left) = left else {
            room.insert(name, None);
            continue;
        };
        let left = left + supersede(tx, &delivery).await?;
        if left == 0 {
            let sql = "UPDATE sink SET dropped = dropped + 1 WHERE name = $1";
            sql::execute(tx.sql(), sql, [name.clone().into()]).await?;
        } else {
            insert(tx, delivery).await?;
        }
        room.insert(name, Some(left.saturating_sub(1)));
    }
    for (sink, message) in telling.unsaid {
        note(tx, &sink, &message).await?;
    }
    Ok(true)
}

/// How much more a sink may be told; `None`: there is none.
async fn left_of(tx: &Tx, sink: &str, most: u64) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM delivery d WHERE d.sink = s.name AND d.state = 0) AS number FROM sink s \
               WHERE s.name = $1";
    let pending: Option<sql::Number> = sql::first(tx.sql(), sql, [sink.into()]).await?;
    Ok(pending.map(|pending| most.saturating_sub(sql::from_db(pending.number))))
}

/// Takes away what says less about the same; answers how much.
async fn supersede(tx: &Tx, delivery: &NewDelivery) -> Result<u64, StoreError> {
    let Some(message) = &delivery.message else {
        return Ok(0);
    };
    let sql = "DELETE FROM delivery WHERE sink = $1 AND incident = $2 AND owner = $3 AND state = 0";
    let values = [
        delivery.sink.clone().into(),
        message.incident.clone().into(),
        message.owner.clone().into(),
    ];
    sql::execute(tx.sql(), sql, values).await
}

async fn insert(tx: &Tx, delivery: NewDelivery) -> Result<(), StoreError> {
    if let Some(message) = &delivery.message {
        note(tx, &delivery.sink, message).await?;
    }
    let (incident, owner) = delivery.message.map_or((None, String::new()), |message| {
        (Some(message.incident), message.owner)
    });
    let now = tx.now();
    let from = now.max(delivery.not_before);
    let sql = "INSERT INTO delivery (uid, sink, kind, subject, incident, owner, body, state, held, not_before, tried_from, \
               next_at, attempts, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13)";
    let values: [Value; 13] = [
        Uuid::now_v7().to_string().into(),
        delivery.sink.into(),
        delivery.kind.into(),
        delivery.subject.into(),
        incident.into(),
        owner.into(),
        delivery.body.to_string().into(),
        DeliveryState::Pending.to_db().into(),
        (delivery.not_before > now).into(),
        delivery.not_before.micros().into(),
        from.micros().into(),
        from.micros().into(),
        now.micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

async fn note(tx: &Tx, sink: &str, message: &MessageOf) -> Result<(), StoreError> {
    let sql = "INSERT INTO told (sink, incident, owner, fingerprint, body, at) \
               SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM sink WHERE name = $1) \
               ON CONFLICT (sink, incident, owner) DO UPDATE SET fingerprint = excluded.fingerprint, body = excluded.body, \
               at = excluded.at";
    let values = [
        sink.into(),
        message.incident.clone().into(),
        message.owner.clone().into(),
        message.told.fingerprint.clone().into(),
        message.told.body.clone().into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}
