//! Which images need what is damaged: digests say nothing to whoever has to push it again.

use oci::Digest;
use sea_orm::Value;

use crate::db::sql;
use crate::{Store, StoreError};

/// Images that one damage names.
pub const IMAGES_LISTED: usize = 5;

/// What is damaged.
#[derive(Debug, Clone)]
pub(super) enum Needed {
    /// A row of `blob`.
    Blob { id: i64, digest: Digest },
    /// A row of `manifest_content`.
    Content(i64),
    /// A row of `manifest`.
    Manifest(i64),
    /// A row of `decision_text`.
    Reasons(String),
}

/// Images, and whether there are more.
#[derive(Debug, Default)]
pub(super) struct Images {
    pub(super) names: Vec<String>,
    pub(super) more: bool,
}

impl Needed {
    /// The manifests that are damaged by it themselves.
    fn direct(self) -> (&'static str, Vec<Value>) {
        match self {
            Self::Blob { id, digest } => (
                "SELECT m.repository_id, m.id, m.digest FROM repository_blob l \
                 JOIN manifest_reference f ON f.repository_id = l.repository_id AND f.digest = $2 AND f.kind = 0 \
                 JOIN manifest m ON m.id = f.manifest_id WHERE l.blob_id = $1 AND l.names > 0",
                vec![id.into(), digest.to_string().into()],
            ),
            Self::Content(id) => (
                "SELECT m.repository_id, m.id, m.digest FROM manifest m WHERE m.content_id = $1",
                vec![id.into()],
            ),
            Self::Manifest(id) => (
                "SELECT m.repository_id, m.id, m.digest FROM manifest m WHERE m.id = $1",
                vec![id.into()],
            ),
            Self::Reasons(said) => (
                // Of an image both points mostly name the same text.
                "SELECT DISTINCT m.repository_id, m.id, m.digest FROM decision d JOIN manifest m \
                 ON m.repository_id = d.repository_id AND m.digest = d.digest WHERE d.said = $1 AND d.body = ''",
                vec![said.into()],
            ),
        }
    }
}

/// With the indexes that name such a manifest, and those that name these.
const AND_INDEXES: &str = "UNION SELECT m.repository_id, m.id, m.digest FROM needs n \
     JOIN manifest_reference f ON f.repository_id = n.repository_id AND f.digest = n.digest AND f.kind = 1 \
     JOIN manifest m ON m.id = f.manifest_id";
const TAGGED: &str = "SELECT r.name || ':' || t.name AS text FROM needs n \
     JOIN tag t ON t.manifest_id = n.id JOIN repository r ON r.id = n.repository_id";
const UNTAGGED: &str =
    "SELECT r.name || '@' || n.digest AS text FROM needs n JOIN repository r ON r.id = n.repository_id";

impl Store {
    /// Tags whose images need it, directly or through an index; manifests by their digest where no tag leads to them.
    ///
    /// A blob may be in every image that there is. Without indexes and in no order, the query ends once it has enough; only
    /// where it did not find enough the indexes are gone through.
    pub(super) async fn images_that_need(&self, needed: Needed) -> Result<Images, StoreError> {
        let (direct, values) = needed.direct();
        let images = self.images(direct, TAGGED, &values).await?;
        if images.more {
            return Ok(images);
        }
        let all = format!("{direct} {AND_INDEXES}");
        let images = self.images(&all, TAGGED, &values).await?;
        if images.names.is_empty() {
            self.images(&all, UNTAGGED, &values).await
        } else {
            Ok(images)
        }
    }

    async fn images(&self, needs: &str, select: &str, values: &[Value]) -> Result<Images, StoreError> {
        let sql = format!(
            "WITH RECURSIVE needs (repository_id, id, digest) AS ({needs}) {select} LIMIT {}",
            IMAGES_LISTED + 1
        );
        let rows: Vec<sql::Text> = sql::all(self.inner.db.read(), &sql, values.to_vec()).await?;
        let more = rows.len() > IMAGES_LISTED;
        let listed = rows.into_iter().take(IMAGES_LISTED);
        let mut names: Vec<String> = listed.map(|row| row.text).collect();
        names.sort();
        Ok(Images { names, more })
    }
}
