//! Advisories as sources published them, in numbered generations.
//!
//! An import writes its rows in small transactions, so that no push waits for it, under the number of the next generation,
//! which nobody reads yet; the last transaction makes it the present one. An import that was killed leaves rows that the next
//! one clears away. What a source says anew does not overwrite what it said before: as of which generation is a question that
//! can be asked.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, Store, StoreError, Timestamp, reevaluation};

mod age;
mod brought;
mod importer;
mod lease;
mod lifts;

pub use brought::{Brought, CARRIED_SOURCES, Carried, CarriedBundle};
pub use importer::{ImportError, ImportSize, ImportSummary, Importer, home as home_of};
pub(crate) use lease::Imports;
use lease::Lease;
pub use lifts::{FeedHold, LIFTS_NAMED, LiftedCause, Lifts, NotedLifts, StagedImport};

/// One advisory of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryRow {
    /// Its id, which says whose it is.
    pub id: String,
    /// `modified`, as stated.
    pub modified: String,
    /// What it says, in the form of whoever reads it again.
    pub body: Vec<u8>,
}

/// A document that counts as a whole: a catalogue, scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryDocument {
    /// What it is: `kev`, `epss`, `vex`.
    pub kind: String,
    /// Its name among those of its kind.
    pub name: String,
    /// What it says.
    pub body: Vec<u8>,
}

/// An import that was finished.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AdvisoryImport {
    /// The generation that it made.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// From where.
    pub origin: String,
    /// What it covers and what it changed.
    pub body: serde_json::Value,
}

/// An import on its way.
#[derive(Debug)]
pub struct Import {
    generation: u64,
    lease: Lease,
}

/// Rows in one transaction.
const ROWS: usize = 200;

/// Imports that are listed.
const IMPORTS_LISTED: i64 = 100;

#[derive(FromQueryResult)]
struct Row {
    id: String,
    modified: String,
    body: Vec<u8>,
}

#[derive(FromQueryResult)]
struct ModifiedRow {
    id: String,
    modified: String,
}

#[derive(FromQueryResult)]
struct GenerationRow {
    generation: i64,
    at: i64,
}

#[derive(FromQueryResult)]
struct ChangedRow {
    id: String,
    generation: i64,
}

#[derive(FromQueryResult)]
struct DocumentRow {
    kind: String,
    name: String,
    body: Vec<u8>,
}

#[derive(FromQueryResult)]
struct ImportRow {
    generation: i64,
    at: i64,
    actor: String,
    origin: String,
    body: String,
}

impl From<Row> for AdvisoryRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            modified: row.modified,
            body: row.body,
        }
    }
}

impl From<DocumentRow> for AdvisoryDocument {
    fn from(row: DocumentRow) -> Self {
        Self {
            kind: row.kind,
            name: row.name,
            body: row.body,
        }
    }
}

impl Store {
    /// The present generation; 0 before the first import.
    pub async fn advisory_generation(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(generation), 0) AS number FROM advisory_import";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// Begins an import: clears away what a killed one has left.
    ///
    /// # Errors
    /// [`StoreError::ImportRunning`]: there is one, and somebody went on with it in the last ten minutes.
    pub async fn begin_import(&self) -> Result<Import, StoreError> {
        self.demand_room().await?;
        let lease = self.inner.imports.take()?;
        let generation = self.advisory_generation().await? + 1;
        let sql = "DELETE FROM advisory WHERE generation >= $1 AND id IN \
                   (SELECT id FROM advisory WHERE generation >= $1 LIMIT 1000)";
        loop {
            let cleared = self
                .write(move |tx| {
                    Box::pin(
                        async move { sql::execute(tx.sql(), sql, [sql::to_db(generation).into()]).await },
                    )
                })
                .await?;
            if cleared == 0 {
                return Ok(Import { generation, lease });
            }
        }
    }

    /// Writes advisories of an import.
    pub async fn import_advisories(&self, import: &Import, rows: &[AdvisoryRow]) -> Result<(), StoreError> {
        for chunk in rows.chunks(ROWS) {
            import.lease.hold()?;
            let (chunk, generation) = (chunk.to_vec(), sql::to_db(import.generation));
            self.write(move |tx| Box::pin(async move { write_rows(tx, generation, &chunk).await }))
                .await?;
        }
        Ok(())
    }

    /// Makes an import the present generation, with the documents that came with it. Answers its number.
    pub async fn finish_import(
        &self,
        import: Import,
        origin: &str,
        body: serde_json::Value,
        documents: Vec<AdvisoryDocument>,
        actor: &Actor,
    ) -> Result<u64, StoreError> {
        import.lease.hold()?;
        let generation = import.generation;
        let touches = self.touches_of(&documents).await?;
        let (origin, actor) = (origin.to_owned(), actor.clone());
        self.write(move |tx| {
            Box::pin(async move {
                for document in &documents {
                    write_document(tx, sql::to_db(generation), document).await?;
                }
                reevaluation::note_touches(tx, sql::to_db(generation), &touches).await?;
                let sql = "INSERT INTO advisory_import (generation, at, actor, origin, body) \
                           VALUES ($1, $2, $3, $4, $5)";
                let values = [
                    sql::to_db(generation).into(),
                    tx.now().micros().into(),
                    actor.name().into(),
                    origin.clone().into(),
                    body.to_string().into(),
                ];
                sql::execute(tx.sql(), sql, values).await?;
                tx.touch_rulings();
                event::record(tx, &actor, EventKind::AdvisoriesImport, &origin, body).await
            })
        })
        .await?;
        Ok(generation)
    }

    /// Advisories of the present generation in the order of their ids, from the first one behind `after`.
    pub async fn advisories(&self, after: &str, limit: usize) -> Result<Vec<AdvisoryRow>, StoreError> {
        let generation = self.advisory_generation().await?;
        self.advisories_of(generation, after, limit).await
    }

    /// The same of an earlier generation.
    pub async fn advisories_of(
        &self,
        generation: u64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<AdvisoryRow>, StoreError> {
        let sql = "SELECT a.id, a.modified, a.body FROM advisory a WHERE a.id > $1 AND a.generation = \
                   (SELECT MAX(b.generation) FROM advisory b WHERE b.id = a.id AND b.generation <= $2) \
                   ORDER BY a.id LIMIT $3";
        let values: [Value; 3] = [
            after.into(),
            sql::to_db(generation).into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(AdvisoryRow::from).collect())
    }

    /// The advisory of this id in the present generation.
    pub async fn advisory(&self, id: &str) -> Result<Option<AdvisoryRow>, StoreError> {
        let generation = self.advisory_generation().await?;
        let sql = "SELECT id, modified, body FROM advisory WHERE id = $1 AND generation <= $2 \
                   ORDER BY generation DESC LIMIT 1";
        let values = [id.into(), sql::to_db(generation).into()];
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(AdvisoryRow::from))
    }

    /// The states of these advisories, as an import has left them so far.
    pub(crate) async fn advisory_states(
        &self,
        import: &Import,
        ids: &[&str],
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut states = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT a.id, a.modified FROM advisory a WHERE a.id IN ({}) AND a.generation = \
                 (SELECT MAX(b.generation) FROM advisory b WHERE b.id = a.id AND b.generation <= $1)",
                sql::placeholders(2, chunk.len())
            );
            let generation = std::iter::once(Value::from(sql::to_db(import.generation)));
            let values = generation.chain(chunk.iter().map(|id| Value::from(*id)));
            let rows: Vec<ModifiedRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            states.extend(rows.into_iter().map(|row| (row.id, row.modified)));
        }
        Ok(states)
    }

    /// How many advisories there are, those that were taken back among them.
    pub(crate) async fn count_advisories(&self) -> Result<u64, StoreError> {
        let present = sql::to_db(self.advisory_generation().await?);
        let sql =
            "SELECT COUNT(*) AS number FROM (SELECT DISTINCT id FROM advisory WHERE generation <= $1) AS ids";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [present.into()]).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// When each generation was imported, the earliest first.
    pub async fn generations(&self) -> Result<Vec<(u64, Timestamp)>, StoreError> {
        let sql = "SELECT generation, at FROM advisory_import ORDER BY generation";
        let rows: Vec<GenerationRow> = sql::all(self.inner.db.read(), sql, []).await?;
        let generation = |row: GenerationRow| (sql::from_db(row.generation), Timestamp(row.at));
        Ok(rows.into_iter().map(generation).collect())
    }

    /// Ids of advisories with each generation up to `present` in which they changed, in order, from the first pair behind `after`.
    pub async fn advisory_generations(
        &self,
        present: u64,
        after: (&str, u64),
        limit: usize,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let sql = "SELECT id, generation FROM advisory WHERE generation <= $1 \
                   AND (id > $2 OR (id = $2 AND generation > $3)) ORDER BY id, generation LIMIT $4";
        let values: [Value; 4] = [
            sql::to_db(present).into(),
            after.0.into(),
            sql::to_db(after.1).into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<ChangedRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let changed = |row: ChangedRow| (row.id, sql::from_db(row.generation));
        Ok(rows.into_iter().map(changed).collect())
    }

    /// What an advisory said that changed in a generation.
    pub async fn advisory_as_of(&self, id: &str, generation: u64) -> Result<Option<AdvisoryRow>, StoreError> {
        let sql = "SELECT id, modified, body FROM advisory WHERE id = $1 AND generation = $2";
        let values = [id.into(), sql::to_db(generation).into()];
        let row: Option<Row> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| AdvisoryRow {
            id: row.id,
            modified: row.modified,
            body: row.body,
        }))
    }

    /// The documents of a kind.
    pub async fn advisory_documents(&self, kind: &str) -> Result<Vec<AdvisoryDocument>, StoreError> {
        let sql = "SELECT kind, name, body FROM advisory_document WHERE kind = $1 ORDER BY name";
        let rows: Vec<DocumentRow> = sql::all(self.inner.db.read(), sql, [kind.into()]).await?;
        Ok(rows.into_iter().map(AdvisoryDocument::from).collect())
    }

    /// In which generation the newest document of a kind came: what it said before is not kept.
    pub async fn document_generation(&self, kind: &str) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT MAX(generation) AS number FROM advisory_document WHERE kind = $1 HAVING MAX(generation) IS NOT NULL";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, [kind.into()]).await?;
        Ok(row.map(|row| sql::from_db(row.number)))
    }

    /// The document of a kind that has this name.
    pub async fn advisory_document(
        &self,
        kind: &str,
        name: &str,
    ) -> Result<Option<AdvisoryDocument>, StoreError> {
        let sql = "SELECT kind, name, body FROM advisory_document WHERE kind = $1 AND name = $2";
        let row: Option<DocumentRow> =
            sql::first(self.inner.db.read(), sql, [kind.into(), name.into()]).await?;
        Ok(row.map(AdvisoryDocument::from))
    }

    /// The latest imports, the newest first.
    pub async fn advisory_imports(&self) -> Result<Vec<AdvisoryImport>, StoreError> {
        let sql = "SELECT generation, at, actor, origin, body FROM advisory_import ORDER BY generation DESC LIMIT $1";
        let rows: Vec<ImportRow> = sql::all(self.inner.db.read(), sql, [IMPORTS_LISTED.into()]).await?;
        Ok(rows
            .into_iter()
            .map(|row| AdvisoryImport {
                generation: sql::from_db(row.generation),
                at: Timestamp(row.at),
                actor: row.actor,
                origin: row.origin,
                body: serde_json::from_str(&row.body).unwrap_or_default(),
            })
            .collect())
    }
}

async fn write_rows(tx: &Tx, generation: i64, rows: &[AdvisoryRow]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO advisory (id, generation, modified, body) VALUES {} ON CONFLICT (id, generation) \
         DO UPDATE SET modified = excluded.modified, body = excluded.body",
        sql::tuples(rows.len(), 4)
    );
    let row = |row: &AdvisoryRow| -> [Value; 4] {
        [
            row.id.clone().into(),
            generation.into(),
            row.modified.clone().into(),
            row.body.clone().into(),
        ]
    };
    sql::execute_list(tx.sql(), &sql, rows.iter().flat_map(row))
        .await
        .map(drop)
}

async fn write_document(tx: &Tx, generation: i64, document: &AdvisoryDocument) -> Result<(), StoreError> {
    let sql = "INSERT INTO advisory_document (kind, name, generation, body) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, name) DO UPDATE SET generation = excluded.generation, body = excluded.body";
    let values = [
        document.kind.clone().into(),
        document.name.clone().into(),
        generation.into(),
        document.body.clone().into(),
    ];
    sql::execute(tx.sql(), sql, values).await.map(drop)
}

#[cfg(test)]
mod tests;
