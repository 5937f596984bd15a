//! What an import brought of each source, and by what each source last came that was carried here and not fetched.

use std::collections::BTreeMap;

use findings::advisory::{Epss, Kev};
use sea_orm::{FromQueryResult, Value};
use serde::{Deserialize, Serialize};

use crate::db::{Tx, sql};
use crate::{Actor, Store, StoreError, Timestamp};

/// Sources of one import that are told apart, and sources that are known to have been carried here. The folders of a bundle name
/// them: there are some dozens.
pub const CARRIED_SOURCES: usize = 500;

/// What all others count as.
const OTHERS: &str = "others";

/// What an import brought of one source: an ecosystem, `kev`, `epss`, `vex`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Advisories or entries that came.
    pub entries: u64,
    /// Those that were not known.
    pub added: u64,
    /// Those that say something else than before.
    pub changed: u64,
    /// Those that were withdrawn, or are off the list of their catalogue.
    pub removed: u64,
}

impl Brought {
    pub(super) const fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.added += other.added;
        self.changed += other.changed;
        self.removed += other.removed;
    }

    /// How many are in another state than before.
    pub const fn news(&self) -> u64 {
        self.added + self.changed + self.removed
    }
}

/// By what a source last came that was carried here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Which source.
    pub source: String,
    /// When it came.
    pub at: Timestamp,
    /// Who brought it.
    pub by: String,
    /// The generation in which it last had something new; 0: it never had.
    pub generation: u64,
    /// Advisories or entries that came.
    pub entries: u64,
    /// The bundle that it came with; `None`: files that somebody imported.
    pub bundle: Option<CarriedBundle>,
}

/// A bundle of advisories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedBundle {
    /// The key that signed it; `None`: nobody did.
    pub signed_by: Option<String>,
    /// When it was made, by its own word.
    pub made_at: Timestamp,
    /// Which file it is.
    pub digest: String,
}

#[derive(FromQueryResult)]
struct Row {
    source: String,
    came_at: i64,
    actor: String,
    generation: i64,
    entries: i64,
    signed_by: Option<String>,
    made_at: Option<i64>,
    digest: Option<String>,
}

impl From<Row> for Carried {
    fn from(row: Row) -> Self {
        let signed_by = row.signed_by;
        let bundle = row
            .made_at
            .zip(row.digest)
            .map(|(made_at, digest)| CarriedBundle {
                signed_by,
                made_at: Timestamp(made_at),
                digest,
            });
        Self {
            source: row.source,
            at: Timestamp(row.came_at),
            by: row.actor,
            generation: sql::from_db(row.generation),
            entries: sql::from_db(row.entries),
            bundle,
        }
    }
}

/// Counts by source while an import is on its way.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, Brought>);

impl Tally {
    /// The counts of a source.
    pub(super) fn of(&mut self, source: &str) -> &mut Brought {
        let has_room = self.0.len() < CARRIED_SOURCES || self.0.contains_key(source);
        let source = if has_room { source } else { OTHERS };
        self.0.entry(source.to_owned()).or_default()
    }

    pub(super) fn into_sources(self) -> BTreeMap<String, Brought> {
        self.0
    }
}

/// What a document brings beside the one that is known.
pub(super) fn of_document(kind: &str, new: &[u8], known: Option<&[u8]>) -> Brought {
    let counted = |entries: usize, added: usize, changed: usize, removed: usize| Brought {
        entries: entries as u64,
        added: added as u64,
        changed: changed as u64,
        removed: removed as u64,
    };
    match kind {
        "kev" => {
            let read = |bytes| Kev::read(bytes).unwrap_or_default();
            let (new, old) = (read(new), known.map(read).unwrap_or_default());
            let (added, removed) = (new.missing_in(&old), old.missing_in(&new));
            counted(new.len(), added, new.differing_from(&old), removed)
        }
        "epss" => {
            let read = |bytes| Epss::read(bytes).unwrap_or_default();
            let (new, old) = (read(new), known.map(read).unwrap_or_default());
            let (added, removed) = (new.missing_in(&old), old.missing_in(&new));
            let differing = new.changed_since(&old).len();
            counted(
                new.len(),
                added,
                differing.saturating_sub(added + removed),
                removed,
            )
        }
        _ => match known {
            None => counted(1, 1, 0, 0),
            Some(known) => counted(1, 0, usize::from(known != new), 0),
        },
    }
}

impl Store {
    /// Keeps that sources were carried here by an import that counts.
    ///
    /// # Errors
    /// The store failed.
    pub async fn note_carried(
        &self,
        actor: &Actor,
        generation: Option<u64>,
        sources: &BTreeMap<String, Brought>,
        bundle: Option<&CarriedBundle>,
    ) -> Result<(), StoreError> {
        let (by, at) = (actor.name().to_owned(), self.now());
        let carried: Vec<Carried> = sources
            .iter()
            .filter(|(_, brought)| brought.entries > 0)
            .map(|(source, brought)| Carried {
                source: source.clone(),
                at,
                by: by.clone(),
                generation: generation.filter(|_| brought.news() > 0).unwrap_or_default(),
                entries: brought.entries,
                bundle: bundle.cloned(),
            })
            .collect();
        self.write(move |tx| Box::pin(async move { write(tx, carried).await }))
            .await
    }

    /// The sources that were carried here, in the order of their names.
    ///
    /// # Errors
    /// The store failed.
    pub async fn carried(&self) -> Result<Vec<Carried>, StoreError> {
        let sql = "SELECT source, came_at, actor, generation, entries, signed_by, made_at, digest FROM carried \
                   ORDER BY source LIMIT $1";
        let rows: Vec<Row> = sql::all(
            self.inner.db.read(),
            sql,
            [sql::to_db(CARRIED_SOURCES as u64).into()],
        )
        .await?;
        Ok(rows.into_iter().map(Carried::from).collect())
    }
}

async fn write(tx: &Tx, carried: Vec<Carried>) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO carried (source, came_at, actor, generation, entries, signed_by, made_at, digest) VALUES {} \
         ON CONFLICT (source) DO UPDATE SET came_at = excluded.came_at, actor = excluded.actor, \
         entries = excluded.entries, signed_by = excluded.signed_by, made_at = excluded.made_at, digest = excluded.digest, \
         generation = CASE WHEN excluded.generation > 0 THEN excluded.generation ELSE carried.generation END",
        sql::tuples(1, 8)
    );
    for one in carried {
        let (signed_by, made_at, digest) = match one.bundle {
            None => (None, None, None),
            Some(bundle) => (
                bundle.signed_by,
                Some(bundle.made_at.micros()),
                Some(bundle.digest),
            ),
        };
        let values: [Value; 8] = [
            one.source.into(),
            one.at.micros().into(),
            one.by.into(),
            sql::to_db(one.generation).into(),
            sql::to_db(one.entries).into(),
            signed_by.into(),
            made_at.into(),
            digest.into(),
        ];
        sql::execute(tx.sql(), &sql, values).await?;
    }
    let bound = "DELETE FROM carried WHERE source NOT IN \
                 (SELECT source FROM carried ORDER BY came_at DESC, source LIMIT $1)";
    sql::execute(tx.sql(), bound, [sql::to_db(CARRIED_SOURCES as u64).into()])
        .await
        .map(drop)
}

#[cfg(test)]
mod tests;
