//! Applications as administrators and catalogues declare them.
//!
//! What images say about themselves is kept beside it, one word per repository (`application/words.rs`). What all of it comes to
//! is [`crate::RoadEntries`].

use std::collections::{BTreeMap, BTreeSet};

use policy::yaml::one_line;
use road::application::{Applications, MAX_APPLICATIONS, Source, Statement};
use road::names::ApplicationName;
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::{Actor, AdminError, Store, StoreError};

mod pushed;
pub(crate) mod words;

pub use pushed::{CatalogNote, PushedCatalog, PushedEntries, reason_as_kept};

/// Repositories whose images' words about themselves count. Default: the only value. Whoever may push to ten thousand
/// repositories must not take the place of what administrators declare.
pub const WORDS_TAKEN: usize = 10_000;

/// Applications that administrators and catalogues can declare together. Default: the only value.
pub const MAX_ENTRIES: usize = MAX_APPLICATIONS - WORDS_TAKEN;

/// Longest text of an entry that is not a name, in bytes.
const MAX_TEXT_BYTES: usize = 300;

/// Names that the event of an import tells; of more it says how many.
const NAMES_TOLD: usize = 100;

/// Rows that one statement writes.
const ROWS: usize = 100;

/// What an import of a catalogue changes, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogImport {
    /// Applications that no catalogue named before.
    pub added: Vec<ApplicationName>,
    /// Those of which it says something else than before.
    pub changed: Vec<ApplicationName>,
    /// Those that it no longer names (only with `prune`).
    pub removed: Vec<ApplicationName>,
    /// How many stay as they are.
    pub unchanged: usize,
}

#[derive(FromQueryResult)]
struct Row {
    name: String,
    body: String,
}

impl Row {
    fn into_statement(self) -> Result<Statement, StoreError> {
        serde_json::from_str(&self.body)
            .map_err(|error| StoreError::damaged(format!("application {}: {error}", self.name)))
    }
}

impl Store {
    /// All that administrators and catalogues declare, by name.
    pub async fn application_entries(&self) -> Result<Vec<Statement>, StoreError> {
        all(self.inner.db.read()).await
    }

    /// Declares an application, in place of what was declared under its name, which is answered.
    ///
    /// Refused is what does not go together with other entries ([`AdminError::Invalid`]), and one too many
    /// ([`AdminError::TooMany`]).
    pub async fn set_application(
        &self,
        actor: &Actor,
        entry: &Statement,
    ) -> Result<Option<Statement>, AdminError> {
        let (actor, mut entry) = (actor.clone(), entry.clone());
        entry.source = Source::Declared;
        self.write(move |tx| {
            Box::pin(async move {
                let was = put(tx, &actor, &entry).await?;
                check_all(tx).await?;
                Ok(was)
            })
        })
        .await
    }

    /// Takes back what was declared of an application, or, where nothing was, what catalogues say of it; answers which.
    /// [`AdminError::NotFound`]: neither.
    pub async fn remove_application(
        &self,
        actor: &Actor,
        name: &ApplicationName,
    ) -> Result<Source, AdminError> {
        let (actor, name) = (actor.clone(), name.clone());
        self.write(move |tx| Box::pin(async move { remove_any(tx, &actor, &name).await }))
            .await
    }

    /// What an import of a catalogue would change.
    pub async fn plan_catalog(
        &self,
        entries: &[Statement],
        prune: bool,
    ) -> Result<CatalogImport, AdminError> {
        let entries = of_catalog(entries);
        let present = all(self.inner.db.read()).await?;
        let (import, _) = compare(&present, &entries, prune);
        let left = present
            .into_iter()
            .filter(|entry| !is_replaced(entry, &entries, prune));
        check_together(left.chain(entries.clone()).collect())?;
        Ok(import)
    }

    /// Takes in a catalogue: all of it, or nothing. With `prune`, what catalogues said of applications that it does not name is
    /// taken back.
    pub async fn import_catalog(
        &self,
        actor: &Actor,
        entries: &[Statement],
        prune: bool,
    ) -> Result<CatalogImport, AdminError> {
        let (actor, entries) = (actor.clone(), of_catalog(entries));
        self.write(move |tx| Box::pin(async move { import(tx, &actor, &entries, prune).await }))
            .await
    }
}

/// All of them, by name; of one name the declared one last.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<Statement>, StoreError> {
    let sql = "SELECT name, body FROM application ORDER BY name, source";
    let rows: Vec<Row> = sql::all(on, sql, []).await?;
    rows.into_iter().map(Row::into_statement).collect()
}

async fn find(
    on: &impl ConnectionTrait,
    name: &ApplicationName,
    source: Source,
) -> Result<Option<Statement>, StoreError> {
    let sql = "SELECT name, body FROM application WHERE name = $1 AND source = $2";
    let row: Option<Row> = sql::first(on, sql, [name.as_str().into(), source.as_str().into()]).await?;
    row.map(Row::into_statement).transpose()
}

/// Sets a declared one; whether all go together is asked by [`check_all`]. One that is as it was changes nothing.
pub(crate) async fn put(tx: &Tx, actor: &Actor, entry: &Statement) -> Result<Option<Statement>, AdminError> {
    check_texts(entry)?;
    let was = find(tx.sql(), &entry.application, entry.source).await?;
    if was.as_ref() == Some(entry) {
        return Ok(was);
    }
    write(tx, actor, std::slice::from_ref(entry)).await?;
    let about = serde_json::to_value(entry).unwrap_or_default();
    let name = entry.application.as_str();
    event::record(tx, actor, EventKind::ApplicationSet, name, about).await?;
    Ok(was)
}

/// Removes what one source says of an application. `false`: nothing.
pub(crate) async fn remove(
    tx: &Tx,
    actor: &Actor,
    name: &ApplicationName,
    source: Source,
) -> Result<bool, AdminError> {
    let Some(was) = find(tx.sql(), name, source).await? else {
        return Ok(false);
    };
    delete(tx, std::slice::from_ref(name), source).await?;
    let about = serde_json::to_value(&was).unwrap_or_default();
    event::record(tx, actor, EventKind::ApplicationRemove, name.as_str(), about).await?;
    Ok(true)
}

async fn remove_any(tx: &Tx, actor: &Actor, name: &ApplicationName) -> Result<Source, AdminError> {
    for source in [Source::Declared, Source::Catalog] {
        if remove(tx, actor, name, source).await? {
            return Ok(source);
        }
    }
    Err(AdminError::NotFound {
        kind: "application",
        name: name.to_string(),
    })
}

async fn import(
    tx: &Tx,
    actor: &Actor,
    entries: &[Statement],
    prune: bool,
) -> Result<CatalogImport, AdminError> {
    // Two of one name would be one row.
    check_together(entries.to_vec())?;
    let (import, news) = compare(&all(tx.sql()).await?, entries, prune);
    let changes = import.added.len() + import.changed.len() + import.removed.len();
    if changes == 0 {
        return Ok(import);
    }
    delete(tx, &import.removed, Source::Catalog).await?;
    write(tx, actor, &news).await?;
    check_all(tx).await?;
    let first = |names: &[ApplicationName]| json!({ "count": names.len(), "first": names.iter().take(NAMES_TOLD).collect::<Vec<_>>() });
    let about = json!({
        "added": first(&import.added), "changed": first(&import.changed), "removed": first(&import.removed),
    });
    event::record(tx, actor, EventKind::CatalogImport, "catalog", about).await?;
    Ok(import)
}

fn of_catalog(entries: &[Statement]) -> Vec<Statement> {
    let of_catalog = |entry: &Statement| Statement {
        source: Source::Catalog,
        ..entry.clone()
    };
    entries.iter().map(of_catalog).collect()
}

/// Whether an import puts something in the place of an entry, or takes it back.
fn is_replaced(entry: &Statement, by: &[Statement], prune: bool) -> bool {
    entry.source == Source::Catalog
        && (prune || by.iter().any(|other| other.application == entry.application))
}

/// What changes, and the entries that have to be written.
fn compare(present: &[Statement], entries: &[Statement], prune: bool) -> (CatalogImport, Vec<Statement>) {
    let of_catalogs = present.iter().filter(|entry| entry.source == Source::Catalog);
    let known: BTreeMap<_, _> = of_catalogs.map(|entry| (&entry.application, entry)).collect();
    let (mut import, mut news) = (CatalogImport::default(), Vec::new());
    for entry in entries {
        let names = match known.get(&entry.application) {
            Some(was) if *was == entry => {
                import.unchanged += 1;
                continue;
            }
            Some(_) => &mut import.changed,
            None => &mut import.added,
        };
        names.push(entry.application.clone());
        news.push(entry.clone());
    }
    if prune {
        let named: BTreeSet<_> = entries.iter().map(|entry| &entry.application).collect();
        let gone = known.keys().filter(|name| !named.contains(*name));
        import.removed = gone.map(|name| (*name).clone()).collect();
    }
    (import, news)
}

async fn write(tx: &Tx, actor: &Actor, entries: &[Statement]) -> Result<(), AdminError> {
    for chunk in entries.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO application (name, source, body, set_at, set_by) VALUES {} \
             ON CONFLICT (name, source) DO UPDATE SET body = excluded.body, set_at = excluded.set_at, \
             set_by = excluded.set_by",
            sql::tuples(chunk.len(), 5)
        );
        let mut values: Vec<Value> = Vec::with_capacity(chunk.len() * 5);
        for entry in chunk {
            let body = serde_json::to_string(entry);
            let body = body.map_err(|error| StoreError::damaged(error.to_string()))?;
            values.push(entry.application.as_str().into());
            values.push(entry.source.as_str().into());
            values.push(body.into());
            values.push(tx.now().micros().into());
            values.push(actor.name().into());
        }
        sql::execute_list(tx.sql(), &sql, values).await?;
    }
    tx.touch_entries();
    Ok(())
}

async fn delete(tx: &Tx, names: &[ApplicationName], source: Source) -> Result<(), StoreError> {
    for chunk in names.chunks(sql::CHUNK) {
        let sql = format!(
            "DELETE FROM application WHERE source = $1 AND name IN ({})",
            sql::placeholders(2, chunk.len())
        );
        let names = chunk.iter().map(|name| Value::from(name.as_str()));
        sql::execute_list(
            tx.sql(),
            &sql,
            std::iter::once(source.as_str().into()).chain(names),
        )
        .await?;
    }
    tx.touch_entries();
    Ok(())
}

/// Whether all entries go together, in the transaction that changes some of them.
pub(crate) async fn check_all(tx: &Tx) -> Result<(), AdminError> {
    check_together(all(tx.sql()).await?)
}

/// Whether entries go together: no two patterns of a source of which neither wins, and not too many.
pub(crate) fn check_together(entries: Vec<Statement>) -> Result<(), AdminError> {
    entries.iter().try_for_each(check_texts)?;
    let names: BTreeSet<_> = entries.iter().map(|entry| &entry.application).collect();
    if names.len() > MAX_ENTRIES {
        return Err(AdminError::TooMany {
            kind: "application",
            limit: MAX_ENTRIES as u64,
        });
    }
    drop(names);
    let built = Applications::build(entries);
    built.map(drop).map_err(|error| AdminError::Invalid {
        reason: error.to_string(),
    })
}

/// Names have a grammar; the other texts are one line each.
fn check_texts(entry: &Statement) -> Result<(), AdminError> {
    let texts = [
        ("origin", Some(&entry.origin)),
        ("system", entry.system.as_ref()),
        ("kind", entry.kind.as_ref()),
        ("lifecycle", entry.lifecycle.as_ref()),
    ];
    for (what, text) in texts {
        let Some(text) = text else { continue };
        if one_line(text, MAX_TEXT_BYTES) != *text {
            let name = &entry.application;
            return Err(AdminError::Invalid {
                reason: format!("{what} of {name} must be one line of at most {MAX_TEXT_BYTES} bytes"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
