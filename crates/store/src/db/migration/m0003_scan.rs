//! What is known of layers, what advisories say, and what was decided. Moments are microseconds since the Unix epoch.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Bytes, Key, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        // lease_until: 0 while nobody works on it. ready_at: not before; far in the future while it waits for others.
        name: "job",
        columns: &[
            ("id", Key),
            ("kind", Text),
            ("subject", Text),
            ("priority", Number),
            ("attempts", Number),
            ("ready_at", Number),
            ("lease_until", Number),
            ("worker", MaybeText),
            ("error", MaybeText),
            ("created_at", Number),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // report: all but the listing, deflated JSON. It outlives the blob.
        name: "layer_report",
        columns: &[
            ("digest", Sorted),
            ("analysers", Text),
            ("is_whole", Bool),
            ("report", Bytes),
            ("listing", Bytes),
            ("made_at", Number),
        ],
        primary: &["digest"],
        foreign: &[],
    },
    TableOf {
        // Every state in which a source ever published it; the one of the highest generation counts.
        name: "advisory",
        columns: &[
            ("id", Sorted),
            ("generation", Number),
            ("modified", Text),
            ("body", Bytes),
        ],
        primary: &["id", "generation"],
        foreign: &[],
    },
    TableOf {
        name: "advisory_import",
        columns: &[
            ("generation", Key),
            ("at", Number),
            ("actor", Text),
            ("origin", Text),
            ("body", Text),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // kind: kev, epss or vex. body: deflated as it came.
        name: "advisory_document",
        columns: &[
            ("kind", Text),
            ("name", Sorted),
            ("generation", Number),
            ("body", Bytes),
        ],
        primary: &["kind", "name"],
        foreign: &[],
    },
    TableOf {
        // point: push, pull or admit. outcome: see `decision.rs`.
        name: "decision",
        columns: &[
            ("repository_id", Number),
            ("digest", Sorted),
            ("point", Text),
            ("outcome", Number),
            ("line", Text),
            ("body", Text),
            ("policy", Text),
            ("evidence", Text),
            ("generation", Number),
            ("decided_at", Number),
            ("review_at", Number),
        ],
        primary: &["repository_id", "digest", "point"],
        foreign: &[("repository_id", "repository", true)],
    },
    TableOf {
        name: "waiver",
        columns: &[
            ("id", Sorted),
            ("body", Text),
            ("until", Number),
            ("created_at", Number),
        ],
        primary: &["id"],
        foreign: &[],
    },
    TableOf {
        name: "policy",
        columns: &[
            ("version", Key),
            ("digest", Text),
            ("body", Text),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &[],
        foreign: &[],
    },
];

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX job_subject ON job (kind, subject)",
    "CREATE INDEX job_ready ON job (kind, priority, ready_at)",
    "CREATE INDEX job_lease ON job (lease_until) WHERE lease_until > 0",
    "CREATE INDEX advisory_generation ON advisory (generation)",
    "CREATE INDEX decision_review ON decision (review_at)",
    // A report that is new may decide every manifest that names its layer, in whichever repository.
    "CREATE INDEX manifest_reference_layer ON manifest_reference (digest) WHERE kind = 0",
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
