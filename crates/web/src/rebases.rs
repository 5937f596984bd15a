//! Putting images on newer releases of their bases.

pub(crate) mod images;
pub(crate) mod items;

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use access::permit::{Pull, Push};
use axum::Extension;
use axum::extract::State;
use findings::Severity;
use oci::{Digest, ManifestKind, RepoName, Tag};
use road::names::BaseName;
use road::rebase::{ConfigConflict, PackageChange, PathEvidence, SafetyClass};
use serde::{Deserialize, Serialize};
use store::{Actor, Rebase, RebaseError, RebaseState, TagMove};
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::PeerAddress;
use crate::affected::{MayPull, may_pull};
use crate::body::Body;
use crate::decisions::{DecisionKey, judged};
use crate::judging;
use crate::moment::Moment;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::Session;
use crate::state::WebState;
use images::images_to_plan;

/// Images of an index that are planned at a time; one with more is not rebased.
pub const MAX_PLATFORMS: usize = 32;

/// An answer that is on its way.
pub type Planned<'a> = Pin<Box<dyn Future<Output = Result<PlanEntry, RebasingError>> + Send + 'a>>;

/// Which image is to go where.
#[derive(Clone)]
pub struct PlanOf {
    /// Where it lies.
    pub repository: RepoName,
    /// What was named: an image or an index.
    pub digest: Digest,
    /// The runnable images of it, itself if it is one.
    pub images: Vec<Digest>,
    /// Which base; `None`: the one that it stands on.
    pub onto: Option<BaseName>,
    /// Whether whoever asks may pull from a repository: the plan shows what is in releases of the base, and carried out it puts
    /// their layers where the image lies.
    pub may_pull: MayPull,
    /// The place among those that are planned for somebody: taken until the work is done, also where whoever asked has gone.
    pub place: Option<Place>,
}

/// Something that is given back when the last who holds it drops it.
pub type Place = Arc<dyn Send + Sync>;

/// A report on its way.
pub type Reported<'a> = Pin<Box<dyn Future<Output = Result<items::RebaseReport, RebasingError>> + Send + 'a>>;

/// A rebase on its way into the journal.
pub type Made<'a> = Pin<Box<dyn Future<Output = Result<Rebase, RebasingError>> + Send + 'a>>;

/// Makes plans, and carries them out.
pub trait Rebasing: Send + Sync {
    /// What would become of an image on the newest release of its base. Nothing is changed.
    fn plan(&self, of: PlanOf) -> Planned<'_>;

    /// Stores what a plan makes, unless it is another plan than the `expected` one. The tag follows when it was decided.
    fn carry_out(
        &self,
        of: PlanOf,
        tag: Tag,
        how: TagMove,
        expected: Option<Digest>,
        actor: Actor,
    ) -> Made<'_>;

    /// What was and what was not possible when a base moved, as far as somebody may pull it: to the releases that images follow to
    /// now, or to one by its version or digest.
    fn report(&self, base: BaseName, release: Option<String>, may_pull: MayPull) -> Reported<'_>;
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum RebasingError {
    /// There is no such image.
    #[error("there is no such image")]
    Gone,
    /// Not all of it was looked into yet.
    #[error("{0} is still being looked into")]
    Waits(String),
    /// No such base, or the image stands on none.
    #[error("{0}")]
    NoBase(String),
    /// The base's repository is closed to whoever asks.
    #[error("base `{base}` lies in {repository}, which you may not pull: ask for the right to pull there")]
    Denied {
        /// Which base.
        base: BaseName,
        /// Where its releases are.
        repository: RepoName,
    },
    /// [`MAX_PLATFORMS`].
    #[error("the index has {0} images: at most {MAX_PLATFORMS} are planned")]
    Platforms(usize),
    /// It stands on the newest release.
    #[error("the image stands on the newest release of its base: there is nothing to do")]
    Current,
    /// It cannot be carried out as it is.
    #[error("the image must be built again (class {class:?}): {why}")]
    Rebuild {
        /// C or D.
        class: SafetyClass,
        /// What stands against it.
        why: String,
    },
    /// It would bring more than it takes away.
    #[error("{0}: take another release, or wait for one")]
    Worse(String),
    /// An image of the index goes to a release that is asked for by itself.
    #[error("an image for another platform goes to release {0}, which nobody has approved: approve that too")]
    Unapproved(Digest),
    /// Another plan than the one that was shown.
    #[error("the plan has changed: it would make {0} now; look at it again")]
    Changed(Digest),
    /// The journal takes it not.
    #[error(transparent)]
    Refused(#[from] RebaseError),
    /// It failed.
    #[error("no plan could be made")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// What would become of an image, or of all images of an index.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanEntry {
    /// Where it lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// `A` splice, `B` merge, `C` rebuild, `D` vendor: the worst of its images. Missing where all of them are current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub class: Option<SafetyClass>,
    /// What it would be called: of the index where it is one. Missing unless the class is A or B.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub new_digest: Option<Digest>,
    /// Bytes that would be written: manifests, configurations, and the layer on top if there is one.
    pub new_bytes: u64,
    /// Itself, or each runnable image of the index.
    pub images: Vec<ImagePlan>,
}

/// What would become of an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImagePlan {
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// `linux/amd64`.
    pub platform: String,
    /// The base.
    #[schema(value_type = String)]
    pub base: BaseName,
    /// The release that it stands on.
    pub from: ReleaseEntry,
    /// The release to go to. Missing: it stands on the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ReleaseEntry>,
    /// As in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub class: Option<SafetyClass>,
    /// What stands against it: `obstacle` says what, the rest where, and `text` in words.
    #[serde(default)]
    pub obstacles: Vec<ObstacleEntry>,
    /// How much more stands against it.
    #[serde(default)]
    pub more_obstacles: u64,
    /// What was seen of paths: how many the application has, how many of them are the base's too, which must be merged.
    #[schema(value_type = Object)]
    pub evidence: PathEvidence,
    /// Packages of the base that change below the application, at most 1,000.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub packages: Vec<PackageChange>,
    /// How many more.
    #[serde(default)]
    pub more_packages: u64,
    /// Packages that the application has installed, and keeps.
    #[serde(default)]
    pub own_packages: Vec<String>,
    /// How many more.
    #[serde(default)]
    pub more_own_packages: u64,
    /// Files of the layer on top.
    #[serde(default)]
    pub merged: Vec<String>,
    /// Fields of the configuration that base and application both changed; the application's value is kept.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub conflicts: Vec<ConfigConflict>,
    /// What the change of the base takes away and brings.
    #[serde(default)]
    pub findings: FindingsChange,
    /// Findings that go from the base and stay in the application's own layers, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remains: Vec<FindingEntry>,
    /// What it would be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub new_digest: Option<Digest>,
}

/// Findings of two releases of a base that only one of them has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingsChange {
    /// How many go, by severity.
    #[serde(default)]
    pub gone_by_severity: BTreeMap<String, u64>,
    /// How many come, by severity.
    #[serde(default)]
    pub come_by_severity: BTreeMap<String, u64>,
    /// Those that go, the worst first, at most 100.
    #[serde(default)]
    pub gone: Vec<FindingEntry>,
    /// Those that come, likewise.
    #[serde(default)]
    pub come: Vec<FindingEntry>,
}

/// A finding that goes or comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingEntry {
    /// The vulnerability, or the rule.
    pub id: String,
    /// In which package.
    pub package: String,
    /// In which version of it.
    pub version: String,
    /// How bad it is.
    #[schema(value_type = String)]
    pub severity: Severity,
}

/// A release of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseEntry {
    /// Its manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Its tag, or what it is called else.
    pub version: String,
}

/// Something that stands against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObstacleEntry {
    /// In words.
    pub text: String,
    /// The step of the Dockerfile that it stems from, as far as the history of the image tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The same for machines.
    #[schema(value_type = Object)]
    pub what: road::rebase::Obstacle,
}

/// Which image, and where to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanQuery {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Tag or digest.
    reference: String,
    /// The base to put it on; by default the one that it stands on.
    #[param(value_type = Option<String>)]
    onto: Option<BaseName>,
}

/// Say what would become of an image on the newest release of its base: whether that needs a rebuild, by what evidence, and what
/// would change. Nothing is changed.
#[utoipa::path(get, path = "/rebases/plan", tag = "fleet", params(PlanQuery), responses(
    (status = OK, description = "The plan", body = PlanEntry),
    (status = NOT_FOUND, description = "No such image", body = Problem),
    (status = CONFLICT, description = "It stands on no declared base, or no images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "It is still being looked into", body = Problem),
))]
pub(crate) async fn get_plan(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Query(query): Query<PlanQuery>,
) -> Result<Body<PlanEntry>, ApiError> {
    session.permit::<Pull>(&query.repository)?;
    let rebasing = switched_off_or(&state)?;
    let place = state.place_for_report(from.map(|Extension(from)| from))?;
    let of = plan_of(&state, &session, query, Arc::new(place)).await?;
    Ok(Body(rebasing.plan(of).await?))
}

/// What is meant by a reference, for whoever may pull it.
async fn plan_of(
    state: &WebState,
    session: &Session,
    query: PlanQuery,
    place: Place,
) -> Result<PlanOf, ApiError> {
    let permit = session.permit::<Pull>(&query.repository)?;
    let key = DecisionKey::new(query.repository, query.reference);
    let manifest = key.manifest(state, &permit).await?;
    let children = (manifest.kind == ManifestKind::Index).then(|| judged(&manifest));
    let images = images_to_plan(&state.store, &key.repository, manifest.digest, children).await??;
    Ok(PlanOf {
        repository: key.repository,
        digest: manifest.digest,
        images,
        onto: query.onto,
        may_pull: may_pull(session),
        place: Some(place),
    })
}

/// A rebase that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRebase {
    /// The repository, such as `team/app`.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// The tag whose image is put on a newer release, and that follows.
    #[schema(value_type = String)]
    pub tag: Tag,
    /// The base to put it on; by default the one that it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub onto: Option<BaseName>,
    /// How the tag follows: `suffix` (the new image is `1.4-p1`), or `in-place`.
    #[schema(value_type = String)]
    pub how: TagMove,
    /// `new_digest` of the plan that was looked at: another plan is not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expected: Option<Digest>,
}

/// A line of the journal of rebases.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebaseEntry {
    /// Its id.
    #[schema(value_type = String)]
    pub id: uuid::Uuid,
    /// Where the image lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// The tag that follows.
    #[schema(value_type = String)]
    pub tag: Tag,
    /// What it named.
    #[schema(value_type = String)]
    pub old: Digest,
    /// What was made of that.
    #[schema(value_type = String)]
    pub new: Digest,
    /// How the tag follows.
    #[schema(value_type = String)]
    pub how: TagMove,
    /// `made`: the image is stored and waits to be decided; `moved`: the tag has followed; `refused`: it has not, and will not;
    /// `undone`: it has gone back.
    #[schema(value_type = String)]
    pub state: RebaseState,
    /// The tag that names the new image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub moved: Option<Tag>,
    /// Why the tag has not followed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who asked for it.
    pub actor: String,
    /// When it was made.
    pub made_at: Moment,
    /// When its state last changed.
    pub changed_at: Moment,
}

impl From<Rebase> for RebaseEntry {
    fn from(rebase: Rebase) -> Self {
        Self {
            id: rebase.id,
            repository: rebase.repository,
            tag: rebase.tag,
            old: rebase.old,
            new: rebase.new,
            how: rebase.how,
            state: rebase.state,
            moved: rebase.moved,
            reason: rebase.reason,
            actor: rebase.actor,
            made_at: Moment(rebase.made_at),
            changed_at: Moment(rebase.changed_at),
        }
    }
}

/// Put an image on the newest release of its base, and have its tag follow when the new image was looked into and decided no worse.
#[utoipa::path(post, path = "/rebases", tag = "fleet", request_body = NewRebase, responses(
    (status = OK, description = "It is stored; ask for its line until the tag has followed", body = RebaseEntry),
    (status = NOT_FOUND, description = "No such tag", body = Problem),
    (status = CONFLICT, description = "It cannot follow without a rebuild, is current, or another plan", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "It is still being looked into", body = Problem),
))]
pub(crate) async fn make_rebase(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Body(new): Body<NewRebase>,
) -> Result<Body<RebaseEntry>, ApiError> {
    let permit = session.permit::<Push>(&new.repository)?;
    let rebasing = switched_off_or(&state)?;
    let place = state.place_for_report(from.map(|Extension(from)| from))?;
    let query = PlanQuery {
        repository: new.repository,
        reference: new.tag.to_string(),
        onto: new.onto,
    };
    let of = plan_of(&state, &session, query, Arc::new(place)).await?;
    let actor = Actor::holder(&permit, "rebase");
    let made = rebasing
        .carry_out(of, new.tag, new.how, new.expected, actor)
        .await?;
    Ok(Body(made.into()))
}

/// Which lines.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RebasesQuery {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Lines on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// List the rebases of a repository, newest first.
#[utoipa::path(get, path = "/rebases", tag = "fleet", params(RebasesQuery), responses(
    (status = OK, description = "Its journal", body = Vec<RebaseEntry>),
))]
pub(crate) async fn list_rebases(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<RebasesQuery>,
) -> Result<Body<Vec<RebaseEntry>>, ApiError> {
    session.permit::<Pull>(&query.repository)?;
    let limit = crate::page::limit(query.limit)?;
    let rebases = state.store.rebases(&query.repository, limit).await?;
    Ok(Body(rebases.into_iter().map(RebaseEntry::from).collect()))
}

/// Show a rebase.
#[utoipa::path(get, path = "/rebases/{id}", tag = "fleet", params(("id" = String, Path, description = "Its id")), responses(
    (status = OK, description = "Where it stands", body = RebaseEntry),
    (status = NOT_FOUND, description = "No such rebase", body = Problem),
))]
pub(crate) async fn get_rebase(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<uuid::Uuid>,
) -> Result<Body<RebaseEntry>, ApiError> {
    Ok(Body(find(&state, &session, id).await?.into()))
}

/// Take a rebase back: the tag names what it named before.
#[utoipa::path(post, path = "/rebases/{id}/undo", tag = "fleet", params(("id" = String, Path, description = "Its id")), responses(
    (status = OK, description = "It is undone", body = RebaseEntry),
    (status = NOT_FOUND, description = "No such rebase", body = Problem),
    (status = CONFLICT, description = "The tag has moved meanwhile, or there is nothing to undo", body = Problem),
))]
pub(crate) async fn undo_rebase(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<uuid::Uuid>,
) -> Result<Body<RebaseEntry>, ApiError> {
    let found = find(&state, &session, id).await?;
    let permit = session.permit::<Push>(&found.repository)?;
    let actor = Actor::holder(&permit, "undo");
    let undone = state
        .store
        .undo_rebase(&actor, id)
        .await
        .map_err(|error| of_journal(&error))?;
    Ok(Body(undone.into()))
}

/// A line of the journal. Whoever may not pull there does not learn that it is there.
async fn find(state: &WebState, session: &Session, id: uuid::Uuid) -> Result<Rebase, ApiError> {
    let unknown = || of_journal(&RebaseError::Unknown);
    let found = state.store.rebase(id).await?.ok_or_else(unknown)?;
    session.permit::<Pull>(&found.repository).map_err(|_| unknown())?;
    Ok(found)
}

fn switched_off_or(state: &WebState) -> Result<Arc<dyn Rebasing>, ApiError> {
    state.rebasing.clone().ok_or_else(judging::switched_off)
}

fn of_journal(error: &RebaseError) -> ApiError {
    match error {
        RebaseError::Unknown => ApiError::new(Kind::NotFound, error),
        error if error.is_of_store() => ApiError::internal(error),
        _ => ApiError::new(Kind::Conflict, error),
    }
}

impl From<RebasingError> for ApiError {
    fn from(error: RebasingError) -> Self {
        match &error {
            RebasingError::Gone => Self::new(Kind::NotFound, error),
            RebasingError::Waits(_) => Self::retry_after(Kind::Unavailable, error, 2),
            RebasingError::Denied { .. } => Self::new(Kind::Denied, error),
            RebasingError::NoBase(_)
            | RebasingError::Platforms(_)
            | RebasingError::Current
            | RebasingError::Rebuild { .. }
            | RebasingError::Worse(_)
            | RebasingError::Unapproved(_)
            | RebasingError::Changed(_) => Self::new(Kind::Conflict, error),
            RebasingError::Refused(refused) => of_journal(refused),
            RebasingError::Failed(_) => Self::internal(&error),
        }
    }
}
