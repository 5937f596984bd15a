//! Maturity: what is known of applications, teams and the organisation, what follows from it, and how far the audit log was read.
//! Moments are microseconds since the Unix epoch; bodies are JSON.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Key, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // Append-only, in the order in which it counts. name: the same thing comes twice under the same one. event: the line of the
        // audit log that it follows from.
        name: "maturity_entry",
        columns: &[
            ("id", Key),
            ("name", Sorted),
            ("event", Number),
            ("at", Number),
            ("subject", Sorted),
            ("kind", Text),
            ("body", Text),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // Said by people and robots and not yet counted: becomes entries when the reading of the log comes to its line. part: from 0.
        name: "maturity_said",
        columns: &[("event", Number), ("part", Number), ("body", Text)],
        primary: &["event", "part"],
        foreign: &[],
    },
    TableOf {
        // Append-only: what of a subject became otherwise, when and by which line of the log.
        name: "maturity_change",
        columns: &[
            ("id", Key),
            ("event", Number),
            ("at", Number),
            ("subject", Sorted),
            ("body", Text),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // Append-only. documents: as they were sent, JSON. enable_from: from when it counts.
        name: "maturity_model",
        columns: &[
            ("id", Key),
            ("name", Sorted),
            ("documents", Text),
            ("author", Text),
            ("reason", Text),
            ("enable_from", Number),
            ("at", Number),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // What is declared and can be taken back: campaigns, the baseline.
        name: "maturity_record",
        columns: &[
            ("kind", Sorted),
            ("name", Sorted),
            ("body", Text),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &["kind", "name"],
        foreign: &[],
    },
    TableOf {
        // One row: up to which line the log was read, and within a line that is about every subject, up to which. at: up to which moment
        // it is known what became otherwise by itself.
        name: "maturity_place",
        columns: &[
            ("id", Number),
            ("event", Number),
            ("part", MaybeText),
            ("at", Number),
        ],
        primary: &["id"],
        foreign: &[],
    },
    TableOf {
        // What owners were told of before it happens.
        name: "maturity_notice",
        columns: &[("name", Sorted), ("at", Number)],
        primary: &["name"],
        foreign: &[],
    },
];

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX maturity_entry_name ON maturity_entry (name)",
    "CREATE INDEX maturity_change_subject ON maturity_change (subject, id)",
];

#[async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await?;
        for table in ["maturity_entry", "maturity_change", "maturity_model"] {
            crate::db::sqlite::make_append_only(manager.get_connection(), table).await?;
        }
        Ok(())
    }
}
