//! Which ticket of another system is about which incident and application.

use sea_orm::FromQueryResult;

use crate::db::sql;
use crate::{Store, StoreError};

/// A ticket of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTicket {
    /// The key by which it is found: follows from incident and application.
    pub key: String,
    /// About which incident.
    pub incident: String,
    /// About which application.
    pub application: String,
    /// What the other system calls it.
    pub external: String,
    /// Digest of what it says.
    pub said: String,
    /// Whether it says that there is nothing to do any more.
    pub is_done: bool,
}

#[derive(FromQueryResult)]
struct Row {
    key: String,
    incident: String,
    application: String,
    external: String,
    said: String,
    is_done: bool,
}

impl Store {
    /// The ticket of a sink with this key, as far as it is known.
    pub async fn ticket(&self, sink: &str, key: &str) -> Result<Option<StoredTicket>, StoreError> {
        let sql = "SELECT key, incident, application, external, said, is_done FROM ticket WHERE sink = $1 AND key = $2";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [sink.into(), key.into()]).await?;
        Ok(row.map(|row| StoredTicket {
            key: row.key,
            incident: row.incident,
            application: row.application,
            external: row.external,
            said: row.said,
            is_done: row.is_done,
        }))
    }

    /// Notes a ticket of a sink.
    pub async fn note_ticket(&self, sink: &str, ticket: StoredTicket) -> Result<(), StoreError> {
        let sink = sink.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO ticket (sink, key, incident, application, external, said, is_done, at) \
                           SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM sink WHERE name = $1) \
                           ON CONFLICT (sink, key) DO UPDATE SET external = excluded.external, said = excluded.said, \
                           is_done = excluded.is_done, at = excluded.at";
                let values = [
                    sink.into(),
                    ticket.key.into(),
                    ticket.incident.into(),
                    ticket.application.into(),
                    ticket.external.into(),
                    ticket.said.into(),
                    ticket.is_done.into(),
                    tx.now().micros().into(),
                ];
                sql::execute(tx.sql(), sql, values).await.map(drop)
            })
        })
        .await
    }

    /// Forgets a ticket that is not there any more.
    pub async fn forget_ticket(&self, sink: &str, key: &str) -> Result<(), StoreError> {
        let (sink, key) = (sink.to_owned(), key.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM ticket WHERE sink = $1 AND key = $2";
                sql::execute(tx.sql(), sql, [sink.into(), key.into()])
                    .await
                    .map(drop)
            })
        })
        .await
    }
}
