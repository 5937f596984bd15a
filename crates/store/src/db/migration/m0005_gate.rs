//! What the gate rests on besides decisions: refusals that wait for a person, and what is in use by somebody's word. Moments
//! are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Bytes, Key, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // state: see `brake.rs`. last_job: of the judgements that belong to it. turned, in_use: as it was settled.
        name: "brake_change",
        columns: &[
            ("id", Key),
            ("state", Number),
            ("last_job", Number),
            ("turned", Number),
            ("in_use", Number),
            ("opened_at", Number),
            ("settled_at", Number),
            ("actor", MaybeText),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        name: "brake_image",
        columns: &[
            ("repository_id", Number),
            ("digest", Sorted),
            ("change_id", Number),
            ("is_released", Bool),
            ("cause", Text),
            ("at", Number),
        ],
        primary: &["repository_id", "digest"],
        foreign: &[
            ("repository_id", "repository", true),
            ("change_id", "brake_change", true),
        ],
    },
    TableOf {
        // By manifest, whichever repositories have it. body: see `seen.rs`.
        name: "finding_seen",
        columns: &[("digest", Sorted), ("body", Bytes)],
        primary: &["digest"],
        foreign: &[],
    },
    TableOf {
        // reference: tag or digest. The repository need not be there yet.
        name: "in_use",
        columns: &[
            ("repository", Sorted),
            ("reference", Sorted),
            ("until", Number),
            ("reason", Text),
            ("actor", Text),
            ("at", Number),
        ],
        primary: &["repository", "reference"],
        foreign: &[],
    },
];

const INDEXES: &[&str] = &[
    "CREATE INDEX brake_change_state ON brake_change (state)",
    "CREATE INDEX in_use_until ON in_use (until)",
    "CREATE INDEX brake_image_change ON brake_image (change_id, is_released)",
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
