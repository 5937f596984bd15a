//! The audit log.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{Event, EventFilter, EventKind};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Administrator;
use crate::state::WebState;

/// A line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventEntry {
    /// Position in the log, without gaps.
    pub seq: i64,
    /// When.
    pub at: Moment,
    /// What happened: `login`, `grant.set`, `manifest.push` and so on.
    #[schema(value_type = String)]
    pub kind: EventKind,
    /// To what: a repository, tag, digest, name or pattern.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// Why: `api`, `apply`, `push` and so on.
    pub cause: String,
    /// Version of the rule that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_version: Option<String>,
    /// What else there is to know.
    pub body: serde_json::Value,
}

/// Which events, from the oldest on.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Only of this kind, such as `grant.set`.
    #[param(value_type = Option<String>)]
    kind: Option<EventKind>,
    /// Only about exactly this.
    subject: Option<String>,
    /// Only by exactly this one.
    actor: Option<String>,
    /// Not before this moment.
    since: Option<Moment>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

impl From<Event> for EventEntry {
    fn from(event: Event) -> Self {
        Self {
            seq: event.seq,
            at: event.at.into(),
            kind: event.kind,
            subject: event.subject,
            actor: event.actor,
            cause: event.cause,
            rule_version: event.rule_version,
            body: event.body,
        }
    }
}

/// The audit log, oldest first.
#[utoipa::path(get, path = "/events", tag = "audit", params(EventsQuery), responses(
    (status = OK, description = "A page of events", body = Page<EventEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_events(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<EventsQuery>,
) -> Result<Body<Page<EventEntry>>, ApiError> {
    let filter = EventFilter {
        kind: query.kind,
        subject: query.subject,
        actor: query.actor,
        since: query.since.map(|moment| moment.0),
    };
    let after = page::numeric_cursor(query.after.as_deref())?;
    let page = state
        .store
        .events(&permit, &filter, after, page::limit(query.limit)?)
        .await?;
    Ok(Body(Page::of(
        page,
        |event| event.seq.to_string(),
        EventEntry::from,
    )))
}
