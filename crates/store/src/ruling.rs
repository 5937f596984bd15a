//! What administrators decree about findings: policies, by version, and waivers.
//!
//! The store keeps their text; what it means is the business of the crate that judges.

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;
use tokio::sync::watch;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp, reevaluation};

/// A policy that was set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StoredPolicy {
    /// Counts up from 1.
    pub version: u64,
    /// Digest of what it says.
    pub digest: String,
    /// YAML, as it was given.
    pub body: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

/// A waiver that is kept, whether its time is over or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWaiver {
    /// Its name.
    pub id: String,
    /// What it says, JSON.
    pub body: String,
    /// Its last moment.
    pub until: Timestamp,
}

/// How far a waiver has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverStep {
    /// Somebody asks for it; nothing is judged by it.
    Request,
    /// Somebody else approves it; images are judged by it.
    Approve,
}

/// What became of keeping a waiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverPut {
    /// It is kept.
    Done,
    /// There is another one of its name than the caller has seen, or none any more.
    Changed,
    /// There are [`MAX_WAIVERS`] already.
    Full,
}

/// Waivers that there can be, those that are over included until they are removed. Default: the only value.
pub const MAX_WAIVERS: usize = 10_000;

/// Versions of the policy that are listed.
const POLICIES_LISTED: i64 = 100;

#[derive(FromQueryResult)]
struct PolicyRow {
    version: i64,
    digest: String,
    body: String,
    set_at: i64,
    set_by: String,
}

#[derive(FromQueryResult)]
struct WaiverRow {
    id: String,
    body: String,
    until: i64,
}

impl From<PolicyRow> for StoredPolicy {
    fn from(row: PolicyRow) -> Self {
        Self {
            version: sql::from_db(row.version),
            digest: row.digest,
            body: row.body,
            set_at: Timestamp(row.set_at),
            set_by: row.set_by,
        }
    }
}

impl From<WaiverRow> for StoredWaiver {
    fn from(row: WaiverRow) -> Self {
        Self {
            id: row.id,
            body: row.body,
            until: Timestamp(row.until),
        }
    }
}

impl WaiverStep {
    const fn event(self) -> EventKind {
        match self {
            Self::Request => EventKind::WaiverRequest,
            Self::Approve => EventKind::WaiverSet,
        }
    }
}

impl Store {
    /// Changes whenever advisories, the policy or waivers have changed.
    pub fn rulings(&self) -> watch::Receiver<u64> {
        self.inner.rulings.subscribe()
    }

    /// The policy in force, if one was ever set.
    pub async fn policy(&self) -> Result<Option<StoredPolicy>, StoreError> {
        Ok(self.policies().await?.into_iter().next())
    }

    /// The latest policies, the one in force first.
    pub async fn policies(&self) -> Result<Vec<StoredPolicy>, StoreError> {
        let sql = "SELECT version, digest, body, set_at, set_by FROM policy ORDER BY version DESC LIMIT $1";
        let rows: Vec<PolicyRow> = sql::all(self.inner.db.read(), sql, [POLICIES_LISTED.into()]).await?;
        Ok(rows.into_iter().map(StoredPolicy::from).collect())
    }

    /// Puts a policy in force and answers its version. The caller has checked what it says.
    pub async fn set_policy(&self, body: &str, digest: &str, actor: &Actor) -> Result<u64, StoreError> {
        let (body, digest, actor) = (body.to_owned(), digest.to_owned(), actor.clone());
        self.write(move |tx| Box::pin(async move { put_policy(tx, &actor, &body, &digest).await }))
            .await
    }

    /// All waivers, in the order of their names.
    pub async fn waivers(&self) -> Result<Vec<StoredWaiver>, StoreError> {
        let sql = "SELECT id, body, until FROM waiver ORDER BY id";
        let rows: Vec<WaiverRow> = sql::all(self.inner.db.read(), sql, []).await?;
        Ok(rows.into_iter().map(StoredWaiver::from).collect())
    }

    /// The waiver of this name.
    pub async fn waiver(&self, id: &str) -> Result<Option<StoredWaiver>, StoreError> {
        Ok(find_waiver(self.inner.db.read(), id)
            .await?
            .map(StoredWaiver::from))
    }

    /// Keeps a waiver in place of what it `was`; `None`: there was none of its name. The caller has checked what it says.
    pub async fn set_waiver(
        &self,
        waiver: StoredWaiver,
        was: Option<&str>,
        step: WaiverStep,
        actor: &Actor,
    ) -> Result<WaiverPut, StoreError> {
        let (was, actor) = (was.map(str::to_owned), actor.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let present = find_waiver(tx.sql(), &waiver.id).await?;
                if present.map(|row| row.body) != was {
                    return Ok(WaiverPut::Changed);
                }
                let sql = "SELECT COUNT(*) AS number FROM waiver WHERE id <> $1";
                let others: Option<sql::Number> =
                    sql::first(tx.sql(), sql, [waiver.id.clone().into()]).await?;
                if others.is_some_and(|others| sql::from_db(others.number) >= MAX_WAIVERS as u64) {
                    return Ok(WaiverPut::Full);
                }
                put_waiver(tx, &waiver).await?;
                let about = serde_json::from_str(&waiver.body).unwrap_or_default();
                event::record(tx, &actor, step.event(), &waiver.id, about).await?;
                if step == WaiverStep::Approve {
                    ask_all(tx).await?;
                }
                Ok::<_, StoreError>(WaiverPut::Done)
            })
        })
        .await
    }

    /// Withdraws a waiver that still is what it `was`. `false`: it is not, or there is none of this name. What was only asked
    /// for had no effect, so nothing is judged again.
    pub async fn remove_waiver(
        &self,
        id: &str,
        was: &str,
        step: WaiverStep,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        let (id, was, actor) = (id.to_owned(), was.to_owned(), actor.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM waiver WHERE id = $1 AND body = $2";
                let values = [id.clone().into(), was.clone().into()];
                let removed = sql::execute(tx.sql(), sql, values).await? > 0;
                if removed {
                    if step == WaiverStep::Approve {
                        ask_all(tx).await?;
                    }
                    let was = serde_json::from_str(&was).unwrap_or_default();
                    event::record(tx, &actor, EventKind::WaiverRemove, &id, was).await?;
                }
                Ok::<_, StoreError>(removed)
            })
        })
        .await
    }
}

/// The same within a transaction.
pub(crate) async fn put_policy(tx: &Tx, actor: &Actor, body: &str, digest: &str) -> Result<u64, StoreError> {
    let sql =
        "INSERT INTO policy (digest, body, set_at, set_by) VALUES ($1, $2, $3, $4) RETURNING version AS id";
    let values = [
        digest.into(),
        body.into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    let made: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    let version = made.map_or(0, |row| row.id);
    ask_all(tx).await?;
    let about = json!({ "version": version, "digest": digest });
    event::record(tx, actor, EventKind::PolicySet, "policy", about).await?;
    Ok(sql::from_db(version))
}

/// All images are judged by something else once this is committed, whatever is killed then.
async fn ask_all(tx: &Tx) -> Result<(), StoreError> {
    reevaluation::ask(tx).await?;
    tx.touch_rulings();
    Ok(())
}

async fn find_waiver(on: &impl ConnectionTrait, id: &str) -> Result<Option<WaiverRow>, StoreError> {
    let sql = "SELECT id, body, until FROM waiver WHERE id = $1";
    sql::first(on, sql, [id.into()]).await
}

async fn put_waiver(tx: &Tx, waiver: &StoredWaiver) -> Result<(), StoreError> {
    let sql = "INSERT INTO waiver (id, body, until, created_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (id) DO UPDATE SET body = excluded.body, until = excluded.until";
    let values = [
        waiver.id.clone().into(),
        waiver.body.clone().into(),
        waiver.until.micros().into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

#[cfg(test)]
mod tests;
