//! Manifests of a repository, those without a tag among them.

use access::permit::{Delete, Pull};
use axum::extract::State;
use http::StatusCode;
use oci::{Digest, RepoName, Tag};
use serde::{Deserialize, Serialize};
use store::ListedManifest;
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::repositories::named;
use crate::session::Session;
use crate::state::WebState;

/// A manifest of a repository.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManifestEntry {
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Bytes of the manifest itself, without its layers.
    pub size: u64,
    /// Tags that point to it; only the first twenty.
    #[schema(value_type = Vec<String>)]
    pub tags: Vec<Tag>,
    /// Whether there are more tags.
    pub more_tags: bool,
    /// The manifest that it refers to, as a signature does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Digest>,
    /// An index that names it, if one does: it cannot be deleted before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub index: Option<Digest>,
    /// When it was pushed to this repository.
    pub pushed_at: Moment,
}

impl From<ListedManifest> for ManifestEntry {
    fn from(listed: ListedManifest) -> Self {
        Self {
            digest: listed.digest,
            media_type: listed.media_type.to_string(),
            artifact_type: listed.artifact_type,
            size: listed.size,
            tags: listed.tags,
            more_tags: listed.more_tags,
            subject: listed.subject,
            index: listed.index,
            pushed_at: listed.pushed_at.into(),
        }
    }
}

/// Names a manifest.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Its digest.
    #[param(value_type = String)]
    digest: Digest,
}

/// A page of a repository's manifests.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestsQuery {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// Only those that no tag points to.
    untagged: Option<bool>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// List a repository's manifests by digest.
#[utoipa::path(get, path = "/repository/manifests", tag = "repositories", params(ManifestsQuery), responses(
    (status = OK, description = "A page of manifests", body = Page<ManifestEntry>),
    (status = NOT_FOUND, description = "No such repository", body = Problem),
))]
pub(crate) async fn list_manifests(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<ManifestsQuery>,
) -> Result<Body<Page<ManifestEntry>>, ApiError> {
    let permit = session.permit::<Pull>(&query.repository)?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let untagged = query.untagged.unwrap_or_default();
    let page = state.store.manifests(&permit, untagged, after, limit).await?;
    let page = page.ok_or_else(|| ApiError::not_found("repository", &query.repository))?;
    Ok(Body(Page::of(
        page,
        |listed| listed.digest.to_string(),
        ManifestEntry::from,
    )))
}

/// Delete a manifest and the tags that point to it.
#[utoipa::path(delete, path = "/repository/manifest", tag = "repositories", params(ManifestKey), responses(
    (status = NO_CONTENT, description = "Deleted"),
    (status = CONFLICT, description = "A rule forbids it, or an index names it", body = Problem),
))]
pub(crate) async fn delete_manifest(
    State(state): State<WebState>,
    session: Session,
    Query(ManifestKey { repository, digest }): Query<ManifestKey>,
) -> Result<StatusCode, ApiError> {
    let permit = session.permit::<Delete>(&repository)?;
    let deleted = state.store.delete_manifest(&permit, &digest).await;
    deleted.map_err(|error| named(error, "manifest", format!("{repository}@{digest}")))?;
    Ok(StatusCode::NO_CONTENT)
}
