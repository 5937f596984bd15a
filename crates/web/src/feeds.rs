//! Feeds: where advisories are fetched from, how that stands, and fetching them now. Who does it is put in by the program that
//! serves the API, as [`Syncing`].

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use serde::{Deserialize, Serialize};
use store::{Actor, FeedHold, StoreError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa::ToSchema;

use crate::body::Body;
use crate::bundles::{BundleRefused, EndOfBundle};
use crate::moment::Moment;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Administrator;
use crate::state::WebState;

/// Media type of the answer: one JSON object per line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Time between two lines of progress; also keeps the connection from looking idle.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Fetches advisories.
pub trait Syncing: Send + Sync {
    /// Begins to; it goes on whether or not anybody looks.
    fn sync(&self, request: &SyncRequest, actor: Actor) -> Result<RunningSync, SyncRefused>;

    /// How each source stands.
    fn sources(&self) -> SourcesAsked<'_>;

    /// Begins to take a bundle, and answers its name.
    fn begin_bundle(&self) -> BundleAsked<'_, String>;

    /// Takes the next piece of a bundle.
    fn add_to_bundle<'a>(&'a self, id: &'a str, offset: u64, bytes: Bytes) -> BundleAsked<'a, ()>;

    /// Verifies a bundle that has come and takes it in; it goes on whether or not anybody looks.
    fn take_bundle(&self, id: &str, end: EndOfBundle, actor: Actor) -> Result<RunningSync, BundleRefused>;
}

/// Something about a bundle, on its way.
pub type BundleAsked<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, BundleRefused>> + Send + 'a>>;

/// The sources, on their way.
pub type SourcesAsked<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Vec<SourceStatus>, StoreError>> + Send + 'a>>;

/// A sync under way.
#[derive(Debug)]
pub struct RunningSync {
    /// How far it is.
    pub progress: watch::Receiver<SyncProgress>,
    /// What came of it.
    pub result: JoinHandle<Result<SyncReport, StoreError>>,
}

/// Why none was begun.
#[derive(Debug, Error)]
pub enum SyncRefused {
    /// There is one already.
    #[error("advisories are being fetched already; `roadbed advisories status` shows what comes of it")]
    Running,
    /// Nothing to fetch, or not that.
    #[error("{0}")]
    Unknown(String),
}

/// What to fetch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SyncRequest {
    /// Names of sources: ecosystems, `kev`, `epss`, or `osv` for all ecosystems. None: all that are configured.
    pub sources: Vec<String>,
    /// Believe a source also where it has lost much of what it had.
    pub accept_removals: bool,
    /// Believe sources also where what they say lifts so many refusals; without, one that lifts much is held.
    pub accept_lifts: Option<u64>,
}

/// One line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncLine {
    /// How far it is.
    Progress(SyncProgress),
    /// The last line, when it came to an end.
    Report(SyncReport),
    /// The last line, when it failed as a whole.
    Problem(Problem),
}

/// How far a sync is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncProgress {
    /// What is being fetched; empty while what came is being taken in.
    pub source: String,
    /// Sources that are done.
    pub sources_done: u64,
    /// Sources that there are.
    pub sources: u64,
    /// Bytes that came.
    pub bytes: u64,
    /// Documents that were taken in.
    pub documents: u64,
}

/// What came of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncReport {
    /// The generation that it made; missing where nothing was new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Bytes that came.
    pub bytes: u64,
    /// The bundle that was brought; missing where sources were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleOrigin>,
    /// What came of each source.
    pub sources: Vec<SourceOutcome>,
    /// Advisories that were passed over: what is known of them is newer.
    #[serde(default)]
    pub older: u64,
    /// Documents that were not taken.
    pub refused: u64,
    /// Why; the first of them.
    pub refusals: Vec<String>,
}

/// Which bundle something came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BundleOrigin {
    /// Digest of the file.
    pub digest: String,
    /// When it was made, by its own signed word.
    pub made_at: Moment,
    /// The key that signed it; missing: nobody did, and an administrator brought it all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
}

/// By what a source came that was carried here and not fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CarriedSource {
    /// When it came.
    pub at: Moment,
    /// Who brought it.
    pub by: String,
    /// The bundle; missing: files that were imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleOrigin>,
}

/// What came of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceOutcome {
    /// Its name.
    pub source: String,
    /// Advisories or entries that came with a bundle, whether there is anything new about them or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Those of them that were not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<u64>,
    /// Advisories or documents that are new or in another state; of a bundle advisories or entries, with those that are gone.
    pub changed: u64,
    /// Advisories that the source has no more, or has withdrawn, and entries that left their catalogue; they match nothing from now on.
    pub gone: u64,
    /// Why it failed, and what to do; missing where it did not. What it had before stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it waits for a person, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub held: Option<FeedHold>,
}

/// How one source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceStatus {
    /// Its name: an ecosystem, `kev`, `epss`.
    pub source: String,
    /// `fresh`; `failing`: the last try failed; `held`: the same, until a person accepts what it says; `stale`: the last success is too long ago;
    /// `carried`: nobody fetched it, or not lately, and a bundle or an import brought it; `never`: nothing came of it; `off`: it is not configured
    /// any more.
    pub state: SourceState,
    /// From where.
    pub url: String,
    /// When it was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Moment>,
    /// When that last succeeded, whether there was anything new or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Moment>,
    /// When there last was something new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Moment>,
    /// Not before this moment does the server try again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Moment>,
    /// By what it came, where it was carried here and not fetched since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<CarriedSource>,
    /// Seconds since the last success; of what was carried here, since the bundle was made or the files were imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// How often in a row it has failed.
    pub failures: u64,
    /// Why the last try failed, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it waits for a person, if it does: it has lost much (`shrunk`), why it waits is damaged (`unreadable`), or what it says would let pass much of what is refused
    /// (`lifts`, with counts, images and vulnerabilities).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub held: Option<FeedHold>,
    /// The generation that it last had a part in; 0 before the first.
    pub generation: u64,
    /// Advisories or entries that it lists.
    pub covers: u64,
}

/// How a source stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// The last try succeeded, and not too long ago.
    Fresh,
    /// The last try failed; the last success is not too long ago.
    Failing,
    /// It waits for a person (`held`); what it said before stays in force.
    Held,
    /// The last success is too long ago (`feeds.stale_after`).
    Stale,
    /// A bundle or an import brought it, not too long ago.
    Carried,
    /// Nothing came of it.
    Never,
    /// It is not configured any more.
    Off,
}

/// The problem of a registry that fetches nothing.
pub(crate) fn switched_off() -> ApiError {
    ApiError::new(Kind::Conflict, "this registry fetches no advisories")
}

/// Fetch advisories now. The answer is one JSON object per line: progress, and at the end the report. It goes on when
/// whoever asked goes away.
#[utoipa::path(post, path = "/advisories/sync", tag = "advisories", request_body = SyncRequest, responses(
    (status = OK, description = "Lines of progress, then the report", body = SyncLine, content_type = NDJSON),
    (status = BAD_REQUEST, description = "There is no such source", body = Problem),
    (status = CONFLICT, description = "Advisories are being fetched already", body = Problem),
))]
pub(crate) async fn sync_advisories(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(request): Body<SyncRequest>,
) -> Result<Response, ApiError> {
    let syncing = state.syncing.as_ref().ok_or_else(switched_off)?;
    let actor = Actor::administrator(&permit, CAUSE);
    let running = syncing.sync(&request, actor).map_err(|refused| match &refused {
        SyncRefused::Running => ApiError::new(Kind::Busy, refused),
        SyncRefused::Unknown(_) => ApiError::malformed(refused),
    })?;
    Ok(lines_of(running))
}

/// Lines of progress, and the report at the end.
pub(crate) fn lines_of(running: RunningSync) -> Response {
    let lines = stream::unfold(Some(running), next_line);
    let body = axum::body::Body::from_stream(lines);
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}

async fn next_line(running: Option<RunningSync>) -> Option<(Result<Bytes, Infallible>, Option<RunningSync>)> {
    let mut running = running?;
    match tokio::time::timeout(PROGRESS_INTERVAL, &mut running.result).await {
        Err(_) => {
            let progress = running.progress.borrow_and_update().clone();
            Some((Ok(line(&SyncLine::Progress(progress))), Some(running)))
        }
        Ok(ended) => {
            let last = match ended.map_err(StoreError::from).flatten() {
                Ok(report) => SyncLine::Report(report),
                Err(error) => SyncLine::Problem(ApiError::from(error).to_problem()),
            };
            Some((Ok(line(&last)), None))
        }
    }
}

fn line(line: &SyncLine) -> Bytes {
    // Cannot fail: text keys only.
    let mut json = serde_json::to_vec(line).unwrap_or_default();
    json.push(b'\n');
    json.into()
}
