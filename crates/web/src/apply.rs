//! Declared state: users, robots, grants and rules from files.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{Actor, Declared, Step};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::robots::ShownSecret;
use crate::session::Administrator;
use crate::state::WebState;

/// The cause that events of an application carry.
const CAUSE: &str = "apply";

/// How to apply.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApplyQuery {
    /// Only say what would be done.
    dry_run: bool,
    /// Remove what is not declared, except the one who asks and the last administrator.
    prune: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApplyOutcome {
    /// Whether it was done.
    pub applied: bool,
    /// The differences, in the order in which they are carried out.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<Step>,
    /// Secrets of the robots that were made. They are shown this once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ShownSecret>,
}

/// Make users, robots, grants and rules what is declared. The body holds the lists `users`, `robots`, `grants` and
/// `rules` with the fields that `docs/apply.md` describes; what is left out of a user or robot stays as it is. All of it is
/// done in one transaction, or nothing.
#[utoipa::path(post, path = "/apply", tag = "apply", params(ApplyQuery), request_body = Object, responses(
    (status = OK, description = "What was done, or would be", body = ApplyOutcome),
    (status = BAD_REQUEST, description = "What is declared contradicts itself", body = Problem),
))]
pub(crate) async fn apply(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<ApplyQuery>,
    Body(declared): Body<Declared>,
) -> Result<Body<ApplyOutcome>, ApiError> {
    let keep = permit.caller().principal().map(|principal| &principal.name);
    let plan = state.store.plan_apply(&declared, query.prune, keep).await?;
    let steps = plan.steps.clone();
    if query.dry_run || steps.is_empty() {
        return Ok(Body(ApplyOutcome {
            applied: !query.dry_run,
            steps,
            secrets: Vec::new(),
        }));
    }
    let done = state
        .store
        .carry_out(&Actor::administrator(&permit, CAUSE), plan)
        .await?;
    let secrets = done
        .secrets
        .iter()
        .map(|(robot, issued)| ShownSecret::of(robot.clone(), issued))
        .collect();
    Ok(Body(ApplyOutcome {
        applied: true,
        steps,
        secrets,
    }))
}
