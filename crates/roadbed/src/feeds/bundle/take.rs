//! Verifying and importing a bundle: first whose it is, then that all of it is there, then that it is not an old one, and only then
//! what it says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use store::{Actor, Brought, CarriedBundle, Importer, Lifts, SignedKind, Store, StoreError, Timestamp};
use thiserror::Error;
use tokio::sync::mpsc;
use web::wire::{BundleOrigin, Moment, SourceOutcome, SyncReport};
use web::{Judging, NotAdmitted, admit};

use super::verified::Verified;
use super::{BundleError, Document};
use crate::config;
use crate::freshness::{Ahead, Freshness, NotFresh, Older};

/// What a source is called that is a bundle.
const SOURCE: &str = "bundle";

/// Under which name it is known how new the last one was.
const NEWEST: &str = "advisories";

/// Documents that are read ahead.
const READ_AHEAD: usize = 8;

/// What whoever brings a bundle says.
#[derive(Debug, Clone, Default)]
pub(crate) struct BundleRequest {
    /// The detached signature.
    pub(crate) signature: Option<Vec<u8>>,
    /// Take it although nobody has signed it.
    pub(crate) unsigned: bool,
    /// Take it although a newer one was taken in.
    pub(crate) accept_older: bool,
    /// Let it pass also where it lifts so many refusals.
    pub(crate) accept_lifts: Option<u64>,
}

/// Why a bundle is not taken in.
#[derive(Debug, Error)]
pub(super) enum Refused {
    #[error(
        "no key is configured that could have signed it: name the public key in feeds.bundle_keys, or say --unsigned"
    )]
    NoKey,
    #[error("it comes without a signature: sign it (cosign sign-blob --key), or say --unsigned")]
    NoSignature,
    #[error(
        "none of the {0} keys of feeds.bundle_keys has signed exactly this file: the key, the signature or the file is another one"
    )]
    NotSigned(usize),
    #[error("--unsigned goes with no signature: leave one of them out")]
    Both,
    #[error("the key {} (feeds.bundle_keys) cannot be used: {why}", path.display())]
    Key { path: PathBuf, why: String },
    #[error("{}", with_cause(.0))]
    Bundle(#[from] BundleError),
    #[error("it was changed while it was read: bring it again once nobody writes to it")]
    Changed,
    #[error("{0}: an old one would bring back what was known then; if that is right, say --accept-older")]
    Older(Older),
    #[error("{0}")]
    Ahead(Ahead),
    #[error("it is held: {lifts}; if that is right, bring it again with --accept-lifts {count}", lifts = .0, count = .0.lifted)]
    Lifts(Box<Lifts>),
    #[error("what it would let pass could not be found out: {0}")]
    Judging(#[from] web::JudgingError),
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the import was ended")]
    Ended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotAdmitted> for Refused {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Held(lifts) => Self::Lifts(lifts),
            NotAdmitted::Weighing(error) => Self::Judging(error),
        }
    }
}

fn with_cause(error: &BundleError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What is known of a bundle before it is read.
struct Known {
    digest: String,
    signer: String,
}

/// Who imports, and how.
pub(in crate::feeds) struct Taking<'a> {
    pub(in crate::feeds) store: &'a Store,
    pub(in crate::feeds) config: &'a config::Feeds,
    pub(in crate::feeds) judging: Option<&'a dyn Judging>,
    pub(in crate::feeds) actor: &'a Actor,
}

impl Taking<'_> {
    /// Takes a bundle in, or says why not; either is a line of the audit log.
    pub(in crate::feeds) async fn take(
        &self,
        path: &Path,
        request: &BundleRequest,
    ) -> Result<SyncReport, StoreError> {
        let mut known = None;
        let taken = self.try_to(path, request, &mut known).await;
        let (digest, signer) =
            known.map_or_else(Default::default, |known: Known| (known.digest, known.signer));
        let mut body = json!({
            "digest": digest, "signed_by": signer, "unsigned": request.unsigned, "accept_older": request.accept_older,
        });
        match taken {
            Ok(report) => {
                body["generation"] = report.generation.into();
                self.store.note_bundle(self.actor, body).await?;
                Ok(report)
            }
            Err(Refused::Store(error)) => Err(error),
            Err(refused) => {
                let held = match &refused {
                    Refused::Lifts(lifts) => Some(store::FeedHold::Lifts {
                        lifts: (**lifts).clone(),
                    }),
                    _ => None,
                };
                let why = format!("the bundle is not taken: {refused}");
                body["refused"] = store::reason_as_kept(&why).into();
                self.store.note_bundle(self.actor, body).await?;
                if let Refused::Lifts(lifts) = &refused {
                    self.store.note_held_import("bundle", lifts, self.actor).await?;
                }
                let mut report = SyncReport::default();
                report.sources.push(SourceOutcome {
                    source: SOURCE.to_owned(),
                    error: Some(why),
                    held,
                    ..SourceOutcome::default()
                });
                Ok(report)
            }
        }
    }

    async fn try_to(
        &self,
        path: &Path,
        request: &BundleRequest,
        known: &mut Option<Known>,
    ) -> Result<SyncReport, Refused> {
        let limits = self.config.bundle_limits();
        let (file, keys, asked) = (path.to_owned(), self.config.bundle_keys.clone(), request.clone());
        let verified = blocking(move || Verified::open(&file, &keys, &asked, limits)).await?;
        let verified = Arc::new(verified);
        let Known { digest, signer } = known.insert(Known {
            digest: verified.digest(),
            signer: verified.signer(),
        });
        let signed_by = verified.signed_by().map(str::to_owned);
        let bytes = verified.bytes();
        // All of it before anything is begun: half of one is no import.
        let whole = Arc::clone(&verified);
        let created = blocking(move || whole.read(|_| Ok(()))).await?;
        self.check_age(created, request).await?;

        let mut importer = Importer::begin(self.store).await?;
        self.add(&mut importer, verified).await?;
        let admitted = admit(self.judging, importer, request.accept_lifts).await?;
        // First: a death in between must not open the way for an older one.
        let kind = SignedKind::Bundle;
        self.store.note_signed(kind, NEWEST, created, digest).await?;
        let origin = format!("bundle of {}, {signer}", created.to_rfc3339());
        let summary = admitted.finish(&origin, self.actor).await?;
        let bundle = CarriedBundle {
            signed_by,
            made_at: created,
            digest: digest.clone(),
        };
        // Last: until then each source came by what it came before.
        let (sources, generation) = (&summary.sources, summary.generation);
        self.store
            .note_carried(self.actor, generation, sources, Some(&bundle))
            .await?;
        Ok(SyncReport {
            generation,
            bytes,
            bundle: Some(origin_of(bundle)),
            sources: sources.iter().map(outcome).collect(),
            older: summary.older,
            refused: summary.refused,
            refusals: summary.refusals,
        })
    }

    async fn check_age(&self, created: Timestamp, request: &BundleRequest) -> Result<(), Refused> {
        let newest = self.store.newest_signed(SignedKind::Bundle, NEWEST).await?;
        let freshness = Freshness {
            now: self.store.now(),
            newest: newest.map(|(made_at, _)| made_at),
            older_is_right: request.accept_older,
        };
        freshness.check(created).map_err(|why| match why {
            NotFresh::Older(older) => Refused::Older(older),
            NotFresh::Ahead(ahead) => Refused::Ahead(ahead),
        })
    }

    /// Adds what it holds. Unless this succeeds, nothing of it may be shown.
    async fn add(&self, importer: &mut Importer, bundle: Arc<Verified>) -> Result<(), Refused> {
        let (sender, mut documents) = mpsc::channel(READ_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            bundle.read(|document| sender.blocking_send(document).map_err(|_| Refused::Ended))
        });
        while let Some(Document { name, text }) = documents.recv().await {
            importer.add(&name, text.as_bytes()).await?;
            tokio::task::yield_now().await;
        }
        reading.await.map_err(|_| Refused::Ended)?.map(drop)
    }
}

/// As the API tells it.
pub(in crate::feeds) fn origin_of(bundle: CarriedBundle) -> BundleOrigin {
    BundleOrigin {
        digest: bundle.digest,
        made_at: Moment(bundle.made_at),
        signed_by: bundle.signed_by,
    }
}

fn outcome((source, brought): (&String, &Brought)) -> SourceOutcome {
    SourceOutcome {
        source: source.clone(),
        entries: Some(brought.entries),
        added: Some(brought.added),
        changed: brought.news(),
        gone: brought.removed,
        ..SourceOutcome::default()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refused::Ended)?
}
