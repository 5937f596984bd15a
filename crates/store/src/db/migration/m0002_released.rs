//! Blobs that were named and are not any more: they wait for their collection and no quota counts them.
//!
//! Links of the time before are taken for never named where no manifest names them: they count until they are collected.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 3] = [
    // 1: the last manifest of the repository that named it was deleted, and nobody pushed it since. Then names is 0.
    "ALTER TABLE repository_blob ADD COLUMN released BIGINT NOT NULL DEFAULT 0",
    // Bytes of those links; `repository.bytes` has all others.
    "ALTER TABLE repository ADD COLUMN released_bytes BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX repository_blob_released ON repository_blob (repository_id, idle_since) WHERE released = 1",
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::execute_all(manager, &CHANGES).await
    }
}
