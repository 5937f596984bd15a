//! A catalogue that was pushed as an artifact: where it lies, what became of it, and whose word it is.
//!
//! The audit log is what is remembered of it: the last note says which one was taken in or refused, so that a start does not do
//! either again.

use std::sync::Arc;

use oci::{Digest, RepoName, Tag};
use policy::yaml::one_line;
use road::application::Statement;
use road::base::BaseImage;
use road::paving::RoadEntry;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{CatalogImport, NAMES_TOLD, check_all, check_together, compare, delete, of_catalog, write};
use crate::db::{Tx, sql};
use crate::event::{self, Event, EventKind};
use crate::signed::{self, SignedKind};
use crate::{Actor, AdminError, Store, StoreError, StoredManifest, Timestamp, base, blob, paving};

/// Longest reason that is kept, in bytes.
const MAX_REASON_BYTES: usize = 2_000;

/// An artifact, and whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedCatalog {
    /// Where it lies.
    pub repo: RepoName,
    /// Under which tag it was found.
    pub tag: Tag,
    /// Which it is.
    pub digest: Digest,
    /// The trusted signers who signed it.
    pub signers: Vec<String>,
    /// When it was made, by its own word.
    pub made_at: Option<Timestamp>,
}

impl PushedCatalog {
    /// Under which name it is known how new the last one was, whoever signed it: whoever may set the tag back chooses among all that
    /// were ever signed, and may take signatures away.
    fn key(&self) -> String {
        format!("{}:{}", self.repo, self.tag)
    }

    /// Between these lie the names of earlier versions, of which each signer had one behind a space.
    fn keys_of_signers(&self) -> (String, String) {
        (format!("{} ", self.repo), format!("{}!", self.repo))
    }
}

/// What a pushed catalogue says.
#[derive(Debug, Clone, Default)]
pub struct PushedEntries {
    /// Of applications.
    pub applications: Vec<Statement>,
    /// Of bases.
    pub bases: Vec<BaseImage>,
    /// Of what else is on the road.
    pub road: Vec<RoadEntry>,
    /// Whether what catalogues said of applications that it does not name is taken back.
    pub prune: bool,
}

/// What became of the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogNote {
    /// Its line in the audit log.
    pub event: Event,
    /// Whether it was taken in.
    pub is_imported: bool,
}

/// A reason as [`Store::refuse_pushed_catalog`] keeps it.
pub fn reason_as_kept(reason: &str) -> String {
    one_line(reason, MAX_REASON_BYTES)
}

impl Store {
    /// What lies under a tag.
    pub async fn tagged_manifest(
        &self,
        repo: &RepoName,
        tag: &Tag,
    ) -> Result<Option<Arc<StoredManifest>>, StoreError> {
        let sql = "SELECT m.digest AS text FROM tag t JOIN repository r ON r.id = t.repository_id \
                   JOIN manifest m ON m.id = t.manifest_id WHERE r.name = $1 AND t.name = $2";
        let values = [repo.as_str().into(), tag.as_str().into()];
        let row: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        let Some(row) = row else { return Ok(None) };
        let digest = blob::parse_digest(&row.text)?;
        self.manifest_by_digest(repo, &digest).await
    }

    /// Takes in what a pushed catalogue says: all of it, or nothing. The event tells who signed and pushed it.
    ///
    /// Refused is what does not go together with other entries ([`AdminError::Invalid`]), and too many ([`AdminError::TooMany`]).
    pub async fn import_pushed_catalog(
        &self,
        actor: &Actor,
        of: &PushedCatalog,
        entries: PushedEntries,
    ) -> Result<CatalogImport, AdminError> {
        let about = self.about(of).await?;
        let (actor, of) = (actor.clone(), of.clone());
        self.write(move |tx| Box::pin(async move { import(tx, &actor, &of, entries, about).await }))
            .await
    }

    /// Notes that a pushed catalogue does not count, and why.
    pub async fn refuse_pushed_catalog(
        &self,
        actor: &Actor,
        of: &PushedCatalog,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut about = self.about(of).await?;
        about["reason"] = reason_as_kept(reason).into();
        self.note(actor, EventKind::CatalogRefuse, subject(of), about)
            .await
    }

    /// When the catalogue that counts from there was made, whoever signed it.
    pub async fn newest_catalog(&self, of: &PushedCatalog) -> Result<Option<Timestamp>, StoreError> {
        let newest = newest(self.inner.db.read(), of).await?;
        Ok(newest
            .map(|(made_at, _)| made_at)
            .filter(|made_at| is_dated(*made_at)))
    }

    /// Whether it is the one that counts from there.
    pub async fn catalog_counts(&self, of: &PushedCatalog) -> Result<bool, StoreError> {
        let newest = newest(self.inner.db.read(), of).await?;
        Ok(newest.is_some_and(|(_, what)| what == of.digest.to_string()))
    }

    /// Whether this one was taken in at some time.
    pub async fn catalog_was_imported(&self, of: &PushedCatalog) -> Result<bool, StoreError> {
        let subject = subject(of);
        let event = self.last_event(EventKind::CatalogImport, &subject).await?;
        Ok(event.is_some_and(|event| event.subject == subject))
    }

    /// Whether a person has allowed this one although it is old, since it was last taken in.
    pub async fn catalog_is_allowed(&self, of: &PushedCatalog) -> Result<bool, StoreError> {
        let subject = subject(of);
        let last = async |kind| {
            let event = self.last_event(kind, &subject).await?;
            Ok::<_, StoreError>(
                event
                    .filter(|event| event.subject == subject)
                    .map(|event| event.seq),
            )
        };
        Ok(last(EventKind::CatalogAllow).await? > last(EventKind::CatalogImport).await?)
    }

    /// Allows a catalogue although it is older than the one that counts.
    pub async fn allow_catalog(
        &self,
        actor: &Actor,
        (repo, digest): (&RepoName, &Digest),
        reason: &str,
    ) -> Result<(), StoreError> {
        let body = json!({ "reason": reason_as_kept(reason) });
        self.note(actor, EventKind::CatalogAllow, blob::subject(repo, digest), body)
            .await
    }

    /// What became of the last catalogue that was pushed.
    pub async fn catalog_note(&self) -> Result<Option<CatalogNote>, StoreError> {
        let kinds = [EventKind::CatalogImport, EventKind::CatalogRefuse];
        let mut last: Option<CatalogNote> = None;
        for kind in kinds {
            // What was imported from files is about no image.
            let event = self.last_event(kind, "%@%").await?;
            let is_newer = |event: &Event| last.as_ref().is_none_or(|last| last.event.seq < event.seq);
            if let Some(event) = event.filter(is_newer) {
                let is_imported = kind == EventKind::CatalogImport;
                last = Some(CatalogNote { event, is_imported });
            }
        }
        Ok(last)
    }

    async fn about(&self, of: &PushedCatalog) -> Result<serde_json::Value, StoreError> {
        let pushed_by = self.pusher(&of.repo, &of.digest).await?;
        Ok(json!({
            "tag": of.tag.as_str(), "digest": of.digest, "signers": of.signers, "pushed_by": pushed_by,
            "made_at": of.made_at.map(Timestamp::to_rfc3339),
        }))
    }
}

fn subject(of: &PushedCatalog) -> String {
    blob::subject(&of.repo, &of.digest)
}

/// When the one that counts was made, and its digest. Before the first one of this version: when the newest of any signer was.
async fn newest(
    on: &impl ConnectionTrait,
    of: &PushedCatalog,
) -> Result<Option<(Timestamp, String)>, StoreError> {
    if let Some(newest) = signed::newest(on, SignedKind::Catalog, &of.key()).await? {
        return Ok(Some(newest));
    }
    let (from, to) = of.keys_of_signers();
    signed::newest_between(on, SignedKind::Catalog, (&from, &to)).await
}

/// One that does not say when it was made is kept as of the beginning of time.
fn is_dated(made_at: Timestamp) -> bool {
    made_at != Timestamp::default()
}

async fn import(
    tx: &Tx,
    actor: &Actor,
    of: &PushedCatalog,
    entries: PushedEntries,
    mut about: serde_json::Value,
) -> Result<CatalogImport, AdminError> {
    let applications = of_catalog(&entries.applications);
    check_together(applications.clone())?;
    for base in &entries.bases {
        base::put(tx, actor, base).await?;
    }
    for entry in &entries.road {
        paving::put(tx, actor, entry).await?;
    }
    if !entries.bases.is_empty() || !entries.road.is_empty() {
        base::check_road(tx).await?;
    }
    let (import, news) = compare(&super::all(tx.sql()).await?, &applications, entries.prune);
    delete(tx, &import.removed, road::application::Source::Catalog).await?;
    write(tx, actor, &news).await?;
    check_all(tx).await?;
    let told = [
        ("added", &import.added),
        ("changed", &import.changed),
        ("removed", &import.removed),
    ];
    for (word, names) in told {
        let first: Vec<_> = names.iter().take(NAMES_TOLD).collect();
        about[word] = json!({ "count": names.len(), "first": first });
    }
    about["bases"] = entries.bases.len().into();
    // What does not say when it was made is no way to forget when the one before was.
    let made_at = match of.made_at {
        Some(made_at) => made_at,
        None => newest(tx.sql(), of)
            .await?
            .map(|(made_at, _)| made_at)
            .unwrap_or_default(),
    };
    let digest = of.digest.to_string();
    signed::note(tx, SignedKind::Catalog, &of.key(), made_at, &digest).await?;
    about["road"] = entries.road.len().into();
    event::record(tx, actor, EventKind::CatalogImport, &subject(of), about).await?;
    Ok(import)
}

#[cfg(test)]
mod tests;
