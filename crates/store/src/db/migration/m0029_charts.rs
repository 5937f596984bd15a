//! Indexes of repositories of charts, as they were last read.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bytes, Number, Sorted};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // upstream: where it was read. body: as it came, deflated.
    name: "chart_index",
    columns: &[("upstream", Sorted), ("read_at", Number), ("body", Bytes)],
    primary: &["upstream"],
    foreign: &[],
}];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, &[]).await
    }
}
