//! The first schema. Sizes are bytes, moments microseconds since the Unix epoch, digests `algorithm:hex`.
//!
//! Counters stand where a page or a rule needs a number (`repository.tags`, `blob.links`, `repository_blob.names`):
//! they change in the transaction that changes what they count, and the collection reads them through partial indexes,
//! so that neither ever counts rows.

use sea_orm_migration::prelude::DeriveMigrationName;
use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationTrait, SchemaManager, async_trait::async_trait};

use super::table::Is::{Bool, Bytes, Key, MaybeNumber, MaybeText, Number, Sorted, Text};
use super::table::{self, TableOf};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &[TableOf] = &[
    TableOf {
        name: "repository",
        columns: &[
            ("id", Key),
            ("name", Sorted),
            ("bytes", Number),
            ("tags", Number),
            ("manifests", Number),
            ("blobs", Number),
            ("created_at", Number),
            ("changed_at", Number),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // state: 0 good, 1 quarantined, 2 missing. links: repositories that have it.
        name: "blob",
        columns: &[
            ("id", Key),
            ("digest", Sorted),
            ("size", Number),
            ("location", Text),
            ("state", Number),
            ("links", Number),
            ("idle_since", Number),
            ("created_at", Number),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // names: manifests of the repository that name it.
        name: "repository_blob",
        columns: &[
            ("repository_id", Number),
            ("blob_id", Number),
            ("names", Number),
            ("linked_at", Number),
            ("idle_since", Number),
        ],
        primary: &["repository_id", "blob_id"],
        foreign: &[("repository_id", "repository", false), ("blob_id", "blob", false)],
    },
    TableOf {
        name: "principal",
        columns: &[
            ("id", Key),
            ("name", Sorted),
            ("kind", Text),
            ("administrator", Bool),
            ("disabled", Bool),
            ("not_after", MaybeNumber),
            ("created_at", Number),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // verifier: PHC string of a password, hex digest of a robot's secret.
        name: "secret",
        columns: &[
            ("id", Key),
            ("principal_id", Number),
            ("verifier", Text),
            ("not_after", MaybeNumber),
            ("created_at", Number),
        ],
        primary: &[],
        foreign: &[("principal_id", "principal", true)],
    },
    TableOf {
        name: "access_grant",
        columns: &[("subject", Sorted), ("pattern", Sorted), ("roles", Text)],
        primary: &["subject", "pattern"],
        foreign: &[],
    },
    TableOf {
        name: "rule",
        columns: &[("pattern", Sorted), ("body", Text)],
        primary: &["pattern"],
        foreign: &[],
    },
    TableOf {
        name: "blob_pusher",
        columns: &[("blob_id", Number), ("principal_id", Number)],
        primary: &["blob_id", "principal_id"],
        foreign: &[("blob_id", "blob", true), ("principal_id", "principal", true)],
    },
    TableOf {
        name: "manifest_content",
        columns: &[
            ("id", Key),
            ("digest", Sorted),
            ("holders", Number),
            ("bytes", Bytes),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        // kind: 0 image, 1 index. depth: 0 for an image, else 1 more than the deepest child.
        name: "manifest",
        columns: &[
            ("id", Key),
            ("repository_id", Number),
            ("digest", Sorted),
            ("content_id", Number),
            ("media_type", Text),
            ("kind", Number),
            ("artifact_type", MaybeText),
            ("subject", MaybeText),
            ("annotations", Text),
            ("config_digest", MaybeText),
            ("depth", Number),
            ("size", Number),
            ("pushed_at", Number),
            ("pushed_by", Text),
        ],
        primary: &[],
        foreign: &[
            ("repository_id", "repository", false),
            ("content_id", "manifest_content", false),
        ],
    },
    TableOf {
        // kind: 0 blob (config or layer), 1 manifest (child of an index).
        name: "manifest_reference",
        columns: &[
            ("manifest_id", Number),
            ("kind", Number),
            ("digest", Text),
            ("repository_id", Number),
        ],
        primary: &["manifest_id", "kind", "digest"],
        foreign: &[("manifest_id", "manifest", true)],
    },
    TableOf {
        name: "tag",
        columns: &[
            ("repository_id", Number),
            ("name", Sorted),
            ("manifest_id", Number),
            ("set_at", Number),
            ("set_by", Text),
        ],
        primary: &["repository_id", "name"],
        foreign: &[
            ("repository_id", "repository", false),
            ("manifest_id", "manifest", false),
        ],
    },
    TableOf {
        // principal_id: 0 for nobody. received: bytes that are durable.
        name: "upload",
        columns: &[
            ("id", Sorted),
            ("repository", Text),
            ("principal_id", Number),
            ("algorithm", Text),
            ("received", Number),
            ("started_at", Number),
            ("expires_at", Number),
        ],
        primary: &["id"],
        foreign: &[],
    },
    TableOf {
        name: "event",
        columns: &[
            ("seq", Key),
            ("at", Number),
            ("kind", Text),
            ("subject", Text),
            ("actor", Text),
            ("cause", Text),
            ("rule_version", MaybeText),
            ("body", Text),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        name: "pull_log",
        columns: &[
            ("seq", Key),
            ("at", Number),
            ("repository", Text),
            ("digest", Text),
            ("principal", MaybeText),
            ("class", Text),
        ],
        primary: &[],
        foreign: &[],
    },
    TableOf {
        name: "setting",
        columns: &[("key", Sorted), ("value", Text)],
        primary: &["key"],
        foreign: &[],
    },
];

/// Every column that another table's row is found by has an index, foreign keys included: without one, deleting a
/// row reads all that could point to it.
const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX repository_name ON repository (name)",
    "CREATE INDEX repository_empty ON repository (changed_at) WHERE manifests = 0 AND blobs = 0",
    "CREATE UNIQUE INDEX blob_digest ON blob (digest)",
    "CREATE INDEX blob_idle ON blob (idle_since) WHERE links = 0",
    "CREATE INDEX repository_blob_blob ON repository_blob (blob_id, repository_id)",
    "CREATE INDEX repository_blob_idle ON repository_blob (idle_since) WHERE names = 0",
    "CREATE UNIQUE INDEX principal_name ON principal (name)",
    "CREATE INDEX secret_principal ON secret (principal_id)",
    "CREATE INDEX blob_pusher_principal ON blob_pusher (principal_id)",
    "CREATE UNIQUE INDEX manifest_content_digest ON manifest_content (digest)",
    "CREATE UNIQUE INDEX manifest_digest ON manifest (repository_id, digest)",
    "CREATE INDEX manifest_content_id ON manifest (content_id)",
    "CREATE INDEX manifest_subject ON manifest (repository_id, subject, digest) WHERE subject IS NOT NULL",
    "CREATE INDEX manifest_reference_digest ON manifest_reference (repository_id, digest)",
    "CREATE INDEX tag_manifest ON tag (manifest_id)",
    "CREATE INDEX upload_principal ON upload (principal_id)",
    "CREATE INDEX upload_expires ON upload (expires_at)",
    "CREATE INDEX event_subject ON event (subject, seq)",
    "CREATE INDEX event_actor ON event (actor, seq)",
    "CREATE INDEX event_kind ON event (kind, seq)",
    "CREATE INDEX pull_log_at ON pull_log (at)",
    "CREATE INDEX pull_log_repository ON pull_log (repository, seq)",
    "CREATE INDEX pull_log_digest ON pull_log (digest, seq)",
];

#[async_trait]
impl MigrationTrait for Migration {
    /// All or nothing: a start that is killed half-way must not leave tables that the next one cannot make.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::create_all(manager, TABLES, INDEXES).await?;
        crate::db::sqlite::make_append_only(manager.get_connection(), "event").await
    }
}
