//! Images that nobody pushed, for measurements: written into the tables by the thousand, without their blobs.

use findings::LayerReport;
use oci::{Digest, MediaType, RepoName};
use sea_orm::Value;

use crate::db::{Tx, sql};
use crate::{Store, StoreError, layer_report, repository};

/// An image that is only rows.
#[derive(Debug, Clone)]
pub struct PlantedImage {
    /// Where it lies.
    pub repo: RepoName,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub bytes: Vec<u8>,
    /// As which it was pushed.
    pub media_type: MediaType,
    /// Its configuration and its layers.
    pub blobs: Vec<Digest>,
}

impl Store {
    /// Keeps reports as children make them, in one transaction.
    pub async fn plant_reports(&self, reports: Vec<LayerReport>) -> Result<(), StoreError> {
        let encode = move || {
            let encoded = reports.into_iter().map(|report| {
                let digest = report.blob;
                layer_report::encode(report).map(|(body, listing)| (digest, body, listing))
            });
            encoded.collect::<Result<Vec<_>, _>>()
        };
        let encoded = tokio::task::spawn_blocking(encode).await;
        let encoded = encoded.map_err(|_| StoreError::TaskLost)??;
        self.write(move |tx| {
            Box::pin(async move {
                for (digest, body, listing) in encoded {
                    layer_report::put(tx, digest, body, listing).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Keeps images, in one transaction.
    pub async fn plant_images(&self, images: Vec<PlantedImage>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for image in &images {
                    plant(tx, image).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .await
    }

    /// Whether any job of a kind is there, ready or not.
    pub async fn has_jobs(&self, kind: crate::JobKind) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM job WHERE kind = $1 LIMIT 1";
        let row: Option<sql::Id> = sql::first(self.inner.db.read(), sql, [kind.name().into()]).await?;
        Ok(row.is_some())
    }

    /// Folds the log into the database and answers how many bytes the database has.
    pub async fn database_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT page_count * page_size AS number FROM pragma_page_count(), pragma_page_size()";
        let row: Option<sql::Number> = sql::first(self.inner.db.read(), sql, []).await?;
        Ok(row.map_or(0, |row| sql::from_db(row.number)))
    }
}

async fn plant(tx: &Tx, image: &PlantedImage) -> Result<(), StoreError> {
    let repository = repository::find_or_create(tx, &image.repo).await?;
    let sql = "INSERT INTO manifest_content (digest, holders, bytes) VALUES ($1, 1, $2) RETURNING id";
    let values = [image.digest.to_string().into(), image.bytes.clone().into()];
    let content: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    let sql = "INSERT INTO manifest (repository_id, digest, content_id, media_type, kind, annotations, depth, size, \
               pushed_at, pushed_by) VALUES ($1, $2, $3, $4, 0, '{}', 0, $5, $6, 'planted') RETURNING id";
    let values = [
        repository.id.into(),
        image.digest.to_string().into(),
        content.map_or(0, |content| content.id).into(),
        image.media_type.as_str().into(),
        sql::to_db(image.bytes.len() as u64).into(),
        tx.now().micros().into(),
    ];
    let manifest: Option<sql::Id> = sql::first(tx.sql(), sql, values).await?;
    let manifest = manifest.map_or(0, |manifest| manifest.id);
    let sql = format!(
        "INSERT INTO manifest_reference (manifest_id, kind, digest, repository_id) VALUES {}",
        sql::tuples(image.blobs.len(), 4)
    );
    let row = |digest: &Digest| -> [Value; 4] {
        [
            manifest.into(),
            0_i64.into(),
            digest.to_string().into(),
            repository.id.into(),
        ]
    };
    sql::execute_list(tx.sql(), &sql, image.blobs.iter().flat_map(row)).await?;
    let sql = "INSERT INTO event (at, kind, subject, actor, cause, body) VALUES ($1, 'manifest.push', $2, 'planted', 'push', '{}')";
    let subject = crate::blob::subject(&image.repo, &image.digest);
    sql::execute(tx.sql(), sql, [tx.now().micros().into(), subject.into()])
        .await
        .map(drop)
}
