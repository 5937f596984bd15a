//! The reasons of decisions, once for all images that have the same ones.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bytes, Sorted};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // said: as in `decision`. packed: see `decision/text.rs`. A decision whose body is empty has its text here; what was decided
    // before this was has it in its body until it is written anew.
    name: "decision_text",
    columns: &[("said", Sorted), ("packed", Bytes)],
    primary: &["said"],
    foreign: &[],
}];

const INDEXES: &[&str] = &["CREATE INDEX decision_said ON decision (said)"];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await
    }
}
