//! Approved bases and their releases.

use axum::extract::State;
use http::StatusCode;
use road::base::BaseImage;
use road::lineage::Release;
use road::names::BaseName;
use serde::{Deserialize, Serialize};
use store::Actor;
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Releases that one base shows, the newest.
const RELEASES_SHOWN: usize = 100;

/// A base as it is declared: `name`, `owner`, `contact`, `repository`, `channels`, `lifecycle`, `supported_until`, `replaced_by`,
/// `rebase`, `signer`, and `patch_within` in seconds by severity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct BaseEntry(pub BaseImage);

/// A base with its releases.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownBase {
    /// The base.
    pub base: BaseEntry,
    /// Its releases, the newest first, at most 100: digest, version, layers, and what took the place of each.
    #[schema(value_type = Vec<Object>)]
    pub releases: Vec<Release>,
    /// How many more there are.
    pub more_releases: u64,
}

/// A base that was approved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetBase {
    /// Which one.
    #[schema(value_type = String)]
    pub name: BaseName,
    /// Whether one of its name was approved before.
    pub replaced: bool,
}

/// Names a base.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaseKey {
    /// Its name.
    #[param(value_type = String)]
    name: BaseName,
}

pub(crate) fn may_see(session: &Session, base: &BaseImage) -> bool {
    session.system().is_ok() || session.book.may_list(&session.caller, &base.repository)
}

/// List the approved bases whose repositories the caller may pull.
#[utoipa::path(get, path = "/bases", tag = "fleet", params(PageQuery), responses(
    (status = OK, description = "A page of bases, by name", body = Page<BaseEntry>),
))]
pub(crate) async fn list_bases(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<BaseEntry>>, ApiError> {
    let session = session.signed_in()?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let road = state.store.road().await?;
    let seen = road.bases.iter().filter(|base| may_see(&session, base));
    Ok(Body(Page::cut(
        seen.cloned(),
        after,
        limit,
        |base| base.name.to_string(),
        BaseEntry,
    )))
}

/// One base with its releases: the images in its repository that were looked into.
#[utoipa::path(get, path = "/base", tag = "fleet", params(BaseKey), responses(
    (status = OK, description = "The base", body = ShownBase),
    (status = NOT_FOUND, description = "No such base, or none of the caller's", body = Problem),
))]
pub(crate) async fn get_base(
    State(state): State<WebState>,
    session: Session,
    Query(BaseKey { name }): Query<BaseKey>,
) -> Result<Body<ShownBase>, ApiError> {
    let session = session.signed_in()?;
    let road = state.store.road().await?;
    let found = road.bases.get(&name).filter(|base| may_see(&session, base));
    let base = found.ok_or_else(|| ApiError::not_found("base", &name))?;
    let mut releases: Vec<&Release> = road.releases.of_base(&name).collect();
    releases.sort_by_key(|release| std::cmp::Reverse((release.released_at, release.digest)));
    Ok(Body(ShownBase {
        base: BaseEntry(base.clone()),
        more_releases: releases.len().saturating_sub(RELEASES_SHOWN) as u64,
        releases: releases.into_iter().take(RELEASES_SHOWN).cloned().collect(),
    }))
}

/// Approve a base, in place of the one of its name. The images in its repository become its releases.
#[utoipa::path(put, path = "/bases", tag = "fleet", request_body = BaseEntry, responses(
    (status = OK, description = "Approved", body = SetBase),
    (status = BAD_REQUEST, description = "It does not go together with other bases", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn set_base(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(BaseEntry(base)): Body<BaseEntry>,
) -> Result<Body<SetBase>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    let was = state.store.set_base(&actor, &base).await?;
    Ok(Body(SetBase {
        name: base.name,
        replaced: was.is_some(),
    }))
}

/// Approve a base no more and forget its releases.
#[utoipa::path(delete, path = "/base", tag = "fleet", params(BaseKey), responses(
    (status = NO_CONTENT, description = "Not approved any more"),
    (status = NOT_FOUND, description = "No such base", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn remove_base(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(BaseKey { name }): Query<BaseKey>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.remove_base(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
