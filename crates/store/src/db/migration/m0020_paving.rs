//! The catalogue of the road beyond bases, what was said of its ends and promises, and how it is taken up.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{MaybeNumber, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // body: as it was declared, JSON. renewals: of an exemption, how often it was given a later end. removed_at: an exemption
        // that was taken back is remembered, so that nobody begins to count anew.
        name: "road_entry",
        columns: &[
            ("kind", Sorted),
            ("name", Sorted),
            ("body", Text),
            ("renewals", Number),
            ("set_at", Number),
            ("set_by", Text),
            ("removed_at", MaybeNumber),
        ],
        primary: &["kind", "name"],
        foreign: &[],
    },
    TableOf {
        // What was told of the end of an entry. days: so many before it; 0: that it is over. A new end is told of anew.
        name: "road_notice",
        columns: &[
            ("kind", Sorted),
            ("name", Sorted),
            ("ends_at", Number),
            ("days", Number),
            ("at", Number),
        ],
        primary: &["kind", "name", "ends_at", "days"],
        foreign: &[],
    },
    TableOf {
        // What the owner of a base owes: a problem that its current releases have or had. known_at: since when the fix is known here.
        // state: open, late, patched or gone. patched_at: when the release came that is without it; release: which.
        name: "base_debt",
        columns: &[
            ("base", Sorted),
            ("vulnerability", Sorted),
            ("severity", Text),
            ("known_at", Number),
            ("due_at", Number),
            ("state", Text),
            ("patched_at", MaybeNumber),
            ("release", Text),
        ],
        primary: &["base", "vulnerability"],
        foreign: &[],
    },
    TableOf {
        // How many repositories of an owner (empty: of nobody) were in a cohort at the end of a day, in days since 1970.
        name: "adoption",
        columns: &[
            ("day", Number),
            ("owner", Sorted),
            ("cohort", Sorted),
            ("repositories", Number),
        ],
        primary: &["day", "owner", "cohort"],
        foreign: &[],
    },
];

const CHANGES: [&str; 2] = [
    // Since when a base is retired; one that was before this was kept, since it was last set.
    "ALTER TABLE base_image ADD COLUMN retired_at BIGINT NULL",
    "UPDATE base_image SET retired_at = set_at WHERE body LIKE '%\"lifecycle\":\"retired\"%'",
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, &CHANGES).await
    }
}
