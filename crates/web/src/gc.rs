//! Collection on demand. The server collects by itself too.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{GcReport, Kept};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::{Collection, WebState};

/// Rows that one step may touch: pushes go in between.
const STEP_ROWS: u64 = 500;

/// Longest run for one request; what is left is for the next one.
const LONGEST_RUN: Duration = Duration::from_secs(20);

/// How to collect. There is nothing to choose yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionRequest {}

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectionReport {
    /// Blobs unlinked from a repository where no manifest names them.
    pub unlinked: u64,
    /// Blobs removed for good.
    pub blobs: u64,
    /// Bytes freed by it.
    pub bytes: u64,
    /// Files removed that no row names.
    pub orphans: u64,
    /// Uploads dropped because their time was over.
    pub uploads: u64,
    /// Empty repositories forgotten.
    pub repositories: u64,
    /// Lines of the pull log dropped.
    pub pulls: u64,
    /// A backup is running or the registry is read-only: nothing was removed.
    pub paused: bool,
    /// There is more to do: ask again.
    pub more: bool,
    /// What nothing names and stays for now.
    #[serde(default)]
    pub kept: KeptBlobs,
}

/// Blobs that nothing names and that are younger than the time of grace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptBlobs {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The time of grace in seconds: a blob stays so long where it is linked, and so long again before its bytes go.
    pub grace_seconds: u64,
}

/// The last collection on demand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CollectionStatus {
    /// Whether one is running now.
    pub running: bool,
    /// When the last one ended; missing if there was none since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Moment>,
    /// What it removed.
    pub report: CollectionReport,
}

impl CollectionReport {
    /// What the steps of a collection did, and what they left.
    pub fn new(done: &GcReport, kept: Kept) -> Self {
        let GcReport {
            unlinked,
            blobs,
            bytes,
            orphans,
            repositories,
            uploads,
            pulls,
            paused,
            more,
        } = *done;
        Self {
            unlinked,
            blobs,
            bytes,
            orphans,
            uploads,
            repositories,
            pulls,
            paused,
            more,
            kept: KeptBlobs {
                blobs: kept.blobs,
                bytes: kept.bytes,
                grace_seconds: kept.grace.as_secs(),
            },
        }
    }

    /// Adds the report of a later run; what it left is left.
    pub fn add(&mut self, later: &Self) {
        *self = Self {
            unlinked: self.unlinked + later.unlinked,
            blobs: self.blobs + later.blobs,
            bytes: self.bytes + later.bytes,
            orphans: self.orphans + later.orphans,
            uploads: self.uploads + later.uploads,
            repositories: self.repositories + later.repositories,
            pulls: self.pulls + later.pulls,
            ..*later
        };
    }
}

/// Collect what nobody refers to and whose time of grace is over.
#[utoipa::path(post, path = "/gc", tag = "housekeeping", request_body = CollectionRequest, responses(
    (status = OK, description = "What was removed", body = CollectionReport),
    (status = CONFLICT, description = "One is running already", body = Problem),
))]
pub(crate) async fn collect(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Body(CollectionRequest {}): Body<CollectionRequest>,
) -> Result<Body<CollectionReport>, ApiError> {
    let Ok(_place) = state.collector.clone().try_acquire_owned() else {
        return Err(ApiError::new(Kind::Busy, "a collection is running already"));
    };
    let deadline = Instant::now() + LONGEST_RUN;
    let mut report = GcReport::default();
    loop {
        report.add(&state.store.gc_step(STEP_ROWS).await?);
        if !report.more || report.paused || Instant::now() >= deadline {
            break;
        }
        tokio::task::yield_now().await;
    }
    let report = CollectionReport::new(&report, state.store.kept().await?);
    let finished = Collection {
        finished_at: Some(state.store.now()),
        report,
    };
    *state.collection.lock().unwrap_or_else(PoisonError::into_inner) = finished;
    Ok(Body(report))
}

/// The last collection on demand.
#[utoipa::path(get, path = "/gc", tag = "housekeeping", responses(
    (status = OK, description = "How it stands", body = CollectionStatus),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_collection(
    State(state): State<WebState>,
    Administrator(_): Administrator,
) -> Result<Body<CollectionStatus>, ApiError> {
    let last = *state.collection.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Body(CollectionStatus {
        running: state.collector.available_permits() == 0,
        finished_at: last.finished_at.map(Moment),
        report: last.report,
    }))
}
