//! How far images were judged anew after advisories, policy or waivers changed.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bytes, Number, Sorted};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // One row. confirmed: the generation that every decision is right by, unless a job of a later one waits. asked: counts
        // changes that are about all images; answered: how many of these all were asked to be judged for.
        name: "reevaluation",
        columns: &[
            ("id", Number),
            ("confirmed", Number),
            ("asked", Number),
            ("answered", Number),
        ],
        primary: &["id"],
        foreign: &[],
    },
    TableOf {
        // What an import changed beside advisories, until it was looked at: kind and ids, see `reevaluation/touch.rs`.
        name: "advisory_touch",
        columns: &[("generation", Number), ("kind", Sorted), ("body", Bytes)],
        primary: &["generation", "kind"],
        foreign: &[],
    },
];

const CHANGES: [&str; 2] = [
    "INSERT INTO reevaluation (id, confirmed, asked, answered) VALUES (1, 0, 0, 0)",
    // Of the advisories that ask for it; 0: none do.
    "ALTER TABLE job ADD COLUMN generation BIGINT NOT NULL DEFAULT 0",
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
