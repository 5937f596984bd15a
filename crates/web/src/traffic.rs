//! Who uses what now, and who is throttled or banned for a while.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Actor, Measure, NewTrafficMeasure, TrafficMeasure, TrafficTarget};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::{Administrator, Origin};
use crate::state::WebState;

/// Most principals, and addresses, of one answer.
const MOST_LISTED: usize = 1_000;

/// Listed unless somebody asks for more.
const LISTED: usize = 20;

/// Somebody who knows what goes on.
pub trait Watching: Send + Sync {
    /// Who uses what now: all that is known, in any order.
    fn traffic(&self) -> TrafficSeen;
}

/// What goes on, as it is known.
#[derive(Debug, Clone, Default)]
pub struct TrafficSeen {
    /// Turns at the processor.
    pub lanes: TrafficLine,
    /// Turns at the database and the disk.
    pub database: TrafficLine,
    /// By user and robot.
    pub principals: Vec<TrafficUse>,
    /// By address.
    pub addresses: Vec<TrafficUse>,
}

/// Those who wait for a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficLine {
    /// Turns that may be had at the same time.
    pub limit: u64,
    /// Turns that are had.
    pub serving: u64,
    /// Pulls by nodes that wait.
    pub node: u64,
    /// Other pulls.
    pub ci: u64,
    /// Pushes.
    pub push: u64,
    /// Pulls of scanners and strangers, lists.
    pub scan: u64,
    /// Requests of the API.
    pub pages: u64,
}

/// What one of them has asked for within the last minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficUse {
    /// A user, a robot, `anonymous`, or an address.
    pub who: String,
    /// Class of the last request: node, ci, push, scan or pages.
    pub class: String,
    /// Requests that were answered.
    pub requests: u64,
    /// Bytes of their answers.
    pub bytes: u64,
    /// Of the requests, those that were told to come again (429).
    pub shed: u64,
    /// Requests that wait for their turn now.
    pub waiting: u64,
}

/// Who uses what now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficReport {
    /// Turns at the processor; nobody takes turns while there is enough of it.
    pub lanes: TrafficLine,
    /// Turns at the database and the disk, for pulls that memory does not answer, and lists.
    pub database: TrafficLine,
    /// By user and robot, those first who ask most.
    pub principals: Vec<TrafficUse>,
    /// By address, likewise; of IPv6 the network of 64 bits.
    pub addresses: Vec<TrafficUse>,
    /// Principals and addresses that are not listed.
    pub more: u64,
    /// Who is throttled or banned.
    pub measures: Vec<MeasureEntry>,
}

/// How much to answer.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrafficQuery {
    /// Principals, and addresses, that are listed: 1 to 1000, by default 20.
    limit: Option<usize>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MeasureKind {
    /// Nothing is answered but 429.
    Ban,
    /// So much per second.
    Throttle,
}

/// A measure that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMeasure {
    /// A user or robot, or an address or network such as 192.0.2.0/24.
    pub who: String,
    /// What.
    pub kind: MeasureKind,
    /// With a throttle: requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u64>,
    /// With a throttle: bytes of answers per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Its last moment, at most 30 days from now.
    pub until: Moment,
    /// Why; for the audit log.
    pub reason: String,
}

/// A measure that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeasureEntry {
    /// A user or robot, or a network.
    pub who: String,
    /// What.
    pub kind: MeasureKind,
    /// With a throttle: requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u64>,
    /// With a throttle: bytes of answers per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Its last moment.
    pub until: Moment,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub set_by: String,
    /// When.
    pub set_at: Moment,
}

/// All measures that hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeasureReport {
    /// At most 1000, by whom they are about.
    pub measures: Vec<MeasureEntry>,
}

/// Which one.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhoQuery {
    /// A user or robot, or an address or network, as it is listed.
    who: String,
}

impl From<TrafficMeasure> for MeasureEntry {
    fn from(measure: TrafficMeasure) -> Self {
        let (kind, requests, bytes) = match measure.measure {
            Measure::Ban => (MeasureKind::Ban, None, None),
            Measure::Throttle { requests, bytes } => (MeasureKind::Throttle, requests, bytes),
        };
        Self {
            who: measure.target.to_string(),
            kind,
            requests_per_second: requests,
            bytes_per_second: bytes,
            until: measure.until.into(),
            reason: measure.reason,
            set_by: measure.actor,
            set_at: measure.at.into(),
        }
    }
}

impl NewMeasure {
    fn measure(&self) -> Result<Measure, ApiError> {
        let rates = (self.requests_per_second, self.bytes_per_second);
        match (self.kind, rates) {
            (MeasureKind::Ban, (None, None)) => Ok(Measure::Ban),
            (MeasureKind::Ban, _) => Err(ApiError::malformed(
                "a ban lets pass nothing: leave out requests and bytes per second, or throttle",
            )),
            (MeasureKind::Throttle, (requests, bytes)) => Ok(Measure::Throttle { requests, bytes }),
        }
    }
}

/// Who uses what now: the turns that are waited for, and who has asked for how much within the last minute.
#[utoipa::path(get, path = "/traffic", tag = "traffic", params(TrafficQuery), responses(
    (status = OK, description = "What goes on", body = TrafficReport),
    (status = CONFLICT, description = "Nobody serves traffic here", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_traffic(
    State(state): State<WebState>,
    Administrator(_permit): Administrator,
    Query(query): Query<TrafficQuery>,
) -> Result<Body<TrafficReport>, ApiError> {
    let limit = query.limit.unwrap_or(LISTED).clamp(1, MOST_LISTED);
    let watching = state
        .watching
        .as_ref()
        .ok_or_else(|| ApiError::new(Kind::Conflict, "nobody serves traffic here"))?;
    let seen = watching.traffic();
    let known = seen.principals.len() + seen.addresses.len();
    let (principals, addresses) = (most(seen.principals, limit), most(seen.addresses, limit));
    Ok(Body(TrafficReport {
        lanes: seen.lanes,
        database: seen.database,
        more: (known - principals.len() - addresses.len()) as u64,
        principals,
        addresses,
        measures: measures(&state),
    }))
}

/// Who is throttled or banned.
#[utoipa::path(get, path = "/traffic/measures", tag = "traffic", responses(
    (status = OK, description = "All measures that hold", body = MeasureReport),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_measures(
    State(state): State<WebState>,
    Administrator(_permit): Administrator,
) -> Body<MeasureReport> {
    Body(MeasureReport {
        measures: measures(&state),
    })
}

/// Throttle or ban somebody for a while, in place of what held for them. No administrator can be banned, and nobody their own address.
#[utoipa::path(put, path = "/traffic/measures", tag = "traffic", request_body = NewMeasure, responses(
    (status = OK, description = "It holds", body = MeasureEntry),
    (status = BAD_REQUEST, description = "It has no end or no reason, or would shut out who could lift it", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = NOT_FOUND, description = "No such user or robot", body = Problem),
))]
pub(crate) async fn set_measure(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    origin: Origin,
    Body(wanted): Body<NewMeasure>,
) -> Result<Body<MeasureEntry>, ApiError> {
    let wanted = NewTrafficMeasure {
        target: TrafficTarget::parse(&wanted.who)?,
        measure: wanted.measure()?,
        until: wanted.until.0,
        reason: wanted.reason,
        own_address: Some(origin.address),
    };
    let actor = Actor::administrator(&permit, CAUSE);
    let made = state.store.set_traffic_measure(&actor, wanted).await?;
    Ok(Body(made.into()))
}

/// End a measure before its time.
#[utoipa::path(delete, path = "/traffic/measures", tag = "traffic", params(WhoQuery), responses(
    (status = NO_CONTENT, description = "It holds no more"),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = NOT_FOUND, description = "Nothing holds for them", body = Problem),
))]
pub(crate) async fn lift_measure(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<WhoQuery>,
) -> Result<StatusCode, ApiError> {
    let target = TrafficTarget::parse(&query.who)?;
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.lift_traffic_measure(&actor, &target).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn measures(state: &WebState) -> Vec<MeasureEntry> {
    let measures = state.store.traffic_measures();
    measures.into_iter().map(MeasureEntry::from).collect()
}

/// Those who ask most: who waits with most, then with most requests, then bytes.
fn most(mut uses: Vec<TrafficUse>, limit: usize) -> Vec<TrafficUse> {
    uses.sort_by(|one, other| {
        let weight = |of: &TrafficUse| (of.waiting, of.requests, of.bytes);
        weight(other)
            .cmp(&weight(one))
            .then_with(|| one.who.cmp(&other.who))
    });
    uses.truncate(limit);
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_most_comes_first_and_the_list_is_bounded() {
        let of = |number: u64| TrafficUse {
            who: format!("robot-{number}"),
            class: "ci".into(),
            requests: number,
            bytes: 0,
            shed: 0,
            waiting: 0,
        };
        let waiting = TrafficUse { waiting: 3, ..of(7) };
        let uses = (0..50).map(of).chain([waiting.clone()]).collect();
        let listed = most(uses, 3);
        assert_eq!(listed, [waiting, of(49), of(48)]);
    }
}
