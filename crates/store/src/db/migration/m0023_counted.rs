//! When releases of bases were made, and to which ones rebased images went: by both it is known what counts.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 3] = [
    // Microseconds; nothing: the release was not looked into since.
    "ALTER TABLE base_release ADD COLUMN made_at BIGINT",
    // releases: digests, separated by spaces. Both are empty for what was made before: it does not count by anybody's word.
    "ALTER TABLE rebase_image ADD COLUMN base TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE rebase_image ADD COLUMN releases TEXT NOT NULL DEFAULT ''",
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
