//! What figures are counted from: tags that were set, and the images behind them.

use std::collections::BTreeMap;

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};

use crate::db::sql;
use crate::event::line;
use crate::{LogLine, Outcome, Point, Store, StoreError, Timestamp, blob};

/// Messages to owners that are told of. Default: the only value.
const MAX_TOLD: u64 = 100_000;

/// An image that was pushed under a tag, by itself or as a part of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedImage {
    /// What the tag named.
    pub whole: Digest,
    /// The image.
    pub image: Digest,
    /// Its configuration.
    pub config: Option<Digest>,
}

/// That an owner was told of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerTold {
    /// Which incident.
    pub incident: String,
    /// Who, as messages call them.
    pub owner: String,
    /// When last.
    pub at: Timestamp,
}

#[derive(FromQueryResult)]
struct ImageRow {
    whole: String,
    image: String,
    config: Option<String>,
}

#[derive(FromQueryResult)]
struct FirstRow {
    subject: String,
    at: i64,
}

#[derive(FromQueryResult)]
struct ToldRow {
    incident: String,
    owner: String,
    at: i64,
}

impl Store {
    /// Lines of the audit log of a kind since a moment, behind `after`, in their order.
    pub async fn lines_of(
        &self,
        kind: &str,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError> {
        let sql = "SELECT seq, at, kind, subject, actor, cause, body FROM event WHERE kind = $1 AND seq > $2 AND at >= $3 \
                   ORDER BY seq LIMIT $4";
        let values = [
            kind.into(),
            after.into(),
            since.micros().into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<line::Row> = sql::all(self.inner.db.read(), sql, values).await?;
        Ok(rows.into_iter().map(line::Row::into_line).collect())
    }

    /// The images that these manifests of a repository are, or name; as far as they are still there and run.
    pub async fn released_images(
        &self,
        repo: &RepoName,
        wholes: &[Digest],
    ) -> Result<Vec<ReleasedImage>, StoreError> {
        let mut found = Vec::new();
        for chunk in wholes.chunks(sql::CHUNK) {
            let places = sql::placeholders(4, chunk.len());
            let runs = "NOT EXISTS (SELECT 1 FROM decision d WHERE d.repository_id = c.repository_id AND d.digest = c.digest \
                        AND d.point = $2 AND d.outcome = $3)";
            let sql = format!(
                "SELECT c.digest AS whole, c.digest AS image, c.config_digest AS config FROM manifest c \
                 JOIN repository r ON r.id = c.repository_id WHERE r.name = $1 AND c.kind = 0 AND c.digest IN ({places}) AND {runs} \
                 UNION ALL SELECT i.digest AS whole, c.digest AS image, c.config_digest AS config FROM manifest i \
                 JOIN repository r ON r.id = i.repository_id JOIN manifest_reference f ON f.manifest_id = i.id AND f.kind = 1 \
                 JOIN manifest c ON c.repository_id = i.repository_id AND c.digest = f.digest AND c.kind = 0 \
                 WHERE r.name = $1 AND i.kind = 1 AND i.digest IN ({places}) AND {runs}"
            );
            let head: [Value; 3] = [
                repo.as_str().into(),
                Point::Pull.name().into(),
                Outcome::NotApplicable.number().into(),
            ];
            let digests = chunk.iter().map(|digest| Value::from(digest.to_string()));
            let values: Vec<Value> = head.into_iter().chain(digests).collect();
            let rows: Vec<ImageRow> = sql::all(self.inner.db.read(), &sql, values).await?;
            for row in rows {
                found.push(ReleasedImage {
                    whole: blob::parse_digest(&row.whole)?,
                    image: blob::parse_digest(&row.image)?,
                    config: row.config.as_deref().map(blob::parse_digest).transpose()?,
                });
            }
        }
        Ok(found)
    }

    /// When images of a repository were first decided on.
    pub async fn first_decisions(
        &self,
        repo: &RepoName,
        images: &[Digest],
    ) -> Result<BTreeMap<Digest, Timestamp>, StoreError> {
        let mut found = BTreeMap::new();
        for chunk in images.chunks(sql::CHUNK) {
            let sql = format!(
                "SELECT subject, MIN(at) AS at FROM event WHERE subject IN ({}) AND kind || '' = 'image.decide' GROUP BY subject",
                sql::placeholders(1, chunk.len())
            );
            let subjects = chunk
                .iter()
                .map(|digest| Value::from(blob::subject(repo, digest)));
            let rows: Vec<FirstRow> = sql::all(self.inner.db.read(), &sql, subjects).await?;
            for row in rows {
                if let Some((_, digest)) = row.subject.split_once('@') {
                    found.insert(blob::parse_digest(digest)?, Timestamp(row.at));
                }
            }
        }
        Ok(found)
    }

    /// Who was told of incidents, the latest first.
    pub async fn owners_told(&self) -> Result<Vec<OwnerTold>, StoreError> {
        let sql = "SELECT incident, owner, at FROM told ORDER BY at DESC LIMIT $1";
        let rows: Vec<ToldRow> = sql::all(self.inner.db.read(), sql, [sql::to_db(MAX_TOLD).into()]).await?;
        let read = |row: ToldRow| OwnerTold {
            incident: row.incident,
            owner: row.owner,
            at: Timestamp(row.at),
        };
        Ok(rows.into_iter().map(read).collect())
    }
}
