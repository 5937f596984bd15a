//! Rows of upload sessions.

use std::collections::HashSet;

use access::Permit;
use access::permit::Push;
use oci::Algorithm;
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::book::{Claim, NOBODY};
use super::{UPLOAD_LIFETIME_WHEN_FULL, UploadError, UploadId};
use crate::db::{Tx, sql};
use crate::{Store, StoreError, Timestamp};

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: UploadId,
    pub(super) principal: i64,
    pub(super) algorithm: Algorithm,
    pub(super) received: u64,
    pub(super) expires_at: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    repository: String,
    principal_id: i64,
    algorithm: String,
    received: i64,
    expires_at: i64,
}

/// Whose account a permit's uploads are on.
pub(super) fn account(permit: &Permit<Push>) -> i64 {
    permit.principal_id().map_or(NOBODY, |id| id.0)
}

impl Store {
    /// The session, if the holder of the permit may continue it: it was started for the same repository by the same
    /// principal (or the holder is an administrator) and its time is not over.
    pub(super) async fn session(&self, permit: &Permit<Push>, id: UploadId) -> Result<Session, UploadError> {
        let sql =
            "SELECT repository, principal_id, algorithm, received, expires_at FROM upload WHERE id = $1";
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, [id.to_string().into()]).await?;
        let row = row.ok_or(UploadError::Unknown)?;
        let own = row.principal_id == account(permit) || self.is_administrator(permit);
        if !own || row.repository != permit.repo().as_str() || row.expires_at <= self.now().micros() {
            return Err(UploadError::Unknown);
        }
        let algorithm = row
            .algorithm
            .parse()
            .map_err(|error: oci::DigestError| StoreError::damaged(error.to_string()))?;
        Ok(Session {
            id,
            principal: row.principal_id,
            algorithm,
            received: sql::from_db(row.received),
            expires_at: Timestamp(row.expires_at),
        })
    }

    fn is_administrator(&self, permit: &Permit<Push>) -> bool {
        let book = self.access();
        let principal = permit.principal_id().and_then(|id| book.principal_by_id(id));
        principal.is_some_and(|principal| principal.administrator)
    }

    /// Takes the session for this task. Whoever lost the connection and comes again at once may find the old request
    /// still writing what had arrived: that is waited for, briefly.
    pub(crate) async fn claim(&self, id: UploadId) -> Result<Claim, UploadError> {
        const TRIES: u32 = 50;
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
        for _ in 0..TRIES {
            if let Some(claim) = self.inner.uploads.claim(id.0) {
                return Ok(claim);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(UploadError::Busy)
    }

    /// Up to `limit` sessions whose time is over.
    pub(super) async fn expired_uploads(&self, limit: u64) -> Result<Vec<UploadId>, StoreError> {
        let sql = "SELECT id AS text FROM upload WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        let values = [self.last_end().micros().into(), sql::to_db(limit).into()];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.iter().filter_map(|row| row.text.parse().ok()).collect())
    }

    /// Sessions that end until then are over.
    fn last_end(&self) -> Timestamp {
        let now = self.now();
        if !self.inner.room.is_full() {
            return now;
        }
        let lifetime = self.limits().upload_lifetime;
        now.plus(lifetime.saturating_sub(UPLOAD_LIFETIME_WHEN_FULL))
    }

    /// Whether the session's time is over right now.
    pub(super) async fn is_expired(&self, id: UploadId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS number FROM upload WHERE id = $1 AND expires_at <= $2";
        let values = [id.to_string().into(), self.last_end().micros().into()];
        Ok(sql::first::<sql::Number, 2>(self.inner.db.read(), sql, values)
            .await?
            .is_some())
    }

    /// Those of `uploads` that somebody works on, or may still go on with. In this order: a session ends in the
    /// transaction that writes its blob's row, so whoever finds neither finds the row afterwards.
    pub(crate) async fn live_uploads(&self, uploads: &[Uuid]) -> Result<HashSet<Uuid>, StoreError> {
        let claimed = uploads.iter().filter(|id| self.inner.uploads.is_claimed(**id));
        let mut live: HashSet<Uuid> = claimed.copied().collect();
        for chunk in uploads.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT id AS text FROM upload WHERE id IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let ids = chunk.iter().map(|id| Value::from(UploadId(*id).to_string()));
            let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, ids).await?;
            live.extend(rows.iter().filter_map(|row| Uuid::try_parse(&row.text).ok()));
        }
        Ok(live)
    }
}

/// Writes the row of a new session.
pub(super) async fn insert(tx: &Tx, permit: &Permit<Push>, session: &Session) -> Result<(), StoreError> {
    let sql = "INSERT INTO upload (id, repository, principal_id, algorithm, received, started_at, expires_at) \
               VALUES ($1, $2, $3, $4, 0, $5, $6)";
    let values = [
        session.id.to_string().into(),
        permit.repo().as_str().into(),
        session.principal.into(),
        session.algorithm.as_str().into(),
        tx.now().micros().into(),
        session.expires_at.micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

/// Promises bytes.
pub(super) async fn advance(
    tx: &Tx,
    id: UploadId,
    received: u64,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE upload SET received = $2, expires_at = $3 WHERE id = $1";
    let values = [
        id.to_string().into(),
        sql::to_db(received).into(),
        expires_at.micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

#[derive(FromQueryResult)]
struct Deleted {
    principal_id: i64,
    received: i64,
}

/// Removes the row; answers whose it was and what it had promised.
pub(super) async fn delete(
    on: &impl ConnectionTrait,
    id: UploadId,
) -> Result<Option<(i64, u64)>, StoreError> {
    let sql = "DELETE FROM upload WHERE id = $1 RETURNING principal_id, received";
    let deleted: Option<Deleted> = sql::first(on, sql, [id.to_string().into()]).await?;
    Ok(deleted.map(|row| (row.principal_id, sql::from_db(row.received))))
}
