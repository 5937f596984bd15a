//! Indexes that name manifests which their repository does not have: nobody can pull those. Of an index from an upstream only what
//! was asked for is here.

use super::images::Needed;
use super::{Check, Damage, DamageKind};
use crate::StoreError;
use crate::blob;
use crate::db::sql;

/// Indexes read at a time.
const INDEXES_PER_PAGE: i64 = 200;

impl Check {
    pub(super) async fn children(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        while !self.is_cancelled() {
            let sql =
                "SELECT id FROM manifest WHERE kind = 1 AND partial = FALSE AND id > $1 ORDER BY id LIMIT $2";
            let values = [after.into(), INDEXES_PER_PAGE.into()];
            let page: Vec<sql::Id> = sql::all(self.store.inner.db.read(), sql, values).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for index in page {
                self.children_of(index.id).await?;
            }
        }
        Ok(())
    }

    /// One statement, so that an index which is deleted with its children meanwhile is not called damaged.
    async fn children_of(&mut self, index: i64) -> Result<(), StoreError> {
        let sql = "SELECT f.digest AS text FROM manifest_reference f WHERE f.manifest_id = $1 AND f.kind = 1 \
                   AND NOT EXISTS (SELECT 1 FROM manifest c \
                   WHERE c.repository_id = f.repository_id AND c.digest = f.digest)";
        let absent: Vec<sql::Text> = sql::all(self.store.inner.db.read(), sql, [index.into()]).await?;
        for child in absent {
            let damage = Damage {
                digest: Some(blob::parse_digest(&child.text)?),
                ..Damage::of(DamageKind::ChildMissing)
            };
            self.needed(damage, Needed::Manifest(index)).await?;
        }
        Ok(())
    }
}
