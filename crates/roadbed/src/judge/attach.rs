//! Attaches to each image an SBOM of what was found in it, as an artifact that refers to the image.
//!
//! It is made from stored facts and holds no time and no chance, so whoever makes it again gets the same bytes. What it was made
//! from is remembered: a judgement that finds the same again has nothing made. No image is attached something that says nothing:
//! one in which no package was found gets none.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use findings::output::OutputOptions;
use oci::media_type::{OCI_EMPTY, OCI_IMAGE_MANIFEST};
use oci::{Algorithm, Digest, Manifest, ManifestLimits, RepoName, RepoPattern};
use serde_json::json;
use store::{
    Attached, Job, JobKind, JobPriority, OwnAttachment, PutError, QuotaExceeded, RebaseError, Store,
};
use tokio::task::JoinSet;

use super::{
    Evidence, Facts, Gathered, SignatureLimits,
    image::{self, Image, Ready, Together},
    result_of,
};
use crate::{config::SbomFormat, jobs};

/// How long an image is held before somebody else may try it.
const LEASE: Duration = Duration::from_mins(2);

/// How often it looks for images that nobody told it of.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Before an image that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Times that an image is tried; the next judgement asks again.
const ATTEMPTS: u32 = 5;

/// The configuration of an artifact that has none (image-spec, manifest.md, "Guidelines for Artifact Usage").
const EMPTY: &[u8] = b"{}";

/// To which images, and in which form.
#[derive(Debug, Clone)]
pub(crate) struct SbomConfig {
    /// Repositories.
    pub(crate) attach: Vec<RepoPattern>,
    /// The form.
    pub(crate) format: SbomFormat,
    /// Bytes of the largest one.
    pub(crate) bytes: u64,
    /// Bytes of memory that the reports of one image may take.
    pub(crate) image_memory: u64,
}

impl SbomConfig {
    /// What an image's SBOM is made from, if it is to have one.
    fn evidence(&self, repo: &RepoName, gathered: &Gathered) -> Option<String> {
        let has_packages = || gathered.image.layers.iter().flat_map(|layer| &layer.units);
        if !self.attach.iter().any(|pattern| pattern.matches(repo))
            || !has_packages().any(|unit| !unit.unit.packages.is_empty())
        {
            return None;
        }
        let made_by = format!("{} {}", self.format, env!("CARGO_PKG_VERSION"));
        let of_layers = gathered
            .image
            .layers
            .iter()
            .map(|layer| format!("{} {}", layer.blob, layer.analysers));
        let text: Vec<String> = std::iter::once(made_by).chain(of_layers).collect();
        Some(Digest::of(Algorithm::Sha256, text.join("\n").as_bytes()).to_string())
    }

    /// Has an image get an SBOM, unless it has the one that it would get.
    pub(super) async fn request(&self, store: &Store, ready: &Ready) -> Result<()> {
        let (repo, digest) = (&ready.about.repo, &ready.about.digest);
        let Some(evidence) = self.evidence(repo, &ready.gathered) else {
            return Ok(());
        };
        let is_attested = store.attested_sbom(repo, digest).await?;
        let is_attested = is_attested.is_none_or(|attested| attested == evidence);
        if is_attested && store.attached_evidence(repo, digest).await? == Some(evidence) {
            return Ok(());
        }
        ask_for(store, repo, digest).await
    }

    /// The same where it is known what the SBOM that an image has was made from.
    pub(super) async fn request_known(&self, store: &Store, image: &Together) -> Result<()> {
        let about = &image.ready.about;
        let wanted = self.evidence(&about.repo, &image.ready.gathered);
        if wanted.is_none() || wanted == image.attached_evidence {
            return Ok(());
        }
        ask_for(store, &about.repo, &about.digest).await
    }
}

async fn ask_for(store: &Store, repo: &RepoName, digest: &Digest) -> Result<()> {
    let subject = format!("{repo}@{digest}");
    Ok(store
        .request_job(JobKind::Sbom, &subject, JobPriority::Backfill)
        .await?)
}

/// Bytes of an SBOM that is attached, unless the configuration says otherwise: half a million packages in a layer of some megabytes
/// would be a document of hundreds for each image that names it. `roadbed sbom` prints larger ones.
pub(crate) const BYTES: u64 = 32 << 20;

/// Images of which it is remembered that it was told that they get none.
const TOLD: usize = 10_000;

/// Makes and attaches SBOMs.
pub(crate) struct Attacher {
    store: Store,
    evidence: Evidence,
    config: SbomConfig,
    name: String,
    /// Images of which it was told that they get none.
    told: Mutex<HashSet<String>>,
    left: jobs::Left,
}

impl Attacher {
    /// One at a time, until its task is ended.
    pub(crate) fn start(store: Store, config: SbomConfig, name: String) -> JoinSet<()> {
        let attacher = Self {
            evidence: Evidence::new(store.clone(), config.image_memory),
            store,
            config,
            name,
            told: Mutex::default(),
            left: jobs::Left::default(),
        };
        let mut loops = JoinSet::new();
        loops.spawn(attacher.work());
        loops
    }

    async fn work(self) {
        jobs::work(&self.store, LOOK_EVERY, "an SBOM could not be attached", || {
            self.one_job()
        })
        .await;
    }

    async fn one_job(&self) -> Result<bool> {
        self.left.give_back(&self.store).await?;
        let Some(job) = self.store.claim_job(JobKind::Sbom, &self.name, LEASE).await? else {
            return Ok(false);
        };
        let done = self.do_job(&job).await;
        self.left.leave(vec![job], done)
    }

    async fn do_job(&self, job: &Job) -> Result<bool> {
        if job.is_fatal() {
            tracing::error!(
                image = job.subject,
                error = jobs::fatal(),
                "an SBOM could not be attached"
            );
            self.store.give_up_job(job, jobs::REST).await?;
            return Ok(true);
        }
        let attaching = self.attach(job);
        let Some(attached) = jobs::while_leased(&self.store, job, LEASE, attaching).await else {
            return Ok(true);
        };
        if let Err(error) = attached {
            let error = format!("{error:#}");
            tracing::warn!(image = job.subject, error, "an SBOM could not be attached");
            if job.attempts >= ATTEMPTS {
                self.store.drop_job(job).await?;
            } else {
                self.store
                    .return_job(job, TRY_AGAIN * job.attempts, Some(&error))
                    .await?;
            }
        }
        Ok(true)
    }

    async fn attach(&self, job: &Job) -> Result<()> {
        let made = self.made(job).await?;
        match made {
            Some((repo, attachment)) => {
                self.attest(&repo, &attachment).await?;
                let attached = self.store.attach(job, &repo, attachment).await?;
                if let Attached::OverQuota(why) = attached {
                    self.tell(job, &why).await?;
                }
            }
            None => self.store.drop_job(job).await?,
        }
        Ok(())
    }

    /// Of an image that the registry made itself it also states with its own key what is in it.
    async fn attest(&self, repo: &RepoName, sbom: &OwnAttachment) -> Result<()> {
        let Some(subject) = sbom.manifest.subject.as_ref() else {
            return Ok(());
        };
        let attested = self.store.attested_sbom(repo, &subject.digest).await?;
        if attested.is_none_or(|attested| attested == sbom.evidence) {
            return Ok(());
        }
        let key = self.store.patch_key().await?;
        let Some(document) = sbom.blobs.get(1) else {
            return Ok(());
        };
        let predicate: serde_json::Value = serde_json::from_slice(document)?;
        let about = serde_json::to_value(subject)?;
        let kind = self.config.format.predicate_type();
        let made = crate::rebase::referrer(&key, (&subject.digest, &about), kind, &predicate)?;
        let done = self
            .store
            .attest_sbom(repo, &subject.digest, (&sbom.evidence, made));
        match done.await {
            // It is told of with the SBOM itself.
            Err(RebaseError::Put(PutError::Quota(_))) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Tells once of each image that it has no SBOM, and why: every judgement asks for it anew.
    async fn tell(&self, job: &Job, why: &QuotaExceeded) -> Result<()> {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= TOLD {
                told.clear();
            }
            if !told.insert(job.subject.clone()) {
                return Ok(());
            }
        }
        tracing::warn!(image = job.subject, %why, "an SBOM is not attached");
        if let Some((repo, digest)) = super::parse(&job.subject) {
            self.store.note_no_sbom(&repo, &digest, why).await?;
        }
        Ok(())
    }

    async fn made(&self, job: &Job) -> Result<Option<(RepoName, OwnAttachment)>> {
        let Some((repo, digest)) = super::parse(&job.subject) else {
            return Ok(None);
        };
        let ready = match image::gather(
            &self.store,
            &self.evidence,
            SignatureLimits::default(),
            &repo,
            &digest,
        )
        .await?
        {
            Image::Ready(ready) => ready,
            // The judgement that follows asks again.
            Image::Waits | Image::Gone => return Ok(None),
        };
        let Some(evidence) = self.config.evidence(&repo, &ready.gathered) else {
            return Ok(None);
        };
        let (format, most) = (self.config.format, self.config.bytes);
        let size = self.store.manifest_to_judge(&repo, &digest).await?;
        let Some(size) = size.map(|stored| (stored.media_type.clone(), stored.bytes.len())) else {
            return Ok(None);
        };
        let made = tokio::task::spawn_blocking(move || {
            let text = text(&ready, format)?;
            if text.len() as u64 > most {
                let bytes = text.len();
                tracing::warn!(%digest, bytes, most, "the SBOM of an image is too large to be attached (sbom.bytes)");
                return Ok(None);
            }
            attachment(&digest, &size, format, text, evidence).map(Some)
        });
        let made: Result<Option<OwnAttachment>> = made.await.context("the SBOM was lost")?;
        Ok(made?.map(|made| (repo, made)))
    }
}

/// The document. It says of the image what its bytes say, whoever asks and whenever.
fn text(ready: &Ready, format: SbomFormat) -> Result<String> {
    let facts = Facts::nothing();
    let name = ready.about.repo.to_string();
    let mut result = result_of(name, None, &ready.about, &ready.gathered, &facts)?;
    result.keep_contents();
    Ok(result.to_form(format.form(), &options()))
}

/// How SBOMs are written that must be the same whenever they are.
pub(crate) fn options() -> OutputOptions {
    OutputOptions {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..OutputOptions::default()
    }
}

fn attachment(
    subject: &Digest,
    (media_type, size): &(oci::MediaType, usize),
    format: SbomFormat,
    text: String,
    evidence: String,
) -> Result<OwnAttachment> {
    let (empty, sbom) = (Bytes::from_static(EMPTY), Bytes::from(text));
    let descriptor = |media_type: &str, bytes: &Bytes| {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    };
    let mut layer = descriptor(format.media_type(), &sbom);
    layer["annotations"] = json!({ "org.opencontainers.image.title": format!("sbom.{format}.json") });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "artifactType": format.media_type(),
        "config": descriptor(OCI_EMPTY, &empty),
        "layers": [layer],
        "subject": { "mediaType": media_type, "digest": subject, "size": size },
        "annotations": { "org.opencontainers.image.description": "What Roadbed found in the image" },
    });
    let bytes = Bytes::from(manifest.to_string());
    Ok(OwnAttachment {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        manifest: Manifest::parse(&bytes, None, &ManifestLimits::default())?,
        bytes,
        blobs: vec![empty, sbom],
        evidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_sbom_that_is_too_large_is_not_attached() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::judge::tests::open(dir.path()).await;
        let repo: RepoName = "team/app".parse().unwrap();
        let digest = crate::judge::tests::push(&store, &repo, &[]).await;
        let subject = format!("{repo}@{digest}");
        for (bytes, is_made) in [(BYTES, true), (100, false)] {
            let config = SbomConfig {
                attach: vec![RepoPattern::everything()],
                format: SbomFormat::CycloneDx,
                bytes,
                image_memory: super::super::IMAGE_MEMORY,
            };
            let attacher = Attacher {
                evidence: Evidence::new(store.clone(), config.image_memory),
                store: store.clone(),
                config,
                name: "test".to_owned(),
                told: Mutex::default(),
                left: jobs::Left::default(),
            };
            let requested = store.request_job(JobKind::Sbom, &subject, JobPriority::Push);
            requested.await.unwrap();
            let job = store.claim_job(JobKind::Sbom, "test", LEASE).await.unwrap();
            let made = attacher.made(&job.unwrap()).await.unwrap();
            assert_eq!(made.is_some(), is_made, "{bytes}");
            store.release_jobs().await.unwrap();
        }
    }

    #[test]
    fn the_same_facts_make_the_same_artifact() {
        let subject = Digest::of(Algorithm::Sha256, b"image");
        let of = (OCI_IMAGE_MANIFEST.parse().unwrap(), 7);
        let make = || attachment(&subject, &of, SbomFormat::Spdx, "{}\n".to_owned(), String::new()).unwrap();
        let (first, second) = (make(), make());
        assert_eq!(first.bytes, second.bytes);
        assert_eq!(first.manifest.subject.unwrap().digest, subject);
        assert_eq!(
            first.manifest.artifact_type.as_deref(),
            Some("application/spdx+json")
        );
        assert_eq!(
            first.manifest.layers[0].digest,
            Digest::of(Algorithm::Sha256, &first.blobs[1])
        );
    }
}
