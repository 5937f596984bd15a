//! Deliveries: what is to be told to sinks, what was, and what could not be.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Actor, Delivery, DeliveryState};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::{Path, Query};
use crate::session::Administrator;
use crate::sinks::switched_off;
use crate::state::WebState;

/// Which deliveries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    /// To this sink.
    sink: Option<String>,
    /// In this state: `pending`, `sent` or `dead`.
    state: Option<String>,
    /// The cursor that the page before gave as `next`; the first page has none.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// A delivery.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeliveryEntry {
    /// Its number.
    pub id: i64,
    /// What receivers know it by (`webhook-id`), the same for every try.
    pub uid: String,
    /// To which sink.
    pub sink: String,
    /// A kind of event of the audit log, or `incident.message`.
    pub kind: String,
    /// About what.
    pub subject: String,
    /// `pending`, `sent` or `dead`.
    pub state: String,
    /// Whether it is held back for quiet hours or a digest.
    pub held: bool,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is tried next; missing where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Moment>,
    /// What was last answered (HTTP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last try failed and what to do, or what else should be known of one that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When there came to be something to tell.
    pub created_at: Moment,
    /// When it was sent or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Moment>,
}

/// A delivery with what it tells.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownDelivery {
    /// How it stands.
    pub delivery: DeliveryEntry,
    /// What it tells, before it is written for its sink.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

/// Which deliveries to try again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// All that this sink could not be told.
    pub sink: String,
}

/// How many are tried again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Retried {
    /// How many.
    pub deliveries: u64,
}

impl From<Delivery> for DeliveryEntry {
    fn from(delivery: Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id,
            uid: delivery.uid.to_string(),
            sink: delivery.sink,
            kind: delivery.kind,
            subject: delivery.subject,
            state: delivery.state.as_str().to_owned(),
            held: is_pending && delivery.is_held,
            attempts: delivery.attempts,
            next_at: is_pending.then_some(Moment(delivery.next_at)),
            status: delivery.status,
            error: delivery.error,
            created_at: Moment(delivery.created_at),
            finished_at: delivery.finished_at.map(Moment),
        }
    }
}

/// List deliveries, the newest first.
#[utoipa::path(get, path = "/deliveries", tag = "telling", params(DeliveriesQuery), responses(
    (status = OK, description = "A page of deliveries", body = Page<DeliveryEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_deliveries(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Body<Page<DeliveryEntry>>, ApiError> {
    let wanted = query.state.as_deref().map(|name| {
        DeliveryState::from_name(name)
            .ok_or_else(|| ApiError::malformed("there is no such state: write pending, sent or dead"))
    });
    let before = page::numeric_cursor(query.after.as_deref())?;
    let limit = page::limit(query.limit)?;
    let sink = query.sink.as_deref();
    let page = state
        .store
        .deliveries(sink, wanted.transpose()?, before, limit)
        .await?;
    Ok(Body(Page::of(
        page,
        |delivery| delivery.id.to_string(),
        DeliveryEntry::from,
    )))
}

/// The delivery of this number, with what it tells.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "telling",
    params(("id" = i64, Path, description = "Its number")), responses(
    (status = OK, description = "The delivery", body = ShownDelivery),
    (status = NOT_FOUND, description = "No such delivery, or none any more", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_delivery(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(id): Path<i64>,
) -> Result<Body<ShownDelivery>, ApiError> {
    let found = state.store.delivery(id).await?;
    let mut found = found.ok_or_else(|| ApiError::not_found("delivery", id))?;
    let body = std::mem::take(&mut found.body);
    Ok(Body(ShownDelivery {
        delivery: found.into(),
        body,
    }))
}

/// Try a delivery again, at once and from the start; one that was sent, too.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "telling",
    params(("id" = i64, Path, description = "Its number")), responses(
    (status = NO_CONTENT, description = "It is tried again"),
    (status = NOT_FOUND, description = "No such delivery, or none any more", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn retry_delivery(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    let telling = state.telling.as_ref().ok_or_else(switched_off)?;
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.retry_delivery(&actor, id).await?;
    telling.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Try everything again that a sink could not be told, also what would be tried again later.
#[utoipa::path(post, path = "/deliveries/retry", tag = "telling", request_body = RetryRequest, responses(
    (status = OK, description = "How many are tried again", body = Retried),
    (status = NOT_FOUND, description = "No such sink", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn retry_deliveries(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(request): Body<RetryRequest>,
) -> Result<Body<Retried>, ApiError> {
    let telling = state.telling.as_ref().ok_or_else(switched_off)?;
    if state.store.sink(&request.sink).await?.is_none() {
        return Err(ApiError::not_found("sink", &request.sink));
    }
    let actor = Actor::administrator(&permit, CAUSE);
    let deliveries = state.store.retry_failed(&actor, &request.sink).await?;
    telling.wake();
    Ok(Body(Retried { deliveries }))
}
