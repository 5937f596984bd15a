//! Marks of decisions (`m0017`) are believed only while they are of the moment of their row, also whether findings are taken away.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CHANGES: [&str; 3] = [
    // What was written before there were marks, or by who knows none of them: marked once, without the digest of the body.
    "UPDATE decision SET waives = CASE WHEN body LIKE '%\"waived\":[{%' THEN 1 ELSE 0 END, said = NULL, said_at = decided_at \
     WHERE said_at <> decided_at",
    "DROP INDEX decision_waives",
    "CREATE INDEX decision_may_waive ON decision (repository_id, digest, point) WHERE waives = 1 OR said_at <> decided_at",
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
