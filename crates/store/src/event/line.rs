//! The audit log as those read it who tell others of it: every kind of event is only a word to them.

use sea_orm::FromQueryResult;

use crate::db::sql;
use crate::{Store, StoreError, Timestamp};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its place.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What happened, `tag.set`.
    pub kind: String,
    /// To what.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub cause: String,
    /// What else there is to know.
    pub body: serde_json::Value,
}

#[derive(FromQueryResult)]
pub(crate) struct Row {
    seq: i64,
    at: i64,
    kind: String,
    subject: String,
    actor: String,
    cause: String,
    body: String,
}

impl Row {
    pub(crate) fn into_line(self) -> LogLine {
        LogLine {
            seq: self.seq,
            at: Timestamp(self.at),
            kind: self.kind,
            subject: self.subject,
            actor: self.actor,
            cause: self.cause,
            // Whoever tells others tells what can be read; `Store::events` complains.
            body: serde_json::from_str(&self.body).unwrap_or_default(),
        }
    }
}

impl Store {
    /// The lines behind `after`, in order.
    pub async fn log_lines(&self, after: i64, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        let sql = "SELECT seq, at, kind, subject, actor, cause, body FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(Row::into_line).collect())
    }
}
