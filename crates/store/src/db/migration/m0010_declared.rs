//! Whose repositories are, and what images may stand on.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // source: declared or catalog. body: what it says, JSON.
        name: "application",
        columns: &[
            ("name", Sorted),
            ("source", Text),
            ("body", Text),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &["name", "source"],
        foreign: &[],
    },
    TableOf {
        // body: as it was declared, JSON.
        name: "base_image",
        columns: &[
            ("name", Sorted),
            ("repository", Sorted),
            ("body", Text),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &["name"],
        foreign: &[],
    },
    TableOf {
        // diff_ids: with blanks between them, lowest first. Outlives its manifest: images stand on it.
        name: "base_release",
        columns: &[
            ("base", Sorted),
            ("digest", Sorted),
            ("platform", Text),
            ("diff_ids", Text),
            ("released_at", Number),
        ],
        primary: &["base", "digest"],
        foreign: &[],
    },
    TableOf {
        // What the newest image of a repository that says anything says about its application, JSON.
        name: "repository_words",
        columns: &[("repository_id", Number), ("manifest_id", Number), ("body", Text)],
        primary: &["repository_id"],
        foreign: &[
            ("repository_id", "repository", true),
            ("manifest_id", "manifest", true),
        ],
    },
];

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX base_image_repository ON base_image (repository)",
    "CREATE INDEX repository_words_manifest ON repository_words (manifest_id)",
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
