//! Decisions that say by whose word findings do not count, for the index of all images. Read past the caches, like all that is.

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};

use super::repo_name;
use crate::db::sql;
use crate::{Point, Store, StoreError, blob};

/// Is in the body of such a decision, and in hardly any other.
const MARK: &str = "%\"waived\":[{%";

/// Behind which decision to go on; by default before the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaivedCursor {
    repository: i64,
    digest: String,
}

/// A decision that takes findings away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaivedDecision {
    /// Where the image lies.
    pub repo: RepoName,
    /// Which it is.
    pub digest: Digest,
    /// [`Judgement::body`](crate::Judgement::body).
    pub body: String,
}

#[derive(FromQueryResult)]
struct Row {
    repository_id: i64,
    name: String,
    digest: String,
    body: String,
}

impl Store {
    /// What was decided of pulls of an image, if it takes findings away.
    pub async fn waived_decision(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT d.body AS text FROM decision d JOIN repository r ON r.id = d.repository_id \
                   WHERE r.name = $1 AND d.digest = $2 AND d.point = $3 AND d.body LIKE $4";
        let values: [Value; 4] = [
            repo.as_str().into(),
            digest.to_string().into(),
            Point::Pull.name().into(),
            MARK.into(),
        ];
        let row: Option<sql::Text> = sql::first(self.inner.db.read(), sql, values).await?;
        Ok(row.map(|row| row.text))
    }

    /// All such decisions, a page at a time, with where the next one begins. An empty page is the last.
    pub async fn waived_decisions(
        &self,
        after: &WaivedCursor,
        limit: usize,
    ) -> Result<(Vec<WaivedDecision>, WaivedCursor), StoreError> {
        let sql = "SELECT d.repository_id, r.name, d.digest, d.body FROM decision d \
                   JOIN repository r ON r.id = d.repository_id \
                   WHERE (d.repository_id > $1 OR (d.repository_id = $1 AND d.digest > $2)) \
                   AND d.point = $3 AND d.body LIKE $4 ORDER BY d.repository_id, d.digest LIMIT $5";
        let values: [Value; 5] = [
            after.repository.into(),
            after.digest.as_str().into(),
            Point::Pull.name().into(),
            MARK.into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), sql, values).await?;
        let next = rows.last().map_or_else(
            || after.clone(),
            |last| WaivedCursor {
                repository: last.repository_id,
                digest: last.digest.clone(),
            },
        );
        let parse = |row: Row| {
            Ok(WaivedDecision {
                repo: repo_name(&row.name)?,
                digest: blob::parse_digest(&row.digest)?,
                body: row.body,
            })
        };
        let page: Result<_, StoreError> = rows.into_iter().map(parse).collect();
        Ok((page?, next))
    }
}
