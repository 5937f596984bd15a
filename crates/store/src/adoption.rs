//! How the road was taken up, day by day, and the newest tag of each repository.

use oci::{RepoName, Tag};
use road::adoption::Bands;
use road::cohort::Cohort;
use road::names::Owner;
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::{Store, StoreError};

/// Days that are kept; older ones are forgotten. Default: the only value.
pub const MAX_ADOPTION_DAYS: i64 = 800;

/// Rows of one day; of more owners the rest is not kept.
const MAX_ROWS: usize = 20_000;

/// Rows that one statement writes.
const ROWS: usize = 100;

/// Repositories whose newest tag is read.
const MAX_REPOSITORIES: u64 = 500_000;

/// How many repositories were in each cohort at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionSum {
    /// Days since the beginning of 1970, UTC.
    pub day: i64,
    /// How many, by cohort.
    pub bands: Bands,
}

/// How many repositories of an owner were in a cohort at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptionDay {
    /// Days since the beginning of 1970, UTC.
    pub day: i64,
    /// Whose; nobody's.
    pub owner: Option<Owner>,
    /// In which cohort.
    pub cohort: Cohort,
    /// How many.
    pub repositories: u64,
}

#[derive(FromQueryResult)]
struct SumRow {
    day: i64,
    cohort: String,
    repositories: i64,
}

#[derive(FromQueryResult)]
struct NewestRow {
    repository: String,
    tag: String,
}

impl Store {
    /// Keeps how things are on a day, in place of what was kept of it.
    pub async fn keep_adoption(&self, day: i64, rows: Vec<AdoptionDay>) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { keep(tx, day, rows).await }))
            .await
    }

    /// How things were since a day, the oldest first, of all repositories or of one owner's; at most [`MAX_ADOPTION_DAYS`] days. A day
    /// on which the owner had none is there, and empty.
    pub async fn adoption_since(
        &self,
        day: i64,
        owner: Option<&Owner>,
    ) -> Result<Vec<AdoptionSum>, StoreError> {
        // A row a day and cohort, however many owners there are.
        let sql = "SELECT day, cohort, SUM(CASE WHEN $2 = '' OR owner = $2 THEN repositories ELSE 0 END) AS repositories \
                   FROM adoption WHERE day >= $1 GROUP BY day, cohort ORDER BY day, cohort";
        let owner = owner.map(Owner::to_string).unwrap_or_default();
        let rows: Vec<SumRow> = sql::all(self.inner.db.read(), sql, [day.into(), owner.into()]).await?;
        let mut days: Vec<AdoptionSum> = Vec::new();
        for row in rows {
            let cohort = Cohort::ALL
                .into_iter()
                .find(|cohort| cohort.as_str() == row.cohort);
            let cohort = cohort.ok_or_else(|| StoreError::damaged(format!("adoption of day {}", row.day)))?;
            if days.last().is_none_or(|last| last.day != row.day) {
                days.push(AdoptionSum {
                    day: row.day,
                    bands: Bands::default(),
                });
            }
            if let (Some(last), Ok(count @ 1..)) = (days.last_mut(), u64::try_from(row.repositories)) {
                last.bands.add(cohort, count);
            }
        }
        Ok(days)
    }

    /// The tag of each repository that was set last; tags of signatures and the like (`sha256-…`) do not count.
    pub async fn newest_tags(&self) -> Result<Vec<(RepoName, Tag)>, StoreError> {
        let sql = "SELECT r.name AS repository, MAX(t.name) AS tag FROM tag t \
                   JOIN repository r ON r.id = t.repository_id \
                   WHERE t.name NOT LIKE 'sha256-%' AND t.set_at = (SELECT MAX(o.set_at) FROM tag o \
                   WHERE o.repository_id = t.repository_id AND o.name NOT LIKE 'sha256-%') \
                   GROUP BY r.name ORDER BY r.name LIMIT $1";
        let rows: Vec<NewestRow> =
            sql::all(self.inner.db.read(), sql, [sql::to_db(MAX_REPOSITORIES).into()]).await?;
        let newest = |row: NewestRow| {
            let damaged = || StoreError::damaged(format!("tag {:?} of {:?}", row.tag, row.repository));
            let tag = Tag::try_from(row.tag.as_str()).map_err(|_| damaged())?;
            Ok((row.repository.parse().map_err(|_| damaged())?, tag))
        };
        rows.into_iter().map(newest).collect()
    }
}

async fn keep(tx: &Tx, day: i64, rows: Vec<AdoptionDay>) -> Result<(), StoreError> {
    let sql = "DELETE FROM adoption WHERE day = $1 OR day < $2";
    sql::execute(tx.sql(), sql, [day.into(), (day - MAX_ADOPTION_DAYS).into()]).await?;
    for chunk in rows[..rows.len().min(MAX_ROWS)].chunks(ROWS) {
        let sql = format!(
            "INSERT INTO adoption (day, owner, cohort, repositories) VALUES {}",
            sql::tuples(chunk.len(), 4)
        );
        let values = chunk.iter().flat_map(|row| -> [Value; 4] {
            let owner = row.owner.as_ref().map(Owner::to_string).unwrap_or_default();
            [
                day.into(),
                owner.into(),
                row.cohort.as_str().into(),
                sql::to_db(row.repositories).into(),
            ]
        });
        sql::execute_list(tx.sql(), &sql, values).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
