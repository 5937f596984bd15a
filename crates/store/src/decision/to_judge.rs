//! What judgements of many images read beside the reports of their blobs, in one statement for all of them.
//!
//! Each image is looked up by its repository and digest, as when it is judged by itself: the same rows are asked, so the same is
//! found. What is too large to be held for many images at once is left to whoever asks for one.

use std::sync::Arc;

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};

use crate::db::sql;
use crate::event::EventKind;
use crate::{Seen, Store, StoreError, StoredManifest, Timestamp, attachment, in_use, manifest, pull_log};

/// Largest manifest that is read with many others, in bytes.
const MANIFEST_BYTES: i64 = 64 << 10;

/// Largest record of first findings that is read with many others, in bytes: 32,000 findings.
const SEEN_BYTES: i64 = 256 << 10;

/// Images in one statement.
const IMAGES: usize = 256;

/// What is known of an image that is to be judged, beside the reports of its blobs.
#[derive(Debug, Clone)]
pub struct ToJudge {
    /// Its manifest.
    pub manifest: Arc<StoredManifest>,
    /// Who brought it there: see [`Store::pusher`].
    pub pushed_by: Option<String>,
    /// See [`Store::is_in_use`].
    pub in_use: bool,
    /// See [`Store::seen`].
    pub seen: Seen,
    /// Whether [`Store::attachments`] may answer anything but nothing.
    pub has_attachments: bool,
    /// Whether the repository is that of a base.
    pub is_of_base: bool,
    /// See [`Store::attached_evidence`].
    pub attached_evidence: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    n: i64,
    digest: String,
    media_type: String,
    kind: i64,
    artifact_type: Option<String>,
    subject: Option<String>,
    pushed_at: i64,
    bytes: Vec<u8>,
    pushed_by: Option<String>,
    in_use: i64,
    seen: Option<Vec<u8>>,
    has_attachments: i64,
    is_of_base: i64,
    attached_evidence: Option<String>,
}

impl Store {
    /// What is known of images, in their order. `None`: the image is gone, or so large that it has to be asked for by itself.
    /// `since`: pulls since then make an image one that is in use.
    pub async fn to_judge(
        &self,
        images: &[(RepoName, Digest)],
        since: Timestamp,
    ) -> Result<Vec<Option<ToJudge>>, StoreError> {
        let mut found = Vec::with_capacity(images.len());
        for chunk in images.chunks(IMAGES) {
            let (sql, values) = statement(chunk, since, self.now());
            let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
            let first = found.len();
            found.resize(first + chunk.len(), None);
            for row in rows {
                let place = usize::try_from(row.n).ok().and_then(|n| found.get_mut(first + n));
                if let Some(place) = place {
                    *place = Some(row.into_known()?);
                }
            }
        }
        Ok(found)
    }
}

fn statement(images: &[(RepoName, Digest)], since: Timestamp, now: Timestamp) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = vec![
        EventKind::ManifestPush.name().into(),
        since.micros().into(),
        pull_log::PullClass::Inspection.as_str().into(),
        now.micros().into(),
        MANIFEST_BYTES.into(),
        SEEN_BYTES.into(),
    ];
    let mut wanted = Vec::with_capacity(images.len());
    for (n, (repo, digest)) in images.iter().enumerate() {
        let at = values.len();
        wanted.push(format!("({n}, ${}, ${}, ${})", at + 1, at + 2, at + 3));
        values.extend([
            Value::from(repo.as_str()),
            digest.to_string().into(),
            digest.fallback_tag().as_str().into(),
        ]);
    }
    // Pushes are found by the few events of the image: an index of kinds would be walked from the first push of all.
    let sql = format!(
        "WITH wanted(n, repository, digest, tag) AS (VALUES {wanted}) \
         SELECT w.n, m.digest, m.media_type, m.kind, m.artifact_type, m.subject, m.pushed_at, c.bytes, s.body AS seen, \
         a.evidence AS attached_evidence, \
         (SELECT e.actor FROM event e WHERE e.subject = w.repository || '@' || w.digest AND e.kind || '' = $1 \
         ORDER BY e.seq LIMIT 1) AS pushed_by, \
         CASE WHEN EXISTS (SELECT 1 FROM pull_log p WHERE p.digest = w.digest AND p.repository = w.repository \
         AND p.at >= $2 AND p.class <> $3) OR EXISTS (SELECT 1 FROM in_use u WHERE u.repository = w.repository \
         AND u.until > $4 AND {is_meant}) THEN 1 ELSE 0 END AS in_use, \
         CASE WHEN EXISTS (SELECT 1 FROM manifest_reference f WHERE f.repository_id = r.id AND f.digest = w.digest \
         AND f.kind = 1) \
         OR EXISTS (SELECT 1 FROM manifest o WHERE o.repository_id = r.id AND o.subject = w.digest AND {types}) \
         OR EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = r.id AND t.name IN (w.tag, w.tag || '.sig', w.tag || '.att')) \
         OR EXISTS (SELECT 1 FROM rebase_image o WHERE o.repository = w.repository AND o.new_digest = w.digest) \
         THEN 1 ELSE 0 END AS has_attachments, \
         CASE WHEN EXISTS (SELECT 1 FROM base_image b WHERE b.repository = w.repository) THEN 1 ELSE 0 END AS is_of_base \
         FROM wanted w JOIN repository r ON r.name = w.repository \
         JOIN manifest m ON m.repository_id = r.id AND m.digest = w.digest \
         JOIN manifest_content c ON c.id = m.content_id \
         LEFT JOIN finding_seen s ON s.digest = w.digest \
         LEFT JOIN attached a ON a.repository_id = r.id AND a.subject = w.digest \
         WHERE length(c.bytes) <= $5 AND (s.body IS NULL OR length(s.body) <= $6)",
        wanted = wanted.join(", "),
        is_meant = in_use::IS_MEANT.replace("$D", "w.digest"),
        types = attachment::TYPES,
    );
    (sql, values)
}

impl Row {
    fn into_known(self) -> Result<ToJudge, StoreError> {
        let seen = self.seen.as_deref().map(|bytes| {
            let damaged = || StoreError::damaged(format!("the findings of {} cannot be read", self.digest));
            Seen::from_bytes(bytes).ok_or_else(damaged)
        });
        let seen = seen.transpose()?.unwrap_or_default();
        let manifest = manifest::Row {
            digest: self.digest,
            media_type: self.media_type,
            kind: self.kind,
            artifact_type: self.artifact_type,
            subject: self.subject,
            pushed_at: self.pushed_at,
            bytes: self.bytes,
        };
        Ok(ToJudge {
            manifest: manifest.into_manifest()?,
            pushed_by: self.pushed_by,
            in_use: self.in_use > 0,
            seen,
            has_attachments: self.has_attachments > 0,
            is_of_base: self.is_of_base > 0,
            attached_evidence: self.attached_evidence,
        })
    }
}

#[cfg(test)]
mod tests;
