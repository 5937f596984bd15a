//! Putting images on newer releases of their bases.

use std::error::Error;
use std::pin::Pin;

use access::permit::Pull;
use axum::Extension;
use axum::extract::State;
use oci::{Digest, ManifestKind, RepoName};
use road::names::BaseName;
use road::rebase::{ConfigConflict, PackageChange, PathEvidence, SafetyClass};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::PeerAddress;
use crate::body::Body;
use crate::decisions::{DecisionKey, judged};
use crate::judging;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Images of an index that are planned at a time; one with more is not rebased.
pub const MAX_PLATFORMS: usize = 32;

/// An answer that is on its way.
pub type Planned<'a> = Pin<Box<dyn Future<Output = Result<PlanEntry, RebasingError>> + Send + 'a>>;

/// Which image is to go where.
#[derive(Debug, Clone)]
pub struct PlanOf {
    /// Where it lies.
    pub repository: RepoName,
    /// What was named: an image or an index.
    pub digest: Digest,
    /// The runnable images of it, itself if it is one.
    pub images: Vec<Digest>,
    /// Which base; `None`: the one that it stands on.
    pub onto: Option<BaseName>,
}

/// Makes plans. Nothing is changed by one.
pub trait Rebasing: Send + Sync {
    /// What would become of an image on the newest release of its base.
    fn plan(&self, of: PlanOf) -> Planned<'_>;
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
    /// Packages of the base that change below the application.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub packages: Vec<PackageChange>,
    /// Packages that the application has installed, and keeps.
    #[serde(default)]
    pub own_packages: Vec<String>,
    /// Files of the layer on top.
    #[serde(default)]
    pub merged: Vec<String>,
    /// Fields of the configuration that base and application both changed; the application's value is kept.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub conflicts: Vec<ConfigConflict>,
    /// What it would be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub new_digest: Option<Digest>,
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
    let permit = session.permit::<Pull>(&query.repository)?;
    let key = DecisionKey::new(query.repository, query.reference);
    let manifest = key.manifest(&state, &permit).await?;
    let rebasing = state.rebasing.as_ref().ok_or_else(judging::switched_off)?;
    let _place = state.place_for_report(from.map(|Extension(from)| from))?;
    let mut images = Vec::new();
    for digest in judged(&manifest) {
        let is_alone = manifest.kind != ManifestKind::Index;
        if is_alone || state.store.has_image(&key.repository, &digest).await? {
            images.push(digest);
        }
    }
    if images.len() > MAX_PLATFORMS {
        let detail = format!(
            "the index has {} images: at most {MAX_PLATFORMS} are planned",
            images.len()
        );
        return Err(ApiError::new(Kind::Conflict, detail));
    }
    let of = PlanOf {
        repository: key.repository,
        digest: manifest.digest,
        images,
        onto: query.onto,
    };
    Ok(Body(rebasing.plan(of).await?))
}

impl From<RebasingError> for ApiError {
    fn from(error: RebasingError) -> Self {
        match &error {
            RebasingError::Gone => Self::new(Kind::NotFound, error),
            RebasingError::Waits(_) => Self::retry_after(Kind::Unavailable, error, 2),
            RebasingError::NoBase(_) => Self::new(Kind::Conflict, error),
            RebasingError::Failed(_) => Self::internal(&error),
        }
    }
}
