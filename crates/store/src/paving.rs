//! The catalogue of the road beyond bases: toolchains, golden paths, what applications say, exemptions.
//!
//! Each change is an event with its author, which holds what was and what is; [`Store::road_history`] reads them back.

use road::app_road::AppRoad;
use road::base::Bases;
use road::names::ApplicationName;
use road::paving::{Paving, RoadEntry, RoadKind};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError, Timestamp};

mod history;
mod notice;

pub use history::RoadAt;

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRoadEntry {
    /// The entry.
    pub entry: RoadEntry,
    /// Of an exemption, how often it was given a later end.
    pub renewals: u8,
    /// When it was last set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
    /// When it was taken back; only exemptions are remembered then.
    pub removed_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Row {
    kind: String,
    name: String,
    body: String,
    renewals: i64,
    set_at: i64,
    set_by: String,
    removed_at: Option<i64>,
}

const COLUMNS: &str = "SELECT kind, name, body, renewals, set_at, set_by, removed_at FROM road_entry";

impl Row {
    fn into_stored(self) -> Result<StoredRoadEntry, StoreError> {
        let entry = serde_json::from_str(&self.body);
        Ok(StoredRoadEntry {
            entry: entry
                .map_err(|error| StoreError::damaged(format!("{} {}: {error}", self.kind, self.name)))?,
            renewals: u8::try_from(self.renewals).unwrap_or(u8::MAX),
            set_at: Timestamp(self.set_at),
            set_by: self.set_by,
            removed_at: self.removed_at.map(Timestamp),
        })
    }
}

impl Store {
    /// The entries that are no bases, by kind and name; exemptions that ended too, not what was taken back.
    pub async fn road_entries(&self) -> Result<Vec<StoredRoadEntry>, StoreError> {
        all(self.inner.db.read()).await
    }

    /// What an application has said about the road, unless that has ended. Without any it is in the ring `normal` and asked first.
    pub async fn app_road(&self, application: &ApplicationName) -> Result<Option<AppRoad>, StoreError> {
        let road = self.road().await?;
        let now = self.now().to_utc();
        Ok(road.paving.app_road(application, now).cloned())
    }
}

/// All that there are.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<StoredRoadEntry>, StoreError> {
    let stored = with_removed(on).await?;
    Ok(stored
        .into_iter()
        .filter(|stored| stored.removed_at.is_none())
        .collect())
}

/// All that there are, and the exemptions that were taken back.
pub(crate) async fn with_removed(on: &impl ConnectionTrait) -> Result<Vec<StoredRoadEntry>, StoreError> {
    let sql = format!("{COLUMNS} ORDER BY kind, name");
    let rows: Vec<Row> = sql::all(on, &sql, []).await?;
    rows.into_iter().map(Row::into_stored).collect()
}

async fn find(
    on: &impl ConnectionTrait,
    kind: RoadKind,
    name: &str,
) -> Result<Option<StoredRoadEntry>, StoreError> {
    let sql = format!("{COLUMNS} WHERE kind = $1 AND name = $2");
    let row: Option<Row> = sql::first(on, &sql, [kind.as_str().into(), name.into()]).await?;
    row.map(Row::into_stored).transpose()
}

/// How events, notices and histories name an entry.
pub(crate) fn subject(kind: RoadKind, name: &str) -> String {
    format!("{kind}/{name}")
}

/// Whether an entry may take the place of what is or was there; answers how often it was renewed then.
pub(crate) fn renewals(entry: &RoadEntry, was: Option<&StoredRoadEntry>) -> Result<u8, AdminError> {
    let (RoadEntry::Exemption(to), Some(stored)) = (entry, was) else {
        return Ok(0);
    };
    let RoadEntry::Exemption(from) = &stored.entry else {
        return Ok(0);
    };
    to.renews(from, stored.renewals)
        .map_err(|error| AdminError::Invalid {
            reason: format!("exemption {}: {error}", entry.name()),
        })
}

/// An entry as it is kept in the place of what is or was there: an exemption goes on, it does not begin anew.
pub(crate) fn kept(entry: &RoadEntry, was: Option<&StoredRoadEntry>) -> RoadEntry {
    match (entry, was.map(|stored| &stored.entry)) {
        (RoadEntry::Exemption(to), Some(RoadEntry::Exemption(from))) => {
            RoadEntry::Exemption(to.clone().since(from))
        }
        _ => entry.clone(),
    }
}

/// Sets one; whether all go together is asked by [`check_together`]. One that is as it was changes nothing.
pub(crate) async fn put(tx: &Tx, actor: &Actor, entry: &RoadEntry) -> Result<(), AdminError> {
    let (kind, name) = (entry.kind(), entry.name());
    let stored = find(tx.sql(), kind, &name).await?;
    let renewals = renewals(entry, stored.as_ref())?;
    let entry = &kept(entry, stored.as_ref());
    let was = stored
        .filter(|stored| stored.removed_at.is_none())
        .map(|stored| stored.entry);
    if was.as_ref() == Some(entry) {
        return Ok(());
    }
    let body = serde_json::to_value(entry).map_err(|error| StoreError::damaged(error.to_string()))?;
    let sql = "INSERT INTO road_entry (kind, name, body, renewals, set_at, set_by, removed_at) \
               VALUES ($1, $2, $3, $4, $5, $6, NULL) \
               ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, renewals = excluded.renewals, \
               set_at = excluded.set_at, set_by = excluded.set_by, removed_at = NULL";
    let values = [
        kind.as_str().into(),
        name.as_str().into(),
        body.to_string().into(),
        i64::from(renewals).into(),
        tx.now().micros().into(),
        actor.name().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    tx.touch_entries();
    let about = json!({ "to": entry, "was": was, "renewals": renewals });
    event::record(tx, actor, EventKind::RoadSet, &subject(kind, &name), about).await?;
    Ok(())
}

/// Takes one back; whether the others still go together is asked by [`check_together`].
pub(crate) async fn remove(tx: &Tx, actor: &Actor, kind: RoadKind, name: &str) -> Result<(), AdminError> {
    let stored = find(tx.sql(), kind, name).await?;
    let Some(was) = stored.filter(|stored| stored.removed_at.is_none()) else {
        return Err(AdminError::NotFound {
            kind: kind.as_str(),
            name: name.to_owned(),
        });
    };
    if kind == RoadKind::Exemption {
        let sql = "UPDATE road_entry SET removed_at = $3 WHERE kind = $1 AND name = $2";
        let values = [kind.as_str().into(), name.into(), tx.now().micros().into()];
        sql::execute(tx.sql(), sql, values).await?;
    } else {
        let sql = "DELETE FROM road_entry WHERE kind = $1 AND name = $2";
        sql::execute(tx.sql(), sql, [kind.as_str().into(), name.into()]).await?;
    }
    tx.touch_entries();
    let about = json!({ "was": was.entry });
    event::record(tx, actor, EventKind::RoadRemove, &subject(kind, name), about).await?;
    Ok(())
}

/// Whether entries go together with each other and with the bases.
pub(crate) fn check_together(bases: &Bases, entries: Vec<RoadEntry>) -> Result<(), AdminError> {
    let built = Paving::build(bases, entries);
    built.map(drop).map_err(|error| AdminError::Invalid {
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
