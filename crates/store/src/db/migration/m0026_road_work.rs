//! What images that cannot follow a release of their base ask of their owners, and what stays in the layers of those that can.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // task: JSON, see road/src/work.rs. told: what became of it is in the audit log. closed_at: 0 while it is open.
    name: "road_work",
    columns: &[
        ("id", Sorted),
        ("base", Sorted),
        ("repository", Sorted),
        ("tag", Sorted),
        ("digest", Sorted),
        ("release_digest", Sorted),
        ("class", Text),
        ("task", Text),
        ("state", Sorted),
        ("told", Bool),
        ("opened_at", Number),
        ("closed_at", Number),
    ],
    primary: &["id"],
    foreign: &[],
}];

const CHANGES: &[&str] = &[
    "CREATE UNIQUE INDEX road_work_once ON road_work (repository, tag, base, release_digest)",
    "CREATE INDEX road_work_release ON road_work (base, release_digest)",
    "CREATE INDEX road_work_state ON road_work (state, closed_at)",
    "CREATE INDEX road_work_untold ON road_work (base, release_digest) WHERE told = FALSE",
    // In words; empty for nothing.
    "ALTER TABLE rebase_item ADD COLUMN remains TEXT NOT NULL DEFAULT ''",
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, CHANGES).await
    }
}
