//! Who is told what, what was told, and what is still to be.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Key, MaybeNumber, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // body: as it was declared, JSON. old_secret: signs beside the new one until old_until. since: the last event of the audit
        // log before there was this sink. dropped: deliveries for which there was no room.
        name: "sink",
        columns: &[
            ("name", Sorted),
            ("body", Text),
            ("secret", MaybeText),
            ("old_secret", MaybeText),
            ("old_until", MaybeNumber),
            ("since", Number),
            ("dropped", Number),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &["name"],
        foreign: &[],
    },
    TableOf {
        // uid: the same for every try. owner: empty for nobody. incident: NULL for events. body: what is told, JSON.
        // not_before: when its time comes by the sink's schedule; held: whether that was later than at once; tried_from: since when it is
        // tried; next_at: when it is tried again.
        name: "delivery",
        columns: &[
            ("id", Key),
            ("uid", Text),
            ("sink", Sorted),
            ("kind", Text),
            ("subject", Text),
            ("incident", MaybeText),
            ("owner", Text),
            ("body", Text),
            ("state", Number),
            ("held", Bool),
            ("not_before", Number),
            ("tried_from", Number),
            ("next_at", Number),
            ("attempts", Number),
            ("status", MaybeNumber),
            ("error", MaybeText),
            ("created_at", Number),
            ("finished_at", MaybeNumber),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // What was last said to an owner about an incident. fingerprint: of the message; body: how things stood, JSON.
        name: "told",
        columns: &[
            ("sink", Sorted),
            ("incident", Sorted),
            ("owner", Sorted),
            ("fingerprint", Text),
            ("body", Text),
            ("at", Number),
        ],
        primary: &["sink", "incident", "owner"],
        foreign: &[],
    },
    TableOf {
        // external: what the other system calls the ticket. said: digest of what it says.
        name: "ticket",
        columns: &[
            ("sink", Sorted),
            ("key", Sorted),
            ("incident", Text),
            ("application", Text),
            ("external", Text),
            ("said", Text),
            ("is_done", Bool),
            ("at", Number),
        ],
        primary: &["sink", "key"],
        foreign: &[],
    },
];

const INDEXES: &[&str] = &[
    "CREATE INDEX delivery_queue ON delivery (sink, state, id)",
    "CREATE INDEX delivery_finished ON delivery (state, finished_at)",
    "CREATE INDEX delivery_incident ON delivery (sink, incident, owner)",
    "CREATE INDEX told_incident ON told (incident)",
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
