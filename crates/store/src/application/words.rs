//! What the newest image of a repository says about its application. Whoever pushes can write it, so it counts least.

use oci::{Digest, RepoName};
use road::application::Statement;
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::WORDS_TAKEN;
use crate::StoreError;
use crate::db::{Tx, sql};

#[derive(FromQueryResult)]
struct Row {
    manifest_id: i64,
    body: String,
}

/// The words of all repositories, the oldest first. One that cannot be read any more says nothing.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<Statement>, StoreError> {
    let sql = "SELECT manifest_id, body FROM repository_words ORDER BY manifest_id LIMIT $1";
    let rows: Vec<Row> = sql::all(on, sql, [sql::to_db(WORDS_TAKEN as u64).into()]).await?;
    let statements = rows.into_iter();
    Ok(statements
        .filter_map(|row| serde_json::from_str(&row.body).ok())
        .collect())
}

/// Whether an image would say something new of its repository.
pub(crate) async fn is_news(
    on: &impl ConnectionTrait,
    repo: &RepoName,
    words: &Statement,
) -> Result<bool, StoreError> {
    let sql = "SELECT w.manifest_id, w.body FROM repository_words w \
               JOIN repository r ON r.id = w.repository_id WHERE r.name = $1";
    let row: Option<Row> = sql::first(on, sql, [repo.as_str().into()]).await?;
    Ok(row.is_none_or(|row| row.body != body_of(words)))
}

/// Keeps the words of an image, unless a newer one of its repository has spoken, or there are [`WORDS_TAKEN`] already.
pub(crate) async fn keep(
    tx: &Tx,
    (repository, manifest): (i64, i64),
    digest: &Digest,
    words: &Statement,
) -> Result<(), StoreError> {
    let sql = "SELECT manifest_id, body FROM repository_words WHERE repository_id = $1";
    let was: Option<Row> = sql::first(tx.sql(), sql, [repository.into()]).await?;
    if was.as_ref().is_some_and(|was| was.manifest_id > manifest) {
        return Ok(());
    }
    if was.is_none() {
        let sql = "SELECT COUNT(*) AS number FROM repository_words";
        let known: Option<sql::Number> = sql::first(tx.sql(), sql, []).await?;
        if known.is_some_and(|known| sql::from_db(known.number) >= WORDS_TAKEN as u64) {
            tracing::warn!(
                %digest,
                limit = WORDS_TAKEN,
                "what an image says about its application does not count: declare the application"
            );
            return Ok(());
        }
    }
    let body = body_of(words);
    let is_same = was.is_some_and(|was| was.body == body);
    let sql = "INSERT INTO repository_words (repository_id, manifest_id, body) VALUES ($1, $2, $3) \
               ON CONFLICT (repository_id) DO UPDATE SET manifest_id = excluded.manifest_id, body = excluded.body";
    sql::execute(tx.sql(), sql, [repository.into(), manifest.into(), body.into()]).await?;
    if !is_same {
        tx.touch_entries();
    }
    Ok(())
}

fn body_of(words: &Statement) -> String {
    serde_json::to_string(words).unwrap_or_default()
}
