//! Who pulled what.

use axum::extract::State;
use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};
use store::{PullClass, PullEntry, PullFilter};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Administrator;
use crate::state::WebState;

/// A line of the pull log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PullLine {
    /// Position in the log.
    pub seq: i64,
    /// When.
    pub at: Moment,
    /// From where.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// By whom; missing for anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// By what: `node`, `ci`, `other`.
    #[schema(value_type = String)]
    pub class: PullClass,
}

/// Which pulls, from the newest on.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullsQuery {
    /// Only from this repository.
    #[param(value_type = Option<String>)]
    repository: Option<RepoName>,
    /// Only of this manifest.
    #[param(value_type = Option<String>)]
    digest: Option<Digest>,
    /// Not before this moment.
    since: Option<Moment>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

impl From<PullEntry> for PullLine {
    fn from(entry: PullEntry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.note.at.into(),
            repository: entry.note.repo,
            digest: entry.note.digest,
            principal: entry.note.principal.map(|name| name.to_string()),
            class: entry.note.class,
        }
    }
}

/// The pull log, newest first. Bounded in rows and age.
#[utoipa::path(get, path = "/pulls", tag = "audit", params(PullsQuery), responses(
    (status = OK, description = "A page of pulls", body = Page<PullLine>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_pulls(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<PullsQuery>,
) -> Result<Body<Page<PullLine>>, ApiError> {
    let filter = PullFilter {
        repo: query.repository,
        digest: query.digest,
        since: query.since.map(|moment| moment.0),
    };
    let before = page::numeric_cursor(query.after.as_deref())?;
    let page = state
        .store
        .pulls(&permit, &filter, before, page::limit(query.limit)?)
        .await?;
    Ok(Body(Page::of(page, |pull| pull.seq.to_string(), PullLine::from)))
}
