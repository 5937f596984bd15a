//! Tags that follow a base together: what was and what was not possible, who must approve, and the switch that stops all of it.

use std::collections::BTreeMap;

use access::permit::Pull;
use axum::Extension;
use axum::extract::State;
use oci::{Digest, RepoName, RepoPattern, Tag};
use road::names::BaseName;
use serde::{Deserialize, Serialize};
use store::{Actor, ItemState, RebaseError, RebaseItem};
use utoipa::{IntoParams, ToSchema};

use super::{of_journal, switched_off_or};
use crate::PeerAddress;
use crate::affected::may_pull;
use crate::body::Body;
use crate::moment::Moment;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Tags that a report names at most.
pub const MAX_REPORTED: usize = 10_000;

/// A tag that is to follow its base.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebaseItemEntry {
    /// Its id, for `approve` and `reject`.
    #[schema(value_type = String)]
    pub id: uuid::Uuid,
    /// Where the image lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// The tag.
    #[schema(value_type = String)]
    pub tag: Tag,
    /// What it named.
    #[schema(value_type = String)]
    pub old: Digest,
    /// The release to go to.
    #[schema(value_type = String)]
    pub release: Digest,
    /// Its application's ring.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ring: String,
    /// `new`, `asking`, `waiting`, `made`, `moved`, `failed`, `rejected`, `impossible` or `left-out`.
    #[schema(value_type = String)]
    pub state: ItemState,
    /// `A` to `D`; empty until it was planned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// Why it stands there, and what it waits for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The tag that carries the new image, once it has followed: another one where a `-pN` stands beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub followed_by: Option<Tag>,
    /// What goes from the base and stays in the application's own layers, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remains: String,
    /// The line of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub rebase: Option<uuid::Uuid>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub approved_by: String,
    /// When it was found.
    pub found_at: Moment,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Moment>,
}

impl From<RebaseItem> for RebaseItemEntry {
    fn from(item: RebaseItem) -> Self {
        Self {
            id: item.id,
            repository: item.of.repository,
            tag: item.of.tag,
            old: item.of.old,
            release: item.of.new_release,
            ring: String::new(),
            state: item.state,
            class: item.class,
            reason: item.reason,
            followed_by: item.moved,
            remains: item.remains,
            rebase: item.rebase,
            approved_by: item.approved_by,
            found_at: Moment(item.created_at),
            settled_at: item.settled_at.map(Moment),
        }
    }
}

/// A release, with whether images follow to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportedRelease {
    /// Its manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Its tag, or what it is called else.
    pub version: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Why images do not follow to it; missing: they do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub moves_nothing: String,
}

/// What was and what was not possible when a base moved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebaseReport {
    /// Which base.
    #[schema(value_type = String)]
    pub base: BaseName,
    /// The signer without whom nothing moves; missing: none is declared, and everything is asked for, or it is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Whether you may not pull the base: who signs its releases is not told, and of its releases those that your images go to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Who has stopped all rebases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// The releases that images follow to, and newer ones that move nothing.
    pub releases: Vec<ReportedRelease>,
    /// Why no tag follows; missing: some do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_nothing: String,
    /// Other releases of which there is a report, by version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// How many tags stand in each state.
    pub counts: BTreeMap<String, u64>,
    /// The tags, at most 10,000, of repositories that you may pull from.
    pub items: Vec<RebaseItemEntry>,
    /// How many more.
    #[serde(default)]
    pub more_items: u64,
}

/// Which base.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    /// Its name.
    #[param(value_type = String)]
    base: BaseName,
    /// Version or digest of a release; by default the report is of those that images follow to now.
    release: Option<String>,
}

/// Tell what was and what was not possible when a base moved: which tags have followed to its newest release, which wait and for
/// what, and which need a rebuild.
#[utoipa::path(get, path = "/rebases/report", tag = "fleet", params(ReportQuery), responses(
    (status = OK, description = "The report", body = RebaseReport),
    (status = NOT_FOUND, description = "No such base", body = Problem),
))]
pub(crate) async fn get_rebase_report(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Query(query): Query<ReportQuery>,
) -> Result<Body<RebaseReport>, ApiError> {
    let session = session.signed_in()?;
    let rebasing = switched_off_or(&state)?;
    // It reads all tags of a base.
    let _place = state.place_for_report(from.map(|Extension(from)| from))?;
    Ok(Body(
        rebasing
            .report(query.base, query.release, may_pull(&session))
            .await?,
    ))
}

/// Approve that a tag follows its base. Whoever administers the repository may.
#[utoipa::path(post, path = "/rebases/items/{id}/approve", tag = "fleet", params(("id" = String, Path, description = "Its id")), responses(
    (status = OK, description = "It follows when it is its turn", body = RebaseItemEntry),
    (status = NOT_FOUND, description = "No such tag", body = Problem),
    (status = CONFLICT, description = "Nobody is asked about it", body = Problem),
))]
pub(crate) async fn approve_rebase(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<uuid::Uuid>,
) -> Result<Body<RebaseItemEntry>, ApiError> {
    rule(&state, &session, id, true).await
}

/// Reject that a tag follows its base, or take note that it has failed, so that others go on.
#[utoipa::path(post, path = "/rebases/items/{id}/reject", tag = "fleet", params(("id" = String, Path, description = "Its id")), responses(
    (status = OK, description = "It does not follow to this release", body = RebaseItemEntry),
    (status = NOT_FOUND, description = "No such tag", body = Problem),
    (status = CONFLICT, description = "It has begun, or is over", body = Problem),
))]
pub(crate) async fn reject_rebase(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<uuid::Uuid>,
) -> Result<Body<RebaseItemEntry>, ApiError> {
    rule(&state, &session, id, false).await
}

async fn rule(
    state: &WebState,
    session: &Session,
    id: uuid::Uuid,
    approved: bool,
) -> Result<Body<RebaseItemEntry>, ApiError> {
    let unknown = || of_journal(&RebaseError::Unknown);
    let item = state.store.rebase_item(id).await?.ok_or_else(unknown)?;
    // Whoever may not pull there does not learn that it is there.
    session
        .permit::<Pull>(&item.of.repository)
        .map_err(|_| unknown())?;
    let permit = session.administers(&RepoPattern::from(&item.of.repository))?;
    let actor = Actor::pattern_administrator(&permit, CAUSE);
    let ruled = state.store.rule_on_rebase_item(&actor, id, approved).await;
    Ok(Body(ruled.map_err(|error| of_journal(&error))?.into()))
}

/// Whether rebases are stopped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebaseSwitch {
    /// Who has stopped all of them; missing: they go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
}

/// Stop all rebases, those that have begun too: none is made and no tag follows until they are resumed.
#[utoipa::path(post, path = "/rebases/stop", tag = "fleet", responses(
    (status = OK, description = "They are stopped", body = RebaseSwitch),
))]
pub(crate) async fn stop_rebases(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
) -> Result<Body<RebaseSwitch>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.switch_rebases(&actor, true).await?;
    switch(&state).await
}

/// Let rebases go on where they were stopped.
#[utoipa::path(post, path = "/rebases/resume", tag = "fleet", responses(
    (status = OK, description = "They go on", body = RebaseSwitch),
))]
pub(crate) async fn resume_rebases(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
) -> Result<Body<RebaseSwitch>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.switch_rebases(&actor, false).await?;
    switch(&state).await
}

async fn switch(state: &WebState) -> Result<Body<RebaseSwitch>, ApiError> {
    let stopped_by = state.store.rebases_stopped_by().await?;
    Ok(Body(RebaseSwitch { stopped_by }))
}

/// The key that the registry signs with what it makes of images.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PatchKeyEntry {
    /// Its public half: a PEM block `PUBLIC KEY`, as `cosign verify --key` takes it.
    pub public_key: String,
}

/// Show the public half of the key that the registry signs with what it makes of images.
#[utoipa::path(get, path = "/rebases/key", tag = "fleet", responses(
    (status = OK, description = "The key", body = PatchKeyEntry),
    (status = NOT_FOUND, description = "There is none yet: nothing was signed", body = Problem),
))]
pub(crate) async fn get_patch_key(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<PatchKeyEntry>, ApiError> {
    session.signed_in()?;
    let key = state.store.patch_key_if_any().await?.ok_or_else(|| {
        let detail = "there is no key yet: it is made when the first image follows its base";
        ApiError::new(Kind::NotFound, detail)
    })?;
    let public_key = key.public_pem().map_err(|error| ApiError::internal(&error))?;
    Ok(Body(PatchKeyEntry { public_key }))
}
