//! The store: the only SQL and the only blob files of Roadbed.
//!
//! It keeps what a registry must not lose and answers what a registry is asked all day. Bytes of blobs lie in files,
//! one per blob and commit, never replaced; everything else, manifests included, lies in one database (`SQLite`
//! in WAL mode now). [`Store`] is the facade; each noun has a module that holds its types, its rules and its SQL.
//!
//! - A **push** goes through [`Store::start_upload`], [`Store::append_upload`] and [`Store::finish_upload`], then
//!   [`Store::put_manifest`]. Nothing is acknowledged before it is durable: file, directory, row, in this order.
//! - What comes from an **upstream** goes through [`Store::begin_intake`] and [`Store::land`], which many may read along, then
//!   [`Store::take_in_manifest`].
//! - A **pull** goes through [`Store::manifest`] and [`Store::blob`], which answer from memory what was asked before.
//! - **Who may** is decided by the [`access::AccessBook`] that [`Store::access`] hands out; every function that touches
//!   a repository demands the permit that only the book can issue.
//! - **Housekeeping** is [`Store::gc_step`], [`Store::fsck`], [`Store::backup`], called by whoever owns the process.
//!
//! Errors: one type per kind of work ([`UploadError`], [`PutError`], [`DeleteError`], [`AdminError`], [`AuthError`],
//! [`BackupError`]), each with a variant for [`StoreError`], which is what is never the caller's fault. None of them
//! knows HTTP.
//!
//! Read first: `db` (how a transaction runs), `manifest` (the central rules), `gc` (what makes deletion safe).

mod actor;
mod administrator;
mod adoption;
mod advisory;
mod application;
mod attached;
mod attachment;
mod authenticate;
mod backup;
mod base;
mod blob;
mod brake;
mod cache;
mod chart_index;
mod clock;
mod condition;
mod config;
mod db;
mod decision;
mod declared;
mod delivery;
mod disk;
mod entropy;
mod error;
mod event;
mod feed;
mod files;
mod fleet;
mod fsck;
mod gc;
mod grant;
mod handle;
mod in_use;
mod incident;
mod incoming;
mod job;
mod layer_report;
mod lock;
mod maintenance;
mod manifest;
mod maturity;
mod maturity_facts;
#[cfg(all(test, feature = "measure"))]
mod measure;
mod metrics;
mod mirror;
mod own_blob;
mod page;
mod paving;
#[cfg(feature = "measure")]
mod planting;
mod pool;
mod principal;
mod pull_log;
mod quota;
mod reader;
mod rebase;
mod reevaluation;
mod referrer;
mod repository;
mod road_entries;
mod room;
mod rule;
mod ruling;
mod seen;
mod setting;
mod signed;
mod signer;
mod sink;
mod snapshot;
mod synthetic;
mod tag;
#[cfg(test)]
mod testing;
mod traffic;
mod upload;
mod upstream_tag;
mod upstream_use;

pub use actor::{ANONYMOUS, Actor, OPERATOR, SYSTEM};
pub use administrator::{FIRST_ADMINISTRATOR, reset_password};
pub use adoption::{AdoptionDay, AdoptionSum, MAX_ADOPTION_DAYS};
pub use advisory::{
    AdvisoryDocument, AdvisoryImport, AdvisoryRow, Brought, CARRIED_SOURCES, Carried, CarriedBundle,
    FeedHold, Import, ImportError, ImportSize, ImportSummary, Importer, LIFTS_NAMED, LiftedCause, Lifts,
    NotedLifts, StagedImport, home_of,
};
pub use application::{
    CatalogImport, CatalogNote, MAX_ENTRIES, PushedCatalog, PushedEntries, WORDS_TAKEN, reason_as_kept,
};
pub use attached::{Attached, OwnAttachment};
pub use attachment::{Attachment, Attachments};
pub use authenticate::AuthError;
pub use backup::{BackupError, BackupReport, restore};
pub use base::{ImageNote, MAX_RELEASES_OF_A_BASE};
pub use blob::{BlobHandle, BlobInfo};
pub use brake::{HeldCause, HeldChange, HeldImage, Settled, Settling};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use condition::{Away, Condition, DiskFull, MAX_UNCLAIMED, Unclaimed};
pub use config::{StoreConfig, StoreLimits};
pub use db::outage::AwayReason;
pub use decision::{Decided, Finished, Judgement, Outcome, Point, Reasons, Standing, ToJudge, Verdicts};
pub use declared::{
    Applied, ApplyPlan, Becoming, Declared, DeclaredInUse, DeclaredPolicy, DeclaredRobot, DeclaredUser, End,
    EndError, Step,
};
pub use delivery::{
    Attempt, Delivery, DeliveryCounts, DeliveryState, MAX_DIGEST, MAX_TOLD, MessageOf, NewDelivery,
    StoredTicket, TOLD_KEPT, Telling, ToldState,
};
pub use error::StoreError;
pub use event::{Event, EventFilter, EventKind, LogLine};
pub use feed::FeedState;
pub use fleet::{FleetChange, FleetEvent, FleetImage, FleetMark, GoneImage, WaivedCursor, WaivedDecision};
pub use fsck::{DAMAGES_LISTED, Damage, DamageKind, FsckOptions, FsckProgress, FsckReport, IMAGES_LISTED};
pub use gc::{GcReport, Kept};
pub use handle::Store;
pub use in_use::{IN_USE_REASON_BYTES, InUse, LONGEST_IN_USE, MAX_IN_USE, NewInUse};
pub use incident::{IncidentAppend, MAX_INCIDENTS, StoredIncident};
pub use incoming::{Incoming, Intake, Landing};
pub use job::{Job, JobCounts, JobKind, JobPriority, LOSSES, Which};
pub use maintenance::{LONGEST_MAINTENANCE, MAINTENANCE_REASON_BYTES, Maintenance, MaintenanceError};
pub use manifest::{DeleteError, ListedManifest, PutError, PutManifest, PutOutcome, StoredManifest};
pub use maturity::{
    MAX_MODELS, MAX_RECORDS, MAX_SAID, MaturityChange, MaturityEntry, MaturityModel, MaturityNews,
    MaturityPlace, MaturityRecord, MaturityStep, MaturityWords, NewMaturityModel, RecordKind,
};
pub use maturity_facts::{
    FollowedBase, KnownDecision, KnownEvents, KnownImage, KnownModel, KnownRepository, LookedInto,
    MAX_FOLLOWED_BASES, MAX_KNOWN_IMAGES, OwnerTold, ReleasedImage,
};
pub use metrics::StoreMetrics;
pub use mirror::{KeptImage, MirrorPermit, MirrorRefusal};
pub use page::Page;
pub use paving::{RoadAt, StoredRoadEntry};
#[cfg(feature = "measure")]
pub use planting::PlantedImage;
pub use principal::{
    AdminError, IssuedSecret, NewRobot, NewUser, PrincipalInfo, SECRETS_PER_ROBOT, SecretInfo,
};
pub use pull_log::{PullClass, PullEntry, PullFilter, PullNote};
pub use quota::{QuotaExceeded, QuotaKind};
pub use rebase::{
    Blame, ItemState, LET_IN_AGAIN, MAX_ITEMS, MAX_WORK, MadeImage, NewRebase, NewRebaseItem, OwnReferrer,
    Placed, Rebase, RebaseError, RebaseItem, RebaseOf, RebaseState, RebasedFrom, StoredWork, TagMove, Thawed,
    WORK_KEPT, WaitingRebase,
};
pub use reevaluation::{AdvisoryNews, ChangedAdvisory, Confirmed, Reevaluation, Touches};
pub use referrer::ReferrerDescriptor;
pub use repository::RepositoryStats;
pub use road_entries::RoadEntries;
pub use room::FLEET_INDEX_FILE;
pub use rule::{IMMUTABLE_TAG_PATTERNS, ImmutableTags, Rule, Rules};
pub use ruling::{MAX_WAIVERS, StoredPolicy, StoredWaiver, WaiverPut, WaiverStep};
pub use seen::{MAX_SEEN, Seen};
pub use signed::SignedKind;
pub use sink::{SecretChange, SinkSecrets, StoredSink};
pub use synthetic::SyntheticImage;
pub use tag::TagTarget;
pub use traffic::{
    InForce, LONGEST_MEASURE, MAX_MEASURES, MEASURE_REASON_BYTES, Measure, NewTrafficMeasure, TrafficMeasure,
    TrafficTarget,
};
pub use upload::{BodyError, UPLOAD_LIFETIME_WHEN_FULL, UploadError, UploadId, UploadStatus};
pub use upstream_tag::UpstreamTag;
pub use upstream_use::UpstreamUse;
