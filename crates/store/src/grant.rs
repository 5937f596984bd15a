//! Grants: who may do what where.

use access::{Grant, Subject};
use oci::RepoPattern;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::snapshot::GrantRow;
use crate::{Actor, AdminError, Store, StoreError};

/// All grants, by subject and pattern.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<Grant>, StoreError> {
    let sql = "SELECT subject, pattern, roles FROM access_grant ORDER BY subject, pattern";
    let rows: Vec<GrantRow> = sql::all(on, sql, []).await?;
    rows.into_iter().map(GrantRow::into_grant).collect()
}

/// Sets a grant within a transaction.
pub(crate) async fn set(tx: &Tx, actor: &Actor, grant: &Grant, limit: u64) -> Result<(), AdminError> {
    if grant.roles.is_empty() {
        let reason = "a grant without roles allows nothing; name at least one or remove the grant".to_owned();
        return Err(AdminError::Invalid { reason });
    }
    // The one that is replaced does not count.
    let sql = "SELECT COUNT(*) AS number FROM access_grant WHERE subject <> $1 OR pattern <> $2";
    let values = [grant.subject.to_string(), grant.pattern.to_string()].map(Into::into);
    let count: Option<sql::Number> = sql::first(tx.sql(), sql, values).await?;
    if sql::from_db(count.map_or(0, |row| row.number)) >= limit {
        return Err(AdminError::TooMany { kind: "grant", limit });
    }
    let sql = "INSERT INTO access_grant (subject, pattern, roles) VALUES ($1, $2, $3) \
               ON CONFLICT (subject, pattern) DO UPDATE SET roles = excluded.roles";
    let values = [
        grant.subject.to_string(),
        grant.pattern.to_string(),
        grant.roles.to_string(),
    ]
    .map(Into::into);
    sql::execute(tx.sql(), sql, values).await?;
    let body = json!({ "pattern": grant.pattern, "roles": grant.roles });
    event::record(tx, actor, EventKind::GrantSet, &grant.subject.to_string(), body).await?;
    Ok(())
}

/// Removes a grant within a transaction.
pub(crate) async fn remove(
    tx: &Tx,
    actor: &Actor,
    subject: &Subject,
    pattern: &RepoPattern,
) -> Result<(), AdminError> {
    let sql = "DELETE FROM access_grant WHERE subject = $1 AND pattern = $2";
    if sql::execute(
        tx.sql(),
        sql,
        [subject.to_string().into(), pattern.to_string().into()],
    )
    .await?
        == 0
    {
        return Err(AdminError::NotFound {
            kind: "grant",
            name: format!("{subject} on {pattern}"),
        });
    }
    event::record(
        tx,
        actor,
        EventKind::GrantRemove,
        &subject.to_string(),
        json!({ "pattern": pattern }),
    )
    .await?;
    Ok(())
}

impl Store {
    /// Adds a grant; the roles of an existing grant with the same subject and pattern are replaced. The subject need
    /// not exist (yet).
    pub async fn set_grant(&self, actor: &Actor, grant: &Grant) -> Result<(), AdminError> {
        let (actor, grant, limit) = (actor.clone(), grant.clone(), self.limits().grants);
        self.change_access(move |tx| Box::pin(async move { set(tx, &actor, &grant, limit).await }))
            .await
    }

    /// Removes the grant with the same subject and pattern.
    pub async fn remove_grant(
        &self,
        actor: &Actor,
        subject: &Subject,
        pattern: &RepoPattern,
    ) -> Result<(), AdminError> {
        let (actor, subject, pattern) = (actor.clone(), subject.clone(), pattern.clone());
        self.change_access(move |tx| Box::pin(async move { remove(tx, &actor, &subject, &pattern).await }))
            .await
    }

    /// All grants (at most [`crate::StoreLimits::grants`]), ordered by subject and pattern.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        all(self.inner.db.read()).await
    }
}
