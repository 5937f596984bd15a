//! Feeds: where advisories are fetched from, and how far that came. What a feed brought is the business of `advisory`.

use sea_orm::{FromQueryResult, Value};

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, FeedHold, Store, StoreError, Timestamp};

/// Feeds that are listed; there is one per ecosystem and catalogue.
const LISTED: i64 = 1_000;

/// What is known of one feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedState {
    /// Its name: an ecosystem, `kev`, `epss`.
    pub source: String,
    /// Where it was when it last succeeded. What was fetched elsewhere says nothing about it.
    pub url: String,
    /// `ETag` of what was fetched.
    pub etag: Option<String>,
    /// `Last-Modified` of the same.
    pub last_modified: Option<String>,
    /// When it was last tried.
    pub tried_at: Timestamp,
    /// When that last succeeded, whether there was anything new or not.
    pub succeeded_at: Option<Timestamp>,
    /// When there last was something new.
    pub changed_at: Option<Timestamp>,
    /// Not before this moment is it tried again by itself.
    pub next_at: Timestamp,
    /// How often in a row it has failed.
    pub failures: u64,
    /// Why the last try failed; `None` where it did not.
    pub error: Option<String>,
    /// The generation that it last had a part in; 0 before the first.
    pub generation: u64,
    /// Advisories or entries that it listed when it last succeeded.
    pub covers: u64,
    /// Ids that it has lost since `lost_since`.
    pub lost: u64,
    /// Since when that is counted.
    pub lost_since: Timestamp,
    /// Why it waits for a person; `None`: it does not.
    pub held: Option<FeedHold>,
}

#[derive(FromQueryResult)]
struct HeldRow {
    held: Option<String>,
}

/// A feed that stands badly.
#[derive(FromQueryResult)]
struct BadRow {
    source: String,
    is_failing: i64,
    held: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    source: String,
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    tried_at: i64,
    succeeded_at: Option<i64>,
    changed_at: Option<i64>,
    next_at: i64,
    failures: i64,
    error: Option<String>,
    generation: i64,
    covers: i64,
    lost: i64,
    lost_since: i64,
    held: Option<String>,
}

#[derive(FromQueryResult)]
struct ListRow {
    list: Vec<u8>,
}

impl Row {
    fn into_state(self) -> FeedState {
        let row = self;
        let held = hold_of(&row.source, row.held.as_deref());
        FeedState {
            source: row.source,
            url: row.url,
            etag: row.etag,
            last_modified: row.last_modified,
            tried_at: Timestamp(row.tried_at),
            succeeded_at: row.succeeded_at.map(Timestamp),
            changed_at: row.changed_at.map(Timestamp),
            next_at: Timestamp(row.next_at),
            failures: sql::from_db(row.failures),
            error: row.error,
            generation: sql::from_db(row.generation),
            covers: sql::from_db(row.covers),
            lost: sql::from_db(row.lost),
            lost_since: Timestamp(row.lost_since),
            held,
        }
    }
}

/// Why a feed waits for a person. What cannot be read is no leave to go on: that would let pass what is held. Others go on.
fn hold_of(source: &str, held: Option<&str>) -> Option<FeedHold> {
    let read = serde_json::from_str(held?);
    Some(read.unwrap_or_else(|error| {
        tracing::warn!(source, %error, "why a feed is held cannot be read; it is not fetched until a person asks for it by name");
        FeedHold::Unreadable
    }))
}

impl Store {
    /// Every feed that was ever tried, in the order of their names.
    pub async fn feeds(&self) -> Result<Vec<FeedState>, StoreError> {
        let sql = "SELECT source, url, etag, last_modified, tried_at, succeeded_at, changed_at, next_at, failures, error, \
                   generation, covers, lost, lost_since, held FROM feed ORDER BY source LIMIT $1";
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, [LISTED.into()]).await?;
        Ok(rows.into_iter().map(Row::into_state).collect())
    }

    /// Counts for [`Store::metrics`] how feeds stand. Done after every change of one; after a start somebody has to ask for it.
    pub async fn refresh_feed_counts(&self) -> Result<(), StoreError> {
        let sql = "SELECT source, CASE WHEN error IS NULL THEN 0 ELSE 1 END AS is_failing, held FROM feed \
                   WHERE error IS NOT NULL OR held IS NOT NULL LIMIT $1";
        let rows: Vec<BadRow> = sql::all(self.inner.db.read(), sql, [LISTED.into()]).await?;
        let (mut failing, mut waiting, mut lifted) = (0, 0, 0);
        for row in rows {
            failing += u64::from(row.is_failing == 1);
            let hold = hold_of(&row.source, row.held.as_deref());
            waiting += u64::from(hold.is_some());
            if let Some(FeedHold::Lifts { lifts }) = hold {
                lifted += lifts.lifted;
            }
        }
        let counts = &self.inner.imports.feeds;
        counts.failing.store(failing, Ordering::Relaxed);
        counts.held.store(waiting, Ordering::Relaxed);
        counts.lifts.store(lifted, Ordering::Relaxed);
        Ok(())
    }

    /// What the feed listed when it was last fetched; empty before that.
    pub async fn feed_list(&self, source: &str) -> Result<Vec<u8>, StoreError> {
        let sql = "SELECT list FROM feed WHERE source = $1";
        let row: Option<ListRow> = sql::first(self.inner.db.read(), sql, [source.into()]).await?;
        Ok(row.map(|row| row.list).unwrap_or_default())
    }

    /// Keeps the state of a feed, and what it listed; `None`: that is as it was.
    pub async fn set_feed(&self, state: FeedState, list: Option<Vec<u8>>) -> Result<(), StoreError> {
        let columns = "source, url, etag, last_modified, tried_at, succeeded_at, changed_at, next_at, failures, error, \
                       generation, covers, lost, lost_since, held, list";
        let same = "url = excluded.url, etag = excluded.etag, last_modified = excluded.last_modified, \
                    tried_at = excluded.tried_at, succeeded_at = excluded.succeeded_at, \
                    changed_at = excluded.changed_at, next_at = excluded.next_at, failures = excluded.failures, \
                    error = excluded.error, generation = excluded.generation, covers = excluded.covers, \
                    lost = excluded.lost, lost_since = excluded.lost_since, held = excluded.held";
        let list_too = if list.is_some() {
            ", list = excluded.list"
        } else {
            ""
        };
        let sql = format!(
            "INSERT INTO feed ({columns}) VALUES {} ON CONFLICT (source) DO UPDATE SET {same}{list_too}",
            sql::tuples(1, 16)
        );
        self.write(move |tx| {
            Box::pin(async move {
                note_hold(tx, &state).await?;
                let held = state.held.as_ref().map(serde_json::to_string).transpose();
                let held = held.map_err(|error| {
                    StoreError::damaged(format!("why a feed is held cannot be written: {error}"))
                })?;
                let values: [Value; 16] = [
                    state.source.into(),
                    state.url.into(),
                    state.etag.into(),
                    state.last_modified.into(),
                    state.tried_at.micros().into(),
                    state.succeeded_at.map(Timestamp::micros).into(),
                    state.changed_at.map(Timestamp::micros).into(),
                    state.next_at.micros().into(),
                    sql::to_db(state.failures).into(),
                    state.error.into(),
                    sql::to_db(state.generation).into(),
                    sql::to_db(state.covers).into(),
                    sql::to_db(state.lost).into(),
                    state.lost_since.micros().into(),
                    held.into(),
                    list.unwrap_or_default().into(),
                ];
                sql::execute(tx.sql(), &sql, values).await.map(drop)
            })
        })
        .await?;
        self.refresh_feed_counts().await
    }
}

/// Tells that a feed waits for a person, once and when it is about something else.
async fn note_hold(tx: &Tx, state: &FeedState) -> Result<(), StoreError> {
    let Some(held) = &state.held else {
        return Ok(());
    };
    let sql = "SELECT held FROM feed WHERE source = $1";
    let row: Option<HeldRow> = sql::first(tx.sql(), sql, [state.source.clone().into()]).await?;
    let known = row.and_then(|row| row.held);
    if known
        .as_deref()
        .and_then(|known| serde_json::from_str(known).ok())
        .as_ref()
        == Some(held)
    {
        return Ok(());
    }
    let actor = Actor::system("feeds");
    event::record(tx, &actor, EventKind::AdvisoriesHold, &state.source, json!(held)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventFilter;
    use crate::testing::Kit;

    #[tokio::test]
    async fn the_state_of_a_feed_is_kept_and_its_list_too() {
        let kit = Kit::new().await;
        assert!(kit.store.feeds().await.unwrap().is_empty());
        assert!(kit.store.feed_list("Maven").await.unwrap().is_empty());
        let first = FeedState {
            source: "Maven".to_owned(),
            url: "https://feeds.example/Maven".to_owned(),
            etag: Some("\"v1\"".to_owned()),
            tried_at: Timestamp(5),
            succeeded_at: Some(Timestamp(5)),
            changed_at: Some(Timestamp(5)),
            next_at: Timestamp(9),
            generation: 3,
            covers: 7,
            lost: 2,
            lost_since: Timestamp(4),
            ..FeedState::default()
        };
        kit.store
            .set_feed(first.clone(), Some(b"list".to_vec()))
            .await
            .unwrap();
        assert_eq!(kit.store.feeds().await.unwrap(), std::slice::from_ref(&first));
        let failed = FeedState {
            tried_at: Timestamp(9),
            failures: 1,
            error: Some("cannot reach feeds.example".to_owned()),
            held: Some(FeedHold::Shrunk { before: 9, now: 2 }),
            ..first
        };
        kit.store.set_feed(failed.clone(), None).await.unwrap();
        // It is told once.
        kit.store.set_feed(failed.clone(), None).await.unwrap();
        let told = EventFilter {
            kind: Some(EventKind::AdvisoriesHold),
            ..EventFilter::default()
        };
        let root = kit.administrator("root").await;
        let told = kit.store.events(&root, &told, None, 10).await.unwrap();
        assert_eq!(told.items.len(), 1);
        assert_eq!(told.items[0].body["before"], 9);
        let counts = kit.store.metrics();
        assert_eq!((counts.feeds_failing, counts.feeds_held), (1, 1));
        let other = FeedState {
            source: "Go".to_owned(),
            ..FeedState::default()
        };
        kit.store.set_feed(other.clone(), None).await.unwrap();
        assert_eq!(kit.store.feeds().await.unwrap(), [other, failed]);
        assert_eq!(kit.store.feed_list("Maven").await.unwrap(), b"list");
    }
    #[tokio::test]
    async fn a_hold_that_cannot_be_read_stops_its_feed_alone() {
        let kit = Kit::new().await;
        let state = FeedState {
            source: "Maven".to_owned(),
            held: Some(FeedHold::Shrunk { before: 9, now: 2 }),
            ..FeedState::default()
        };
        kit.store.set_feed(state.clone(), None).await.unwrap();
        let damage = "UPDATE feed SET held = '{\"no\":\"hold\"}'";
        let damaged = kit
            .store
            .write(move |tx| Box::pin(async move { sql::execute(tx.sql(), damage, []).await.map(drop) }));
        damaged.await.unwrap();
        let other = FeedState {
            source: "npm".to_owned(),
            ..FeedState::default()
        };
        kit.store.set_feed(other.clone(), None).await.unwrap();
        let unreadable = FeedState {
            held: Some(FeedHold::Unreadable),
            ..state.clone()
        };
        assert_eq!(
            kit.store.feeds().await.unwrap(),
            [unreadable.clone(), other.clone()]
        );
        assert_eq!(kit.store.metrics().feeds_held, 1);
        // It stays so, whoever writes it again.
        kit.store.set_feed(unreadable.clone(), None).await.unwrap();
        assert_eq!(kit.store.feeds().await.unwrap()[0], unreadable);
        // What is said of it next mends it.
        kit.store.set_feed(state.clone(), None).await.unwrap();
        assert_eq!(kit.store.feeds().await.unwrap(), [state, other]);
    }
}
