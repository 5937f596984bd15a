//! By what sources of advisories came that were carried here and not fetched. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{MaybeNumber, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // generation: in which it last had something new. signed_by, made_at, digest: of the bundle; NULL where files were imported, and
    // signed_by where nobody has signed it.
    name: "carried",
    columns: &[
        ("source", Sorted),
        ("came_at", Number),
        ("actor", Text),
        ("generation", Number),
        ("entries", Number),
        ("signed_by", MaybeText),
        ("made_at", MaybeNumber),
        ("digest", MaybeText),
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
