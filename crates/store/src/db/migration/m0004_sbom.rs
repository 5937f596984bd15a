//! What the registry itself attached to images.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // evidence: what it was made from; another one calls for another SBOM. The row goes with the manifest.
    name: "attached",
    columns: &[
        ("repository_id", Number),
        ("subject", Text),
        ("manifest_id", Number),
        ("evidence", Text),
    ],
    primary: &["repository_id", "subject"],
    foreign: &[("manifest_id", "manifest", true)],
}];

const INDEXES: &[&str] = &["CREATE INDEX attached_manifest ON attached (manifest_id)"];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await
    }
}
