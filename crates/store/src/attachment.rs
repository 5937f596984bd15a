//! What may be attached to an image as a signature: what refers to it, and what lies under the tags that clients keep for it.
//!
//! An image is signed alone or by way of an index that names it: what is said about the index is said about what its digest
//! covers. Whatever comes or goes has the images judged again that it may be about.

use std::sync::Arc;

use oci::{Digest, Manifest, ManifestKind, ManifestLimits, RepoName, Tag};
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::job::{self, JobKind, JobPriority};
use crate::{Store, StoreError, StoredManifest, blob, repository};

/// Indexes that name an image, of which signatures are looked for; more are left out.
const INDEXES: usize = 16;

/// How the artifact types of signatures look, in the words of `LIKE`. A manifest that states none has its config's media
/// type, which for cosign is an image's.
pub(crate) const TYPES: &str = "(artifact_type IS NULL OR artifact_type LIKE '%cosign%' OR artifact_type LIKE '%sigstore%' \
                     OR artifact_type LIKE '%dsse%' OR artifact_type LIKE '%in-toto%' OR artifact_type LIKE '%notary%' \
                     OR artifact_type LIKE '%openvex%' OR artifact_type = 'application/vnd.oci.image.config.v1+json')";

/// A manifest that may be a signature.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The image or index that it is attached to.
    pub subject: Digest,
    /// The manifest.
    pub manifest: Arc<StoredManifest>,
}

/// What may be attached to an image.
#[derive(Debug, Clone, Default)]
pub struct Attachments {
    /// What was found, the image's own first.
    pub found: Vec<Attachment>,
    /// The indexes that name the image.
    pub indexes: Vec<Digest>,
    /// Whether there is more than was asked for.
    pub is_cut: bool,
}

impl Store {
    /// What may be attached to an image as a signature, at most `limit` manifests.
    pub async fn attachments(
        &self,
        repo: &RepoName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Attachments, StoreError> {
        let Some(repository) = repository::find(self.inner.db.read(), repo).await? else {
            return Ok(Attachments::default());
        };
        let indexes = self.indexes_of(repository.id, digest).await?;
        let mut attachments = Attachments {
            is_cut: indexes.len() > INDEXES,
            ..Attachments::default()
        };
        let indexes = indexes.into_iter().take(INDEXES);
        attachments.indexes = indexes.collect();
        for subject in std::iter::once(*digest).chain(attachments.indexes.clone()) {
            self.add_attached(repo, repository.id, &subject, limit, &mut attachments)
                .await?;
        }
        Ok(attachments)
    }

    async fn add_attached(
        &self,
        repo: &RepoName,
        repository: i64,
        subject: &Digest,
        limit: usize,
        attachments: &mut Attachments,
    ) -> Result<(), StoreError> {
        let mut digests = self.tagged(repo, repository, subject).await?;
        digests.extend(self.referring(repository, subject, limit).await?);
        for digest in digests {
            let is_known = |known: &Attachment| known.manifest.digest == digest && known.subject == *subject;
            if attachments.found.iter().any(is_known) {
                continue;
            }
            if attachments.found.len() >= limit {
                attachments.is_cut = true;
                break;
            }
            if let Some(manifest) = self.manifest_by_digest(repo, &digest).await? {
                let subject = *subject;
                attachments.found.push(Attachment { subject, manifest });
            }
        }
        Ok(())
    }

    /// The indexes that name a manifest, also by way of others; one more than [`INDEXES`] at most.
    async fn indexes_of(&self, repository: i64, digest: &Digest) -> Result<Vec<Digest>, StoreError> {
        let sql = "WITH RECURSIVE above(digest) AS (SELECT CAST($2 AS TEXT) UNION \
                   SELECT m.digest FROM above a \
                   JOIN manifest_reference f ON f.repository_id = $1 AND f.kind = 1 AND f.digest = a.digest \
                   JOIN manifest m ON m.id = f.manifest_id) \
                   SELECT digest AS text FROM above WHERE digest <> $2 LIMIT $3";
        let values = [
            repository.into(),
            digest.to_string().into(),
            sql::to_db(INDEXES as u64 + 1).into(),
        ];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.iter().map(|row| blob::parse_digest(&row.text)).collect()
    }

    /// What refers to the subject, one more than `limit` at most.
    async fn referring(
        &self,
        repository: i64,
        subject: &Digest,
        limit: usize,
    ) -> Result<Vec<Digest>, StoreError> {
        let sql = format!(
            "SELECT digest AS text FROM manifest WHERE repository_id = $1 AND subject = $2 AND {TYPES} \
             ORDER BY digest LIMIT $3"
        );
        let values: [Value; 3] = [
            repository.into(),
            subject.to_string().into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, values).await?;
        rows.iter().map(|row| blob::parse_digest(&row.text)).collect()
    }

    /// What lies under cosign's tags of the subject, and what the index under its fallback tag names.
    async fn tagged(
        &self,
        repo: &RepoName,
        repository: i64,
        subject: &Digest,
    ) -> Result<Vec<Digest>, StoreError> {
        let names = subject.attachment_tags();
        let sql = "SELECT m.digest AS text FROM tag t JOIN manifest m ON m.id = t.manifest_id \
                   WHERE t.repository_id = $1 AND t.name IN ($2, $3, $4) ORDER BY t.name";
        let values: Vec<Value> = std::iter::once(repository.into())
            .chain(names.iter().map(|name| Value::from(name.as_str())))
            .collect();
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        let mut found = Vec::new();
        for row in rows {
            let digest = blob::parse_digest(&row.text)?;
            match self.manifest_by_digest(repo, &digest).await? {
                Some(manifest) if manifest.kind == ManifestKind::Index => found.extend(named(&manifest)),
                Some(_) => found.push(digest),
                None => {}
            }
        }
        Ok(found)
    }
}

/// The manifests that an index names. It was checked when it was pushed.
fn named(index: &StoredManifest) -> Vec<Digest> {
    let limits = ManifestLimits::default();
    let parsed = Manifest::parse(&index.bytes, Some(&index.media_type), &limits);
    parsed.map_or_else(
        |_| Vec::new(),
        |index| index.manifests.iter().map(|child| child.digest).collect(),
    )
}

/// Something is attached to this manifest, or no more: the image is judged again, or all images of the index.
pub(crate) async fn wake(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    digest: &Digest,
) -> Result<(), StoreError> {
    let sql = &format!(
        "WITH RECURSIVE below(digest) AS (SELECT CAST($2 AS TEXT) UNION \
               SELECT f.digest FROM below b JOIN manifest i ON i.repository_id = $1 AND i.digest = b.digest \
               JOIN manifest_reference f ON f.manifest_id = i.id AND f.kind = 1 UNION \
               SELECT o.new_digest FROM below b JOIN rebase_image o ON o.repository = $4 AND o.old_digest = b.digest) \
               INSERT INTO job (kind, subject, priority, attempts, ready_at, lease_until, created_at) \
               SELECT $3, $4 || '@' || m.digest, $5, 0, $6, 0, $6 FROM below b \
               JOIN manifest m ON m.repository_id = $1 AND m.digest = b.digest WHERE m.kind = 0 {}",
        job::once_more()
    );
    let values = [
        repository.into(),
        digest.to_string().into(),
        JobKind::Judge.name().into(),
        repo.as_str().into(),
        (JobPriority::Push as i64).into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    tx.wake_workers();
    Ok(())
}

/// A tag was set, moved or deleted: if clients keep signatures of something under it, that is judged again.
pub(crate) async fn wake_by_tag(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    tag: &Tag,
) -> Result<(), StoreError> {
    match tag.attached_to() {
        Some(digest) => wake(tx, repo, repository, &digest).await,
        None => Ok(()),
    }
}

#[derive(FromQueryResult)]
struct About {
    subject: Option<String>,
    kind: i64,
}

/// A manifest came or goes: whatever it is about is judged again, and what an index names, if the index was signed.
/// `digest` is one that the repository has.
pub(crate) async fn wake_around(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    digest: &Digest,
) -> Result<(), StoreError> {
    let sql = "SELECT subject, kind FROM manifest WHERE repository_id = $1 AND digest = $2";
    let values = [repository.into(), digest.to_string().into()];
    let Some(about) = sql::first::<About, 2>(tx.sql(), sql, values).await? else {
        return Ok(());
    };
    if let Some(subject) = about.subject.as_deref() {
        wake(tx, repo, repository, &blob::parse_digest(subject)?).await?;
    }
    if about.kind == 1 && is_signed(tx, repository, digest).await? {
        wake(tx, repo, repository, digest).await?;
    }
    Ok(())
}

async fn is_signed(tx: &Tx, repository: i64, digest: &Digest) -> Result<bool, StoreError> {
    let names = digest.attachment_tags();
    let sql = "SELECT id FROM manifest WHERE repository_id = $1 AND subject = $2 UNION ALL \
               SELECT manifest_id AS id FROM tag WHERE repository_id = $1 AND name IN ($3, $4, $5) LIMIT 1";
    let values = [
        repository.into(),
        digest.to_string().into(),
        names[0].as_str().into(),
        names[1].as_str().into(),
        names[2].as_str().into(),
    ];
    let row: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    Ok(row.is_some())
}

#[cfg(test)]
mod tests;
