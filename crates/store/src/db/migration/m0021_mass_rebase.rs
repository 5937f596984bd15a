//! Many images that follow their bases, one ring after another, and who signed the releases of these.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // What was made of what: of an index each of its images too. sbom: what the attested SBOM was made from, or empty.
        name: "rebase_image",
        columns: &[
            ("repository", Sorted),
            ("new_digest", Sorted),
            ("old_digest", Sorted),
            ("sbom", Text),
        ],
        primary: &["repository", "new_digest"],
        foreign: &[],
    },
    TableOf {
        // A tag that is to follow its base. state: see store/src/rebase/item.rs. rebase: the line of the journal, or empty.
        // started_at, settled_at: 0 until then.
        name: "rebase_item",
        columns: &[
            ("id", Sorted),
            ("base", Sorted),
            ("repository", Sorted),
            ("tag", Sorted),
            ("old_digest", Sorted),
            ("old_release", Sorted),
            ("new_release", Sorted),
            ("state", Text),
            ("class", Text),
            ("reason", Text),
            ("rebase", Sorted),
            ("approved_by", Text),
            ("created_at", Number),
            ("started_at", Number),
            ("settled_at", Number),
        ],
        primary: &["id"],
        foreign: &[],
    },
];

const INDEXES: &[&str] = &[
    "ALTER TABLE base_release ADD COLUMN signed_by TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX rebase_image_old ON rebase_image (repository, old_digest)",
    "CREATE UNIQUE INDEX rebase_item_once ON rebase_item (repository, tag, old_digest, old_release, new_release)",
    "CREATE INDEX rebase_item_base ON rebase_item (base, new_release, state)",
    "CREATE INDEX rebase_item_state ON rebase_item (state, started_at)",
    "CREATE INDEX rebase_item_rebase ON rebase_item (rebase)",
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
