//! The reasons of decisions: kept once for all images that have the same ones, and packed.
//!
//! Builds of an application mostly have the findings of the build before, and reasons are long: kept in each row they would be
//! nearly all of the database, and nearly all of the work after an import of advisories.
//!
//! A text is what its digest says, or it is taken away and made anew (`text/damaged.rs`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read as _;
use std::sync::{Arc, OnceLock};

use oci::{Algorithm, Digest, RepoName};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use super::{Decided, Point};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::{Store, StoreError};

mod damaged;

pub(crate) use damaged::{DamagedText, judge_again, take_away};

/// Level of zstd: it is packed while others wait, and mostly read once.
const LEVEL: i32 = 1;

/// Longest text that is unpacked, in bytes. Reasons are capped long before.
const LONGEST: u64 = 256 << 20;

/// Times that a decision is read again because it was made anew while its text was looked for.
const ATTEMPTS: usize = 5;

/// The reasons of a decision as JSON, with the digest that they are kept by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reasons(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    said: String,
    packed: OnceLock<Vec<u8>>,
}

impl Reasons {
    /// Of the text as JSON.
    pub fn of(text: String) -> Self {
        Self(Arc::new(Inner {
            said: said(&text),
            text,
            packed: OnceLock::new(),
        }))
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// What it is kept by.
    pub(super) fn said(&self) -> &str {
        &self.0.said
    }

    /// Packs it, once.
    fn packed(&self) -> Result<&[u8], StoreError> {
        if let Some(packed) = self.0.packed.get() {
            return Ok(packed);
        }
        let packed = zstd::bulk::compress(self.0.text.as_bytes(), LEVEL);
        let packed =
            packed.map_err(|error| StoreError::damaged(format!("reasons cannot be packed: {error}")))?;
        Ok(self.0.packed.get_or_init(|| packed))
    }
}

impl PartialEq for Reasons {
    fn eq(&self, other: &Self) -> bool {
        self.0.said == other.0.said
    }
}

impl Eq for Reasons {}

/// The digest of a text.
pub(super) fn said(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

fn unpacked(packed: &[u8]) -> Result<String, StoreError> {
    let damaged = |error: std::io::Error| StoreError::damaged(format!("the reasons of a decision: {error}"));
    let reader = zstd::stream::read::Decoder::new(packed).map_err(damaged)?;
    let mut text = String::new();
    let read = reader.take(LONGEST + 1).read_to_string(&mut text);
    if read.map_err(damaged)? as u64 > LONGEST {
        return Err(StoreError::damaged(format!(
            "the reasons of a decision are longer than {LONGEST} bytes"
        )));
    }
    Ok(text)
}

/// Where the text of a decision is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextPlace {
    /// With the texts, by this digest.
    Kept(String),
    /// In the row itself, as those were written once.
    Row(Arc<str>),
}

impl TextPlace {
    /// By what a row has of it.
    pub(crate) fn of(body: String, said: Option<String>) -> Self {
        match said {
            Some(said) if body.is_empty() => Self::Kept(said),
            _ => Self::Row(body.into()),
        }
    }

    /// Bytes in memory.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Kept(said) => said.len(),
            Self::Row(text) => text.len(),
        }
    }
}

/// A text as it lies in the database.
#[derive(FromQueryResult)]
pub(crate) struct PackedRow {
    pub(crate) said: String,
    pub(crate) packed: Vec<u8>,
}

impl PackedRow {
    /// The text, if it is what its digest says.
    fn text(&self) -> Result<String, StoreError> {
        let text = unpacked(&self.packed)?;
        if said(&text) != self.said {
            return Err(StoreError::damaged(
                "the reasons of a decision do not have their digest",
            ));
        }
        Ok(text)
    }
}

impl Store {
    /// What was decided of an image with its reasons as JSON ([`Judgement::body`](crate::Judgement::body)), from memory where it was
    /// asked for before.
    pub async fn decision_with_text(
        &self,
        repo: &RepoName,
        digest: &Digest,
        point: Point,
    ) -> Result<Option<(Arc<Decided>, Arc<str>)>, StoreError> {
        let mut found = self.decision(repo, digest, point).await?;
        for _ in 0..ATTEMPTS {
            let Some(decided) = found else { return Ok(None) };
            if let Some(text) = self.text_of(&decided).await? {
                return Ok(Some((decided, text)));
            }
            // Whoever decided anew took it away, and what is remembered of the decision may end a moment later.
            found = self.load_decision(repo, digest, point).await?;
        }
        Err(StoreError::damaged(format!(
            "the reasons of {repo}@{digest} are missing until it is judged again"
        )))
    }

    /// `None`: it is not there any more.
    async fn text_of(&self, decided: &Decided) -> Result<Option<Arc<str>>, StoreError> {
        let said = match &decided.text {
            TextPlace::Row(text) => return Ok(Some(Arc::clone(text))),
            TextPlace::Kept(said) => said,
        };
        let caches = &self.inner.caches;
        let load = || async {
            let found = self.texts_of([said.as_str()]).await?;
            Ok(found.into_values().next().map(Arc::from))
        };
        let key = Key::decision_text(said);
        caches.texts.get_or_load(&caches.epochs, key, load).await
    }

    /// Packs the texts that are not kept yet, so that nobody has to while others wait for the writer.
    pub(super) async fn pack_unkept(&self, texts: Vec<Reasons>) -> Result<(), StoreError> {
        let mut unkept: BTreeMap<String, Reasons> = texts
            .into_iter()
            .map(|text| (text.said().to_owned(), text))
            .collect();
        let names: Vec<String> = unkept.keys().cloned().collect();
        for kept in kept_of(self.inner.db.read(), names.iter().map(String::as_str)).await? {
            unkept.remove(&kept);
        }
        let packed =
            tokio::task::spawn_blocking(move || unkept.values().try_for_each(|text| text.packed().map(drop)));
        packed.await.map_err(|_| StoreError::TaskLost)?
    }

    /// Texts by their digests, as far as they are there and whole: what is damaged must not hide the others. It is taken away, so that
    /// whoever decides the same again has it there again.
    pub(crate) async fn texts_of<'a>(
        &self,
        said: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let said: Vec<&str> = said.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = BTreeMap::new();
        for chunk in said.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT said, packed FROM decision_text WHERE said IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let values = chunk.iter().map(|said| Value::from(*said));
            let rows: Vec<PackedRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            let mut damaged = Vec::new();
            for row in rows {
                match row.text() {
                    Ok(text) => drop(found.insert(row.said, text)),
                    Err(error) => {
                        tracing::error!(text = row.said, %error, "reasons that were stored cannot be read");
                        damaged.push(DamagedText::of(&row));
                    }
                }
            }
            self.heal_texts(damaged).await;
        }
        Ok(found)
    }
}

/// Which of them are kept.
async fn kept_of<'a>(
    on: &impl ConnectionTrait,
    said: impl IntoIterator<Item = &'a str>,
) -> Result<HashSet<String>, StoreError> {
    let said: Vec<&str> = said.into_iter().collect();
    let mut kept = HashSet::new();
    for chunk in said.chunks(sql::CHUNK) {
        let sql = format!(
            "SELECT said AS text FROM decision_text WHERE said IN ({})",
            sql::placeholders(1, chunk.len())
        );
        let rows: Vec<sql::Text> = sql::all(on, &sql, chunk.iter().map(|said| Value::from(*said))).await?;
        kept.extend(rows.into_iter().map(|row| row.text));
    }
    Ok(kept)
}

/// Keeps texts that decisions are about to name.
pub(super) async fn keep(tx: &Tx, texts: impl IntoIterator<Item = &Reasons>) -> Result<(), StoreError> {
    /// Texts in one statement: each may be long.
    const AT_ONCE: usize = 50;
    let texts: BTreeMap<&str, &Reasons> = texts.into_iter().map(|text| (text.said(), text)).collect();
    let kept = kept_of(tx.sql(), texts.keys().copied()).await?;
    let missing: Vec<&Reasons> = texts
        .into_iter()
        .filter(|(said, _)| !kept.contains(*said))
        .map(|(_, text)| text)
        .collect();
    for chunk in missing.chunks(AT_ONCE) {
        let sql = format!(
            "INSERT INTO decision_text (said, packed) VALUES {} ON CONFLICT (said) DO NOTHING",
            sql::tuples(chunk.len(), 2)
        );
        let mut values: Vec<Value> = Vec::with_capacity(2 * chunk.len());
        for text in chunk {
            values.extend([text.said().into(), text.packed()?.to_vec().into()]);
        }
        sql::execute_list(tx.sql(), &sql, values).await?;
    }
    Ok(())
}

/// Drops texts that decisions named and no decision names any more.
pub(crate) async fn release(tx: &Tx, said: impl IntoIterator<Item = String>) -> Result<(), StoreError> {
    let said: Vec<String> = said.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for chunk in said.chunks(sql::CHUNK) {
        let sql = format!(
            "DELETE FROM decision_text WHERE said IN ({}) \
             AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.said = decision_text.said)",
            sql::placeholders(1, chunk.len())
        );
        sql::execute_list(
            tx.sql(),
            &sql,
            chunk.iter().map(|said| Value::from(said.as_str())),
        )
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
