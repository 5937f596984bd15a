//! Feeds that wait for a person, and how new what was signed was when it was taken in. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

// Why it waits, JSON; NULL where it does not.
const HELD: &str = "ALTER TABLE feed ADD COLUMN held TEXT";

const TABLES: &[TableOf] = &[TableOf {
    // kind: catalog or bundle. name: whose: the repository and signer of a catalogue, the key of a bundle. made_at: when the newest
    // that was taken in was made, by its own signed word. what: its digest. What is older is a replay.
    name: "newest_signed",
    columns: &[
        ("kind", Sorted),
        ("name", Sorted),
        ("made_at", Number),
        ("what", Text),
    ],
    primary: &["kind", "name"],
    foreign: &[],
}];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::execute_all(manager, &[HELD]).await?;
        table::create_all(manager, TABLES, &[]).await
    }
}
