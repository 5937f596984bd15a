//! What images that cannot follow a release of their base ask of their owners.

use axum::Extension;
use axum::extract::State;
use oci::{Digest, RepoName, Tag};
use road::names::{ApplicationName, BaseName, Owner};
use road::work::{Asks, Problem as Affected, Reason, WorkState};
use serde::{Deserialize, Serialize};
use store::{RoadEntries, StoredWork};
use utoipa::{IntoParams, ToSchema};

use crate::PeerAddress;
use crate::affected::may_pull;
use crate::body::Body;
use crate::incidents::computed;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Items of work that are told at most; more are counted.
const MAX_TOLD: usize = 10_000;

/// Which work.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WorkQuery {
    /// Only of this application.
    #[param(value_type = Option<String>)]
    application: Option<ApplicationName>,
    /// Only of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// `open`, which is the default, `done`, `gone`, `superseded` or `left`; `all` for all that is kept.
    state: Option<String>,
}

/// What is asked for, the worst first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct WorkReport {
    /// At most 10,000, of repositories that you may pull from.
    pub items: Vec<WorkEntry>,
    /// How many more.
    #[serde(default)]
    pub more_items: u64,
}

/// A tag whose image cannot follow a release of its base by itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkEntry {
    /// Its id.
    #[schema(value_type = String)]
    pub id: uuid::Uuid,
    /// Where the image lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// The tag.
    #[schema(value_type = String)]
    pub tag: Tag,
    /// What it named when it was found.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Of which application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub application: Option<ApplicationName>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// `open`, `done`, `gone` (the tag is), `superseded` (by a newer release), `left` (it names what does not stand on the base, or
    /// can follow by itself).
    #[schema(value_type = String)]
    pub state: WorkState,
    /// `C` or `D`; `A` or `B` of what can follow and its repository does not take.
    pub class: String,
    /// `rebuild`; or `vendor`: a waiver with an end, the vendor's word (VEX) or its removal, for it names no source; or `let-in`: its
    /// repository does not take the new image.
    #[schema(value_type = String)]
    pub asks: Asks,
    /// Which base.
    #[schema(value_type = String)]
    pub base: BaseName,
    /// The release to use.
    #[schema(value_type = String)]
    pub release: Digest,
    /// What it is called.
    pub version: String,
    /// The line of the Dockerfile as it is. The host by which you reach the registry is left out.
    pub line: String,
    /// The line as it should be.
    pub new_line: String,
    /// Why it cannot follow, at most 5: `text`, and the `step` of the Dockerfile that it stems from, as far as the image tells.
    #[schema(value_type = Vec<Object>)]
    pub reasons: Vec<Reason>,
    /// How many more.
    #[serde(default)]
    pub more_reasons: u64,
    /// What the release would fix, the worst first, at most 20.
    #[schema(value_type = Vec<Object>)]
    pub fixes: Vec<Affected>,
    /// How much more.
    #[serde(default)]
    pub more_fixes: u64,
    /// What of that stays in the image's own layers, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub remains: Vec<Affected>,
    /// When it was found.
    pub opened_at: Moment,
    /// Since when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Moment>,
}

/// List what images that cannot follow a release of their base ask of their owners: the line of the Dockerfile to change, the release
/// to use, and what that would fix.
#[utoipa::path(get, path = "/road/work", tag = "fleet", params(WorkQuery), responses(
    (status = OK, description = "What is asked for", body = WorkReport),
    (status = BAD_REQUEST, description = "No such state", body = Problem),
))]
pub(crate) async fn get_work(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Query(query): Query<WorkQuery>,
) -> Result<Body<WorkReport>, ApiError> {
    let session = session.signed_in()?;
    let wanted = wanted(query.state.as_deref())?;
    // It reads the work of all applications.
    let place = state.place_for_report(from.map(|Extension(from)| from))?;
    let road = state.store.road().await?;
    let work = state.store.work(wanted == Some(WorkState::Open)).await?;
    let may_pull = may_pull(&session);
    let told = computed(move || {
        let of_state = |of: &StoredWork| wanted.is_none_or(|state| of.work.state == state);
        let work = work
            .into_iter()
            .filter(|of| of_state(of) && may_pull(&of.work.repository));
        let report = reported(work, &query, &road);
        // Whoever asked may be gone: the place is taken until the work is done.
        drop(place);
        report
    });
    Ok(Body(told.await?))
}

/// The worst first.
fn reported(work: impl Iterator<Item = StoredWork>, query: &WorkQuery, road: &RoadEntries) -> WorkReport {
    let told = work
        .map(|of| entry(of, road))
        .filter(|entry| query.application.is_none() || entry.application == query.application)
        .filter(|entry| query.owner.is_none() || entry.owner == query.owner);
    let mut items: Vec<WorkEntry> = told.collect();
    items.sort_by_key(|entry| {
        let worst = entry.fixes.iter().map(|fixed| fixed.severity).max();
        (entry.state, std::cmp::Reverse(worst))
    });
    let more_items = items.len().saturating_sub(MAX_TOLD) as u64;
    items.truncate(MAX_TOLD);
    WorkReport { items, more_items }
}

/// `None`: all.
fn wanted(state: Option<&str>) -> Result<Option<WorkState>, ApiError> {
    match state {
        None => Ok(Some(WorkState::Open)),
        Some("all") => Ok(None),
        Some(name) => WorkState::from_name(name).map(Some).ok_or_else(|| {
            ApiError::malformed("no such state: write open, done, gone, superseded, left or all")
        }),
    }
}

fn entry(of: StoredWork, road: &RoadEntries) -> WorkEntry {
    let work = of.work;
    let ownership = road.applications.owner_of(&work.repository);
    let (line, new_line) = work.task.lines(None);
    WorkEntry {
        id: of.id,
        application: ownership
            .application()
            .map(|application| application.name.clone()),
        owner: ownership.owner().cloned(),
        repository: work.repository,
        tag: work.tag,
        digest: of.digest,
        state: work.state,
        class: of.class,
        asks: work.task.asks,
        base: work.base,
        release: work.task.to.digest,
        version: work.task.to.version,
        line,
        new_line,
        reasons: work.task.reasons,
        more_reasons: work.task.more_reasons,
        fixes: work.task.fixes,
        more_fixes: work.task.more_fixes,
        remains: work.task.remains,
        opened_at: Moment(of.opened_at),
        closed_at: of.closed_at.map(Moment),
    }
}
