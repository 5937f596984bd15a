//! Read-only for maintenance: who said so, why, until when.

use axum::extract::State;
use http::Method;
use serde::{Deserialize, Serialize};
use store::{Actor, Maintenance, Store};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Cause of what is changed here, in the audit log.
const CAUSE: &str = "api";

/// What is to be read-only, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceRequest {
    /// Why, for people: whoever is refused reads it, and so does everybody who asks `/readyz`. One line of at most 500 bytes.
    pub reason: String,
    /// When it ends by itself, at most 30 days ahead; missing: when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// Whether the registry is read-only, by somebody's word or because it has to be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceStatus {
    /// Whether pushes, deletions and changes are refused.
    pub read_only: bool,
    /// Why; missing: it is not read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceEntry>,
    /// Why the database cannot be used; missing: it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseAway>,
}

/// Why the database cannot be used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatabaseAway {
    /// Since when.
    pub since: Moment,
    /// Why, and what mends it.
    pub why: String,
    /// Whether it can be read: then only what changes something is refused.
    pub readable: bool,
}

/// Why the registry is read-only.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceEntry {
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// Since when.
    pub since: Moment,
    /// When it ends by itself; missing: when somebody ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

impl From<&Maintenance> for MaintenanceEntry {
    fn from(maintenance: &Maintenance) -> Self {
        Self {
            reason: maintenance.reason.clone(),
            by: maintenance.by.clone(),
            since: Moment(maintenance.since),
            until: maintenance.until.map(Moment),
        }
    }
}

/// Say whether the registry is read-only for maintenance.
#[utoipa::path(get, path = "/maintenance", tag = "system", responses(
    (status = OK, description = "Whether it is, and why", body = MaintenanceStatus),
    (status = UNAUTHORIZED, description = "Nobody is signed in", body = Problem),
))]
pub(crate) async fn get_maintenance(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<MaintenanceStatus>, ApiError> {
    session.signed_in()?;
    Ok(status(&state.store))
}

/// Make the registry read-only: pulls go on, pushes, deletions and changes are told to come again, collection and rebases wait.
#[utoipa::path(put, path = "/maintenance", tag = "system", request_body = MaintenanceRequest, responses(
    (status = OK, description = "It is read-only", body = MaintenanceStatus),
    (status = BAD_REQUEST, description = "No reason, or an end that is over or too far", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn set_maintenance(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(wanted): Body<MaintenanceRequest>,
) -> Result<Body<MaintenanceStatus>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    let until = wanted.until.map(|until| until.0);
    state
        .store
        .begin_maintenance(&actor, &wanted.reason, until)
        .await?;
    Ok(status(&state.store))
}

/// Let the registry take changes again.
#[utoipa::path(delete, path = "/maintenance", tag = "system", responses(
    (status = OK, description = "It takes changes", body = MaintenanceStatus),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn end_maintenance(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
) -> Result<Body<MaintenanceStatus>, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.end_maintenance(&actor).await?;
    Ok(status(&state.store))
}

fn status(store: &Store) -> Body<MaintenanceStatus> {
    let condition = store.condition();
    let away = condition.reads.or(condition.writes);
    Body(MaintenanceStatus {
        read_only: condition.maintenance.is_some() || condition.writes.is_some(),
        maintenance: condition.maintenance.as_deref().map(MaintenanceEntry::from),
        database: away.map(|away| DatabaseAway {
            since: Moment(away.since),
            why: away.reason.explain().to_owned(),
            readable: condition.reads.is_none(),
        }),
    })
}

/// Paths whose changing methods change nothing that is maintained: signing in, looking, the switch itself, and who is throttled or
/// banned, for a registry that is maintained is still asked by everybody.
const HARMLESS: [&str; 9] = [
    "/session",
    "/maintenance",
    "/traffic/measures",
    "/judgements",
    "/judgements/sbom",
    "/policy/preview",
    "/advisories/preview",
    "/fsck",
    "/backup",
];

/// Refuses what would change something while the registry is read-only. Who asks does not matter: everybody may read why.
pub(crate) fn refusal(store: &Store, method: &Method, path: &str) -> Option<ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let path = path.strip_prefix(crate::PREFIX).unwrap_or(path);
    if HARMLESS.contains(&path) {
        return None;
    }
    let maintenance = store.maintenance()?;
    let until = maintenance
        .until
        .map_or_else(String::new, |until| format!(" until {}", until.to_rfc3339()));
    let detail = format!(
        "the registry is read-only for maintenance{until} ({}); `roadbed maintenance off` ends it",
        maintenance.reason
    );
    let seconds = maintenance.retry_after(store.now()).as_secs();
    Some(ApiError::retry_after(Kind::Unavailable, detail, seconds))
}
