//! The route that lists incidents.

use axum::extract::State;
use serde::Deserialize;
use store::StoredIncident;
use utoipa::IntoParams;

use super::change::{entry, keeper};
use super::place::Placed;
use super::{IncidentEntry, read, wire};
use crate::body::Body;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::state::WebState;

/// Which incidents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentsQuery {
    /// Only those of which something may still be open.
    #[serde(default)]
    unsettled: bool,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// Incidents that one answer goes through at most: those that are closed are read again for it.
const MOST: usize = 100;

/// List the incidents of which the caller may see something, those opened last first.
#[utoipa::path(get, path = "/incidents", tag = "incidents", params(IncidentsQuery), responses(
    (status = OK, description = "A page of incidents", body = Page<IncidentEntry>),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn list_incidents(
    State(state): State<WebState>,
    placed: Placed,
    Query(query): Query<IncidentsQuery>,
) -> Result<Body<Page<IncidentEntry>>, ApiError> {
    let (left, limit) = (
        page::numeric_cursor(query.after.as_deref())?,
        page::limit(query.limit)?,
    );
    let (keeper, now) = (keeper(&state)?, wire::at(state.store.now()));
    let stored = state.store.incidents().await?;
    let is_wanted = |incident: &StoredIncident| !query.unsettled || incident.settled_at.is_none();
    // New ones come at the front, and none goes: so many are always the same, and tell of none by its name.
    let left = left.map_or(stored.len(), |left| usize::try_from(left).unwrap_or_default());
    let from = stored.len().saturating_sub(left);
    let sight = read::sight(&state, &placed.session).await?;
    let (mut items, mut next, mut gone_through) = (Vec::new(), None, 0);
    for (place, incident) in stored.iter().enumerate().skip(from) {
        if !is_wanted(incident) {
            continue;
        }
        if items.len() >= limit || gone_through >= MOST {
            next = Some((stored.len() - place).to_string());
            break;
        }
        gone_through += 1;
        let found = keeper.at(incident.id.clone(), None, sight.clone()).await?;
        let found = found.filter(|incident| sight.is_none() || incident.lines().len() > 0);
        if let Some(incident) = found {
            items.push(entry(incident, now).await?);
        }
    }
    Ok(Body(Page { items, next }))
}
