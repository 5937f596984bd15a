//! The one switch that stops all rebases, those that run too.

use serde_json::json;

use super::RebaseError;
use crate::db::Tx;
use crate::event::{self, EventKind};
use crate::setting::{self, Setting};
use crate::{Actor, Store, StoreError, maintenance};

impl Store {
    /// Who has stopped all rebases, by the switch or with everything else; nobody: they go on.
    pub async fn rebases_stopped_by(&self) -> Result<Option<String>, StoreError> {
        if let Some(maintenance) = self.maintenance() {
            return Ok(Some(for_maintenance(&maintenance.by)));
        }
        let by = setting::get(self.inner.db.read(), Setting::RebasesStopped).await?;
        Ok(by.filter(|by| !by.is_empty()))
    }

    /// Stops all rebases, or lets them go on. While they are stopped none is made and no tag follows; undoing goes on. Answers
    /// whether that is news.
    pub async fn switch_rebases(&self, actor: &Actor, stopped: bool) -> Result<bool, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { switch(tx, &actor, stopped).await }))
            .await
    }
}

async fn switch(tx: &Tx, actor: &Actor, stopped: bool) -> Result<bool, StoreError> {
    let was = setting::get(tx.sql(), Setting::RebasesStopped).await?;
    let was = was.filter(|by| !by.is_empty());
    if was.is_some() == stopped {
        return Ok(false);
    }
    let by = if stopped { actor.name() } else { "" };
    setting::set(tx.sql(), Setting::RebasesStopped, by.to_owned()).await?;
    let kind = if stopped {
        EventKind::RebaseStop
    } else {
        EventKind::RebaseResume
    };
    event::record(tx, actor, kind, "rebases", json!({})).await?;
    Ok(true)
}

fn for_maintenance(by: &str) -> String {
    format!("{by}, for maintenance,")
}

/// Asked in the transaction that would make one, or move its tag: what is stopped stops at once.
pub(super) async fn check(tx: &Tx) -> Result<(), RebaseError> {
    if let Some(maintenance) = maintenance::load(tx.sql()).await?
        && !maintenance.is_over(tx.now())
    {
        let by = for_maintenance(&maintenance.by);
        return Err(RebaseError::Stopped { by });
    }
    let by = setting::get(tx.sql(), Setting::RebasesStopped).await?;
    match by.filter(|by| !by.is_empty()) {
        Some(by) => Err(RebaseError::Stopped { by }),
        None => Ok(()),
    }
}
