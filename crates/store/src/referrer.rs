//! Referrers: what points to a manifest with its `subject`.

use std::collections::BTreeMap;

use access::Permit;
use access::permit::Pull;
use oci::{Digest, Manifest, ManifestLimits, MediaType, Reference};
use sea_orm::{FromQueryResult, Value};

use crate::blob;
use crate::db::sql;
use crate::{Page, Store, StoreError, repository};

/// One entry of the referrers index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerDescriptor {
    /// Media type of the referring manifest.
    pub media_type: MediaType,
    /// Digest of the referring manifest.
    pub digest: Digest,
    /// Bytes of the referring manifest.
    pub size: u64,
    /// Its artifact type, else its config's media type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Annotations on one page, bytes: those of one manifest may have as many as the manifest. A page ends behind the
/// entry that exceeds it.
pub(crate) const PAGE_BYTES: usize = 4 << 20;
/// Rows read at once, so that not much more than [`PAGE_BYTES`] is ever in memory.
const ROWS_AT_ONCE: usize = 16;

/// Which page of which list.
struct Wanted<'a> {
    subject: &'a Digest,
    artifact_type: Option<&'a str>,
    after: Option<&'a Digest>,
    /// One more than the page has, to know whether something follows.
    count: usize,
}

#[derive(FromQueryResult)]
struct Row {
    digest: String,
    media_type: String,
    size: i64,
    artifact_type: Option<String>,
    annotations: String,
}

impl Row {
    fn into_descriptor(self) -> Result<ReferrerDescriptor, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("manifest {} has no {what}", self.digest));
        Ok(ReferrerDescriptor {
            digest: blob::parse_digest(&self.digest)?,
            media_type: self.media_type.parse().map_err(|_| damaged("media type"))?,
            size: sql::from_db(self.size),
            annotations: serde_json::from_str(&self.annotations).map_err(|_| damaged("annotations"))?,
            artifact_type: self.artifact_type,
        })
    }
}

impl Store {
    /// What refers to `subject`, ordered by digest, from the first one behind `after`; with what the index under the
    /// fallback tag (`sha256-<hex>`) of the subject names and the repository has. What a manifest itself says counts more
    /// than what the index says about it. Empty for what nothing refers to,
    /// known or not.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Page<ReferrerDescriptor>, StoreError> {
        let on = self.inner.db.read();
        let Some(repository) = repository::find(on, permit.repo()).await? else {
            return Ok(Page::empty());
        };
        let limit = self.page_limit(limit);
        let wanted = Wanted {
            subject,
            artifact_type,
            after,
            count: limit + 1,
        };
        let (mut found, end) = self.subject_entries(repository.id, &wanted).await?;
        let mut fallback = self.fallback_entries(permit, repository.id, &wanted).await?;
        fallback.retain(|entry| end.is_none_or(|end| entry.digest <= end));
        found.append(&mut fallback);
        found.sort_by_key(|entry| entry.digest);
        let page = Page::cut(found, limit);
        Ok(Page {
            more: page.more || (end.is_some() && limit > 0),
            ..page
        })
    }

    /// The manifests that name the subject; and where the list was cut because it would have become too large.
    async fn subject_entries(
        &self,
        repository: i64,
        wanted: &Wanted<'_>,
    ) -> Result<(Vec<ReferrerDescriptor>, Option<Digest>), StoreError> {
        let mut found: Vec<ReferrerDescriptor> = Vec::new();
        let mut bytes = 0;
        loop {
            let after = found.last().map(|entry| entry.digest).or(wanted.after.copied());
            let count = ROWS_AT_ONCE.min(wanted.count - found.len());
            let rows = self.subject_rows(repository, wanted, after, count).await?;
            let complete = rows.len() < count || found.len() + rows.len() == wanted.count;
            for row in rows {
                bytes += row.annotations.len();
                found.push(row.into_descriptor()?);
            }
            if complete {
                return Ok((found, None));
            }
            if bytes > PAGE_BYTES {
                let end = found.last().map(|entry| entry.digest);
                return Ok((found, end));
            }
        }
    }

    async fn subject_rows(
        &self,
        repository: i64,
        wanted: &Wanted<'_>,
        after: Option<Digest>,
        count: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let after = after.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut values: Vec<Value> = vec![
            repository.into(),
            wanted.subject.to_string().into(),
            after.into(),
            sql::to_db(count as u64).into(),
        ];
        let mut filter = "";
        if let Some(artifact_type) = wanted.artifact_type {
            values.push(artifact_type.into());
            filter = "AND artifact_type = $5";
        }
        let sql = format!(
            "SELECT digest, media_type, size, artifact_type, annotations FROM manifest \
             WHERE repository_id = $1 AND subject = $2 AND digest > $3 {filter} ORDER BY digest LIMIT $4"
        );
        sql::all(self.inner.db.read(), &sql, values).await
    }

    /// Clients that do not know the referrers API keep an index under a tag made of the subject's digest.
    async fn fallback_entries(
        &self,
        permit: &Permit<Pull>,
        repository: i64,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<ReferrerDescriptor>, StoreError> {
        let tag = Reference::Tag(wanted.subject.fallback_tag());
        let Some(index) = self.manifest(permit, &tag).await? else {
            return Ok(Vec::new());
        };
        let parsed = Manifest::parse(&index.bytes, Some(&index.media_type), &ManifestLimits::default());
        let Ok(Manifest { manifests, .. }) = parsed else {
            return Ok(Vec::new());
        };
        let mut entries: Vec<ReferrerDescriptor> = manifests
            .into_iter()
            .filter(|entry| wanted.after.is_none_or(|after| entry.digest > *after))
            .filter(|entry| {
                wanted
                    .artifact_type
                    .is_none_or(|wanted| entry.artifact_type.as_deref() == Some(wanted))
            })
            .map(|entry| ReferrerDescriptor {
                media_type: entry.media_type,
                digest: entry.digest,
                size: entry.size,
                artifact_type: entry.artifact_type,
                annotations: entry.annotations,
            })
            .collect();
        entries.sort_by_key(|entry| entry.digest);
        entries.dedup_by_key(|entry| entry.digest);
        self.only_silent(repository, wanted.subject, entries).await
    }

    /// Leaves out what the repository does not have, and what names the subject itself.
    async fn only_silent(
        &self,
        repository: i64,
        subject: &Digest,
        entries: Vec<ReferrerDescriptor>,
    ) -> Result<Vec<ReferrerDescriptor>, StoreError> {
        let mut present = std::collections::HashSet::new();
        for chunk in entries.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT digest AS text FROM manifest WHERE repository_id = $1 \
                 AND (subject IS NULL OR subject <> $2) AND digest IN ({})",
                sql::placeholders(3, chunk.len())
            );
            let mut values: Vec<Value> = vec![repository.into(), subject.to_string().into()];
            values.extend(chunk.iter().map(|entry| Value::from(entry.digest.to_string())));
            let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, values).await?;
            present.extend(rows.into_iter().map(|row| row.text));
        }
        Ok(entries
            .into_iter()
            .filter(|entry| present.contains(&entry.digest.to_string()))
            .collect())
    }
}

#[cfg(test)]
mod tests;
