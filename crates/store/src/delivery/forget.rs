//! What was said about incidents, and which tickets are about them, is not kept for ever.

use std::time::Duration;

use sea_orm::FromQueryResult;

use crate::db::{Tx, sql};
use crate::{Store, StoreError};

/// Most rows about what one sink was told, one per incident and owner, and most of its tickets, one per incident and application.
/// Of more, those that changed last are kept: what is forgotten is said once more if it changes, and a ticket is found again by its
/// key. Default: the only value.
pub const MAX_TOLD: u64 = 100_000;

/// How long they are kept after an incident was over, as long as it is followed. Default: the only value.
pub const TOLD_KEPT: Duration = Duration::from_hours(90 * 24);

/// Rows of each kind that one transaction forgets.
const FORGOTTEN_AT_ONCE: u64 = 500;

/// The tables, with what beside the sink and the incident tells two rows apart.
const TABLES: [(&str, &str); 2] = [("told", "sink, incident, owner"), ("ticket", "sink, key")];

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

impl Store {
    /// Forgets what sinks were told, and their tickets, of incidents that have been over for [`TOLD_KEPT`], and beyond `most` of each
    /// sink; at most some hundreds of each at once.
    pub async fn forget_told(&self, most: u64) -> Result<(), StoreError> {
        let before = self.now().minus(TOLD_KEPT).micros();
        self.write(move |tx| {
            Box::pin(async move {
                let sinks: Vec<Name> = sql::all(tx.sql(), "SELECT name FROM sink ORDER BY name", []).await?;
                for (table, key) in TABLES {
                    over(tx, table, key, before).await?;
                    for sink in &sinks {
                        beyond(tx, table, key, &sink.name, most).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }
}

async fn over(tx: &Tx, table: &str, key: &str, before: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE incident IN \
         (SELECT name FROM incident WHERE settled_at < $1) LIMIT $2)"
    );
    let values = [before.into(), sql::to_db(FORGOTTEN_AT_ONCE).into()];
    sql::execute(tx.sql(), &sql, values).await
}

async fn beyond(tx: &Tx, table: &str, key: &str, sink: &str, most: u64) -> Result<u64, StoreError> {
    let sql = format!("SELECT COUNT(*) AS number FROM {table} WHERE sink = $1");
    let count: Option<sql::Number> = sql::first(tx.sql(), &sql, [sink.into()]).await?;
    let count = count.map_or(0, |count| sql::from_db(count.number));
    let too_many = count.saturating_sub(most).min(FORGOTTEN_AT_ONCE);
    if too_many == 0 {
        return Ok(0);
    }
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE sink = $1 ORDER BY at, {key} LIMIT $2)"
    );
    let values = [sink.into(), sql::to_db(too_many).into()];
    sql::execute(tx.sql(), &sql, values).await
}
