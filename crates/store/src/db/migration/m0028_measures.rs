//! Who is throttled or banned for a while. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[TableOf {
    // who: the name of a user or robot, or a network with its slash. body: JSON, see store/src/traffic.rs.
    name: "traffic_measure",
    columns: &[
        ("who", Sorted),
        ("body", Text),
        ("until", Number),
        ("reason", Text),
        ("actor", Text),
        ("at", Number),
    ],
    primary: &["who"],
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
