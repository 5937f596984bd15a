//! Referrers: what points to a manifest with its `subject`.

use std::collections::BTreeMap;

use access::Permit;
use access::permit::Pull;
use oci::{Digest, Manifest, ManifestLimits, MediaType, Reference};
use sea_orm::{FromQueryResult, Value};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

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

/// Annotations on one page, bytes of JSON. A page ends before the entry that would exceed it, but has at least one.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Annotations of one referrer that its entry in the lists repeats, bytes of JSON. The manifest itself has them all.
/// Without it one entry could be as large as a manifest, for a caller who asked for a list.
pub(crate) const ENTRY_BYTES: usize = 256 << 10;

/// The annotations of a manifest that its row repeats, as JSON: as many as fit [`ENTRY_BYTES`], in the order of their
/// keys; none where no list of referrers asks for them.
pub(crate) fn kept_annotations(manifest: &Manifest) -> String {
    let mut kept = BTreeMap::new();
    let mut room = ENTRY_BYTES - "{}".len();
    let annotations = manifest.annotations.iter();
    for (key, value) in annotations.filter(|_| manifest.subject.is_some()) {
        // A colon and a comma.
        let bytes = json_bytes(key) + json_bytes(value) + 2;
        if let Some(left) = room.checked_sub(bytes) {
            room = left;
            kept.insert(key, value);
        }
    }
    serde_json::to_string(&kept).unwrap_or_default()
}

/// How long a text is as JSON: up to six times as long as it is.
fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX / 4, |json| json.len())
}

/// Which page of which list.
struct Wanted<'a> {
    subject: &'a Digest,
    artifact_type: Option<&'a str>,
    after: Option<&'a Digest>,
    /// One more than the page has, to know whether something follows.
    count: usize,
}

/// A row before its text is loaded.
#[derive(FromQueryResult)]
struct Candidate {
    id: i64,
    digest: String,
    bytes: i64,
}

/// An entry and the bytes of its annotations.
struct Weighed {
    bytes: usize,
    entry: ReferrerDescriptor,
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
    fn weigh(self) -> Result<Weighed, StoreError> {
        let damaged = |what: &str| StoreError::damaged(format!("manifest {} has no {what}", self.digest));
        let entry = ReferrerDescriptor {
            digest: blob::parse_digest(&self.digest)?,
            media_type: self.media_type.parse().map_err(|_| damaged("media type"))?,
            size: sql::from_db(self.size),
            annotations: serde_json::from_str(&self.annotations).map_err(|_| damaged("annotations"))?,
            artifact_type: self.artifact_type,
        };
        Ok(Weighed {
            bytes: self.annotations.len(),
            entry,
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
        let _turn = self.referrer_turn().await?;
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
        fallback.retain(|weighed| end.is_none_or(|end| weighed.entry.digest <= end));
        found.append(&mut fallback);
        found.sort_by_key(|weighed| weighed.entry.digest);
        let fitting = fitting(found.iter().map(|weighed| weighed.bytes));
        let is_cut = end.is_some() || fitting < found.len();
        found.truncate(fitting);
        let page = Page::cut(found.into_iter().map(|weighed| weighed.entry).collect(), limit);
        Ok(Page {
            more: page.more || (is_cut && limit > 0),
            ..page
        })
    }

    /// A turn to make a list: each holds a page in memory.
    async fn referrer_turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let turn = self.inner.referrer_lists.acquire();
        let turn = timeout(self.limits().referrer_list_wait, turn).await;
        turn.map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::TaskLost)
    }

    /// The manifests that name the subject; and where the list was cut because it would have become too large. Nothing
    /// is loaded before it is known to fit.
    async fn subject_entries(
        &self,
        repository: i64,
        wanted: &Wanted<'_>,
    ) -> Result<(Vec<Weighed>, Option<Digest>), StoreError> {
        let mut candidates = self.candidates(repository, wanted).await?;
        let sizes = candidates
            .iter()
            .map(|row| usize::try_from(row.bytes).unwrap_or(usize::MAX));
        let fitting = fitting(sizes);
        let is_cut = fitting < candidates.len();
        candidates.truncate(fitting);
        let end = candidates.last().filter(|_| is_cut);
        let end = end.map(|row| blob::parse_digest(&row.digest)).transpose()?;
        let mut found = Vec::with_capacity(candidates.len());
        for chunk in candidates.chunks(sql::CHUNK) {
            // By id: a row never changes, so it is as large as it was.
            let sql = format!(
                "SELECT digest, media_type, size, artifact_type, annotations FROM manifest WHERE id IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let ids = chunk.iter().map(|row| Value::from(row.id));
            for row in sql::all::<Row>(self.inner.db.read(), &sql, ids).await? {
                found.push(row.weigh()?);
            }
        }
        Ok((found, end))
    }

    /// Which rows there are, and how large.
    async fn candidates(&self, repository: i64, wanted: &Wanted<'_>) -> Result<Vec<Candidate>, StoreError> {
        let after = wanted.after.map(ToString::to_string).unwrap_or_default();
        let mut values: Vec<Value> = vec![
            repository.into(),
            wanted.subject.to_string().into(),
            after.into(),
            sql::to_db(wanted.count as u64).into(),
        ];
        let mut filter = "";
        if let Some(artifact_type) = wanted.artifact_type {
            values.push(artifact_type.into());
            filter = "AND artifact_type = $5";
        }
        // The length stands in the head of the row: the text is not read.
        let sql = format!(
            "SELECT id, digest, octet_length(annotations) AS bytes FROM manifest \
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
    ) -> Result<Vec<Weighed>, StoreError> {
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
        let entries = self.only_silent(repository, wanted.subject, entries).await?;
        let weigh = |entry: ReferrerDescriptor| Weighed {
            bytes: serde_json::to_string(&entry.annotations).map_or(0, |json| json.len()),
            entry,
        };
        Ok(entries.into_iter().map(weigh).collect())
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

/// How many entries of these sizes fit a page: at least one, so that whoever reads on gets on.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut sum: usize = 0;
    let fitting = sizes.take_while(|bytes| {
        let is_first = sum == 0;
        sum = sum.saturating_add(*bytes);
        is_first || sum <= PAGE_BYTES
    });
    fitting.count()
}

#[cfg(test)]
mod tests;
