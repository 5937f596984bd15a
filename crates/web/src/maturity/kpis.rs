//! The figures: how fast, how safe, how fresh, each by one formula, and what they are compared with.

use std::sync::Arc;

use ::maturity::kpi::Source;
use ::maturity::kpi::fold::Baseline;
use ::maturity::kpi::week::IsoWeek;
use ::maturity::words::SubjectName;
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::Actor;
use utoipa::ToSchema;

use super::{CAUSE, Sight, keeper};
use crate::PeerAddress;
use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Which applications somebody sees.
pub type SeesApp = Arc<dyn Fn(&SubjectName) -> bool + Send + Sync>;

/// The figures, counted for somebody.
#[derive(Debug, Clone)]
pub struct Counted {
    /// As JSON, in the order in which they are shown.
    pub figures: Vec<serde_json::Value>,
    /// What they are compared with.
    pub baseline: Option<Baseline>,
}

/// The figures.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct KpiReport {
    /// As of when.
    pub as_of: Moment,
    /// What they are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<ShownBaseline>,
    /// Each with its definition, numerator, denominator, coverage, source and caveats, or why there is none. Of applications that the
    /// caller sees, and never of a person.
    #[schema(value_type = Vec<Object>)]
    pub figures: Vec<serde_json::Value>,
}

/// The weeks that figures are compared with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownBaseline {
    /// When it was frozen.
    pub frozen_at: Moment,
    /// Why these weeks.
    pub reason: String,
    /// From where its counts come: `cluster` or `registry-proxy`.
    #[schema(value_type = String)]
    pub source: Source,
    /// The weeks, the earliest first.
    #[schema(value_type = Vec<Object>)]
    pub weeks: Vec<IsoWeek>,
}

/// Weeks to compare with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBaseline {
    /// The 12 full weeks before this moment; by default before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// Why these weeks.
    pub reason: String,
}

fn shown(baseline: Baseline) -> ShownBaseline {
    ShownBaseline {
        frozen_at: Moment(baseline.frozen_at.into()),
        reason: baseline.reason,
        source: baseline.source,
        weeks: baseline.weeks,
    }
}

/// Show the figures about applications that the caller sees: versions shipped, lead time, failures, time to remediate, exposure, adoption,
/// freshness and movement.
#[utoipa::path(get, path = "/maturity/kpis", tag = "maturity", responses(
    (status = OK, description = "The figures", body = KpiReport),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many reports are being made", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_kpis(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
) -> Result<Body<KpiReport>, ApiError> {
    let session = session.signed_in()?;
    let keeper = keeper(&state)?;
    let _place = state.place_for_report(from.map(|Extension(from)| from))?;
    let sight = Sight::of(&state, session).await?;
    let as_of = Moment(state.store.now());
    let counted = keeper.kpis(Arc::new(move |app| sight.sees_app(app))).await?;
    Ok(Body(KpiReport {
        as_of,
        baseline: counted.baseline.map(shown),
        figures: counted.figures,
    }))
}

/// Freeze the weeks that figures are compared with, in place of those that were frozen before.
#[utoipa::path(put, path = "/maturity/baseline", tag = "maturity", request_body = NewBaseline, responses(
    (status = OK, description = "Frozen", body = ShownBaseline),
    (status = BAD_REQUEST, description = "It has no reason, or its weeks are not over", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn set_baseline(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(new): Body<NewBaseline>,
) -> Result<Body<ShownBaseline>, ApiError> {
    let end = new.end.map_or(state.store.now(), |end| end.0);
    let actor = Actor::administrator(&permit, CAUSE);
    let baseline = keeper(&state)?.freeze_baseline(actor, end, new.reason).await?;
    Ok(Body(shown(baseline)))
}
