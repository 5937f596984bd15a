//! The catalogue that teams push as an artifact: taken in when the tag moves to one that a trusted signer signed.
//!
//! Nothing of it counts by its own word. Who signed it is found out like the signatures of images; what it says is read by the same
//! bounded reader as files, and all of it comes in or nothing. What became of it is a line of the audit log, which is also what is
//! remembered: a start does not do again what was done.
//!
//! - `catalogue/signed.rs`: by whom it is signed. `catalogue/contents.rs`: what it says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use oci::{Digest, Manifest, ManifestKind, RepoName, RepoPattern, Tag};
use store::{Actor, AdminError, PushedCatalog, PushedEntries, Store, StoredManifest, Timestamp};
use thiserror::Error;

use crate::{
    freshness::{Ahead, Freshness, NotFresh, Older},
    judge::{SignatureLimits, stored_limits},
};

mod contents;
mod signed;

/// The cause that its events carry.
const CAUSE: &str = "pushed catalogue";

/// How often it is looked for changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Before what failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Which catalogue is followed, and what counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CatalogueConfig {
    /// Where it is pushed.
    pub(crate) repository: RepoName,
    /// Under which tag.
    pub(crate) tag: Tag,
    /// The names of the signers, one of whom must have signed it.
    pub(crate) signers: Vec<String>,
    /// The repositories that it may speak of.
    pub(crate) speaks_of: Vec<RepoPattern>,
    /// Take back what catalogues said of applications that it does not name.
    pub(crate) prune: bool,
    /// How much of what is attached to it is read.
    pub(crate) signatures: SignatureLimits,
}

/// Why a pushed catalogue does not count.
#[derive(Debug, Error)]
enum Refused {
    #[error("it is an index: push one artifact whose files are catalog-info.yaml and pavedroad.yaml")]
    Index,
    #[error("no trusted signer of catalog.signers ({wanted}) signed it: {found}")]
    NotSigned {
        /// Who had to.
        wanted: String,
        /// What is attached to it instead.
        found: String,
    },
    #[error(
        "it has no file whose title ends in .yaml: push catalog-info.yaml or pavedroad.yaml as files, not as an archive"
    )]
    NoFiles,
    #[error("{0}")]
    File(contents::FileError),
    #[error("{0}")]
    Contents(#[from] road::catalog::CatalogErrors),
    #[error("{what} names {pattern}, which catalog.speaks_of does not hold: name it there, or leave it out")]
    NotItsOwn {
        /// Application or base.
        what: String,
        /// What it takes.
        pattern: String,
    },
    #[error(
        "it names no application, and catalog.prune would take back all that catalogues said: was it rendered empty?"
    )]
    Empty,
    #[error("{0}")]
    Entries(AdminError),
    #[error(
        "{older}: whoever may push there may have set the tag back; if that is right, run `roadbed catalog allow {what}`"
    )]
    Older { older: Older, what: String },
    #[error(
        "it does not say when it was made, and the one that counts does: push it with the annotation {CREATED}, as `oras push` does, \
         and sign it again; or run `roadbed catalog allow {0}`"
    )]
    Undated(String),
    #[error(
        "it was taken in before, and another one after it: whoever may push there may have set the tag back; if that is right, \
             run `roadbed catalog allow {0}`"
    )]
    Again(String),
    #[error("{0}")]
    Ahead(Ahead),
}

/// When an artifact was made (OCI image specification, "Pre-Defined Annotation Keys"). It is signed with it.
const CREATED: &str = "org.opencontainers.image.created";

/// What decides what becomes of a catalogue: as long as it is the same, nothing is done.
type Seen = (Digest, BTreeSet<Digest>, Vec<u8>, bool);

/// Follows one catalogue until its task is ended.
pub(crate) async fn follow(store: Store, config: CatalogueConfig) {
    let mut catalogue = Catalogue {
        store,
        config: Arc::new(config),
        seen: None,
    };
    let mut last = None;
    let mut writes = catalogue.store.writes();
    loop {
        writes.mark_unchanged();
        let pause = match catalogue.look_if_changed(&mut last).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                last = None;
                writes.mark_changed();
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "the pushed catalogue could not be looked at; it is tried again"
                );
                TRY_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
        // What nobody has written is as it was.
        if writes.changed().await.is_err() {
            return;
        }
    }
}

struct Catalogue {
    store: Store,
    config: Arc<CatalogueConfig>,
    seen: Option<Seen>,
}

impl Catalogue {
    /// Tags, signatures and signers change with an event.
    async fn look_if_changed(&mut self, last: &mut Option<i64>) -> Result<()> {
        // What it declares waits while the registry is read-only; the end of that is an event.
        if self.store.maintenance().is_some() {
            return Ok(());
        }
        let event = self.store.fleet_mark().await?.event;
        if *last != Some(event) {
            self.look().await?;
            *last = Some(event);
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<()> {
        let config = Arc::clone(&self.config);
        let Some(manifest) = self
            .store
            .tagged_manifest(&config.repository, &config.tag)
            .await?
        else {
            self.seen = None;
            return Ok(());
        };
        let seen = self.seen_of(&manifest).await?;
        if self.seen.as_ref() == Some(&seen) {
            return Ok(());
        }
        self.take(&manifest).await?;
        self.seen = Some(seen);
        Ok(())
    }

    async fn seen_of(&self, manifest: &StoredManifest) -> Result<Seen> {
        let limit = self.config.signatures.documents;
        let (repo, digest) = (&self.config.repository, manifest.digest);
        let attached = self.store.attachments(repo, &digest, limit).await?;
        let attached = attached.found.iter().map(|attachment| attachment.manifest.digest);
        let signers = serde_json::to_vec(&self.store.trusted_signers().await?)?;
        let attached = attached.collect();
        let is_allowed = self.store.catalog_is_allowed(&self.of(manifest)).await?;
        Ok((digest, attached, signers, is_allowed))
    }

    fn of(&self, manifest: &StoredManifest) -> PushedCatalog {
        PushedCatalog {
            repo: self.config.repository.clone(),
            tag: self.config.tag.clone(),
            digest: manifest.digest,
            signers: Vec::new(),
            made_at: None,
        }
    }

    /// Takes it in, or notes why not; unless the log says that this was done already.
    async fn take(&self, manifest: &Arc<StoredManifest>) -> Result<()> {
        let mut of = self.of(manifest);
        let known = self.store.catalog_note().await?;
        let subject = format!("{}@{}", of.repo, of.digest);
        let known = known.filter(|note| note.event.subject == subject);
        if known.as_ref().is_some_and(|note| note.is_imported) {
            return Ok(());
        }
        let actor = Actor::system(CAUSE);
        let reason = match self.read(manifest, &mut of).await? {
            Ok(entries) => match self.store.import_pushed_catalog(&actor, &of, entries).await {
                Ok(import) => {
                    let (added, changed, removed) =
                        (import.added.len(), import.changed.len(), import.removed.len());
                    tracing::info!(catalogue = subject, signers = ?of.signers, added, changed, removed, "imported");
                    return Ok(());
                }
                Err(AdminError::Store(error)) => return Err(error.into()),
                Err(error) => Refused::Entries(error),
            },
            Err(refused) => refused,
        };
        let reason = reason.to_string();
        let is_told = known.is_some_and(|note| note.event.body["reason"] == store::reason_as_kept(&reason));
        if !is_told {
            tracing::warn!(catalogue = subject, reason, "the pushed catalogue does not count");
            self.store.refuse_pushed_catalog(&actor, &of, &reason).await?;
        }
        Ok(())
    }

    /// Who signed it, then what it says: of what nobody stands behind, nothing is read.
    async fn read(
        &self,
        manifest: &Arc<StoredManifest>,
        of: &mut PushedCatalog,
    ) -> Result<Result<PushedEntries, Refused>> {
        let config = &self.config;
        if manifest.kind == ManifestKind::Index {
            return Ok(Err(Refused::Index));
        }
        let signed = signed::by(&self.store, &config.repository, manifest, config).await?;
        of.signers = match signed {
            Ok(signers) => signers,
            Err(found) => {
                let wanted = config.signers.join(", ");
                return Ok(Err(Refused::NotSigned { wanted, found }));
            }
        };
        let parsed = Manifest::parse(&manifest.bytes, Some(&manifest.media_type), &stored_limits())
            .context("the manifest that was stored cannot be read")?;
        of.made_at = parsed.annotations.get(CREATED).and_then(|text| moment(text));
        if let Err(refused) = self.check_age(of).await? {
            return Ok(Err(refused));
        }
        let files = match contents::files(&self.store, &parsed).await? {
            Ok(files) if files.is_empty() => return Ok(Err(Refused::NoFiles)),
            Ok(files) => files,
            Err(error) => return Ok(Err(Refused::File(error))),
        };
        let (of, config) = (Arc::clone(config), Arc::clone(config));
        // Parsing computes; a thread that serves connections must not.
        let said = tokio::task::spawn_blocking(move || contents::entries(&files, &config)).await;
        let said = said.context("the catalogue was lost")?;
        let road = self.store.road().await?;
        Ok(said.and_then(|entries| {
            contents::check_replaced(&entries, &road.bases, &of)?;
            contents::check_applications(&entries, &road.applications, &of)?;
            Ok(entries)
        }))
    }

    /// Whether it is newer than what counts: a signature says who made it, not that it is still meant.
    async fn check_age(&self, of: &PushedCatalog) -> Result<Result<(), Refused>> {
        let store = &self.store;
        let what = format!("{}@{}", of.repo, of.digest);
        let freshness = Freshness {
            now: store.now(),
            newest: store.newest_catalog(of).await?,
            older_is_right: store.catalog_counts(of).await? || store.catalog_is_allowed(of).await?,
        };
        let fresh = match of.made_at {
            Some(made) => freshness.check(made).map_err(|why| match why {
                NotFresh::Older(older) => Refused::Older {
                    older,
                    what: what.clone(),
                },
                NotFresh::Ahead(ahead) => Refused::Ahead(ahead),
            }),
            None if freshness.older_is_right || freshness.newest.is_none() => Ok(()),
            None => Err(Refused::Undated(what.clone())),
        };
        if fresh.is_err() || freshness.older_is_right {
            return Ok(fresh);
        }
        // Of the same moment, or newer and given up by a person: another one counts by now.
        if store.catalog_was_imported(of).await? {
            return Ok(Err(Refused::Again(what)));
        }
        Ok(Ok(()))
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(text)
}

#[cfg(test)]
mod tests;
