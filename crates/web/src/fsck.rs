//! Checking what is stored, with progress as it goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use serde::{Deserialize, Serialize};
use store::{Damage, FsckOptions, FsckProgress, FsckReport, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use crate::body::Body;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::WebState;

/// Media type of the answer: one JSON object per line.
const NDJSON: &str = "application/x-ndjson";

/// Time between two lines of progress; also keeps the connection from looking idle.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// How to check.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckRequest {
    /// Put away what is corrupt and treat it and what is missing as unknown, so that clients push it again; have images judged again
    /// whose reasons are.
    pub quarantine: bool,
    /// Compare sizes only and do not read the files.
    pub quick: bool,
}

/// One line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckLine {
    /// How far it is.
    Progress(CheckProgress),
    /// The last line, when it came to an end.
    Report(CheckReport),
    /// The last line, when it failed.
    Problem(Problem),
}

/// How far a check is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckProgress {
    /// Blobs checked.
    pub blobs: u64,
    /// Blobs that there were when it began.
    pub blobs_total: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Manifests checked.
    pub manifests: u64,
    /// Texts of reasons of decisions checked.
    #[serde(default)]
    pub reasons: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// How far it came.
    pub progress: CheckProgress,
    /// How much is wrong, orphans and what was known before excepted.
    pub damaged: u64,
    /// Blobs that images need and that count as unknown since an earlier check or a pull: nobody has pushed them again.
    #[serde(default)]
    pub known: u64,
    /// Files that no row names; they are collected after the time of grace.
    pub orphans: u64,
    /// Whether it ended early.
    pub cancelled: bool,
    /// What is wrong; a long list is cut, the numbers count all.
    pub damages: Vec<DamageEntry>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DamageEntry {
    /// `missing`, `corrupt`, `unreadable`, `orphan`, `manifest_corrupt`, `child_missing` (of an index); `reasons_corrupt`,
    /// `reasons_missing` (of decisions).
    pub kind: String,
    /// The blob, the manifest or the text of reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The file below the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Whether it was put away; of reasons: whether the images that have them are judged again, which makes them anew.
    pub quarantined: bool,
    /// Whether it was known before: the blob counts as unknown since then, until somebody pushes it again.
    #[serde(default)]
    pub known: bool,
    /// Images that cannot be pulled because of it, such as `team/app:1.0`; only a few. Of reasons: images whose reasons cannot be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed_by: Vec<String>,
    /// Whether there are more of them.
    #[serde(default)]
    pub needed_by_more: bool,
}

impl From<FsckProgress> for CheckProgress {
    fn from(progress: FsckProgress) -> Self {
        let FsckProgress {
            blobs,
            blobs_total,
            bytes,
            manifests,
            reasons,
        } = progress;
        Self {
            blobs,
            blobs_total,
            bytes,
            manifests,
            reasons,
        }
    }
}

impl From<Damage> for DamageEntry {
    fn from(damage: Damage) -> Self {
        let kind = serde_json::to_value(damage.kind).ok();
        Self {
            kind: kind
                .and_then(|kind| kind.as_str().map(str::to_owned))
                .unwrap_or_default(),
            digest: damage.digest.map(|digest| digest.to_string()),
            location: damage.location,
            quarantined: damage.quarantined,
            known: damage.known,
            needed_by: damage.needed_by,
            needed_by_more: damage.needed_by_more,
        }
    }
}

impl From<FsckReport> for CheckReport {
    fn from(report: FsckReport) -> Self {
        Self {
            progress: report.progress.into(),
            damaged: report.damaged,
            known: report.known,
            orphans: report.orphans,
            cancelled: report.cancelled,
            damages: report.damages.into_iter().map(DamageEntry::from).collect(),
        }
    }
}

/// Check every blob, every manifest and the reasons of all decisions. The answer is one JSON object per line: progress, and at the end the
/// report. Whoever goes away ends the check.
#[utoipa::path(post, path = "/fsck", tag = "housekeeping", request_body = CheckRequest, responses(
    (status = OK, description = "Lines of progress, then the report", body = CheckLine, content_type = NDJSON),
    (status = CONFLICT, description = "A check is running already", body = Problem),
))]
pub(crate) async fn check(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Body(request): Body<CheckRequest>,
) -> Result<Response, ApiError> {
    let Ok(place) = state.checker.clone().try_acquire_owned() else {
        return Err(ApiError::new(Kind::Busy, "a check is running already"));
    };
    let running = Running::start(state.store, &request, place);
    let lines = stream::unfold(Some(running), next_line);
    Ok((
        [(header::CONTENT_TYPE, NDJSON)],
        axum::body::Body::from_stream(lines),
    )
        .into_response())
}

/// A check under way; dropping it ends the check.
struct Running {
    progress: watch::Receiver<FsckProgress>,
    result: JoinHandle<Result<FsckReport, StoreError>>,
    cancel: Arc<AtomicBool>,
}

impl Running {
    fn start(store: Store, request: &CheckRequest, place: OwnedSemaphorePermit) -> Self {
        let cancel = Arc::new(AtomicBool::new(false));
        let options = FsckOptions {
            quarantine: request.quarantine,
            quick: request.quick,
            cancel: Arc::clone(&cancel),
        };
        let (sender, progress) = watch::channel(FsckProgress::default());
        let result = tokio::spawn(async move {
            // Held until the check has really ended, also when nobody listens any more.
            let _place = place;
            store
                .fsck(options, move |now| sender.send_modify(|latest| *latest = now))
                .await
        });
        Self {
            progress,
            result,
            cancel,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

async fn next_line(running: Option<Running>) -> Option<(Result<Bytes, Infallible>, Option<Running>)> {
    let mut running = running?;
    match tokio::time::timeout(PROGRESS_INTERVAL, &mut running.result).await {
        Err(_) => {
            let progress = *running.progress.borrow_and_update();
            Some((Ok(line(&CheckLine::Progress(progress.into()))), Some(running)))
        }
        Ok(ended) => {
            let last = match ended.map_err(StoreError::from).flatten() {
                Ok(report) => CheckLine::Report(report.into()),
                Err(error) => CheckLine::Problem(ApiError::from(error).to_problem()),
            };
            Some((Ok(line(&last)), None))
        }
    }
}

fn line(line: &CheckLine) -> Bytes {
    // Cannot fail: text keys only.
    let mut json = serde_json::to_vec(line).unwrap_or_default();
    json.push(b'\n');
    json.into()
}
