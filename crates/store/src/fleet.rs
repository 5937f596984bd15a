//! What an index of all images is built from, a page at a time, and kept current by.
//!
//! Two numbers say how far somebody came: the last line of the audit log that was taken in, and the last report of a layer
//! ([`FleetMark`]). Whatever is read here is read past the caches: a walk over all images must not push out what pulls need.

use bytes::Bytes;
use findings::Listing;
use oci::{Digest, ManifestKind, MediaType, RepoName, Tag};
use sea_orm::{FromQueryResult, Value};

use crate::db::sql;
use crate::{EventKind, Store, StoreError, Timestamp, blob, tag};

pub(crate) mod gone;
mod waived;

pub use gone::GoneImage;
pub use waived::{WaivedCursor, WaivedDecision};

/// Indexes that name indexes: so deep tags are followed to images.
const DEPTH: i64 = 8;

/// How far somebody came who follows the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetMark {
    /// [`FleetEvent::seq`] of the last event.
    pub event: i64,
    /// Number of the last report of a layer.
    pub report: i64,
}

/// The manifest of an image as it lies in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetImage {
    /// As which it was pushed.
    pub media_type: MediaType,
    /// Image or index.
    pub kind: ManifestKind,
    /// What was pushed.
    pub bytes: Bytes,
    /// When it came to this repository.
    pub pushed_at: Timestamp,
}

/// An event that may change which images there are or what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    /// Its place in the audit log.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What happened. `None`: nothing that touches images.
    pub what: Option<FleetChange>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetChange {
    /// A manifest came.
    Pushed(RepoName, Digest),
    /// One went.
    Deleted(RepoName, Digest),
    /// What was decided of one has changed.
    Decided(RepoName, Digest),
    /// A tag of the repository was set, moved or deleted.
    Tagged(RepoName),
    /// The repository went, and all in it.
    Emptied(RepoName),
}

#[derive(FromQueryResult)]
struct ImageRow {
    media_type: String,
    kind: i64,
    bytes: Vec<u8>,
    pushed_at: i64,
}

#[derive(FromQueryResult)]
struct EventRow {
    seq: i64,
    at: i64,
    kind: String,
    subject: String,
}

#[derive(FromQueryResult)]
struct ReportRow {
    revision: i64,
    digest: String,
}

#[derive(FromQueryResult)]
struct NamedRow {
    id: i64,
    name: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct TagRow {
    tag: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct ListingRow {
    listing: Vec<u8>,
}

impl EventRow {
    fn into_event(self) -> FleetEvent {
        FleetEvent {
            seq: self.seq,
            at: Timestamp(self.at),
            what: EventKind::from_name(&self.kind).and_then(|kind| change(kind, &self.subject)),
        }
    }
}

/// What the subject of an event names. One that names nothing touches nothing.
fn change(kind: EventKind, subject: &str) -> Option<FleetChange> {
    let image = || {
        let (repo, digest) = subject.split_once('@')?;
        Some((repo.parse().ok()?, digest.parse().ok()?))
    };
    match kind {
        EventKind::ManifestPush => image().map(|(repo, digest)| FleetChange::Pushed(repo, digest)),
        EventKind::ManifestDelete => image().map(|(repo, digest)| FleetChange::Deleted(repo, digest)),
        EventKind::Decide => image().map(|(repo, digest)| FleetChange::Decided(repo, digest)),
        EventKind::TagSet | EventKind::TagDelete => {
            let (repo, _) = subject.rsplit_once(':')?;
            repo.parse().ok().map(FleetChange::Tagged)
        }
        EventKind::RepositoryDelete => subject.parse().ok().map(FleetChange::Emptied),
        _ => None,
    }
}

impl Store {
    /// Where the log and the reports end now. Whoever reads this first and all images afterwards misses nothing.
    pub async fn fleet_mark(&self) -> Result<FleetMark, StoreError> {
        let last = async |sql: &str| -> Result<i64, StoreError> {
            let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
            Ok(row.map_or(0, |row| row.number))
        };
        Ok(FleetMark {
            event: last("SELECT COALESCE(MAX(seq), 0) AS number FROM event").await?,
            report: last("SELECT COALESCE(MAX(revision), 0) AS number FROM layer_report").await?,
        })
    }

    /// Tells an event of this log from the one with its number in another: what was kept beside a database that was put back to an
    /// earlier state is not about it. `None`: there is no such event.
    pub async fn event_stamp(&self, seq: i64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT seq, at, kind, subject FROM event WHERE seq = $1";
        let row: Option<EventRow> = sql::first(self.inner.db.read(), sql, [seq.into()]).await?;
        Ok(row.map(|row| format!("{} {} {}", row.at, row.kind, row.subject)))
    }

    /// The events behind `after`, in their order.
    pub async fn fleet_events(&self, after: i64, limit: usize) -> Result<Vec<FleetEvent>, StoreError> {
        let sql = "SELECT seq, at, kind, subject FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(EventRow::into_event).collect())
    }

    /// Blobs whose report was written behind `after`, in the order of the last writing, each with its number.
    pub async fn reported_layers(&self, after: i64, limit: usize) -> Result<Vec<(i64, Digest)>, StoreError> {
        let sql = "SELECT revision, digest FROM layer_report WHERE revision > $1 ORDER BY revision, digest LIMIT $2";
        let values = [after.into(), sql::to_db(limit as u64).into()];
        let rows: Vec<ReportRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let parse = |row: ReportRow| Ok((row.revision, blob::parse_digest(&row.digest)?));
        rows.into_iter().map(parse).collect()
    }

    /// Images that name a blob, behind `after` in a fixed order, each with the number that is `after` for what follows it.
    pub async fn images_with_blob(
        &self,
        digest: &Digest,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, RepoName, Digest)>, StoreError> {
        let sql = "SELECT m.id, r.name, m.digest FROM manifest_reference f \
                   JOIN manifest m ON m.id = f.manifest_id JOIN repository r ON r.id = m.repository_id \
                   WHERE f.digest = $1 AND f.kind = 0 AND m.id > $2 ORDER BY m.id LIMIT $3";
        let values: [Value; 3] = [
            digest.to_string().into(),
            after.into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<NamedRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let parse = |row: NamedRow| Ok((row.id, repo_name(&row.name)?, blob::parse_digest(&row.digest)?));
        rows.into_iter().map(parse).collect()
    }

    /// Manifests of a repository that may be images.
    pub async fn image_digests(&self, repo: &RepoName) -> Result<Vec<Digest>, StoreError> {
        let sql = "SELECT m.digest AS text FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   WHERE r.name = $1 AND m.kind = 0";
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), sql, [repo.as_str().into()]).await?;
        rows.iter().map(|row| blob::parse_digest(&row.text)).collect()
    }

    /// How many manifests there are that may be images.
    pub async fn image_count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS number FROM manifest WHERE kind = 0";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }

    /// The manifest, if the repository has it.
    pub async fn fleet_image(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<FleetImage>, StoreError> {
        let sql = "SELECT m.media_type, m.kind, m.pushed_at, c.bytes FROM manifest m \
                   JOIN repository r ON r.id = m.repository_id JOIN manifest_content c ON c.id = m.content_id \
                   WHERE r.name = $1 AND m.digest = $2";
        let values = [repo.as_str().into(), digest.to_string().into()];
        let row: Option<ImageRow> = sql::first(self.inner.db.read(), sql, values).await?;
        let Some(row) = row else { return Ok(None) };
        let media_type = row.media_type.parse();
        Ok(Some(FleetImage {
            media_type: media_type
                .map_err(|_| StoreError::damaged(format!("{repo}@{digest} has no media type")))?,
            kind: if row.kind == 0 {
                ManifestKind::Image
            } else {
                ManifestKind::Index
            },
            bytes: row.bytes.into(),
            pushed_at: Timestamp(row.pushed_at),
        }))
    }

    /// What the images of a repository are called: by their own tags and by those of the indexes that name them.
    pub async fn image_tags(&self, repo: &RepoName) -> Result<Vec<(Digest, Tag)>, StoreError> {
        let sql = "WITH RECURSIVE named (tag, manifest_id, depth) AS ( \
                   SELECT t.name, t.manifest_id, 0 FROM tag t JOIN repository r ON r.id = t.repository_id \
                   WHERE r.name = $1 UNION \
                   SELECT n.tag, c.id, n.depth + 1 FROM named n \
                   JOIN manifest m ON m.id = n.manifest_id \
                   JOIN manifest_reference f ON f.manifest_id = m.id AND f.kind = 1 \
                   JOIN manifest c ON c.repository_id = m.repository_id AND c.digest = f.digest \
                   WHERE n.depth < $2) \
                   SELECT DISTINCT n.tag, m.digest FROM named n JOIN manifest m ON m.id = n.manifest_id \
                   WHERE m.kind = 0";
        let values: [Value; 2] = [repo.as_str().into(), DEPTH.into()];
        let rows: Vec<TagRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let parse = |row: TagRow| Ok((blob::parse_digest(&row.digest)?, tag::parse(&row.tag)?));
        rows.into_iter().map(parse).collect()
    }

    /// The paths of a layer, without the rest of its report.
    pub async fn layer_listing(&self, digest: &Digest) -> Result<Option<Listing>, StoreError> {
        let sql = "SELECT listing FROM layer_report WHERE digest = $1";
        let row: Option<ListingRow> =
            sql::first(self.inner.db.read(), sql, [digest.to_string().into()]).await?;
        Ok(row.map(|row| Listing::from_bytes(row.listing)))
    }
}

fn repo_name(text: &str) -> Result<RepoName, StoreError> {
    let parsed = text.parse();
    parsed.map_err(|_| StoreError::damaged(format!("{text:?} is no name of a repository")))
}

#[cfg(test)]
mod tests;
