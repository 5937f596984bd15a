//! The order in which reports of layers came: whoever keeps something current by them goes on where it stopped.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 2] = [
    // One more with each report that is written, also anew. 0: of the time before.
    "ALTER TABLE layer_report ADD COLUMN revision BIGINT NOT NULL DEFAULT 0",
    // With the digest, so that nobody has to walk over the reports themselves.
    "CREATE INDEX layer_report_revision ON layer_report (revision, digest)",
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
