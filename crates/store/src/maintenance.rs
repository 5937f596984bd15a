//! Read-only on a person's word: while the registry is maintained nothing that people put into it changes.
//!
//! Pushes, deletions and changes of what is declared are refused by whoever takes requests (`registry`, `web`), who asks
//! [`Store::maintenance`]; collection, rebases and attached SBOMs wait. What the registry learns goes on: pulls are noted, blobs are
//! looked into, images judged, advisories fetched, people told. It survives a restart and can have an end.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::db::Tx;
use crate::event::{self, EventKind};
use crate::setting::{self, Setting};
use crate::{Actor, Store, StoreError, Timestamp};

/// Longest reason, in bytes.
pub const MAINTENANCE_REASON_BYTES: usize = 500;

/// Longest time ahead in which it can end.
pub const LONGEST_MAINTENANCE: Duration = Duration::from_hours(30 * 24);

/// Why and until when nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// For people.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// When it ends by itself, if it does.
    pub until: Option<Timestamp>,
}

/// Why the registry did not become read-only.
#[derive(Debug, Clone, Error)]
pub enum MaintenanceError {
    /// Nobody would know why.
    #[error("say why, in one line of at most {limit} bytes")]
    Reason {
        /// [`MAINTENANCE_REASON_BYTES`].
        limit: usize,
    },
    /// It would be over already, or last longer than it may.
    #[error("the end has to be ahead, and at most {} days", LONGEST_MAINTENANCE.as_secs() / 86_400)]
    End,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What holds from a commit on.
#[derive(Debug, Clone)]
pub(crate) struct MaintenanceSwitch(pub(crate) Option<Arc<Maintenance>>);

/// When it is worth asking again where nobody knows the end, and the longest such time.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

impl Maintenance {
    /// When it is worth trying again.
    pub fn retry_after(&self, now: Timestamp) -> Duration {
        let (unknown, longest) = ASK_AGAIN;
        let left = |until: Timestamp| until.micros().saturating_sub(now.micros());
        let left = self.until.and_then(|until| u64::try_from(left(until)).ok());
        left.map_or(unknown, Duration::from_micros)
            .clamp(Duration::from_secs(1), longest)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Store {
    /// Why nothing may be changed for now, if it is so. No database call.
    pub fn maintenance(&self) -> Option<Arc<Maintenance>> {
        let present = self.inner.maintenance.load_full()?;
        (!present.is_over(self.now())).then_some(present)
    }

    /// Makes the registry read-only, for whoever is the actor, who is an administrator; what was said before is replaced.
    pub async fn begin_maintenance(
        &self,
        actor: &Actor,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<Arc<Maintenance>, MaintenanceError> {
        let now = self.now();
        let reason = reason.trim();
        if reason.is_empty()
            || reason.len() > MAINTENANCE_REASON_BYTES
            || reason.chars().any(char::is_control)
        {
            let limit = MAINTENANCE_REASON_BYTES;
            return Err(MaintenanceError::Reason { limit });
        }
        if until.is_some_and(|until| until <= now || until > now.plus(LONGEST_MAINTENANCE)) {
            return Err(MaintenanceError::End);
        }
        let wanted = Arc::new(Maintenance {
            reason: reason.to_owned(),
            by: actor.name().to_owned(),
            since: now,
            until,
        });
        let (actor, begun) = (actor.clone(), Arc::clone(&wanted));
        self.write(move |tx| Box::pin(async move { begin(tx, &actor, begun).await }))
            .await?;
        Ok(wanted)
    }

    /// Lets changes happen again. `false`: they did.
    pub async fn end_maintenance(&self, actor: &Actor) -> Result<bool, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { end(tx, &actor).await }))
            .await
    }

    /// Ends it when its time is over. It has no effect any more then; what waits for its end hears of it by this.
    pub(crate) async fn end_maintenance_in_time(&self) {
        let present = self.inner.maintenance.load_full();
        if !present.is_some_and(|present| present.is_over(self.now())) {
            return;
        }
        match self.end_maintenance(&Actor::system("its time is over")).await {
            Ok(_) => tracing::info!("maintenance is over: the registry takes changes again"),
            Err(error) => tracing::debug!(%error, "the end of maintenance could not be noted"),
        }
    }
}

/// What the database says of it.
pub(crate) async fn load(on: &impl sea_orm::ConnectionTrait) -> Result<Option<Arc<Maintenance>>, StoreError> {
    let Some(text) = setting::get(on, Setting::Maintenance).await? else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(None);
    }
    let damaged = |error| StoreError::damaged(format!("the setting for maintenance cannot be read: {error}"));
    serde_json::from_str(&text).map(Some).map_err(damaged)
}

async fn begin(tx: &Tx, actor: &Actor, begun: Arc<Maintenance>) -> Result<(), StoreError> {
    let body = json!(*begun);
    setting::set(tx.sql(), Setting::Maintenance, body.to_string()).await?;
    let body = json!({ "reason": begun.reason, "until": begun.until });
    event::record(tx, actor, EventKind::MaintenanceBegin, "registry", body).await?;
    tx.switch_maintenance(MaintenanceSwitch(Some(begun)));
    Ok(())
}

async fn end(tx: &Tx, actor: &Actor) -> Result<bool, StoreError> {
    if load(tx.sql()).await?.is_none() {
        return Ok(false);
    }
    setting::set(tx.sql(), Setting::Maintenance, String::new()).await?;
    event::record(tx, actor, EventKind::MaintenanceEnd, "registry", json!({})).await?;
    tx.switch_maintenance(MaintenanceSwitch(None));
    Ok(true)
}

#[cfg(test)]
mod tests;
