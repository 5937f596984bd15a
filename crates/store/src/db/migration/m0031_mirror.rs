//! What a mirror knows of its centre: who may pull what, and what is refused. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // who: keyed hash of the credentials in hex digits. at: when the centre last let them pull there.
        name: "mirror_permit",
        columns: &[("who", Sorted), ("repository", Sorted), ("at", Number)],
        primary: &["who", "repository"],
        foreign: &[],
    },
    TableOf {
        // detail: JSON. at: when the centre last said so.
        name: "mirror_refusal",
        columns: &[
            ("repository", Sorted),
            ("digest", Sorted),
            ("message", Text),
            ("detail", Text),
            ("at", Number),
        ],
        primary: &["repository", "digest"],
        foreign: &[],
    },
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, &[]).await
    }
}
