//! Who is trusted to sign.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // body: as it was declared, JSON.
    name: "signer",
    columns: &[
        ("name", Sorted),
        ("body", Text),
        ("set_at", Number),
        ("set_by", Text),
    ],
    primary: &["name"],
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
