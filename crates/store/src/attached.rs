//! What the registry itself attaches to an image: an artifact that refers to it, such as its SBOM.
//!
//! It is a manifest like any other: found by the referrers API, pulled, collected, checked, backed up. What is special about it
//! is that it replaces only what the registry attached before, that it goes with its image, and that it is known not to be an
//! image, so nobody waits for a decision about it. A repository whose quota is used up gets none.

use std::sync::Arc;

use bytes::Bytes;
use oci::{Digest, Manifest, RepoName};
use sea_orm::FromQueryResult;
use serde_json::json;

use crate::blob::{self, link, state};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::decision::{self, Judgement, Outcome, Point, Reasons};
use crate::event::EventKind;
use crate::files::Committed;
use crate::job::{self, Job, JobPriority};
use crate::{
    Actor, PutError, PutManifest, QuotaExceeded, Rules, Store, StoreError, StoreLimits, manifest, repository,
};

/// An artifact about an image.
#[derive(Debug, Clone)]
pub struct OwnAttachment {
    /// Digest of its manifest.
    pub digest: Digest,
    /// The manifest's bytes.
    pub bytes: Bytes,
    /// What they mean; it refers to the image.
    pub manifest: Manifest,
    /// The bytes of every blob that it names.
    pub blobs: Vec<Bytes>,
    /// What it was made from.
    pub evidence: String,
}

/// What became of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// It is there.
    Done,
    /// The same bytes were there already, pushed by somebody.
    Theirs,
    /// There is no such image any more.
    Gone,
    /// The repository has no room for it. What was attached before stays.
    OverQuota(QuotaExceeded),
}

#[derive(FromQueryResult)]
struct Row {
    manifest_id: i64,
    digest: String,
}

impl Store {
    /// What the registry's attachment to an image was made from, if it has one.
    pub async fn attached_evidence(
        &self,
        repo: &RepoName,
        subject: &Digest,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT a.evidence AS text FROM attached a JOIN repository r ON r.id = a.repository_id \
                   WHERE r.name = $1 AND a.subject = $2";
        let values = [repo.as_str().into(), subject.to_string().into()];
        let row: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| row.text))
    }

    /// Whether this is what the registry itself attached to an image.
    pub async fn is_own_attachment(&self, repo: &RepoName, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM attached a JOIN manifest m ON m.id = a.manifest_id \
                   JOIN repository r ON r.id = a.repository_id WHERE r.name = $1 AND m.digest = $2";
        let values = [repo.as_str().into(), digest.to_string().into()];
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.is_some_and(|row| row.number > 0))
    }

    /// Attaches an artifact to an image of a repository, in place of the one that the registry attached before, and takes the
    /// job off the queue that asked for it.
    pub async fn attach(
        &self,
        job: &Job,
        repo: &RepoName,
        attachment: OwnAttachment,
    ) -> Result<Attached, PutError> {
        let bounds = (self.limits().clone(), self.rules(repo));
        let (of, repo, blobs) = (job.clone(), repo.clone(), attachment.blobs.clone());
        let is_refused = |error: &PutError| matches!(error, PutError::Quota(_));
        let written = self
            .with_own_blobs(blobs, is_refused, move |tx, files| {
                Box::pin(async move {
                    let done = attach(tx, &repo, &attachment, &files, bounds).await?;
                    job::finish(tx, &of).await?;
                    Ok::<_, PutError>(done)
                })
            })
            .await;
        match written {
            // Nothing of it was written; the next judgement asks again.
            Err(PutError::Quota(exceeded)) => {
                self.drop_job(job).await?;
                Ok(Attached::OverQuota(exceeded))
            }
            written => written,
        }
    }

    /// Notes that an image got no SBOM, and why.
    pub async fn note_no_sbom(
        &self,
        repo: &RepoName,
        subject: &Digest,
        why: &QuotaExceeded,
    ) -> Result<(), StoreError> {
        let body = json!({ "reason": why.to_string(), "limit": why.limit, "wanted": why.wanted });
        let image = blob::subject(repo, subject);
        self.note(&Actor::system("sbom"), EventKind::SbomRefuse, image, body)
            .await
            .map(drop)
    }
}

/// Answers also which of the files are those of their blobs.
async fn attach(
    tx: &Tx,
    repo: &RepoName,
    attachment: &OwnAttachment,
    files: &[Committed],
    (limits, rules): (StoreLimits, Arc<Rules>),
) -> Result<(Attached, Vec<crate::files::Location>), PutError> {
    let nothing = |attached| Ok((attached, Vec::new()));
    let Some(subject) = attachment.manifest.subject.as_ref().map(|subject| subject.digest) else {
        return Err(StoreError::damaged("an attachment is about nothing").into());
    };
    let Some(mut repository) = repository::find(tx.sql(), repo).await? else {
        return nothing(Attached::Gone);
    };
    if manifest::find(tx, repository.id, &subject).await?.is_none() {
        return nothing(Attached::Gone);
    }
    let before = attached(tx, repository.id, &subject).await?;
    let there = manifest::find(tx, repository.id, &attachment.digest).await?;
    let is_before = |row: &Row| there == Some(row.manifest_id);
    if there.is_some() && !before.as_ref().is_some_and(is_before) {
        return nothing(Attached::Theirs);
    }
    if let Some(before) = before.filter(|row| !is_before(row)) {
        // Its room is free for what takes its place.
        remove_one(tx, repo, repository.id, &before).await?;
        let Some(now) = repository::find(tx.sql(), repo).await? else {
            return nothing(Attached::Gone);
        };
        repository = now;
    }
    let mut ours = Vec::new();
    for file in files {
        let (blob, is_ours) = state::adopt(tx, file).await?;
        if is_ours {
            ours.push(file.location);
        }
        link::link(tx, repo, &mut repository, &blob, rules.quota_bytes).await?;
        job::enqueue_scan(tx, &blob.digest, JobPriority::Backfill).await?;
    }
    let put = PutManifest {
        digest: attachment.digest,
        bytes: attachment.bytes.clone(),
        manifest: attachment.manifest.clone(),
        tags: Vec::new(),
        is_refused: false,
    };
    let (id, _) = manifest::put_own(tx, &mut repository, repo, put, (limits, rules)).await?;
    let sql = "INSERT INTO attached (repository_id, subject, manifest_id, evidence) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (repository_id, subject) DO UPDATE SET manifest_id = excluded.manifest_id, \
               evidence = excluded.evidence";
    let values = [
        repository.id.into(),
        subject.to_string().into(),
        id.into(),
        attachment.evidence.clone().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    decide(tx, repo, &attachment.digest).await?;
    Ok((Attached::Done, ours))
}

/// It is what the registry made: no image, whatever the policy says.
pub(crate) async fn decide(tx: &Tx, repo: &RepoName, digest: &Digest) -> Result<(), StoreError> {
    let judgement = Judgement {
        outcome: Outcome::NotApplicable,
        line: String::new(),
        body: Reasons::of("{}".to_owned()),
        policy: String::new(),
        evidence: String::new(),
        generation: 0,
        review_at: None,
        waives: false,
    };
    for point in [Point::Push, Point::Pull] {
        decision::keep(tx, (repo, digest), point, &judgement, None).await?;
    }
    Ok(())
}

async fn attached(tx: &Tx, repository: i64, subject: &Digest) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT a.manifest_id, m.digest FROM attached a JOIN manifest m ON m.id = a.manifest_id \
               WHERE a.repository_id = $1 AND a.subject = $2";
    sql::first(tx.sql(), sql, [repository.into(), subject.to_string().into()]).await
}

/// What the registry attached goes with the image that goes; what others attached stays.
pub(crate) async fn remove(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    subject: &Digest,
) -> Result<(), StoreError> {
    match attached(tx, repository, subject).await? {
        None => Ok(()),
        Some(row) => remove_one(tx, repo, repository, &row).await,
    }
}

/// One that somebody has tagged or put into an index is theirs from then on, and stays.
async fn remove_one(tx: &Tx, repo: &RepoName, repository: i64, row: &Row) -> Result<(), StoreError> {
    let sql = "SELECT t.manifest_id AS id FROM tag t WHERE t.manifest_id = $1 UNION ALL SELECT f.manifest_id FROM manifest_reference f \
               WHERE f.repository_id = $2 AND f.kind = 1 AND f.digest = $3 LIMIT 1";
    let values = [
        row.manifest_id.into(),
        repository.into(),
        row.digest.clone().into(),
    ];
    let kept: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    if kept.is_some() {
        let sql = "DELETE FROM attached WHERE manifest_id = $1";
        sql::execute(tx.sql(), sql, [row.manifest_id.into()]).await?;
        return Ok(());
    }
    manifest::remove_rows(tx, repo, repository, row.manifest_id).await?;
    tx.touch(Key::manifest(repo, &blob::parse_digest(&row.digest)?));
    Ok(())
}

#[cfg(test)]
mod tests;
