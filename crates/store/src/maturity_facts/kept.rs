//! What was made of facts before: so that only what is new is written again.

use sea_orm::{FromQueryResult, Value};

use crate::db::sql;
use crate::{Store, StoreError};

/// Names of evidence of one subject and item that are looked at. Default: the only value.
const MAX_NAMES: u64 = 100_000;

/// Rows that are read at a time.
const PAGE: u64 = 5_000;

/// An entry that is about where somebody belongs or what they need not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEntry {
    /// Its place: later ones count in place of earlier ones.
    pub id: i64,
    /// About whom.
    pub subject: String,
    /// What it is, in a word.
    pub kind: String,
    /// All of it, JSON.
    pub body: String,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    subject: String,
    kind: String,
    body: String,
}

impl Store {
    /// The names of entries that begin so, in their order.
    pub async fn maturity_names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        // Behind every character of a name.
        let end = format!("{prefix}~");
        let sql =
            "SELECT name AS text FROM maturity_entry WHERE name >= $1 AND name < $2 ORDER BY name LIMIT $3";
        let values = [prefix.into(), end.into(), sql::to_db(MAX_NAMES).into()];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// The entries of these kinds, in their order. For kinds of which there are few.
    pub async fn maturity_entries_of(&self, kinds: &[&str]) -> Result<Vec<KeptEntry>, StoreError> {
        let sql = format!(
            "SELECT id, subject, kind, body FROM maturity_entry WHERE id > $1 AND kind IN ({}) ORDER BY id LIMIT $2",
            sql::placeholders(3, kinds.len())
        );
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let head: [Value; 2] = [after.into(), sql::to_db(PAGE).into()];
            let values = head
                .into_iter()
                .chain(kinds.iter().map(|kind| Value::from(*kind)));
            let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
            let is_last = (rows.len() as u64) < PAGE;
            after = rows.last().map_or(after, |row| row.id);
            found.extend(rows.into_iter().map(|row| KeptEntry {
                id: row.id,
                subject: row.subject,
                kind: row.kind,
                body: row.body,
            }));
            if is_last {
                return Ok(found);
            }
        }
    }
}
