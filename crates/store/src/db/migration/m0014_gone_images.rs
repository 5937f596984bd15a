//! Images that were deleted: so that it can be asked who was affected as of a moment when they were there.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bytes, Key, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // repository: its name, which may be gone too. bytes: the manifest, deflated.
    name: "gone_image",
    columns: &[
        ("id", Key),
        ("repository", Sorted),
        ("digest", Sorted),
        ("media_type", Text),
        ("bytes", Bytes),
        ("pushed_at", Number),
        ("gone_at", Number),
    ],
    primary: &[],
    foreign: &[],
}];

const INDEXES: &[&str] = &["CREATE INDEX gone_image_at ON gone_image (gone_at)"];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await
    }
}
