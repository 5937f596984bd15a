//! What the registry states of the images that it made: stored with them, signed with its own key.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, Manifest, RepoName};
use road::names::BaseName;
use sea_orm::{FromQueryResult, Value};

use super::{Bounds, Rebase, RebaseError, is_refused};
use crate::attached::decide;
use crate::base::release::{are_signed, declared};
use crate::blob::{link, state};
use crate::db::{Tx, sql};
use crate::files::{Committed, Location};
use crate::job::{self, JobPriority};
use crate::manifest::put_own;
use crate::{PutError, PutManifest, Store, StoreError, StoreLimits, blob, manifest, repository};

/// An image that the registry made of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeImage {
    /// What it was made of.
    pub old: Digest,
    /// What was made.
    pub new: Digest,
    /// The base that it went to.
    pub base: BaseName,
    /// Which releases of that; of an index those of all of its images.
    pub releases: Vec<Digest>,
}

/// What an image was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebasedFrom {
    /// The image before.
    pub image: Digest,
    /// Whether what it went to is a release by the word of the signer whom the base declares by now.
    pub counts: bool,
}

#[derive(FromQueryResult)]
struct FromRow {
    old_digest: String,
    base: String,
    releases: String,
}

/// An artifact that refers to an image which the registry made.
#[derive(Debug, Clone)]
pub struct OwnReferrer {
    /// Digest of its manifest.
    pub digest: Digest,
    /// The manifest's bytes.
    pub bytes: Bytes,
    /// What they mean; it refers to the image.
    pub manifest: Manifest,
    /// The bytes of every blob that it names.
    pub blobs: Vec<Bytes>,
}

impl Store {
    /// The image that one was made of by a rebase, if it was.
    pub async fn rebased_from(
        &self,
        repo: &RepoName,
        new: &Digest,
    ) -> Result<Option<RebasedFrom>, StoreError> {
        let sql =
            "SELECT old_digest, base, releases FROM rebase_image WHERE repository = $1 AND new_digest = $2";
        let values = [repo.as_str().into(), new.to_string().into()];
        let on = self.inner.db.read();
        let Some(row) = sql::first::<FromRow, 2>(on, sql, values).await? else {
            return Ok(None);
        };
        Ok(Some(RebasedFrom {
            image: blob::parse_digest(&row.old_digest)?,
            counts: are_signed(on, &row.base, &row.releases).await?,
        }))
    }

    /// What the attested SBOM of a rebased image was made from; empty where it has none yet. `None`: it was not rebased.
    pub async fn attested_sbom(&self, repo: &RepoName, image: &Digest) -> Result<Option<String>, StoreError> {
        let sql = "SELECT sbom AS text FROM rebase_image WHERE repository = $1 AND new_digest = $2";
        let values = [repo.as_str().into(), image.to_string().into()];
        let row: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| row.text))
    }

    /// Attaches what the registry states of the content of an image that it made, and notes from what. Nothing happens where the image
    /// is gone or has it.
    pub async fn attest_sbom(
        &self,
        repo: &RepoName,
        image: &Digest,
        (evidence, referrer): (&str, OwnReferrer),
    ) -> Result<(), RebaseError> {
        let bounds: Bounds = (self.limits().clone(), self.rules(repo));
        let (repo, image, evidence) = (repo.clone(), *image, evidence.to_owned());
        self.with_own_blobs(referrer.blobs.clone(), is_refused, move |tx, files| {
            Box::pin(async move {
                let ours = attest(tx, (&repo, &image), &evidence, referrer, (&files, bounds)).await?;
                Ok(((), ours))
            })
        })
        .await
    }
}

/// The signer whom the base of a rebased image declares and who does not stand for what it was put on. `None`: nobody is declared, or it
/// is signed.
pub(super) async fn missing_signer(tx: &Tx, rebase: &Rebase) -> Result<Option<String>, StoreError> {
    let sql = "SELECT old_digest, base, releases FROM rebase_image WHERE repository = $1 AND new_digest = $2";
    let values = [rebase.repository.as_str().into(), rebase.new.to_string().into()];
    let Some(row) = sql::first::<FromRow, 2>(tx.sql(), sql, values).await? else {
        return Ok(None);
    };
    let signer = declared(tx.sql(), &row.base).await?.and_then(|base| base.signer);
    let is_signed = are_signed(tx.sql(), &row.base, &row.releases).await?;
    Ok(signer.filter(|_| !is_signed))
}

async fn attest(
    tx: &Tx,
    (repo, image): (&RepoName, &Digest),
    evidence: &str,
    referrer: OwnReferrer,
    (files, bounds): (&[Committed], Bounds),
) -> Result<Vec<Location>, RebaseError> {
    let sql = "UPDATE rebase_image SET sbom = $3 WHERE repository = $1 AND new_digest = $2 AND sbom <> $3";
    let values: [Value; 3] = [repo.as_str().into(), image.to_string().into(), evidence.into()];
    let Some(repository) = repository::find(tx.sql(), repo).await? else {
        return Ok(Vec::new());
    };
    let is_there = manifest::find(tx, repository.id, image).await?.is_some();
    if !is_there || sql::execute(tx.sql(), sql, values).await? == 0 {
        return Ok(Vec::new());
    }
    put(tx, repo, &[referrer], (files, bounds)).await
}

/// Notes what was made of what, and by which releases.
pub(super) async fn note(tx: &Tx, repo: &RepoName, images: &[MadeImage]) -> Result<(), StoreError> {
    let sql = "INSERT INTO rebase_image (repository, new_digest, old_digest, sbom, base, releases) \
               VALUES ($1, $2, $3, '', $4, $5) ON CONFLICT (repository, new_digest) DO UPDATE SET \
               old_digest = excluded.old_digest, base = excluded.base, releases = excluded.releases";
    for image in images {
        let releases: Vec<String> = image.releases.iter().map(Digest::to_string).collect();
        let values: [Value; 5] = [
            repo.as_str().into(),
            image.new.to_string().into(),
            image.old.to_string().into(),
            image.base.as_str().into(),
            releases.join(" ").into(),
        ];
        sql::execute(tx.sql(), sql, values).await?;
    }
    Ok(())
}

/// Stores artifacts whose blobs lie in `files`, in their order. Answers which of the files are those of their blobs.
pub(super) async fn put(
    tx: &Tx,
    repo: &RepoName,
    referrers: &[OwnReferrer],
    (files, (limits, rules)): (&[Committed], Bounds),
) -> Result<Vec<Location>, RebaseError> {
    let bounds: (StoreLimits, Arc<crate::Rules>) = (limits, rules);
    let mut ours = Vec::new();
    let mut repository = repository::find_or_create(tx, repo).await?;
    for file in files {
        let (blob, is_ours) = state::adopt(tx, file).await?;
        if is_ours {
            ours.push(file.location);
        }
        link::link(tx, repo, &mut repository, &blob, bounds.1.quota_bytes)
            .await
            .map_err(PutError::from)?;
        job::enqueue_scan(tx, &blob.digest, JobPriority::Backfill).await?;
    }
    for referrer in referrers {
        let put = PutManifest {
            digest: referrer.digest,
            bytes: referrer.bytes.clone(),
            manifest: referrer.manifest.clone(),
            tags: Vec::new(),
            is_refused: false,
        };
        put_own(tx, &mut repository, repo, put, bounds.clone()).await?;
        decide(tx, repo, &referrer.digest).await?;
    }
    Ok(ours)
}
