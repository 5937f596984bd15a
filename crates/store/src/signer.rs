//! Trusted signers, as administrators declare them.
//!
//! What is kept can be used: a signer whose key or roots cannot be read is refused when it is set.

use oci::{Algorithm, Digest};
use sea_orm::{ConnectionTrait, FromQueryResult};
use signatures::{SignerSpec, TrustedSigner, limits::MAX_SIGNERS};

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::job::{self, JobPriority, Which};
use crate::{Actor, AdminError, Store, StoreError};

#[derive(FromQueryResult)]
struct Row {
    name: String,
    body: String,
}

impl Row {
    fn into_spec(self) -> Result<SignerSpec, StoreError> {
        serde_json::from_str(&self.body)
            .map_err(|error| StoreError::damaged(format!("signer {}: {error}", self.name)))
    }
}

impl Store {
    /// All signers, in the order of their names.
    pub async fn trusted_signers(&self) -> Result<Vec<SignerSpec>, StoreError> {
        all(self.inner.db.read()).await
    }

    /// The signer of this name.
    pub async fn trusted_signer(&self, name: &str) -> Result<Option<SignerSpec>, StoreError> {
        find(self.inner.db.read(), name).await
    }

    /// Trusts a signer, in place of the one of its name, which is answered. Images are judged by it at once.
    ///
    /// Refused is what could never verify anything ([`AdminError::Invalid`]), and one too many ([`AdminError::TooMany`]).
    pub async fn set_signer(
        &self,
        actor: &Actor,
        signer: &SignerSpec,
    ) -> Result<Option<SignerSpec>, AdminError> {
        check(signer)?;
        let (actor, signer) = (actor.clone(), signer.clone());
        self.write(move |tx| Box::pin(async move { set(tx, &actor, &signer).await }))
            .await
    }

    /// Trusts a signer no more. [`AdminError::NotFound`]: there is none of this name.
    pub async fn remove_signer(&self, actor: &Actor, name: &str) -> Result<(), AdminError> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.write(move |tx| Box::pin(async move { remove(tx, &actor, &name).await }))
            .await
    }
}

/// Whether a signer can be used.
pub(crate) fn check(signer: &SignerSpec) -> Result<(), AdminError> {
    TrustedSigner::new(signer.clone())
        .map(drop)
        .map_err(|error| AdminError::Invalid {
            reason: format!("signer {}: {error}", signer.name.escape_debug()),
        })
}

/// All of them, by name.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<SignerSpec>, StoreError> {
    let rows: Vec<Row> = sql::all(on, "SELECT name, body FROM signer ORDER BY name", []).await?;
    rows.into_iter().map(Row::into_spec).collect()
}

async fn find(on: &impl ConnectionTrait, name: &str) -> Result<Option<SignerSpec>, StoreError> {
    let sql = "SELECT name, body FROM signer WHERE name = $1";
    let row: Option<Row> = sql::first(on, sql, [name.into()]).await?;
    row.map(Row::into_spec).transpose()
}

/// Sets one that was checked. One that is as it was changes nothing.
pub(crate) async fn set(
    tx: &Tx,
    actor: &Actor,
    signer: &SignerSpec,
) -> Result<Option<SignerSpec>, AdminError> {
    let was = find(tx.sql(), &signer.name).await?;
    if was.as_ref() == Some(signer) {
        return Ok(was);
    }
    let sql = "SELECT COUNT(*) AS number FROM signer WHERE name <> $1";
    let others: Option<sql::Number> = sql::first(tx.sql(), sql, [signer.name.clone().into()]).await?;
    if others.is_some_and(|others| sql::from_db(others.number) >= MAX_SIGNERS as u64) {
        return Err(AdminError::TooMany {
            kind: "signer",
            limit: MAX_SIGNERS as u64,
        });
    }
    let body = serde_json::to_value(signer).map_err(|error| StoreError::damaged(error.to_string()))?;
    let sql = "INSERT INTO signer (name, body, set_at, set_by) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO UPDATE SET body = excluded.body, set_at = excluded.set_at, set_by = excluded.set_by";
    let values = [
        signer.name.clone().into(),
        body.to_string().into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    have_judged(tx).await?;
    event::record(tx, actor, EventKind::SignerSet, &signer.name, about(signer)).await?;
    Ok(was)
}

/// Removes the one of this name.
pub(crate) async fn remove(tx: &Tx, actor: &Actor, name: &str) -> Result<(), AdminError> {
    let was = find(tx.sql(), name).await?.ok_or_else(|| AdminError::NotFound {
        kind: "signer",
        name: name.to_owned(),
    })?;
    sql::execute(tx.sql(), "DELETE FROM signer WHERE name = $1", [name.into()]).await?;
    have_judged(tx).await?;
    event::record(tx, actor, EventKind::SignerRemove, name, about(&was)).await?;
    Ok(())
}

/// Images are judged anew, also if the process ends before it has read who is trusted now.
async fn have_judged(tx: &Tx) -> Result<(), StoreError> {
    tx.touch_rulings();
    job::enqueue_judgements(tx, Which::All.condition(), JobPriority::Backfill, None)
        .await
        .map(drop)
}

/// A signer as events tell it: of its roots, which are long, the digest.
fn about(signer: &SignerSpec) -> serde_json::Value {
    let mut about = serde_json::to_value(signer).unwrap_or_default();
    if let Some(roots) = &signer.roots {
        about["roots"] = Digest::of(Algorithm::Sha256, roots.as_bytes()).to_string().into();
    }
    about
}

#[cfg(test)]
mod tests;
