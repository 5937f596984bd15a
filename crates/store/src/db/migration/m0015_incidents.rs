//! Incidents: groups of vulnerabilities that are followed until nobody is affected any more.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{MaybeNumber, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // events: how many there are. settled_at: since when nothing of it is affected and somebody has closed it.
        name: "incident",
        columns: &[
            ("name", Sorted),
            ("opened_at", Number),
            ("settled_at", MaybeNumber),
            ("events", Number),
        ],
        primary: &["name"],
        foreign: &[],
    },
    TableOf {
        // Append-only: the state of an incident is what its events make of it. seq: from 1, without gaps. body: JSON.
        name: "incident_event",
        columns: &[
            ("incident", Sorted),
            ("seq", Number),
            ("at", Number),
            ("kind", Text),
            ("body", Text),
        ],
        primary: &["incident", "seq"],
        foreign: &[],
    },
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, &[]).await?;
        crate::db::sqlite::make_append_only(manager.get_connection(), "incident_event").await
    }
}
