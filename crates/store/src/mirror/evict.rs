//! What a mirror holds, and how it lets go of whole images.
//!
//! An image goes with its tags and with what is in it and in no other image; its bytes go at once, without the time of grace of the
//! collection, because the disk is full now. Whoever reads them has them open and reads on.

use oci::{Digest, Reference, RepoName};
use sea_orm::{FromQueryResult, Value};
use serde_json::json;

use crate::blob::{self, link};
use crate::cache::Key;
use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
use crate::repository::{self, Delta};
use crate::{Actor, Store, StoreError, Timestamp, attached, manifest, tag, upstream_tag};

/// An image that may go: no index of its repository has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptImage {
    /// Where.
    pub repo: RepoName,
    /// What: an index or an image.
    pub digest: Digest,
    /// When it, or what is in it, was last pulled, or came.
    pub used_at: Timestamp,
}

#[derive(FromQueryResult)]
struct HeldRow {
    repository: String,
    digest: String,
    used_at: i64,
}

#[derive(FromQueryResult)]
struct ManifestRow {
    id: i64,
    digest: String,
}

#[derive(FromQueryResult)]
struct BlobRow {
    id: i64,
    digest: String,
    size: i64,
}

#[derive(FromQueryResult)]
struct GoneRow {
    size: i64,
    location: String,
}

impl Store {
    /// Bytes of all blobs that are here.
    pub async fn held_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS number FROM blob";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// Images that are here; what is in an index is not counted besides.
    pub async fn held_images(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM manifest m WHERE NOT EXISTS (SELECT 1 FROM manifest_reference f \
                   WHERE f.repository_id = m.repository_id AND f.digest = m.digest AND f.kind = 1)";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// The images that were not used for longest, at most `limit`.
    pub async fn least_used(&self, limit: u64) -> Result<Vec<KeptImage>, StoreError> {
        // What is in an index is pulled by its own digest.
        let sql = "SELECT repository, digest, CASE WHEN pulled > pushed_at THEN pulled ELSE pushed_at END AS used_at \
                   FROM (SELECT r.name AS repository, m.digest AS digest, m.pushed_at AS pushed_at, \
                   COALESCE((SELECT MAX(p.at) FROM pull_log p WHERE p.repository = r.name AND p.digest IN \
                   (SELECT m.digest UNION SELECT c.digest FROM manifest_reference c \
                   WHERE c.manifest_id = m.id AND c.kind = 1)), 0) AS pulled \
                   FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   WHERE NOT EXISTS (SELECT 1 FROM manifest_reference f WHERE f.repository_id = m.repository_id \
                   AND f.digest = m.digest AND f.kind = 1)) AS held ORDER BY used_at, repository, digest LIMIT $1";
        let rows: Vec<HeldRow> = sql::all(self.inner.db.read(), sql, [sql::to_db(limit).into()]).await?;
        rows.into_iter().map(HeldRow::into_held).collect()
    }

    /// The images that a reference means here, of a repository or of all of them: what a tag is, or what has a digest or an image that has
    /// it. A tag of no repository is nothing.
    pub async fn held_as(
        &self,
        repo: Option<&RepoName>,
        wanted: &Reference,
    ) -> Result<Vec<Digest>, StoreError> {
        let (sql, values): (&str, Vec<Value>) = match (wanted, repo) {
            (Reference::Tag(tag), Some(repo)) => (
                "SELECT m.digest AS text FROM tag t JOIN manifest m ON m.id = t.manifest_id \
                 JOIN repository r ON r.id = m.repository_id WHERE t.name = $1 AND r.name = $2",
                vec![tag.as_str().into(), repo.as_str().into()],
            ),
            (Reference::Tag(_), None) => return Ok(Vec::new()),
            // Whoever asks for one of a repository looks at the others' in vain.
            (Reference::Digest(digest), _) => (
                "SELECT digest AS text FROM manifest WHERE digest = $1 UNION SELECT m.digest AS text \
                 FROM manifest_reference f JOIN manifest m ON m.id = f.manifest_id WHERE f.digest = $1 AND f.kind = 1",
                vec![digest.to_string().into()],
            ),
        };
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.iter().map(|row| blob::parse_digest(&row.text)).collect()
    }

    /// Lets an image go, with what is in it and nowhere else in its repository. Answers how many bytes are free by it.
    pub async fn evict(&self, image: &KeptImage) -> Result<u64, StoreError> {
        let (repo, digest) = (image.repo.clone(), image.digest);
        let gone = self
            .write(move |tx| Box::pin(async move { evict(tx, &repo, &digest).await }))
            .await?;
        let mut bytes = 0;
        for row in gone {
            bytes += sql::from_db(row.size);
            self.remove_file(blob::parse_location(&row.location)?).await;
        }
        Ok(bytes)
    }
}

impl HeldRow {
    fn into_held(self) -> Result<KeptImage, StoreError> {
        let repo = self.repository.parse();
        Ok(KeptImage {
            repo: repo.map_err(|_| StoreError::damaged(format!("repository {:?}", self.repository)))?,
            digest: blob::parse_digest(&self.digest)?,
            used_at: Timestamp(self.used_at),
        })
    }
}

async fn evict(tx: &Tx, repo: &RepoName, digest: &Digest) -> Result<Vec<GoneRow>, StoreError> {
    let Some(repository) = repository::find(tx.sql(), repo).await? else {
        return Ok(Vec::new());
    };
    let mut going = itself(tx, repository.id, digest).await?;
    if going.is_empty() {
        return Ok(Vec::new());
    }
    going.extend(only_in(tx, repository.id, going[0].id).await?);
    let mut blobs = Vec::new();
    for row in &going {
        blobs.extend(blobs_of(tx, row.id).await?);
    }
    for row in &going {
        remove(tx, repo, repository.id, row).await?;
    }
    let mut gone = Vec::new();
    for row in &blobs {
        gone.extend(let_go(tx, repo, repository.id, row).await?);
    }
    let freed: i64 = gone.iter().map(|row| row.size).sum();
    let body = json!({ "manifests": going.len(), "blobs": gone.len(), "bytes": freed });
    let subject = blob::subject(repo, digest);
    event::record(
        tx,
        &Actor::system("disk"),
        EventKind::ManifestDelete,
        &subject,
        body,
    )
    .await?;
    Ok(gone)
}

async fn itself(tx: &Tx, repository: i64, digest: &Digest) -> Result<Vec<ManifestRow>, StoreError> {
    let sql = "SELECT id, digest FROM manifest WHERE repository_id = $1 AND digest = $2";
    sql::all(tx.sql(), sql, [repository.into(), digest.to_string().into()]).await
}

/// Images of an index that have no tag and are in no other one. An index within becomes one that may go next.
async fn only_in(tx: &Tx, repository: i64, index: i64) -> Result<Vec<ManifestRow>, StoreError> {
    let sql = "SELECT m.id, m.digest FROM manifest_reference f \
               JOIN manifest m ON m.repository_id = f.repository_id AND m.digest = f.digest \
               WHERE f.manifest_id = $2 AND f.kind = 1 AND f.repository_id = $1 AND m.kind = 0 \
               AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id) \
               AND NOT EXISTS (SELECT 1 FROM manifest_reference g WHERE g.repository_id = $1 AND g.kind = 1 \
               AND g.digest = m.digest AND g.manifest_id <> $2)";
    sql::all(tx.sql(), sql, [repository.into(), index.into()]).await
}

async fn blobs_of(tx: &Tx, manifest: i64) -> Result<Vec<BlobRow>, StoreError> {
    let sql = "SELECT b.id, b.digest, b.size FROM manifest_reference f JOIN blob b ON b.digest = f.digest \
               WHERE f.manifest_id = $1 AND f.kind = 0";
    sql::all(tx.sql(), sql, [manifest.into()]).await
}

async fn remove(tx: &Tx, repo: &RepoName, repository: i64, row: &ManifestRow) -> Result<(), StoreError> {
    let sql = "DELETE FROM tag WHERE manifest_id = $1 RETURNING name AS text";
    let tags: Vec<sql::Text> = sql::all(tx.sql(), sql, [row.id.into()]).await?;
    for name in &tags {
        let tag = tag::parse(&name.text)?;
        tx.touch(Key::tag(repo, &tag));
        upstream_tag::forget(tx, repo, &tag).await?;
    }
    let delta = Delta {
        tags: -sql::to_db(tags.len() as u64),
        ..Delta::default()
    };
    repository::count(tx, repository, delta).await?;
    let digest = blob::parse_digest(&row.digest)?;
    manifest::remove_rows(tx, repo, repository, row.id).await?;
    attached::remove(tx, repo, repository, &digest).await?;
    tx.touch(Key::manifest(repo, &digest));
    Ok(())
}

/// Takes away the link of a blob that no manifest of the repository names any more, and the blob if that was the last one.
async fn let_go(
    tx: &Tx,
    repo: &RepoName,
    repository: i64,
    row: &BlobRow,
) -> Result<Option<GoneRow>, StoreError> {
    let sql =
        "SELECT blob_id AS id FROM repository_blob WHERE repository_id = $1 AND blob_id = $2 AND names = 0";
    let unnamed: Option<sql::Id> = sql::first(tx.sql(), sql, [repository.into(), row.id.into()]).await?;
    if unnamed.is_none() {
        return Ok(None);
    }
    let digest = blob::parse_digest(&row.digest)?;
    link::unlink(tx, repo, repository, row.id, &digest, row.size).await?;
    let sql = "DELETE FROM blob WHERE id = $1 AND links = 0 RETURNING size, location";
    sql::first(tx.sql(), sql, [row.id.into()]).await
}
