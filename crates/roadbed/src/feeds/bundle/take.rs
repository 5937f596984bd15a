//! Verifying and importing a bundle: first whose it is, then that all of it is there, then that it is not an old one, and only then
//! what it says.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci::{Algorithm, Digest};
use serde_json::json;
use signatures::{BlobHasher, BlobKey};
use store::{Actor, Importer, Lifts, SignedKind, Store, StoreError, Timestamp};
use thiserror::Error;
use tokio::sync::mpsc;
use web::Judging;
use web::wire::{SourceOutcome, SyncReport};

use super::{BundleError, BundleLimits, BundleReader, Document};
use crate::config;

/// What a source is called that is a bundle.
const SOURCE: &str = "bundle";

/// Under which name it is known how new the last one was.
const NEWEST: &str = "advisories";

/// Documents that are read ahead.
const READ_AHEAD: usize = 8;

/// Bytes that are hashed at a time.
const PIECE: usize = 1 << 20;

/// A clock may be wrong by so much.
const AHEAD: Duration = Duration::from_hours(24);

/// Longest key file that is read, in bytes.
const KEY_BYTES: u64 = 16 << 10;

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
enum Refused {
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
    #[error(
        "it was made {made}, and one that was made {newest} was taken in already: an old one would bring back what was known then; \
         if that is right, say --accept-older"
    )]
    Older { made: String, newest: String },
    #[error(
        "it says to have been made {0}, which is to come: later ones would be taken for older ones; mend the clock that made it"
    )]
    Ahead(String),
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
        let verified = blocking(move || verify(&file, &keys, &asked, limits)).await?;
        let signer = verified.signer.clone();
        let digest = known.insert(verified).digest.clone();
        let file = path.to_owned();
        let created = blocking(move || read_through(&file, limits)).await?;
        self.check_age(created, request).await?;

        let mut importer = Importer::begin(self.store).await?;
        self.add(&mut importer, path, limits).await?;
        if let Some(judging) = self.judging {
            let weighed = judging.weigh(&mut importer).await?;
            if weighed.is_held(request.accept_lifts) {
                return Err(Refused::Lifts(Box::new(weighed.lifts)));
            }
            importer.note_lifts(weighed.lifts, weighed.is_too_much);
        }
        // First: a death in between must not open the way for an older one.
        let kind = SignedKind::Bundle;
        self.store.note_signed(kind, NEWEST, created, &digest).await?;
        let origin = format!("bundle of {}, {signer}", created.to_rfc3339());
        let summary = importer.finish(&origin, self.actor).await?;
        Ok(SyncReport {
            generation: summary.generation,
            sources: vec![SourceOutcome {
                source: SOURCE.to_owned(),
                changed: summary.changed,
                ..SourceOutcome::default()
            }],
            older: summary.older,
            refused: summary.refused,
            refusals: summary.refusals,
            ..SyncReport::default()
        })
    }

    async fn check_age(&self, created: Timestamp, request: &BundleRequest) -> Result<(), Refused> {
        if created > self.store.now().plus(AHEAD) {
            return Err(Refused::Ahead(created.to_rfc3339()));
        }
        match self.store.newest_signed(SignedKind::Bundle, NEWEST).await? {
            Some((newest, _)) if created < newest && !request.accept_older => Err(Refused::Older {
                made: created.to_rfc3339(),
                newest: newest.to_rfc3339(),
            }),
            _ => Ok(()),
        }
    }

    async fn add(&self, importer: &mut Importer, path: &Path, limits: BundleLimits) -> Result<(), Refused> {
        let (sender, mut documents) = mpsc::channel(READ_AHEAD);
        let path = path.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            read(&path, limits, |document| {
                sender.blocking_send(document).map_err(|_| Refused::Ended)
            })
        });
        while let Some(Document { name, text }) = documents.recv().await {
            importer.add(&name, text.as_bytes()).await?;
            tokio::task::yield_now().await;
        }
        reading.await.map_err(|_| Refused::Ended)?.map(drop)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refused::Ended)?
}

/// Whose it is. Nothing of it is read before that is known.
fn verify(
    path: &Path,
    keys: &[PathBuf],
    request: &BundleRequest,
    limits: BundleLimits,
) -> Result<Known, Refused> {
    let digest = hash(path, limits)?;
    let named = Digest::from_bytes(Algorithm::Sha256, digest.bytes());
    let named = named.map(|digest| digest.to_string()).unwrap_or_default();
    let known = |signer: String| Known {
        digest: named.clone(),
        signer,
    };
    let signature = match (&request.signature, request.unsigned) {
        (Some(_), true) => return Err(Refused::Both),
        (None, true) => return Ok(known("signed by nobody".to_owned())),
        _ if keys.is_empty() => return Err(Refused::NoKey),
        (None, false) => return Err(Refused::NoSignature),
        (Some(signature), false) => signature,
    };
    for path in keys {
        if key(path)?.made(&digest, signature) {
            return Ok(known(format!("signed by {}", path.display())));
        }
    }
    Err(Refused::NotSigned(keys.len()))
}

fn key(path: &Path) -> Result<BlobKey, Refused> {
    let unusable = |why: String| Refused::Key {
        path: path.to_owned(),
        why,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
    let read = file.take(KEY_BYTES).read_to_string(&mut text);
    read.map_err(|error| unusable(error.to_string()))?;
    BlobKey::from_pem(&text).map_err(|error| unusable(error.to_string()))
}

fn hash(path: &Path, limits: BundleLimits) -> Result<signatures::BlobDigest, Refused> {
    let mut file = File::open(path)?;
    let (mut hasher, mut piece, mut bytes) = (BlobHasher::default(), vec![0; PIECE], 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        bytes += read as u64;
        if bytes > limits.bytes {
            return Err(too_large(limits).into());
        }
        hasher.update(&piece[..read]);
    }
}

pub(super) fn too_large(limits: BundleLimits) -> BundleError {
    BundleError::TooLarge {
        what: "the file",
        limit: limits.bytes,
        key: "feeds.bundle_bytes",
    }
}

/// Reads all of it, so that half of one is no import. Answers when it was made.
fn read_through(path: &Path, limits: BundleLimits) -> Result<Timestamp, Refused> {
    read(path, limits, |_| Ok(()))
}

fn read(
    path: &Path,
    limits: BundleLimits,
    mut each: impl FnMut(Document) -> Result<(), Refused>,
) -> Result<Timestamp, Refused> {
    let mut reader = BundleReader::open(BufReader::new(File::open(path)?), limits)?;
    while let Some(document) = reader.next()? {
        each(document)?;
    }
    Ok(reader.created)
}
