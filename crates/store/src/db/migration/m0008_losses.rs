//! Jobs that nobody survived, and which images turned within a day.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// How often in a row a job was begun without a word of what became of it.
const LOSSES: &str = "ALTER TABLE job ADD COLUMN losses BIGINT NOT NULL DEFAULT 0";

const TABLES: &[TableOf] = &[TableOf {
    // Images that the brake let be refused. at: when last.
    name: "brake_turned",
    columns: &[("repository_id", Number), ("digest", Sorted), ("at", Number)],
    primary: &["repository_id", "digest"],
    foreign: &[("repository_id", "repository", true)],
}];

const INDEXES: &[&str] = &["CREATE INDEX brake_turned_at ON brake_turned (at)"];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::execute_all(manager, &[LOSSES]).await?;
        table::create_all(manager, TABLES, INDEXES).await
    }
}
