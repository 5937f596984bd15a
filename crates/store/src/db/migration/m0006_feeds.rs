//! Where advisories are fetched from, and how far that came. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bytes, MaybeNumber, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // list: what the source listed when it was last fetched, in the form of whoever reads it again.
    name: "feed",
    columns: &[
        ("source", Sorted),
        ("url", Text),
        ("etag", MaybeText),
        ("last_modified", MaybeText),
        ("tried_at", Number),
        ("succeeded_at", MaybeNumber),
        ("changed_at", MaybeNumber),
        ("next_at", Number),
        ("failures", Number),
        ("error", MaybeText),
        ("generation", Number),
        ("covers", Number),
        ("list", Bytes),
    ],
    primary: &["source"],
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
