//! What the catalogue of the road was: read back from the audit log.

use std::collections::BTreeMap;

use road::base::BaseImage;
use road::paving::RoadKind;
use sea_orm::FromQueryResult;

use super::{StoredRoadEntry, subject};
use crate::db::sql;
use crate::event::{Event, EventKind, EventRow};
use crate::{Page, Store, StoreError, Timestamp};

/// Kinds of events that change the catalogue.
const CHANGES: [EventKind; 4] = [
    EventKind::BaseSet,
    EventKind::BaseRemove,
    EventKind::RoadSet,
    EventKind::RoadRemove,
];

/// Kinds of events that tell of its ends and promises.
const TOLD: [EventKind; 4] = [
    EventKind::RoadEnds,
    EventKind::RoadEnd,
    EventKind::BaseLate,
    EventKind::BasePatched,
];

/// Changes that are replayed for one answer. Default: the only value.
const MAX_REPLAYED: u64 = 200_000;

/// The catalogue at a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoadAt {
    /// The last change that it takes in; 0 before the first one.
    pub version: i64,
    /// When that was.
    pub at: Option<Timestamp>,
    /// Its bases, by name.
    pub bases: Vec<BaseImage>,
    /// All else, by kind and name, as it was kept then.
    pub entries: Vec<StoredRoadEntry>,
}

fn quoted(kinds: impl IntoIterator<Item = EventKind>) -> String {
    let names: Vec<String> = kinds
        .into_iter()
        .map(|kind| format!("'{}'", kind.name()))
        .collect();
    names.join(", ")
}

/// How events may name an entry: bases by their name, others with their kind in front.
fn subjects(name: &str) -> Vec<String> {
    let kinds = RoadKind::ALL.into_iter();
    let with_kind = kinds.map(|kind| subject(kind, name));
    std::iter::once(name.to_owned()).chain(with_kind).collect()
}

impl Store {
    /// What happened to the catalogue, or to what is called `name` in it, the newest first, before the event `before`. Each change
    /// has what was and what is, its author and its cause.
    pub async fn road_history(
        &self,
        name: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<Event>, StoreError> {
        let limit = self.page_limit(limit);
        let named = name.map(subjects).unwrap_or_default();
        let of_name = if named.is_empty() {
            String::new()
        } else {
            format!(" AND subject IN ({})", sql::placeholders(3, named.len()))
        };
        let sql = format!(
            "SELECT seq, at, kind, subject, actor, cause, rule_version, body FROM event \
             WHERE kind IN ({}) AND seq < $1{of_name} ORDER BY seq DESC LIMIT $2",
            quoted(CHANGES.into_iter().chain(TOLD))
        );
        let values = [
            before.unwrap_or(i64::MAX).into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let values = values.into_iter().chain(named.into_iter().map(Into::into));
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        let events = rows
            .into_iter()
            .map(EventRow::into_event)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(events, limit))
    }

    /// The number of the last event that changed the catalogue; 0 before the first one.
    pub async fn road_version(&self) -> Result<i64, StoreError> {
        let sql = format!(
            "SELECT MAX(seq) AS seq FROM event WHERE kind IN ({})",
            quoted(CHANGES)
        );
        let row: Option<LastRow> = sql::first(self.inner.db.read(), &sql, []).await?;
        Ok(row.and_then(|row| row.seq).unwrap_or_default())
    }

    /// The catalogue as it was once the event `version` had happened; without one, as it is. From the log, whatever became of it
    /// since. [`StoreError::Damaged`]: an event cannot be read; [`StoreError::TooManyChanges`]: it would take too many of them.
    pub async fn road_at(&self, version: Option<i64>) -> Result<RoadAt, StoreError> {
        self.road_within(version, MAX_REPLAYED).await
    }

    /// Rather nothing than an older catalogue in place of the one that was asked for.
    pub(super) async fn road_within(&self, version: Option<i64>, most: u64) -> Result<RoadAt, StoreError> {
        let sql = format!(
            "SELECT seq, at, kind, subject, actor, cause, rule_version, body FROM event \
             WHERE kind IN ({}) AND seq <= $1 ORDER BY seq LIMIT $2",
            quoted(CHANGES)
        );
        let values = [
            version.unwrap_or(i64::MAX).into(),
            sql::to_db(most.saturating_add(1)).into(),
        ];
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        if rows.len() as u64 > most {
            return Err(StoreError::TooManyChanges { limit: most });
        }
        let events = rows.into_iter().map(EventRow::into_event);
        let mut replayed = Replayed::default();
        for event in events {
            replayed.take(event?)?;
        }
        Ok(RoadAt {
            version: replayed.version,
            at: replayed.at,
            bases: replayed.bases.into_values().collect(),
            entries: replayed.entries.into_values().collect(),
        })
    }
}

#[derive(FromQueryResult)]
struct LastRow {
    seq: Option<i64>,
}

#[derive(Default)]
struct Replayed {
    version: i64,
    at: Option<Timestamp>,
    bases: BTreeMap<String, BaseImage>,
    entries: BTreeMap<String, StoredRoadEntry>,
}

impl Replayed {
    fn take(&mut self, mut event: Event) -> Result<(), StoreError> {
        self.version = event.seq;
        self.at = Some(event.at);
        let damaged = |error| StoreError::damaged(format!("event {}: {error}", event.seq));
        match event.kind {
            EventKind::BaseSet => {
                let base = serde_json::from_value(event.body).map_err(damaged)?;
                self.bases.insert(event.subject, base);
            }
            EventKind::BaseRemove => {
                self.bases.remove(&event.subject);
            }
            EventKind::RoadSet => {
                let entry = serde_json::from_value(event.body["to"].take()).map_err(damaged)?;
                let renewals = event.body["renewals"].as_u64().unwrap_or_default();
                let stored = StoredRoadEntry {
                    entry,
                    renewals: u8::try_from(renewals).unwrap_or(u8::MAX),
                    set_at: event.at,
                    set_by: event.actor,
                    removed_at: None,
                };
                self.entries.insert(event.subject, stored);
            }
            EventKind::RoadRemove => {
                self.entries.remove(&event.subject);
            }
            _ => {}
        }
        Ok(())
    }
}
