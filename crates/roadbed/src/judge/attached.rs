//! What is attached to an image as signatures: read from the store, verified against the trusted signers.
//!
//! These documents are small, each within a limit, and JSON: they are read here and not in a child (ADR 0011). Nothing in them counts
//! before a signer whom an administrator trusts is found to have made it.

use std::{collections::BTreeSet, fs::File, io::Read as _, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use oci::{Digest, Manifest, ManifestLimits, RepoName};
use policy::{Attached, Subject, Unknown, UnknownKind};
use signatures::{Announced, Checked, Form, Image, Problem, TrustedSigner, announced, check, limits};
use store::{Attachment, Store};
use thiserror::Error;
use time::OffsetDateTime;
use web::wire::UnpushedSignatures;

use super::vex::Attested;

/// What is read of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignatureLimits {
    /// Largest document, in bytes. Default: 1 MiB.
    pub(crate) document_bytes: u64,
    /// Most documents. Default: 100.
    pub(crate) documents: usize,
    /// Bytes of all of them: each is hashed for every signer. Default: 16 MiB.
    pub(crate) total_bytes: u64,
}

impl Default for SignatureLimits {
    fn default() -> Self {
        Self {
            document_bytes: limits::DOCUMENT_BYTES,
            documents: limits::DOCUMENTS,
            total_bytes: 16 << 20,
        }
    }
}

/// What is attached to an image.
#[derive(Default)]
pub(crate) struct Collected {
    documents: Vec<Found>,
    /// The image; nothing where a client says what is attached to one that is not here.
    image: Option<Digest>,
    /// The indexes that name the image.
    pub(super) indexes: Vec<Digest>,
    /// Whether there is more than is read.
    is_cut: bool,
    /// What is attached to the images that the registry made this one of, the nearest first, as far as each step went to a release
    /// that counts by its base's declared signer.
    sources: Vec<Collected>,
}

/// Rebases one after the other that are followed to what the first image was. Default: the only value.
const MAX_SOURCES: usize = 32;

/// How the signers of an image are called of which the registry made another one: no name of a signer can look so.
const REBASE_OF: &str = "rebase-of:";

/// What a document has to be about.
struct About {
    digest: Digest,
    /// The manifest.
    bytes: Bytes,
}

/// A document, with what it has to be about.
struct Found {
    announced: Announced,
    /// The manifest that it is in.
    artifact: Digest,
    /// The image, or an index that names it.
    subject: Arc<About>,
    bytes: Result<Vec<u8>, Problem>,
}

/// Reads what is attached to an image, to the indexes that name it, and to the images that the registry made it of.
pub(super) async fn collect(
    store: &Store,
    limits: SignatureLimits,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Collected> {
    let mut collected = collect_one(store, limits, repo, digest).await?;
    let mut of = *digest;
    for _ in 0..MAX_SOURCES {
        // Whoever signed the image did not sign what lies below it by now: that must be by the word of another signer.
        let Some(source) = store.rebased_from(repo, &of).await?.filter(|from| from.counts) else {
            break;
        };
        of = source.image;
        collected
            .sources
            .push(collect_one(store, limits, repo, &of).await?);
    }
    Ok(collected)
}

async fn collect_one(
    store: &Store,
    limits: SignatureLimits,
    repo: &RepoName,
    digest: &Digest,
) -> Result<Collected> {
    let attachments = store.attachments(repo, digest, limits.documents).await?;
    let mut collected = Collected {
        image: Some(*digest),
        is_cut: attachments.is_cut,
        indexes: attachments.indexes,
        ..Collected::default()
    };
    let mut bytes = 0_u64;
    for attachment in attachments.found {
        let Some(subject) = store.manifest_to_judge(repo, &attachment.subject).await? else {
            continue;
        };
        let subject = Arc::new(About {
            digest: subject.digest,
            bytes: subject.bytes.clone(),
        });
        for announced in of(&attachment)? {
            bytes = bytes.saturating_add(announced.blob.size.min(limits.document_bytes));
            if collected.documents.len() >= limits.documents || bytes > limits.total_bytes {
                collected.is_cut = true;
                return Ok(collected);
            }
            collected.documents.push(Found {
                bytes: read(store, &announced, limits.document_bytes).await?,
                artifact: attachment.manifest.digest,
                subject: Arc::clone(&subject),
                announced,
            });
        }
    }
    Ok(collected)
}

/// Whether an image has a signature by a trusted signer, or is a rebase that counts of one that has.
pub(crate) async fn is_signed(
    store: &Store,
    (repo, digest): (&RepoName, &Digest),
    signers: &[TrustedSigner],
    now: OffsetDateTime,
) -> Result<bool> {
    let collected = collect(store, SignatureLimits::default(), repo, digest).await?;
    let mut all = std::iter::once(&collected).chain(&collected.sources);
    Ok(all.any(|one| !one.signatures((repo, digest), signers, now).is_empty()))
}

/// Why what a client says is attached to an image is not looked at.
#[derive(Debug, Error)]
pub(super) enum Unbelievable {
    #[error("the manifest that was sent has another digest than the image")]
    Manifest,
    #[error("the index that was sent does not name the image")]
    Index,
    #[error("a manifest that was sent cannot be read: {0}")]
    Unreadable(#[from] oci::ManifestError),
    #[error("the bytes of {0} have another digest")]
    Document(Digest),
}

/// What a client says is attached to an image that is not here: digests are looked at here, signatures where it is judged.
pub(super) fn claimed(
    given: UnpushedSignatures,
    image: &Digest,
    limits: SignatureLimits,
) -> Result<Collected, Unbelievable> {
    let subject = claimed_subject(given.manifest, image.algorithm());
    if subject.digest != *image {
        return Err(Unbelievable::Manifest);
    }
    let index = given.index.map(|text| claimed_subject(text, image.algorithm()));
    if let Some(index) = &index {
        let parsed = Manifest::parse(&index.bytes, None, &ManifestLimits::default())?;
        if !parsed.manifests.iter().any(|child| child.digest == *image) {
            return Err(Unbelievable::Index);
        }
    }
    let mut collected = Collected {
        is_cut: given.is_cut,
        indexes: index.iter().map(|index| index.digest).collect(),
        ..Collected::default()
    };
    let (subject, index) = (Arc::new(subject), index.map(Arc::new));
    let mut bytes = 0_u64;
    for mut artifact in given.artifacts {
        let parsed = Manifest::parse(artifact.manifest.as_bytes(), None, &ManifestLimits::default())?;
        let about = match (artifact.of_index, &index) {
            (false, _) => &subject,
            (true, Some(index)) => index,
            (true, None) => return Err(Unbelievable::Index),
        };
        for announced in announced(&parsed) {
            bytes = bytes.saturating_add(announced.blob.size.min(limits.document_bytes));
            if collected.documents.len() >= limits.documents || bytes > limits.total_bytes {
                collected.is_cut = true;
                return Ok(collected);
            }
            let text = artifact.documents.remove(&announced.blob.digest.to_string());
            collected.documents.push(Found {
                bytes: claimed_document(&announced, text, limits.document_bytes)?,
                artifact: Digest::of(oci::Algorithm::Sha256, artifact.manifest.as_bytes()),
                subject: Arc::clone(about),
                announced,
            });
        }
    }
    Ok(collected)
}

fn claimed_subject(text: String, algorithm: oci::Algorithm) -> About {
    About {
        digest: Digest::of(algorithm, text.as_bytes()),
        bytes: text.into(),
    }
}

fn claimed_document(
    announced: &Announced,
    text: Option<String>,
    limit: u64,
) -> Result<Result<Vec<u8>, Problem>, Unbelievable> {
    let digest = &announced.blob.digest;
    let Some(text) = text else {
        return Ok(Err(Problem::Absent));
    };
    let size = text.len() as u64;
    if size > limit {
        return Ok(Err(Problem::TooLarge { size, limit }));
    }
    if Digest::of(digest.algorithm(), text.as_bytes()) != *digest {
        return Err(Unbelievable::Document(*digest));
    }
    Ok(Ok(text.into_bytes()))
}

/// The documents of a manifest that say that they are signatures.
fn of(attachment: &Attachment) -> Result<Vec<Announced>> {
    let stored = &attachment.manifest;
    let limits = super::stored_limits();
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &limits)
        .context("the manifest that was stored cannot be read")?;
    Ok(announced(&manifest).collect())
}

async fn read(store: &Store, announced: &Announced, limit: u64) -> Result<Result<Vec<u8>, Problem>> {
    if announced.form == Form::Notation {
        return Ok(Ok(Vec::new()));
    }
    let size = announced.blob.size;
    if size > limit {
        return Ok(Err(Problem::TooLarge { size, limit }));
    }
    let Some(file) = store.blob_file(&announced.blob.digest).await? else {
        return Ok(Err(Problem::Absent));
    };
    let bytes = tokio::task::spawn_blocking(move || read_file(file, limit)).await;
    Ok(Ok(bytes.context("the reading was lost")??))
}

fn read_file(file: File, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .context("a signature cannot be read")?;
    Ok(bytes)
}

/// Notes who signed the image, and what is attached to it without counting. Answers what trusted signers attest.
pub(super) fn verify<'a>(
    subject: &mut Subject,
    collected: &Collected,
    signers: &'a [TrustedSigner],
    now: OffsetDateTime,
) -> Vec<Attested<'a>> {
    let (mut signed_by, mut attestations) = (BTreeSet::new(), BTreeSet::new());
    let mut attested = Vec::new();
    for found in &collected.documents {
        let checked = found.check(&subject.repo.name, signers, now);
        let (made_by, others): (Vec<_>, Vec<_>) = signers
            .iter()
            .partition(|signer| checked.signers.iter().any(|name| name == signer.name()));
        drop(others);
        let ends = made_by.iter().filter_map(|signer| signer.spec().until);
        let first_end = subject.image.signed_until.into_iter().chain(ends).min();
        subject.image.signed_until = first_end;
        let mut attached = found.told(&checked, &subject.image.digest);
        match &checked.predicate {
            None => signed_by.extend(checked.signers.iter().cloned()),
            Some(predicate) => {
                let told = checked
                    .signers
                    .iter()
                    .map(|name| format!("{name} {}", predicate.kind));
                attestations.extend(told);
                if !made_by.is_empty() && Attested::is_vex(&predicate.kind) {
                    match Attested::read(&predicate.body, made_by) {
                        Ok(vex) => attested.push(vex),
                        Err(problem) => attached.problem = Some(problem),
                    }
                }
            }
        }
        subject.image.signatures.push(attached);
    }
    // What the registry made of a signed image is nobody's signature: it is called by what it was made of.
    let ends = signers.iter().filter_map(|signer| signer.spec().until);
    if !collected.sources.is_empty() {
        // Whose signature it was is of no matter: it is looked again when one of them ends.
        subject.image.signed_until = subject.image.signed_until.into_iter().chain(ends).min();
    }
    for source in &collected.sources {
        let image = (&subject.repo.name, &subject.image.digest);
        for mut attached in source.signatures(image, signers, now) {
            for name in &mut attached.signers {
                name.insert_str(0, REBASE_OF);
            }
            signed_by.extend(attached.signers.iter().cloned());
            subject.image.signatures.push(attached);
        }
    }
    subject.image.signed_by = signed_by.into_iter().collect();
    subject.image.attestations = attestations.into_iter().collect();
    if collected.is_cut {
        subject.image.unknowns.push(Unknown {
            kind: UnknownKind::FactsTooLong,
            detail: "signatures".to_owned(),
        });
        // What takes them back may be among what was not read.
        attested.clear();
    }
    attested
}

impl Collected {
    /// The signatures of the image by those who are trusted for it. What it is called if nothing is known of it: `digest`.
    fn signatures(
        &self,
        (repo, digest): (&RepoName, &Digest),
        signers: &[TrustedSigner],
        now: OffsetDateTime,
    ) -> Vec<Attached> {
        // What is about the image that another one was made of is not about an index.
        let image = self.image.as_ref().unwrap_or(digest);
        let counts = |checked: &Checked| checked.is_signature() && !checked.signers.is_empty();
        let told = self.documents.iter().filter_map(|found| {
            let checked = found.check(repo, signers, now);
            counts(&checked).then(|| found.told(&checked, image))
        });
        told.collect()
    }
}

impl Found {
    fn check(&self, repository: &RepoName, signers: &[TrustedSigner], now: OffsetDateTime) -> Checked {
        let image = Image {
            repository,
            digest: &self.subject.digest,
            manifest: &self.subject.bytes,
        };
        match &self.bytes {
            Ok(bytes) => check(&self.announced, bytes, &image, signers, now),
            Err(problem) => Checked::unread(self.announced.form, problem.clone()),
        }
    }

    fn told(&self, checked: &Checked, image: &Digest) -> Attached {
        let predicate = checked.predicate.as_ref();
        Attached {
            form: checked.form.as_str().to_owned(),
            artifact: self.artifact,
            index: (self.subject.digest != *image).then_some(self.subject.digest),
            signers: checked.signers.clone(),
            predicate: predicate
                .map(|predicate| predicate.kind.chars().take(limits::MAX_TEXT_BYTES).collect()),
            certificate: checked.certificate.clone(),
            problem: checked.problem.as_ref().map(ToString::to_string),
        }
    }
}
