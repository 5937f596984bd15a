//! What sources have lost of what they once had. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 2] = [
    // Ids that went since `lost_since`.
    "ALTER TABLE feed ADD COLUMN lost BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE feed ADD COLUMN lost_since BIGINT NOT NULL DEFAULT 0",
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
