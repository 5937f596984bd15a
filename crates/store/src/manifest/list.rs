//! The manifests of a repository as a list, for whoever looks for what is not needed any more: no list of tags leads to
//! those without one.

use std::collections::HashMap;

use access::Permit;
use access::permit::Pull;
use oci::{Digest, MediaType, Tag};
use sea_orm::{FromQueryResult, Value};

use super::put::CHILD;
use crate::db::sql;
use crate::{Page, Store, StoreError, Timestamp, blob, repository, tag};

/// Tags that the list names of one manifest.
const TAGS_LISTED: usize = 20;

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedManifest {
    /// What it was pushed as.
    pub digest: Digest,
    /// The Content-Type it was pushed with.
    pub media_type: MediaType,
    /// What the artifact is, by the rule of the referrers API.
    pub artifact_type: Option<String>,
    /// Bytes of the manifest itself.
    pub size: u64,
    /// Tags that point to it, in byte order, at most twenty.
    pub tags: Vec<Tag>,
    /// Whether there are more.
    pub more_tags: bool,
    /// What it refers to, if anything.
    pub subject: Option<Digest>,
    /// An index of the repository that names it, if one does: as long as it does, the manifest cannot be deleted.
    pub index: Option<Digest>,
    /// When it was pushed to this repository.
    pub pushed_at: Timestamp,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    digest: String,
    media_type: String,
    artifact_type: Option<String>,
    subject: Option<String>,
    size: i64,
    pushed_at: i64,
}

#[derive(FromQueryResult)]
struct TagRow {
    manifest_id: i64,
    name: String,
}

#[derive(FromQueryResult)]
struct ParentRow {
    child: String,
    parent: String,
}

impl Store {
    /// Manifests ordered by digest, from the first one behind `after`; only those without a tag if `untagged`. `None`
    /// when there is no such repository.
    ///
    /// At most `limit` and never more than [`crate::StoreLimits::page_items`].
    pub async fn manifests(
        &self,
        permit: &Permit<Pull>,
        untagged: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<ListedManifest>>, StoreError> {
        let Some(repository) = repository::find(self.inner.db.read(), permit.repo()).await? else {
            return Ok(None);
        };
        let limit = self.page_limit(limit);
        let filter = if untagged {
            "AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id)"
        } else {
            ""
        };
        let sql = format!(
            "SELECT m.id, m.digest, m.media_type, m.artifact_type, m.subject, m.size, m.pushed_at FROM manifest m \
             WHERE m.repository_id = $1 AND m.digest > $2 {filter} ORDER BY m.digest LIMIT $3"
        );
        let values: [Value; 3] = [
            repository.id.into(),
            after.unwrap_or_default().into(),
            sql::to_db(limit as u64 + 1).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        let mut tags = self.tags_of(&rows).await?;
        let mut parents = self.parents_of(repository.id, &rows).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let tags = tags.remove(&row.id).unwrap_or_default();
            let index = parents.remove(&row.digest);
            items.push(row.with(tags, index.as_deref())?);
        }
        Ok(Some(Page::cut(items, limit)))
    }

    /// Tags by manifest, up to one more than are listed.
    async fn tags_of(&self, rows: &[Row]) -> Result<HashMap<i64, Vec<Tag>>, StoreError> {
        let mut tags: HashMap<i64, Vec<Tag>> = HashMap::new();
        for chunk in rows.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT t.manifest_id, t.name FROM manifest m JOIN tag t ON t.repository_id = m.repository_id \
                 AND t.name IN (SELECT s.name FROM tag s WHERE s.manifest_id = m.id ORDER BY s.name LIMIT {}) \
                 WHERE m.id IN ({}) ORDER BY t.manifest_id, t.name",
                TAGS_LISTED + 1,
                sql::placeholders(1, chunk.len())
            );
            let ids = chunk.iter().map(|row| Value::from(row.id));
            for row in sql::all::<TagRow>(self.inner.db.read(), &sql, ids).await? {
                tags.entry(row.manifest_id)
                    .or_default()
                    .push(tag::parse(&row.name)?);
            }
        }
        Ok(tags)
    }

    /// For each that an index names: one such index.
    async fn parents_of(&self, repository: i64, rows: &[Row]) -> Result<HashMap<String, String>, StoreError> {
        let mut parents = HashMap::new();
        for chunk in rows.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT f.digest AS child, MIN(m.digest) AS parent FROM manifest_reference f \
                 JOIN manifest m ON m.id = f.manifest_id \
                 WHERE f.repository_id = $1 AND f.kind = $2 AND f.digest IN ({}) GROUP BY f.digest",
                sql::placeholders(3, chunk.len())
            );
            let mut values: Vec<Value> = vec![repository.into(), CHILD.into()];
            values.extend(chunk.iter().map(|row| Value::from(row.digest.clone())));
            let found: Vec<ParentRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            parents.extend(found.into_iter().map(|row| (row.child, row.parent)));
        }
        Ok(parents)
    }
}

impl Row {
    fn with(self, mut tags: Vec<Tag>, index: Option<&str>) -> Result<ListedManifest, StoreError> {
        let more_tags = tags.len() > TAGS_LISTED;
        tags.truncate(TAGS_LISTED);
        let media_type = self.media_type.parse();
        Ok(ListedManifest {
            digest: blob::parse_digest(&self.digest)?,
            media_type: media_type
                .map_err(|_| StoreError::damaged(format!("manifest {} has no media type", self.digest)))?,
            artifact_type: self.artifact_type,
            size: sql::from_db(self.size),
            tags,
            more_tags,
            subject: self.subject.as_deref().map(blob::parse_digest).transpose()?,
            index: index.map(blob::parse_digest).transpose()?,
            pushed_at: Timestamp(self.pushed_at),
        })
    }
}

#[cfg(test)]
mod tests;
