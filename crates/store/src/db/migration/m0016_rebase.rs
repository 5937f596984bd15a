//! Images that were put on newer releases of their bases.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // how: suffix or in-place. state: made, moved, refused, undone. moved: the tag that names the new image, or empty. plan: JSON.
    // Outlives its images: it is history.
    name: "rebase",
    columns: &[
        ("id", Sorted),
        ("repository", Sorted),
        ("tag", Sorted),
        ("old_digest", Sorted),
        ("new_digest", Sorted),
        ("how", Text),
        ("state", Text),
        ("moved", Text),
        ("reason", Text),
        ("plan", Text),
        ("actor", Text),
        ("made_at", Number),
        ("changed_at", Number),
    ],
    primary: &["id"],
    foreign: &[],
}];

const INDEXES: &[&str] = &[
    "CREATE INDEX rebase_of_tag ON rebase (repository, tag)",
    "CREATE INDEX rebase_state ON rebase (state)",
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await
    }
}
