//! Decisions that say by whose word findings do not count, for the index of all images. Read past the caches, like all that is.

use oci::{Digest, RepoName};
use sea_orm::{FromQueryResult, Value};

use super::repo_name;
use crate::db::sql;
use crate::{Point, Store, StoreError, blob};

/// That a decision takes findings away, or that it is not known whether it does: a mark is believed only while the row has the moment
/// that it was made for. As the index of `m0022` has it.
const MAY_WAIVE: &str = "(d.waives = 1 OR d.said_at <> d.decided_at)";

/// Behind which decision to go on; by default before the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaivedCursor {
    repository: i64,
    digest: String,
}

/// A decision that takes findings away, or of which only its body says that it does not.
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
    said: Option<String>,
}

impl Store {
    /// What was decided of pulls of an image, if it may take findings away.
    pub async fn waived_decision(
        &self,
        repo: &RepoName,
        digest: &Digest,
    ) -> Result<Option<String>, StoreError> {
        let sql = format!(
            "SELECT d.repository_id, r.name, d.digest, d.body, d.said FROM decision d JOIN repository r ON r.id = d.repository_id \
                   WHERE r.name = $1 AND d.digest = $2 AND d.point = $3 AND {MAY_WAIVE}"
        );
        let values: [Value; 3] = [
            repo.as_str().into(),
            digest.to_string().into(),
            Point::Pull.name().into(),
        ];
        let row: Option<Row> = sql::first(self.inner.db.read(), &sql, values).await?;
        let decided = self.decisions_of(row.into_iter().collect()).await?;
        Ok(decided.into_iter().next().map(|decided| decided.body))
    }

    /// The same of many images; those that are known to take nothing away are not among them.
    pub async fn waived_decisions_of(
        &self,
        images: &[(RepoName, Digest)],
    ) -> Result<Vec<WaivedDecision>, StoreError> {
        let mut found = Vec::new();
        for chunk in images.chunks(sql::CHUNK) {
            let wanted = (0..chunk.len()).map(|n| format!("(${}, ${})", 2 * n + 2, 2 * n + 3));
            let sql = format!(
                "WITH wanted(repository, digest) AS (VALUES {}) \
                 SELECT d.repository_id, r.name, d.digest, d.body, d.said FROM wanted w JOIN repository r ON r.name = w.repository \
                 JOIN decision d ON d.repository_id = r.id AND d.digest = w.digest AND d.point = $1 AND {MAY_WAIVE}",
                wanted.collect::<Vec<_>>().join(", ")
            );
            let names = chunk
                .iter()
                .flat_map(|(repo, digest)| [Value::from(repo.as_str()), digest.to_string().into()]);
            let values = std::iter::once(Value::from(Point::Pull.name())).chain(names);
            let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
            found.extend(self.decisions_of(rows).await?);
        }
        Ok(found)
    }

    /// All such decisions, a page at a time, with where the next one begins. An empty page is the last.
    pub async fn waived_decisions(
        &self,
        after: &WaivedCursor,
        limit: usize,
    ) -> Result<(Vec<WaivedDecision>, WaivedCursor), StoreError> {
        let sql = format!(
            "SELECT d.repository_id, r.name, d.digest, d.body, d.said FROM decision d \
                   JOIN repository r ON r.id = d.repository_id \
                   WHERE (d.repository_id > $1 OR (d.repository_id = $1 AND d.digest > $2)) \
                   AND d.point = $3 AND {MAY_WAIVE} ORDER BY d.repository_id, d.digest LIMIT $4"
        );
        let values: [Value; 4] = [
            after.repository.into(),
            after.digest.as_str().into(),
            Point::Pull.name().into(),
            sql::to_db(limit as u64).into(),
        ];
        let rows: Vec<Row> = sql::all(self.inner.db.read(), &sql, values).await?;
        let next = rows.last().map_or_else(
            || after.clone(),
            |last| WaivedCursor {
                repository: last.repository_id,
                digest: last.digest.clone(),
            },
        );
        Ok((self.decisions_of(rows).await?, next))
    }

    /// With their texts. Of what was decided anew meanwhile there is none any more: whoever reads hears of that next.
    async fn decisions_of(&self, rows: Vec<Row>) -> Result<Vec<WaivedDecision>, StoreError> {
        let kept = rows.iter().filter(|row| row.body.is_empty());
        let said = kept.filter_map(|row| row.said.as_deref());
        let texts = self.texts_of(said).await?;
        let whole = rows.into_iter().filter_map(|mut row| {
            if row.body.is_empty() {
                row.body.clone_from(texts.get(row.said.as_ref()?)?);
            }
            Some(row.into_decision())
        });
        whole.collect()
    }
}

impl Row {
    fn into_decision(self) -> Result<WaivedDecision, StoreError> {
        Ok(WaivedDecision {
            repo: repo_name(&self.name)?,
            digest: blob::parse_digest(&self.digest)?,
            body: self.body,
        })
    }
}
