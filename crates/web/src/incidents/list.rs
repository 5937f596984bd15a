//! The route that lists incidents.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::change::keeper;
use super::{IncidentEntry, read, wire};
use crate::body::Body;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
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
))]
pub(crate) async fn list_incidents(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<IncidentsQuery>,
) -> Result<Body<Page<IncidentEntry>>, ApiError> {
    let session = session.signed_in()?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let (keeper, now) = (keeper(&state)?, wire::at(state.store.now()));
    let mut stored = state.store.incidents().await?;
    stored.retain(|incident| !query.unsettled || incident.settled_at.is_none());
    let from = match after {
        None => 0,
        Some(after) => {
            let place = stored.iter().position(|incident| incident.id.as_str() == after);
            place.map_or(stored.len(), |place| place + 1)
        }
    };
    let (mut items, mut next) = (Vec::new(), None);
    let rest = &stored[from..];
    for (gone_through, incident) in rest.iter().enumerate() {
        if items.len() >= limit || gone_through >= MOST {
            break;
        }
        let sight = read::sight(&session);
        let sees_all = sight.is_none();
        let found = keeper.at(incident.id.clone(), None, sight).await?;
        let found = found.filter(|incident| sees_all || incident.lines().len() > 0);
        items.extend(found.map(|incident| IncidentEntry::of(&incident, now)));
        next = (gone_through + 1 < rest.len()).then(|| incident.id.to_string());
    }
    Ok(Body(Page { items, next }))
}
