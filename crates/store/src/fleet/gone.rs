//! Images that were deleted: their manifests are kept for a while, so that an index of all images that is built anew still knows
//! what was there at a moment. What their layers hold is known by their reports, which outlive them.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use oci::{Digest, ManifestKind, RepoName};
use sea_orm::FromQueryResult;

use super::{FleetImage, repo_name};
use crate::db::{Db, Tx, sql};
use crate::setting::{self, Setting};
use crate::{Store, StoreError, Timestamp, blob};

/// Bytes of one manifest; the configured limit of a push is below it.
const MANIFEST_BYTES: u64 = 64 << 20;

/// Rows that one deletion takes away because there are too many, or they are too old: more than it adds.
const PRUNED: u64 = 16;

/// An image that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneImage {
    /// Its place in the order of deletions.
    pub id: i64,
    /// Where it lay.
    pub repo: RepoName,
    /// Which it was.
    pub digest: Digest,
    /// What was pushed, and when.
    pub image: FleetImage,
    /// When it was deleted.
    pub gone_at: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    repository: String,
    digest: String,
    media_type: String,
    bytes: Vec<u8>,
    pushed_at: i64,
    gone_at: i64,
}

#[derive(FromQueryResult)]
struct ContentRow {
    media_type: String,
    digest: String,
    pushed_at: i64,
    bytes: Vec<u8>,
}

impl Row {
    fn into_image(self) -> Result<GoneImage, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("deleted image {}: {what}", self.id));
        let mut bytes = Vec::new();
        let inflated = ZlibDecoder::new(self.bytes.as_slice())
            .take(MANIFEST_BYTES)
            .read_to_end(&mut bytes);
        inflated.map_err(|_| damaged("its manifest cannot be read"))?;
        Ok(GoneImage {
            repo: repo_name(&self.repository)?,
            digest: blob::parse_digest(&self.digest)?,
            image: FleetImage {
                media_type: self
                    .media_type
                    .parse()
                    .map_err(|_| damaged("it has no media type"))?,
                kind: ManifestKind::Image,
                bytes: Bytes::from(bytes),
                pushed_at: Timestamp(self.pushed_at),
            },
            gone_at: Timestamp(self.gone_at),
            id: self.id,
        })
    }
}

impl Store {
    /// Images that were deleted, in the order of their deletion: those behind `after`.
    pub async fn gone_images(&self, after: i64, limit: usize) -> Result<Vec<GoneImage>, StoreError> {
        let sql = "SELECT id, repository, digest, media_type, bytes, pushed_at, gone_at FROM gone_image \
                   WHERE id > $1 ORDER BY id LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, values).await?;
        rows.into_iter().map(Row::into_image).collect()
    }

    /// Since when all images that were deleted are known: of a moment before it, some may be missing.
    pub async fn gone_known_since(&self) -> Result<Timestamp, StoreError> {
        let since = setting::get(self.inner.db.read(), Setting::GoneKnownSince).await?;
        let since = since.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Timestamp(since).max(self.now().minus(self.limits().gone_images_age)))
    }

    /// How long images that were deleted are known.
    pub fn gone_images_age(&self) -> std::time::Duration {
        self.limits().gone_images_age
    }

    /// As many as are kept, and how long.
    pub(crate) fn gone_limits(&self) -> GoneLimits {
        GoneLimits {
            images: self.limits().gone_images,
            age: self.limits().gone_images_age,
        }
    }
}

/// How many are kept, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GoneLimits {
    images: u64,
    age: std::time::Duration,
}

/// Notes from when on deletions are kept: of a database that was there before, from its first start with them.
pub(crate) async fn begin(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    if setting::get(db.read(), Setting::GoneKnownSince).await?.is_some() {
        return Ok(());
    }
    let events: Option<sql::Number> =
        sql::first(db.read(), "SELECT COALESCE(MAX(seq), 0) AS number FROM event", []).await?;
    let is_new = events.is_none_or(|events| events.number == 0);
    let since = if is_new { 0 } else { now.micros() };
    let tx = db.begin(now).await?;
    setting::set(tx.sql(), Setting::GoneKnownSince, since.to_string()).await?;
    tx.commit().await.1
}

/// Keeps an image that is being deleted. What refers to another manifest, such as a signature, is none.
pub(crate) async fn keep(
    tx: &Tx,
    repo: &RepoName,
    manifest: i64,
    limits: GoneLimits,
) -> Result<(), StoreError> {
    let sql = "SELECT m.media_type, m.digest, m.pushed_at, c.bytes FROM manifest m \
               JOIN manifest_content c ON c.id = m.content_id WHERE m.id = $1 AND m.kind = 0 AND m.subject IS NULL";
    let row: Option<ContentRow> = sql::first(tx.sql(), sql, [manifest.into()]).await?;
    let Some(row) = row else { return Ok(()) };
    if limits.images == 0 {
        return forgotten_until(tx, tx.now().micros()).await;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(&row.bytes);
    let sql = "INSERT INTO gone_image (repository, digest, media_type, bytes, pushed_at, gone_at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [
        repo.as_str().into(),
        row.digest.into(),
        row.media_type.into(),
        encoder.finish().unwrap_or_default().into(),
        row.pushed_at.into(),
        tx.now().micros().into(),
    ];
    sql::execute(tx.sql(), sql, values).await?;
    prune(tx, limits).await
}

/// Takes the oldest away that are too many or too old; a few at a time, since this is part of somebody's deletion.
async fn prune(tx: &Tx, limits: GoneLimits) -> Result<(), StoreError> {
    let old = tx.now().minus(limits.age).micros();
    let sql = "DELETE FROM gone_image WHERE id IN (SELECT id FROM gone_image WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)";
    sql::execute(tx.sql(), sql, [old.into(), sql::to_db(PRUNED).into()]).await?;
    // Ids are given in order and only once, so that nobody has to count.
    let sql = "SELECT MAX(gone_at) AS number FROM (SELECT gone_at FROM gone_image \
               WHERE id <= (SELECT MAX(id) FROM gone_image) - $1 ORDER BY id LIMIT $2) AS beyond HAVING MAX(gone_at) IS NOT NULL";
    let values = || [sql::to_db(limits.images).into(), sql::to_db(PRUNED).into()];
    let beyond: Option<sql::Number> = sql::first(tx.sql(), sql, values()).await?;
    let Some(beyond) = beyond else { return Ok(()) };
    let sql = "DELETE FROM gone_image WHERE id IN (SELECT id FROM gone_image \
               WHERE id <= (SELECT MAX(id) FROM gone_image) - $1 ORDER BY id LIMIT $2)";
    sql::execute(tx.sql(), sql, values()).await?;
    forgotten_until(tx, beyond.number).await
}

/// Of what was deleted by then, something is not known any more.
async fn forgotten_until(tx: &Tx, micros: i64) -> Result<(), StoreError> {
    let known = setting::get(tx.sql(), Setting::GoneKnownSince).await?;
    let known = known.and_then(|text| text.parse().ok()).unwrap_or(0);
    setting::set(tx.sql(), Setting::GoneKnownSince, micros.max(known).to_string()).await
}

#[cfg(test)]
mod tests;
