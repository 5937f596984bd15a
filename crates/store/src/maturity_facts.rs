//! What maturity asks of images and of what was done with them, a repository at a time.
//!
//! Everything is read past the caches: who looks at all images at night must not push out what pulls need. No report of a layer is
//! opened and no blob is read.
//!
//! - `maturity_facts/around.rs`: what is told beside an image: its tags, indexes, reports, attachments, events and pulls.
//! - `maturity_facts/done.rs`: rebases, exemptions that were taken back, lines of the audit log.
//! - `maturity_facts/released.rs`: what figures are counted from. `maturity_facts/kept.rs`: what was made of facts before.

use std::collections::BTreeMap;

use oci::{Digest, RepoName, Tag};
use sea_orm::FromQueryResult;

use crate::db::sql;
use crate::{Outcome, Point, Store, StoreError, Timestamp, blob};

mod around;
mod done;
mod kept;
mod released;

pub use done::{FollowedBase, KnownModel, MAX_FOLLOWED_BASES};
pub use released::{OwnerTold, ReleasedImage};

/// Images of one repository that are told of: the newest. Default: the only value.
pub const MAX_KNOWN_IMAGES: usize = 200;

/// Repositories that are told of. Default: the only value.
const MAX_REPOSITORIES: u64 = 1_000_000;

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRepository {
    /// Its name.
    pub name: RepoName,
    /// Whether what is in it came from an upstream.
    pub is_foreign: bool,
}

/// How much of an image was looked into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LookedInto {
    /// How many blobs it names: its configuration and its layers.
    pub blobs: u64,
    /// Of how many there is a report.
    pub reported: u64,
    /// Of how many there is one that leaves nothing out.
    pub whole: u64,
}

/// What was decided of pulls of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDecision {
    /// What.
    pub outcome: Outcome,
    /// When outcome or reasons last changed.
    pub decided_at: Timestamp,
    /// By what its reasons are kept ([`Store::decision_texts`]); of what was decided long ago the reasons themselves.
    pub said: String,
    /// Whether `said` is the reasons themselves.
    pub is_text: bool,
}

/// Lines of the audit log about an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownEvents {
    /// Its first push.
    pub push: Option<i64>,
    /// The first decision, and when that was.
    pub first_decision: Option<(i64, Timestamp)>,
    /// The last change of a decision.
    pub last_decision: Option<i64>,
}

/// An image of a repository with what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownImage {
    /// Its manifest.
    pub digest: Digest,
    /// Its configuration.
    pub config: Option<Digest>,
    /// When it came to this repository.
    pub pushed_at: Timestamp,
    /// By whom, or by which part of the registry.
    pub pushed_by: String,
    /// What was decided; `None`: nothing yet.
    pub decision: Option<KnownDecision>,
    /// Tags that name it or an index with it.
    pub tags: Vec<Tag>,
    /// Indexes that name it.
    pub indexes: Vec<Digest>,
    /// How much of it was looked into.
    pub looked: LookedInto,
    /// Whether a list of its parts lies beside it.
    pub has_sbom: bool,
    /// Whether a statement of how it was built lies beside it, by whomever.
    pub has_provenance: bool,
    /// What the audit log says of it.
    pub events: KnownEvents,
    /// When it was first pulled to be used, as far as the log of pulls goes back.
    pub first_use: Option<Timestamp>,
    /// When a node first pulled it.
    pub first_node: Option<Timestamp>,
    /// When it was last pulled.
    pub last_use: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct RepositoryRow {
    name: String,
    is_foreign: i64,
}

#[derive(FromQueryResult)]
struct NewestRow {
    name: String,
    digest: String,
}

#[derive(FromQueryResult)]
struct ImageRow {
    id: i64,
    repository_id: i64,
    digest: String,
    config_digest: Option<String>,
    pushed_at: i64,
    pushed_by: String,
    outcome: Option<i64>,
    decided_at: Option<i64>,
    said: Option<String>,
    body: Option<String>,
    last_use: Option<i64>,
}

impl ImageRow {
    fn decision(&self) -> Option<KnownDecision> {
        let body = self.body.clone().unwrap_or_default();
        let is_text = !body.is_empty();
        Some(KnownDecision {
            outcome: Outcome::of_number(self.outcome?)?,
            decided_at: Timestamp(self.decided_at?),
            said: if is_text { body } else { self.said.clone()? },
            is_text,
        })
    }

    fn into_image(self) -> Result<KnownImage, StoreError> {
        Ok(KnownImage {
            decision: self.decision(),
            digest: blob::parse_digest(&self.digest)?,
            config: self
                .config_digest
                .as_deref()
                .map(blob::parse_digest)
                .transpose()?,
            pushed_at: Timestamp(self.pushed_at),
            pushed_by: self.pushed_by,
            tags: Vec::new(),
            indexes: Vec::new(),
            looked: LookedInto::default(),
            has_sbom: false,
            has_provenance: false,
            events: KnownEvents::default(),
            first_use: None,
            first_node: None,
            last_use: self.last_use.map(Timestamp),
        })
    }
}

impl Store {
    /// All repositories, by name.
    pub async fn known_repositories(&self) -> Result<Vec<KnownRepository>, StoreError> {
        let sql = "SELECT r.name AS name, CASE WHEN EXISTS (SELECT 1 FROM upstream_tag u WHERE u.repository = r.name) \
                   THEN 1 ELSE 0 END AS is_foreign FROM repository r ORDER BY r.name LIMIT $1";
        let values = [sql::to_db(MAX_REPOSITORIES).into()];
        let rows: Vec<RepositoryRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let read = |row: RepositoryRow| {
            let damaged = |_| StoreError::damaged(format!("{:?} is no repository", row.name));
            Ok(KnownRepository {
                name: row.name.parse().map_err(damaged)?,
                is_foreign: row.is_foreign != 0,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// The newest images of a repository that were pushed or pulled since a moment, and the newest one of all, the newest first; at most
    /// [`MAX_KNOWN_IMAGES`]. What was found to be nothing that runs is none, and what lies under a tag for signatures neither.
    pub async fn known_images(
        &self,
        repo: &RepoName,
        since: Timestamp,
    ) -> Result<Vec<KnownImage>, StoreError> {
        let rows = self.image_rows(repo, None).await?;
        let counts = |(place, row): &(usize, ImageRow)| {
            let is_used = row.last_use.is_some_and(|at| at >= since.micros());
            *place == 0 || row.pushed_at >= since.micros() || is_used
        };
        let wanted = rows.into_iter().enumerate().filter(counts);
        self.tell_images(repo, wanted.map(|(_, row)| row).collect()).await
    }

    /// One image of a repository, whenever it was pushed; `None` as above.
    pub async fn known_image(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<KnownImage>, StoreError> {
        let rows = self.image_rows(repo, Some(digest)).await?;
        Ok(self.tell_images(repo, rows).await?.pop())
    }

    async fn image_rows(
        &self,
        repo: &RepoName,
        digest: Option<&Digest>,
    ) -> Result<Vec<ImageRow>, StoreError> {
        let only = digest.map_or_else(String::new, |digest| format!("AND m.digest = '{digest}' "));
        let sql = format!(
            "SELECT m.id, m.repository_id, m.digest, m.config_digest, m.pushed_at, m.pushed_by, d.outcome, d.decided_at, \
                   d.said, d.body, (SELECT p.at FROM pull_log p WHERE p.digest = m.digest AND p.repository = $1 \
                   AND p.class <> 'inspection' ORDER BY p.seq DESC LIMIT 1) AS last_use \
                   FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   LEFT JOIN decision d ON d.repository_id = m.repository_id AND d.digest = m.digest AND d.point = $2 \
                   WHERE r.name = $1 AND m.kind = 0 AND m.subject IS NULL AND (d.outcome IS NULL OR d.outcome <> $3) {only}\
                   AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.name LIKE 'sha256-%') \
                   ORDER BY m.pushed_at DESC, m.id DESC LIMIT $4"
        );
        let values = [
            repo.as_str().into(),
            Point::Pull.name().into(),
            Outcome::NotApplicable.number().into(),
            sql::to_db(MAX_KNOWN_IMAGES as u64).into(),
        ];
        sql::all(self.inner.db.read(), &sql, values).await
    }

    async fn tell_images(&self, repo: &RepoName, rows: Vec<ImageRow>) -> Result<Vec<KnownImage>, StoreError> {
        let Some(repository) = rows.first().map(|row| row.repository_id) else {
            return Ok(Vec::new());
        };
        let mut images = BTreeMap::new();
        for row in rows {
            images.insert(row.id, row.into_image()?);
        }
        self.tell_around(repo, repository, &mut images).await?;
        let mut images: Vec<(i64, KnownImage)> = images.into_iter().collect();
        images.sort_by_key(|(id, image)| std::cmp::Reverse((image.pushed_at, *id)));
        Ok(images.into_iter().map(|(_, image)| image).collect())
    }

    /// The newest image of each repository that had come before a moment, of those that were judged and run.
    pub async fn newest_images(&self, before: Timestamp) -> Result<Vec<(RepoName, Digest)>, StoreError> {
        let sql = "SELECT name, digest FROM (SELECT r.name AS name, m.digest AS digest, \
                   ROW_NUMBER() OVER (PARTITION BY m.repository_id ORDER BY m.pushed_at DESC, m.id DESC) AS place \
                   FROM manifest m JOIN repository r ON r.id = m.repository_id \
                   JOIN decision d ON d.repository_id = m.repository_id AND d.digest = m.digest AND d.point = $1 \
                   WHERE m.kind = 0 AND m.subject IS NULL AND d.outcome <> $2 AND m.pushed_at <= $3) AS placed \
                   WHERE place = 1 ORDER BY name LIMIT $4";
        let values = [
            Point::Pull.name().into(),
            Outcome::NotApplicable.number().into(),
            before.micros().into(),
            sql::to_db(MAX_REPOSITORIES).into(),
        ];
        let rows: Vec<NewestRow> = sql::all(self.inner.db.read(), sql, values).await?;
        let read = |row: NewestRow| {
            let damaged = |_| StoreError::damaged(format!("{:?} is no repository", row.name));
            Ok((
                row.name.parse().map_err(damaged)?,
                blob::parse_digest(&row.digest)?,
            ))
        };
        rows.into_iter().map(read).collect()
    }

    /// Reasons of decisions by what they are kept by, as far as they are there.
    pub async fn decision_texts(&self, said: &[&str]) -> Result<BTreeMap<String, String>, StoreError> {
        self.texts_of(said.iter().copied()).await
    }
}

#[cfg(test)]
mod tests;
