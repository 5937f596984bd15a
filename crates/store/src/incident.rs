//! Incidents: the events of each, from which all else follows.
//!
//! Events are only ever appended; the database refuses to change them. Each of them is told in the audit log in the same
//! transaction. Who appends says how many events there were: of two who append at the same time one is refused.

use road::incident::{Event as IncidentEvent, EventKind as Happened};
use road::names::IncidentId;
use sea_orm::{FromQueryResult, Value};
use serde_json::json;
use time::OffsetDateTime;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

/// Incidents that there can be, over ones included: their events are never deleted. Default: the only value.
pub const MAX_INCIDENTS: u64 = 10_000;

/// Events that are written in one statement.
const ROWS: usize = 20;

/// What is kept of an incident beside its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIncident {
    /// Its id.
    pub id: IncidentId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Since when it is closed with nothing affected; `None`: there is something to follow.
    pub settled_at: Option<Timestamp>,
    /// How many events it has.
    pub events: u64,
}

/// What is to be written of an incident.
#[derive(Debug, Clone)]
pub struct IncidentAppend {
    /// Of which.
    pub id: IncidentId,
    /// How many events there were; 0: it is opened.
    pub after: u64,
    /// What happened, in its order.
    pub events: Vec<IncidentEvent>,
    /// See [`StoredIncident::settled_at`], with these events.
    pub settled_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    opened_at: i64,
    settled_at: Option<i64>,
    events: i64,
}

#[derive(FromQueryResult)]
struct EventRow {
    seq: i64,
    body: String,
}

impl Row {
    fn into_incident(self) -> Result<StoredIncident, StoreError> {
        let damaged = |_| StoreError::damaged(format!("{:?} is no id of an incident", self.name));
        Ok(StoredIncident {
            id: self.name.parse().map_err(damaged)?,
            opened_at: Timestamp(self.opened_at),
            settled_at: self.settled_at.map(Timestamp),
            events: sql::from_db(self.events),
        })
    }
}

impl Store {
    /// All incidents, those opened last first.
    pub async fn incidents(&self) -> Result<Vec<StoredIncident>, StoreError> {
        let sql =
            "SELECT name, opened_at, settled_at, events FROM incident ORDER BY opened_at DESC, name LIMIT $1";
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, [sql::to_db(MAX_INCIDENTS).into()]).await?;
        rows.into_iter().map(Row::into_incident).collect()
    }

    /// One of them.
    pub async fn incident(&self, id: &IncidentId) -> Result<Option<StoredIncident>, StoreError> {
        let sql = "SELECT name, opened_at, settled_at, events FROM incident WHERE name = $1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [id.as_str().into()]).await?;
        row.map(Row::into_incident).transpose()
    }

    /// Events of an incident behind the first `after`, in their order, at most `limit` of them.
    pub async fn incident_events(
        &self,
        id: &IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<IncidentEvent>, StoreError> {
        let sql =
            "SELECT seq, body FROM incident_event WHERE incident = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let values: [Value; 3] = [
            id.as_str().into(),
            sql::to_db(after).into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let read = |row: EventRow| {
            serde_json::from_str(&row.body).map_err(|error| {
                StoreError::damaged(format!(
                    "event {} of incident {id} cannot be read: {error}",
                    row.seq
                ))
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Opens an incident with its first events. [`AdminError::Exists`]: there is one of this id.
    pub async fn open_incident(&self, actor: &Actor, opening: IncidentAppend) -> Result<(), AdminError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { open(tx, &actor, &opening).await }))
            .await
    }

    /// Appends what happened to an incident. `false`: others have appended meanwhile, and nothing is written.
    pub async fn append_incident(&self, actor: &Actor, news: IncidentAppend) -> Result<bool, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { append(tx, &actor, &news).await }))
            .await
    }
}

async fn open(tx: &Tx, actor: &Actor, opening: &IncidentAppend) -> Result<(), AdminError> {
    let count: Option<sql::Number> =
        sql::first(tx.sql(), "SELECT COUNT(*) AS number FROM incident", []).await?;
    if count.is_some_and(|count| sql::from_db(count.number) >= MAX_INCIDENTS) {
        return Err(AdminError::TooMany {
            kind: "incident",
            limit: MAX_INCIDENTS,
        });
    }
    let sql = "INSERT INTO incident (name, opened_at, settled_at, events) VALUES ($1, $2, NULL, 0) ON CONFLICT DO NOTHING";
    let opened_at = opening.events.first().map_or(tx.now(), |event| moment(event.at));
    let values = [opening.id.as_str().into(), opened_at.micros().into()];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Err(AdminError::Exists {
            kind: "incident",
            name: opening.id.to_string(),
        });
    }
    append(tx, actor, opening).await?;
    Ok(())
}

async fn append(tx: &Tx, actor: &Actor, news: &IncidentAppend) -> Result<bool, StoreError> {
    let count = news.events.len() as u64;
    let sql = "UPDATE incident SET events = $3, settled_at = $4 WHERE name = $1 AND events = $2";
    let values: [Value; 4] = [
        news.id.as_str().into(),
        sql::to_db(news.after).into(),
        sql::to_db(news.after + count).into(),
        news.settled_at.map(Timestamp::micros).into(),
    ];
    if sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(false);
    }
    let numbered: Vec<(u64, &IncidentEvent)> = (news.after + 1..).zip(&news.events).collect();
    for chunk in numbered.chunks(ROWS) {
        write(tx, &news.id, chunk).await?;
    }
    for (seq, happened) in numbered {
        let about = about(seq, happened);
        event::record(tx, actor, kind(&happened.kind), news.id.as_str(), about).await?;
    }
    Ok(true)
}

async fn write(tx: &Tx, id: &IncidentId, events: &[(u64, &IncidentEvent)]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO incident_event (incident, seq, at, kind, body) VALUES {}",
        sql::tuples(events.len(), 5)
    );
    let mut values: Vec<Value> = Vec::with_capacity(events.len() * 5);
    for (seq, event) in events {
        let body = serde_json::to_string(event).map_err(|error| StoreError::damaged(error.to_string()))?;
        values.push(id.as_str().into());
        values.push(sql::to_db(*seq).into());
        values.push(moment(event.at).micros().into());
        values.push(event.kind.name().into());
        values.push(body.into());
    }
    sql::execute_list(tx.sql(), &sql, values).await.map(drop)
}

fn kind(happened: &Happened) -> EventKind {
    match happened {
        Happened::Opened { .. } => EventKind::IncidentOpen,
        Happened::Closed { .. } => EventKind::IncidentClose,
        _ => EventKind::IncidentChange,
    }
}

/// What the audit log says of an event: lines are counted there, not listed.
fn about(seq: u64, event: &IncidentEvent) -> serde_json::Value {
    let mut about = match &event.kind {
        Happened::Opened {
            title,
            vulnerabilities,
            coverage,
            ..
        } => {
            let ids: Vec<_> = vulnerabilities.iter().map(|known| &known.id).collect();
            json!({ "title": title, "vulnerabilities": ids, "coverage": coverage })
        }
        Happened::Seen { lines } => {
            let affected = lines.iter().filter(|line| !line.affected_by.is_empty()).count();
            json!({ "lines": lines.len(), "affected": affected })
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    };
    if let Some(about) = about.as_object_mut() {
        about.insert("event".to_owned(), event.kind.name().into());
        about.insert("seq".to_owned(), seq.into());
    }
    about
}

fn moment(at: OffsetDateTime) -> Timestamp {
    Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
