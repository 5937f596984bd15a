//! The routes that open and change incidents.

use std::sync::Arc;

use axum::extract::State;
use road::incident::{Incident, ReliefKind};
use road::names::IncidentId;
use store::Actor;

use super::place::PlacedAdministrator;
use super::{
    IncidentChange, IncidentEntry, IncidentNote, IncidentOpening, Incidents, NewIncident, NewRelief,
    NewVulnerabilities, ReliefEnd, wire,
};
use crate::body::Body;
use crate::judging;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::Path;
use crate::state::WebState;

/// Whoever keeps incidents.
pub(crate) fn keeper(state: &WebState) -> Result<&Arc<dyn Incidents>, ApiError> {
    state.incidents.as_ref().ok_or_else(judging::switched_off)
}

/// How one stands, computed where nobody who is served waits for it.
pub(super) async fn entry(
    incident: Arc<Incident>,
    now: time::OffsetDateTime,
) -> Result<IncidentEntry, ApiError> {
    computed(move || IncidentEntry::of(&incident, now)).await
}

/// Computes something on a thread that serves nobody.
pub(crate) async fn computed<T: Send + 'static>(
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let computed = tokio::task::spawn_blocking(compute).await;
    computed.map_err(|error| ApiError::internal(&error))
}

/// Open an incident: what is affected now is frozen with its cohorts, and followed from then on.
#[utoipa::path(post, path = "/incidents", tag = "incidents", request_body = NewIncident, responses(
    (status = OK, description = "Opened", body = IncidentEntry),
    (status = BAD_REQUEST, description = "It makes no sense", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No advisory here knows a vulnerability", body = Problem),
    (status = CONFLICT, description = "There is one of this id, an open one is about the same, or too many are open", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "The index of all images does not stand yet", body = Problem),
))]
pub(crate) async fn open_incident(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Body(wanted): Body<NewIncident>,
) -> Result<Body<IncidentEntry>, ApiError> {
    let opening = IncidentOpening {
        id: wanted.id,
        title: wanted.title,
        vulnerabilities: wanted.vulnerabilities,
        deadlines: wanted.deadlines,
        another: wanted.another,
    };
    let actor = Actor::administrator(&administrator.permit, CAUSE);
    let incident = keeper(&state)?.open(actor, opening).await?;
    entry(incident, wire::at(state.store.now())).await.map(Body)
}

async fn change(
    state: &WebState,
    permit: &access::SystemPermit,
    id: IncidentId,
    change: IncidentChange,
) -> Result<Body<IncidentEntry>, ApiError> {
    let actor = Actor::administrator(permit, CAUSE);
    let incident = keeper(state)?.change(actor, id, change).await?;
    entry(incident, wire::at(state.store.now())).await.map(Body)
}

/// Follow more vulnerabilities in an incident. Where none of the versions that are aimed at fixes one, a new generation begins.
#[utoipa::path(post, path = "/incidents/{id}/vulnerabilities", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = NewVulnerabilities, responses(
    (status = OK, description = "Added", body = IncidentEntry),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident, or no advisory here knows the vulnerability", body = Problem),
    (status = CONFLICT, description = "It is in the incident already, or there are too many", body = Problem),
))]
pub(crate) async fn add_vulnerabilities(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<NewVulnerabilities>,
) -> Result<Body<IncidentEntry>, ApiError> {
    change(
        &state,
        &administrator.permit,
        id,
        IncidentChange::Add(wanted.vulnerabilities),
    )
    .await
}

async fn relieve(
    state: &WebState,
    permit: &access::SystemPermit,
    id: IncidentId,
    kind: ReliefKind,
    wanted: NewRelief,
) -> Result<Body<IncidentEntry>, ApiError> {
    let relief = IncidentChange::Relieve {
        kind,
        lines: wanted.selection().map_err(ApiError::malformed)?,
        covers: wanted.covers,
        until: wire::at(wanted.until.0),
        reason: wanted.reason,
    };
    change(state, permit, id, relief).await
}

async fn end(
    state: &WebState,
    permit: &access::SystemPermit,
    id: IncidentId,
    kind: ReliefKind,
    wanted: ReliefEnd,
) -> Result<Body<IncidentEntry>, ApiError> {
    let lines = wanted.selection().map_err(ApiError::malformed)?;
    let reason = wanted.reason;
    change(
        state,
        permit,
        id,
        IncidentChange::EndRelief { kind, lines, reason },
    )
    .await
}

/// Say that something makes it harmless for a while.
#[utoipa::path(post, path = "/incidents/{id}/mitigations", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = NewRelief, responses(
    (status = OK, description = "It counts", body = IncidentEntry),
    (status = BAD_REQUEST, description = "It has no sensible end, names nothing or has no reason", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident, tag or image", body = Problem),
))]
pub(crate) async fn mitigate(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<NewRelief>,
) -> Result<Body<IncidentEntry>, ApiError> {
    relieve(&state, &administrator.permit, id, ReliefKind::Mitigation, wanted).await
}

/// Say that mitigations turned out not to help.
#[utoipa::path(post, path = "/incidents/{id}/mitigations/end", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = ReliefEnd, responses(
    (status = OK, description = "They count no more", body = IncidentEntry),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident, tag or image", body = Problem),
))]
pub(crate) async fn end_mitigations(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<ReliefEnd>,
) -> Result<Body<IncidentEntry>, ApiError> {
    end(&state, &administrator.permit, id, ReliefKind::Mitigation, wanted).await
}

/// Say that somebody bears it for a while.
#[utoipa::path(post, path = "/incidents/{id}/waivers", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = NewRelief, responses(
    (status = OK, description = "It counts", body = IncidentEntry),
    (status = BAD_REQUEST, description = "It has no sensible end, names nothing or has no reason", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident, tag or image", body = Problem),
))]
pub(crate) async fn waive(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<NewRelief>,
) -> Result<Body<IncidentEntry>, ApiError> {
    relieve(&state, &administrator.permit, id, ReliefKind::Waiver, wanted).await
}

/// Take waivers back.
#[utoipa::path(post, path = "/incidents/{id}/waivers/end", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = ReliefEnd, responses(
    (status = OK, description = "They count no more", body = IncidentEntry),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident, tag or image", body = Problem),
))]
pub(crate) async fn end_waivers(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<ReliefEnd>,
) -> Result<Body<IncidentEntry>, ApiError> {
    end(&state, &administrator.permit, id, ReliefKind::Waiver, wanted).await
}

/// Say that an incident is over. Refused while anything of it is open; what opens later opens the incident again.
#[utoipa::path(post, path = "/incidents/{id}/close", tag = "incidents",
    params(("id" = String, Path, description = "What it is called")), request_body = IncidentNote, responses(
    (status = OK, description = "Closed", body = IncidentEntry),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = NOT_FOUND, description = "No such incident", body = Problem),
    (status = CONFLICT, description = "Something is still open", body = Problem),
))]
pub(crate) async fn close_incident(
    State(state): State<WebState>,
    administrator: PlacedAdministrator,
    Path(id): Path<IncidentId>,
    Body(wanted): Body<IncidentNote>,
) -> Result<Body<IncidentEntry>, ApiError> {
    change(
        &state,
        &administrator.permit,
        id,
        IncidentChange::Close { note: wanted.note },
    )
    .await
}
