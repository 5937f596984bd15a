//! Repositories and their tags.

use std::fmt::Display;

use access::permit::{Administer, Delete, Pull};
use axum::extract::State;
use http::StatusCode;
use oci::{Digest, Reference, RepoName, Tag};
use serde::{Deserialize, Serialize};
use store::{DeleteError, TagTarget};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// A repository and what it holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RepositoryEntry {
    /// Name.
    #[schema(value_type = String)]
    pub name: RepoName,
    /// Bytes that its quota counts: its manifests, the distinct blobs that they name, and those that were pushed and
    /// never named.
    pub bytes: u64,
    /// Bytes of blobs that no manifest names any more. They wait for the collection and do not count.
    #[serde(default)]
    pub released_bytes: u64,
    /// Until when the last of those stays at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_until: Option<Moment>,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs.
    pub blobs: u64,
    /// When the first thing was pushed.
    pub created_at: Moment,
    /// What the caller may do with it.
    #[schema(value_type = Vec<String>)]
    pub roles: access::RoleSet,
    /// The rule that holds for it.
    pub rule: EffectiveRule,
}

/// The rule that holds for a repository.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EffectiveRule {
    /// Globs of tags that can neither be moved nor deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub immutable_tags: Vec<String>,
    /// Bytes that it may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Tags that it may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_tags: Option<u64>,
    /// Whether anything may be deleted.
    pub deletion: bool,
}

/// A tag and what it points to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TagEntry {
    /// Tag.
    #[schema(value_type = String)]
    pub tag: Tag,
    /// Digest of the manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Media type of the manifest.
    pub media_type: String,
    /// Bytes of the manifest itself, without its layers.
    pub size: u64,
    /// When the manifest was pushed to this repository.
    pub pushed_at: Moment,
}

impl From<TagTarget> for TagEntry {
    fn from(target: TagTarget) -> Self {
        Self {
            tag: target.tag,
            digest: target.digest,
            media_type: target.media_type.to_string(),
            size: target.size,
            pushed_at: target.pushed_at.into(),
        }
    }
}

/// Names a repository.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RepositoryKey {
    /// Its name, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
}

/// Names a tag.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// The tag.
    #[param(value_type = String)]
    tag: Tag,
}

/// A page of a repository's tags.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagsQuery {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    repository: RepoName,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// List the repositories that the caller may pull from.
#[utoipa::path(get, path = "/repositories", tag = "repositories", params(PageQuery), responses(
    (status = OK, description = "A page of names", body = Page<String>),
    (status = UNAUTHORIZED, description = "Nothing is open to everybody", body = Problem),
))]
pub(crate) async fn list_repositories(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<String>>, ApiError> {
    let session = if session.book.has_any_grant_for_anonymous() {
        session
    } else {
        session.signed_in()?
    };
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let within = session.book.listable(&session.caller);
    let visible = |repo: &RepoName| session.book.may_list(&session.caller, repo);
    let page = state.store.repositories(&within, &visible, after, limit).await?;
    Ok(Body(Page::of(page, ToString::to_string, |repo| repo.to_string())))
}

/// One repository: what it holds and which rule applies.
#[utoipa::path(get, path = "/repository", tag = "repositories", params(RepositoryKey), responses(
    (status = OK, description = "The repository", body = RepositoryEntry),
    (status = FORBIDDEN, description = "The caller may not pull from it, or it does not exist", body = Problem),
    (status = NOT_FOUND, description = "No such repository", body = Problem),
))]
pub(crate) async fn get_repository(
    State(state): State<WebState>,
    session: Session,
    Query(RepositoryKey { repository }): Query<RepositoryKey>,
) -> Result<Body<RepositoryEntry>, ApiError> {
    let permit = session.permit::<Pull>(&repository)?;
    let held = state.store.repository_stats(&permit).await?;
    let held = held.ok_or_else(|| ApiError::not_found("repository", &repository))?;
    let rules = state.store.rules(&repository);
    let rule = EffectiveRule {
        immutable_tags: rules
            .immutable_tags
            .as_ref()
            .map(|tags| tags.0.clone())
            .unwrap_or_default(),
        quota_bytes: rules.quota_bytes,
        quota_tags: rules.quota_tags,
        deletion: rules.deletion,
    };
    Ok(Body(RepositoryEntry {
        bytes: held.bytes,
        released_bytes: held.released_bytes,
        released_until: held.released_until.map(Moment),
        tags: held.tags,
        manifests: held.manifests,
        blobs: held.blobs,
        created_at: held.created_at.into(),
        roles: session.book.roles(&session.caller, &repository),
        rule,
        name: repository,
    }))
}

/// Delete a repository with everything in it.
#[utoipa::path(delete, path = "/repository", tag = "repositories", params(RepositoryKey), responses(
    (status = NO_CONTENT, description = "Deleted"),
    (status = CONFLICT, description = "A rule forbids it", body = Problem),
))]
pub(crate) async fn delete_repository(
    State(state): State<WebState>,
    session: Session,
    Query(RepositoryKey { repository }): Query<RepositoryKey>,
) -> Result<StatusCode, ApiError> {
    let permit = session.permit::<Administer>(&repository)?;
    let deleted = state.store.delete_repository(&permit).await;
    deleted.map_err(|error| named(error, "repository", &repository))?;
    Ok(StatusCode::NO_CONTENT)
}

/// List a repository's tags in byte order, with what they point to.
#[utoipa::path(get, path = "/repository/tags", tag = "repositories", params(TagsQuery), responses(
    (status = OK, description = "A page of tags", body = Page<TagEntry>),
    (status = NOT_FOUND, description = "No such repository", body = Problem),
))]
pub(crate) async fn list_tags(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<TagsQuery>,
) -> Result<Body<Page<TagEntry>>, ApiError> {
    let permit = session.permit::<Pull>(&query.repository)?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let page = state.store.tag_targets(&permit, after, limit).await?;
    let page = page.ok_or_else(|| ApiError::not_found("repository", &query.repository))?;
    Ok(Body(Page::of(
        page,
        |target| target.tag.to_string(),
        TagEntry::from,
    )))
}

/// One tag: what it points to.
#[utoipa::path(get, path = "/repository/tag", tag = "repositories", params(TagKey), responses(
    (status = OK, description = "The tag", body = TagEntry),
    (status = NOT_FOUND, description = "No such tag", body = Problem),
))]
pub(crate) async fn get_tag(
    State(state): State<WebState>,
    session: Session,
    Query(TagKey { repository, tag }): Query<TagKey>,
) -> Result<Body<TagEntry>, ApiError> {
    let permit = session.permit::<Pull>(&repository)?;
    let manifest = state
        .store
        .manifest(&permit, &Reference::Tag(tag.clone()))
        .await?;
    let manifest = manifest.ok_or_else(|| ApiError::not_found("tag", format!("{repository}:{tag}")))?;
    Ok(Body(TagEntry {
        tag,
        digest: manifest.digest,
        media_type: manifest.media_type.to_string(),
        size: manifest.bytes.len() as u64,
        pushed_at: manifest.pushed_at.into(),
    }))
}

/// Delete a tag; the manifest stays.
#[utoipa::path(delete, path = "/repository/tag", tag = "repositories", params(TagKey), responses(
    (status = NO_CONTENT, description = "Deleted"),
    (status = CONFLICT, description = "A rule forbids it", body = Problem),
))]
pub(crate) async fn delete_tag(
    State(state): State<WebState>,
    session: Session,
    Query(TagKey { repository, tag }): Query<TagKey>,
) -> Result<StatusCode, ApiError> {
    let permit = session.permit::<Delete>(&repository)?;
    let deleted = state.store.delete_tag(&permit, &tag).await;
    deleted.map_err(|error| named(error, "tag", format!("{repository}:{tag}")))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The store does not say what it was that is not there.
pub(crate) fn named(error: DeleteError, kind: &str, name: impl Display) -> ApiError {
    match error {
        DeleteError::Unknown => ApiError::not_found(kind, name),
        error => error.into(),
    }
}
