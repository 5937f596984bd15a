//! What is asked of decisions without reading their reasons, which are long: whether they are the same, and whether they take findings
//! away.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 5] = [
    // Digest of the body, and the `decided_at` of the row that it is of: whoever does not know of it changes that with the body.
    "ALTER TABLE decision ADD COLUMN said TEXT",
    "ALTER TABLE decision ADD COLUMN said_at BIGINT NOT NULL DEFAULT 0",
    // 1: the body lists findings that do not count.
    "ALTER TABLE decision ADD COLUMN waives BIGINT NOT NULL DEFAULT 0",
    "UPDATE decision SET waives = 1 WHERE body LIKE '%\"waived\":[{%'",
    "CREATE INDEX decision_waives ON decision (repository_id, digest, point) WHERE waives = 1",
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
