//! Maturity: what is known of applications, teams and the organisation, and what followed from it.
//!
//! The audit log gives the order of everything. What people and robots say is written beside its line of the log and waits
//! (`maturity_said`) until whoever assesses has come to that line. Assessing moves the place in the log together with the entries that
//! were made of its lines and with the changes that followed: a kill loses nothing and counts nothing twice. Entries and changes are only
//! ever appended; the same entry comes twice under the same name and is kept once.
//!
//! What entries and changes say is JSON to the store; `maturity` has the words.
//!
//! - `maturity/declared.rs`: models, campaigns, the baseline, who holds which role, what was told before it happens.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Page, Store, StoreError, Timestamp};

mod declared;

pub use declared::{
    MAX_MODELS, MAX_RECORDS, MaturityModel, MaturityNews, MaturityRecord, NewMaturityModel, RecordKind,
};

/// Lines of the log whose words wait until they count. One more is refused: whoever assesses is behind. Default: the only value.
pub const MAX_SAID: u64 = 10_000;

/// How far the audit log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaturityPlace {
    /// The last line that was read to its end.
    pub event: i64,
    /// Of the line behind it, which is about every subject: the last subject that is done.
    pub part: Option<String>,
    /// Up to which moment it is known what became otherwise by itself.
    pub at: Timestamp,
}

/// Something that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaturityEntry {
    /// The same thing has the same name, and counts once.
    pub name: String,
    /// The line of the audit log that it follows from.
    pub event: i64,
    /// When that was.
    pub at: Timestamp,
    /// About whom.
    pub subject: String,
    /// What it is, in a word.
    pub kind: String,
    /// All of it, JSON.
    pub body: String,
}

/// Something that became otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaturityChange {
    /// The line of the audit log that it follows from.
    pub event: i64,
    /// Since when.
    pub at: Timestamp,
    /// For whom.
    pub subject: String,
    /// What, JSON.
    pub body: String,
}

/// What people or robots say.
#[derive(Debug, Clone, PartialEq)]
pub struct MaturityWords {
    /// What they do.
    pub kind: EventKind,
    /// About whom, for the audit log.
    pub subject: String,
    /// What else the audit log tells.
    pub about: serde_json::Value,
    /// What is to count, JSON each.
    pub said: Vec<String>,
    /// What is declared with it.
    pub record: Option<MaturityRecord>,
}

/// What was made of a part of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaturityStep {
    /// The place from which it was read; from another one nothing is written.
    pub from: MaturityPlace,
    /// Up to where.
    pub to: MaturityPlace,
    /// What is known now.
    pub entries: Vec<MaturityEntry>,
    /// What followed from it.
    pub changes: Vec<MaturityChange>,
    /// What is told of it.
    pub news: Vec<MaturityNews>,
}

#[derive(FromQueryResult)]
struct PlaceRow {
    event: i64,
    part: Option<String>,
    at: i64,
}

#[derive(FromQueryResult)]
struct EntryRow {
    id: i64,
    name: String,
    event: i64,
    at: i64,
    subject: String,
    kind: String,
    body: String,
}

#[derive(FromQueryResult)]
struct ChangeRow {
    id: i64,
    event: i64,
    at: i64,
    subject: String,
    body: String,
}

impl EntryRow {
    fn into_entry(self) -> (i64, MaturityEntry) {
        let entry = MaturityEntry {
            name: self.name,
            event: self.event,
            at: Timestamp(self.at),
            subject: self.subject,
            kind: self.kind,
            body: self.body,
        };
        (self.id, entry)
    }
}

impl ChangeRow {
    fn into_change(self) -> (i64, MaturityChange) {
        let change = MaturityChange {
            event: self.event,
            at: Timestamp(self.at),
            subject: self.subject,
            body: self.body,
        };
        (self.id, change)
    }
}

impl Store {
    /// How far the log was read. On the first call that is its end: what came before is asked of the store as it is.
    pub async fn maturity_place(&self) -> Result<MaturityPlace, StoreError> {
        if let Some(place) = place(self.inner.db.read()).await? {
            return Ok(place);
        }
        self.write(move |tx| Box::pin(async move { begin(tx).await }))
            .await
    }

    /// What is known, in the order in which it counts: behind the number `after`, each with its number.
    pub async fn maturity_entries(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, MaturityEntry)>, StoreError> {
        let sql = "SELECT id, name, event, at, subject, kind, body FROM maturity_entry \
                   WHERE id > $1 ORDER BY id LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<EntryRow> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(EntryRow::into_entry).collect())
    }

    /// Which of these names are those of something that is known.
    pub async fn known_maturity_entries(&self, names: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut known = HashSet::new();
        for chunk in names.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT name AS text FROM maturity_entry WHERE name IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|name| name.as_str().into());
            let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, values).await?;
            known.extend(rows.into_iter().map(|row| row.text));
        }
        Ok(known)
    }

    /// What followed, in its order: behind the number `after`, each with its number.
    pub async fn maturity_changes(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, MaturityChange)>, StoreError> {
        let sql =
            "SELECT id, event, at, subject, body FROM maturity_change WHERE id > $1 ORDER BY id LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<ChangeRow> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(ChangeRow::into_change).collect())
    }

    /// What followed for a subject, the newest first, before the number `before`; each with its number.
    pub async fn maturity_history(
        &self,
        subject: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<(i64, MaturityChange)>, StoreError> {
        let limit = self.page_limit(limit);
        let sql = "SELECT id, event, at, subject, body FROM maturity_change \
                   WHERE subject = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let values = [
            subject.into(),
            before.unwrap_or(i64::MAX).into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<ChangeRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let changes = rows.into_iter().map(ChangeRow::into_change).collect();
        Ok(Page::cut(changes, limit))
    }

    /// Writes what people or robots say, with its line of the audit log, whose number is answered. It counts once whoever assesses
    /// comes to that line.
    pub async fn say_maturity(&self, actor: &Actor, words: MaturityWords) -> Result<i64, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { say(tx, &actor, words).await }))
            .await
    }

    /// What was said with a line of the audit log and does not count yet, in its order.
    pub async fn maturity_said(&self, event: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT body AS text FROM maturity_said WHERE event = $1 ORDER BY part";
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, [event.into()]).await?;
        Ok(rows.into_iter().map(|row| row.text).collect())
    }

    /// Writes what was made of a part of the log and moves the place, in one transaction. `false`: the place is another one, and
    /// nothing was written.
    pub async fn step_maturity(&self, actor: &Actor, step: MaturityStep) -> Result<bool, StoreError> {
        let actor = actor.clone();
        self.write(move |tx| Box::pin(async move { carry(tx, &actor, step).await }))
            .await
    }
}

async fn place(on: &impl ConnectionTrait) -> Result<Option<MaturityPlace>, StoreError> {
    let row: Option<PlaceRow> =
        sql::first(on, "SELECT event, part, at FROM maturity_place WHERE id = 1", []).await?;
    Ok(row.map(|row| MaturityPlace {
        event: row.event,
        part: row.part,
        at: Timestamp(row.at),
    }))
}

async fn begin(tx: &Tx) -> Result<MaturityPlace, StoreError> {
    let last: Option<sql::Number> =
        sql::first(tx.sql(), "SELECT COALESCE(MAX(seq), 0) AS number FROM event", []).await?;
    let event = last.map_or(0, |last| last.number);
    let sql =
        "INSERT INTO maturity_place (id, event, part, at) VALUES (1, $1, NULL, $2) ON CONFLICT DO NOTHING";
    sql::execute(tx.sql(), sql, [event.into(), tx.now().micros().into()]).await?;
    place(tx.sql())
        .await?
        .ok_or_else(|| StoreError::damaged("how far the log was read is not kept"))
}

async fn say(tx: &Tx, actor: &Actor, words: MaturityWords) -> Result<i64, StoreError> {
    let waiting: Option<sql::Number> = sql::first(
        tx.sql(),
        "SELECT COUNT(DISTINCT event) AS number FROM maturity_said",
        [],
    )
    .await?;
    if waiting.is_some_and(|waiting| sql::from_db(waiting.number) >= MAX_SAID) {
        return Err(StoreError::Busy);
    }
    let event = event::record_numbered(tx, actor, words.kind, &words.subject, words.about).await?;
    write_said(tx, event, &words.said).await?;
    if let Some(record) = &words.record {
        declared::set(tx, actor, record).await?;
    }
    Ok(event)
}

async fn write_said(tx: &Tx, event: i64, said: &[String]) -> Result<(), StoreError> {
    let numbered: Vec<(i64, &String)> = (0..).zip(said).collect();
    for chunk in numbered.chunks(sql::CHUNK) {
        let sql = format!(
            "INSERT INTO maturity_said (event, part, body) VALUES {}",
            sql::tuples(chunk.len(), 3)
        );
        let values = chunk
            .iter()
            .flat_map(|(part, body)| -> [Value; 3] { [event.into(), (*part).into(), body.as_str().into()] });
        sql::execute_list(tx.sql(), &sql, values).await?;
    }
    Ok(())
}

async fn carry(tx: &Tx, actor: &Actor, step: MaturityStep) -> Result<bool, StoreError> {
    if place(tx.sql()).await?.as_ref() != Some(&step.from) {
        return Ok(false);
    }
    for chunk in step.entries.chunks(sql::CHUNK) {
        write_entries(tx, chunk).await?;
    }
    for chunk in step.changes.chunks(sql::CHUNK) {
        write_changes(tx, chunk).await?;
    }
    sql::execute(
        tx.sql(),
        "DELETE FROM maturity_said WHERE event <= $1",
        [step.to.event.into()],
    )
    .await?;
    let sql = "UPDATE maturity_place SET event = $1, part = $2, at = $3 WHERE id = 1";
    let values: [Value; 3] = [
        step.to.event.into(),
        step.to.part.into(),
        step.to.at.micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    if step.news.is_empty() {
        tx.pass_by_followers();
    }
    for news in &step.news {
        declared::tell(tx, actor, news).await?;
    }
    Ok(true)
}

async fn write_entries(tx: &Tx, entries: &[MaturityEntry]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO maturity_entry (name, event, at, subject, kind, body) VALUES {} ON CONFLICT (name) DO NOTHING",
        sql::tuples(entries.len(), 6)
    );
    let values = entries.iter().flat_map(|entry| -> [Value; 6] {
        [
            entry.name.as_str().into(),
            entry.event.into(),
            entry.at.micros().into(),
            entry.subject.as_str().into(),
            entry.kind.as_str().into(),
            entry.body.as_str().into(),
        ]
    });
    sql::execute_list(tx.sql(), &sql, values).await.map(drop)
}

async fn write_changes(tx: &Tx, changes: &[MaturityChange]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO maturity_change (event, at, subject, body) VALUES {}",
        sql::tuples(changes.len(), 4)
    );
    let values = changes.iter().flat_map(|change| -> [Value; 4] {
        [
            change.event.into(),
            change.at.micros().into(),
            change.subject.as_str().into(),
            change.body.as_str().into(),
        ]
    });
    sql::execute_list(tx.sql(), &sql, values).await.map(drop)
}

#[cfg(test)]
mod tests;
