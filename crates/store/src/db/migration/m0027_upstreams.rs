//! What is known of the tags of upstreams, and which indexes came without all of their children.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // upstream: where it was asked. digest: what the tag was there. gone: it was there once and is not any more.
    name: "upstream_tag",
    columns: &[
        ("repository", Sorted),
        ("tag", Sorted),
        ("upstream", Text),
        ("digest", Text),
        ("checked_at", Number),
        ("gone", Bool),
    ],
    primary: &["repository", "tag"],
    foreign: &[],
}];

const CHANGES: &[&str] = &["ALTER TABLE manifest ADD COLUMN partial BOOLEAN NOT NULL DEFAULT FALSE"];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, CHANGES).await
    }
}
