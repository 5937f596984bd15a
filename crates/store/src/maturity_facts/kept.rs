//! What was made of facts before: so that only what is new is written again.

use crate::db::sql;
use crate::{Store, StoreError};

/// Entries with names that begin alike which are looked at. Default: the only value.
const MAX_ALIKE: u64 = 100_000;

impl Store {
    /// The names of entries of maturity that begin so, in their order.
    pub async fn maturity_names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.maturity_alike("name", prefix).await
    }

    /// What the entries of maturity say whose names begin so, JSON, in the order of the names.
    pub async fn maturity_bodies(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.maturity_alike("body", prefix).await
    }

    async fn maturity_alike(&self, column: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        // Behind every character of a name.
        let end = format!("{prefix}~");
        let sql = format!(
            "SELECT {column} AS text FROM maturity_entry WHERE name >= $1 AND name < $2 ORDER BY name LIMIT $3"
        );
        let values = [prefix.into(), end.into(), sql::to_db(MAX_ALIKE).into()];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, values).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }
}
