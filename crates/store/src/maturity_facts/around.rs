//! What is told beside an image.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};
use serde::Deserialize;

use super::{KnownImage, LookedInto};
use crate::db::sql;
use crate::{EventKind, Store, StoreError, Timestamp, blob, tag};

/// Referrers and indexes of the images of one repository that are looked at; more are left out. Default: the only value.
const MAX_AROUND: u64 = 10_000;

/// How `BuildKit` says in an index what is no image but about one.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// And about which.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// What is in the annotations or documents of a statement of how something was built.
const PROVENANCE: &str = "slsa.dev/provenance";

/// What is in the types or annotations of lists of parts.
const SBOM: [&str; 3] = ["spdx", "cyclonedx", "vnd.syft"];

#[derive(FromQueryResult)]
struct ParentRow {
    child: String,
    parent: String,
    id: i64,
}

#[derive(FromQueryResult)]
struct TagRow {
    manifest_id: i64,
    name: String,
}

#[derive(FromQueryResult)]
struct ReportRow {
    manifest_id: i64,
    blobs: i64,
    reported: i64,
    whole: i64,
}

#[derive(FromQueryResult)]
struct ReferrerRow {
    subject: String,
    artifact_type: Option<String>,
    annotations: String,
}

#[derive(FromQueryResult)]
struct ContentRow {
    digest: String,
    bytes: Vec<u8>,
}

#[derive(FromQueryResult)]
struct EventRow {
    subject: String,
    kind: String,
    first_seq: i64,
    last_seq: i64,
    first_at: i64,
}

#[derive(FromQueryResult)]
struct PullRow {
    id: i64,
    first_use: Option<i64>,
    first_node: Option<i64>,
}

/// An index, as far as it says what is about what. It was checked when it was pushed.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What lies beside something.
#[derive(Default, Clone, Copy)]
struct Beside {
    sbom: bool,
    provenance: bool,
}

impl Beside {
    fn note(&mut self, text: &str) {
        let text = text.to_ascii_lowercase();
        self.sbom |= SBOM.iter().any(|word| text.contains(word));
        self.provenance |= text.contains(PROVENANCE);
    }
}

/// Images by the number of their manifest.
type Images = BTreeMap<i64, KnownImage>;

impl Store {
    /// Fills in what is told of images beside their rows.
    pub(super) async fn tell_around(
        &self,
        repo: &RepoName,
        repository: i64,
        images: &mut Images,
    ) -> Result<(), StoreError> {
        let parents = self.parents(repository, images).await?;
        self.tell_tags(repository, images, &parents).await?;
        self.tell_reports(images).await?;
        self.tell_events(repo, images).await?;
        self.tell_pulls(repo, images).await?;
        self.tell_beside(repository, images, &parents).await
    }

    /// The indexes that name the images, with the numbers of their manifests.
    async fn parents(
        &self,
        repository: i64,
        images: &mut Images,
    ) -> Result<HashMap<Digest, i64>, StoreError> {
        let sql = format!(
            "SELECT f.digest AS child, m.digest AS parent, m.id AS id FROM manifest_reference f \
             JOIN manifest m ON m.id = f.manifest_id WHERE f.repository_id = $1 AND f.kind = 1 AND f.digest IN ({}) \
             ORDER BY m.id DESC LIMIT {MAX_AROUND}",
            sql::placeholders(2, images.len())
        );
        let digests = images.values().map(|image| Value::from(image.digest.to_string()));
        let values: Vec<Value> = std::iter::once(repository.into()).chain(digests).collect();
        let rows: Vec<ParentRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        let mut children: HashMap<String, Vec<Digest>> = HashMap::new();
        let mut parents = HashMap::new();
        for row in rows {
            let parent = blob::parse_digest(&row.parent)?;
            parents.insert(parent, row.id);
            children.entry(row.child).or_default().push(parent);
        }
        for image in images.values_mut() {
            image.indexes = children.remove(&image.digest.to_string()).unwrap_or_default();
        }
        Ok(parents)
    }

    async fn tell_tags(
        &self,
        repository: i64,
        images: &mut Images,
        parents: &HashMap<Digest, i64>,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<i64> = images.keys().chain(parents.values()).copied().collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let mut names: HashMap<i64, Vec<oci::Tag>> = HashMap::new();
        for chunk in ids.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT manifest_id, name FROM tag WHERE repository_id = $1 AND manifest_id IN ({}) ORDER BY name",
                sql::placeholders(2, chunk.len())
            );
            let values = std::iter::once(repository).chain(chunk.iter().copied());
            let rows: Vec<TagRow> = sql::all(self.inner.db.read(), &sql, values.map(Value::from)).await?;
            for row in rows {
                names
                    .entry(row.manifest_id)
                    .or_default()
                    .push(tag::parse(&row.name)?);
            }
        }
        for (id, image) in images {
            let ids = image.indexes.iter().filter_map(|index| parents.get(index));
            let mut tags: Vec<oci::Tag> = std::iter::once(id)
                .chain(ids)
                .filter_map(|id| names.get(id))
                .flatten()
                .filter(|tag| tag.attached_to().is_none())
                .cloned()
                .collect();
            tags.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
            tags.dedup();
            image.tags = tags;
        }
        Ok(())
    }

    async fn tell_reports(&self, images: &mut Images) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT f.manifest_id AS manifest_id, COUNT(*) AS blobs, \
             COALESCE(SUM(CASE WHEN l.digest IS NULL THEN 0 ELSE 1 END), 0) AS reported, \
             COALESCE(SUM(CASE WHEN l.is_whole THEN 1 ELSE 0 END), 0) AS whole \
             FROM manifest_reference f LEFT JOIN layer_report l ON l.digest = f.digest \
             WHERE f.kind = 0 AND f.manifest_id IN ({}) GROUP BY f.manifest_id",
            sql::placeholders(1, images.len())
        );
        let values = images.keys().map(|id| Value::from(*id));
        let rows: Vec<ReportRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        for row in rows {
            if let Some(image) = images.get_mut(&row.manifest_id) {
                image.looked = LookedInto {
                    blobs: sql::from_db(row.blobs),
                    reported: sql::from_db(row.reported),
                    whole: sql::from_db(row.whole),
                };
            }
        }
        Ok(())
    }

    async fn tell_events(&self, repo: &RepoName, images: &mut Images) -> Result<(), StoreError> {
        // By the few events of each image: an index of kinds would be walked from the first push of all.
        let sql = format!(
            "SELECT subject, kind, MIN(seq) AS first_seq, MAX(seq) AS last_seq, MIN(at) AS first_at FROM event \
             WHERE subject IN ({}) AND kind || '' IN ('manifest.push', 'image.decide') GROUP BY subject, kind",
            sql::placeholders(1, images.len())
        );
        let subjects = images
            .values()
            .map(|image| Value::from(blob::subject(repo, &image.digest)));
        let rows: Vec<EventRow> = sql::all(self.inner.db.read(), &sql, subjects).await?;
        let by_subject: HashMap<String, i64> = images
            .iter()
            .map(|(id, image)| (blob::subject(repo, &image.digest), *id))
            .collect();
        for row in rows {
            let image = by_subject.get(&row.subject).and_then(|id| images.get_mut(id));
            let Some(image) = image else { continue };
            if EventKind::from_name(&row.kind) == Some(EventKind::ManifestPush) {
                image.events.push = Some(row.first_seq);
            } else {
                image.events.first_decision = Some((row.first_seq, Timestamp(row.first_at)));
                image.events.last_decision = Some(row.last_seq);
            }
        }
        Ok(())
    }

    async fn tell_pulls(&self, repo: &RepoName, images: &mut Images) -> Result<(), StoreError> {
        let first = |class: &str| {
            format!(
                "(SELECT p.at FROM pull_log p WHERE p.digest = m.digest AND p.repository = $1 AND p.class {class} \
                 ORDER BY p.seq LIMIT 1)"
            )
        };
        let sql = format!(
            "SELECT m.id AS id, {} AS first_use, {} AS first_node FROM manifest m WHERE m.id IN ({})",
            first("<> 'inspection'"),
            first("= 'node'"),
            sql::placeholders(2, images.len())
        );
        let ids = images.keys().map(|id| Value::from(*id));
        let values: Vec<Value> = std::iter::once(repo.as_str().into()).chain(ids).collect();
        let rows: Vec<PullRow> = sql::all(self.inner.db.read(), &sql, values).await?;
        for row in rows {
            if let Some(image) = images.get_mut(&row.id) {
                image.first_use = row.first_use.map(Timestamp);
                image.first_node = row.first_node.map(Timestamp);
            }
        }
        Ok(())
    }

    /// What refers to the images and to indexes with them, and what these name beside them.
    async fn tell_beside(
        &self,
        repository: i64,
        images: &mut Images,
        parents: &HashMap<Digest, i64>,
    ) -> Result<(), StoreError> {
        let own = images.values().map(|image| image.digest);
        let subjects: BTreeSet<String> = own
            .chain(parents.keys().copied())
            .map(|digest| digest.to_string())
            .collect();
        let subjects: Vec<String> = subjects.into_iter().collect();
        let mut beside: HashMap<String, Beside> = HashMap::new();
        for chunk in subjects.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT subject, artifact_type, annotations FROM manifest WHERE repository_id = $1 AND subject IN ({}) \
                 LIMIT {MAX_AROUND}",
                sql::placeholders(2, chunk.len())
            );
            let values = std::iter::once(repository.into())
                .chain(chunk.iter().map(|subject| Value::from(subject.as_str())));
            let rows: Vec<ReferrerRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            for row in rows {
                let found = beside.entry(row.subject).or_default();
                found.note(row.artifact_type.as_deref().unwrap_or_default());
                found.note(&row.annotations);
            }
        }
        self.add_attestations(repository, parents, &mut beside).await?;
        for image in images.values_mut() {
            let all = std::iter::once(&image.digest).chain(&image.indexes);
            let found: Vec<Beside> = all
                .filter_map(|digest| beside.get(&digest.to_string()))
                .copied()
                .collect();
            image.has_sbom = found.iter().any(|found| found.sbom);
            image.has_provenance = found.iter().any(|found| found.provenance);
        }
        Ok(())
    }

    /// What builders put into an index about its images.
    async fn add_attestations(
        &self,
        repository: i64,
        parents: &HashMap<Digest, i64>,
        beside: &mut HashMap<String, Beside>,
    ) -> Result<(), StoreError> {
        let mut about: HashMap<String, String> = HashMap::new();
        let ids: Vec<Value> = parents.values().map(|id| Value::from(*id)).collect();
        for index in self.contents("m.id", &ids, None).await? {
            let Ok(index) = serde_json::from_slice::<Index>(&index.bytes) else {
                continue;
            };
            for child in index.manifests {
                if child.annotations.contains_key(REFERENCE_TYPE)
                    && let Some(image) = child.annotations.get(REFERENCE_DIGEST)
                {
                    about.insert(child.digest, image.clone());
                }
            }
        }
        let digests: Vec<Value> = about.keys().map(|digest| Value::from(digest.as_str())).collect();
        for attestation in self.contents("m.digest", &digests, Some(repository)).await? {
            if let Some(image) = about.get(&attestation.digest) {
                let found = beside.entry(image.clone()).or_default();
                found.note(&String::from_utf8_lossy(&attestation.bytes));
            }
        }
        Ok(())
    }

    /// Manifests by their number or digest.
    async fn contents(
        &self,
        column: &str,
        wanted: &[Value],
        repository: Option<i64>,
    ) -> Result<Vec<ContentRow>, StoreError> {
        /// In one statement: each may be long.
        const AT_ONCE: usize = 50;
        let mut found = Vec::new();
        for chunk in wanted.chunks(AT_ONCE) {
            let within = repository.map_or_else(String::new, |id| format!("m.repository_id = {id} AND "));
            let sql = format!(
                "SELECT m.digest AS digest, c.bytes AS bytes FROM manifest m JOIN manifest_content c ON c.id = m.content_id \
                 WHERE {within}{column} IN ({})",
                sql::placeholders(1, chunk.len())
            );
            let rows: Vec<ContentRow> = sql::all(self.inner.db.read(), &sql, chunk.iter().cloned()).await?;
            found.extend(rows);
        }
        Ok(found)
    }
}
