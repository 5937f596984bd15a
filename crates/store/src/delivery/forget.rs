//! What was said about incidents, and which tickets are about them, is not kept for ever.

use std::collections::HashSet;
use std::time::Duration;

use road::work::{SUBJECT_PREFIX, subject_of};
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::{Store, StoreError, rebase};

/// Most rows about what one sink was told, one per incident and owner, and most of its tickets, one per incident and application.
/// Of more, those that changed last are kept: what is forgotten is said once more if it changes, and a ticket is found again by its
/// key. Default: the only value.
pub const MAX_TOLD: u64 = 100_000;

/// How long they are kept after an incident was over, as long as it is followed; about a release that asks for nothing any more, after
/// they last changed. Default: the only value.
pub const TOLD_KEPT: Duration = Duration::from_hours(90 * 24);

/// Rows of each kind that one transaction forgets.
const FORGOTTEN_AT_ONCE: u64 = 500;

/// Releases of which one transaction forgets what was said.
const SUBJECTS_AT_ONCE: usize = 100;

/// The tables, with what beside the sink and the incident tells two rows apart.
const TABLES: [(&str, &str); 2] = [("told", "sink, incident, owner"), ("ticket", "sink, key")];

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

impl Store {
    /// Forgets what sinks were told, and their tickets, of incidents and of what releases asked for that have been over for
    /// [`TOLD_KEPT`], and beyond `most` of each sink; at most some hundreds of each at once.
    pub async fn forget_told(&self, most: u64) -> Result<(), StoreError> {
        let before = self.now().minus(TOLD_KEPT).micros();
        self.write(move |tx| {
            Box::pin(async move {
                let sinks: Vec<Name> = sql::all(tx.sql(), "SELECT name FROM sink ORDER BY name", []).await?;
                for (table, key) in TABLES {
                    over(tx, table, key, before).await?;
                    asked(tx, table, key, before).await?;
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

/// The same of what releases asked for.
async fn asked(tx: &Tx, table: &str, key: &str, before: i64) -> Result<u64, StoreError> {
    let sql = format!("SELECT DISTINCT incident AS name FROM {table} WHERE incident LIKE $1 AND at < $2");
    let values = [format!("{SUBJECT_PREFIX}%").into(), before.into()];
    let old: Vec<Name> = sql::all(tx.sql(), &sql, values).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let asking = rebase::asking(tx.sql()).await?;
    let asking: HashSet<String> = asking
        .iter()
        .filter_map(|(base, release)| Some(subject_of(base, release)?.to_string()))
        .collect();
    let over = old.into_iter().filter(|old| !asking.contains(&old.name));
    let over: Vec<Value> = over.take(SUBJECTS_AT_ONCE).map(|old| old.name.into()).collect();
    if over.is_empty() {
        return Ok(0);
    }
    let places = sql::placeholders(3, over.len());
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE incident IN ({places}) AND at < $1 LIMIT $2)"
    );
    let mut values: Vec<Value> = vec![before.into(), sql::to_db(FORGOTTEN_AT_ONCE).into()];
    values.extend(over);
    sql::execute_list(tx.sql(), &sql, values).await
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
