//! Images that nobody pushed, for benchmarks: rows without bytes, so that a database of any size is there in seconds. What has
//! them answers questions about its images; nothing of them can be pulled.

use std::collections::BTreeMap;

use oci::{Digest, RepoName, Tag};
use sea_orm::{FromQueryResult, Value};

use crate::db::{Tx, sql};
use crate::{Outcome, Point, Store, StoreError, Timestamp};

/// Rows that one statement writes.
const ROWS: usize = 50;

/// An image, its tag, and what was decided of it.
#[derive(Debug, Clone)]
pub struct SyntheticImage {
    /// Where it lies.
    pub repo: RepoName,
    /// Which it is.
    pub digest: Digest,
    /// What it is called.
    pub tag: Tag,
    /// When it came.
    pub pushed_at: Timestamp,
    /// What was decided of it, JSON.
    pub decision: String,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: i64,
}

impl Store {
    /// Writes images, all of them judged with the present advisories.
    pub async fn put_synthetic(&self, images: Vec<SyntheticImage>) -> Result<(), StoreError> {
        let generation = self.advisory_generation().await?;
        self.write(move |tx| {
            Box::pin(async move {
                let content = content(tx, images.len()).await?;
                let mut repositories = BTreeMap::new();
                for image in &images {
                    if !repositories.contains_key(&image.repo) {
                        let id = repository(tx, &image.repo).await?;
                        repositories.insert(image.repo.clone(), id);
                    }
                }
                for chunk in images.chunks(ROWS) {
                    put(tx, chunk, content, &repositories, generation).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// One content for all.
async fn content(tx: &Tx, holders: usize) -> Result<i64, StoreError> {
    let sql = "INSERT INTO manifest_content (digest, holders, bytes) VALUES ($1, $2, $3) RETURNING id";
    let values: [Value; 3] = [
        format!("synthetic {holders} {}", tx.now().micros()).into(),
        sql::to_db(holders as u64).into(),
        b"{}".to_vec().into(),
    ];
    id_of(tx, sql, values.to_vec()).await
}

async fn repository(tx: &Tx, repo: &RepoName) -> Result<i64, StoreError> {
    let sql = "INSERT INTO repository (name, bytes, tags, manifests, blobs, created_at, changed_at) \
               VALUES ($1, 0, 0, 0, 0, $2, $2) ON CONFLICT (name) DO UPDATE SET changed_at = excluded.changed_at RETURNING id";
    id_of(tx, sql, vec![repo.as_str().into(), tx.now().micros().into()]).await
}

async fn id_of(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<i64, StoreError> {
    let rows: Vec<IdRow> = sql::all(tx.sql(), sql, values).await?;
    let row = rows.first();
    row.map(|row| row.id)
        .ok_or_else(|| StoreError::damaged("a row has no number".to_owned()))
}

async fn put(
    tx: &Tx,
    images: &[SyntheticImage],
    content: i64,
    repositories: &BTreeMap<RepoName, i64>,
    generation: u64,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO manifest (repository_id, digest, content_id, media_type, kind, annotations, depth, size, pushed_at, pushed_by) \
         VALUES {} RETURNING id",
        sql::tuples(images.len(), 10)
    );
    let id = |image: &SyntheticImage| repositories.get(&image.repo).copied().unwrap_or_default();
    let values = images.iter().flat_map(|image| -> [Value; 10] {
        [
            id(image).into(),
            image.digest.to_string().into(),
            content.into(),
            oci::media_type::OCI_IMAGE_MANIFEST.into(),
            0_i64.into(),
            "{}".into(),
            0_i64.into(),
            2_i64.into(),
            image.pushed_at.micros().into(),
            "synthetic".into(),
        ]
    });
    let rows: Vec<IdRow> = sql::all(tx.sql(), &sql, values.collect::<Vec<_>>()).await?;
    let sql = format!(
        "INSERT INTO tag (repository_id, name, manifest_id, set_at, set_by) VALUES {}",
        sql::tuples(images.len(), 5)
    );
    let values = images.iter().zip(&rows).flat_map(|(image, row)| -> [Value; 5] {
        [
            id(image).into(),
            image.tag.as_str().into(),
            row.id.into(),
            image.pushed_at.micros().into(),
            "synthetic".into(),
        ]
    });
    sql::execute_list(tx.sql(), &sql, values).await?;
    let sql = format!(
        "INSERT INTO decision (repository_id, digest, point, outcome, line, body, policy, evidence, generation, decided_at, review_at, \
         said_at) VALUES {}",
        sql::tuples(images.len(), 12)
    );
    let values = images.iter().flat_map(|image| -> [Value; 12] {
        [
            id(image).into(),
            image.digest.to_string().into(),
            Point::Pull.name().into(),
            Outcome::Warn.number().into(),
            String::new().into(),
            image.decision.clone().into(),
            String::new().into(),
            String::new().into(),
            sql::to_db(generation).into(),
            image.pushed_at.micros().into(),
            i64::MAX.into(),
            image.pushed_at.micros().into(),
        ]
    });
    sql::execute_list(tx.sql(), &sql, values).await.map(drop)
}
