//! The catalogue of the road: what it says, what it said, what was promised, and how it is taken up.

use std::collections::BTreeMap;

use axum::extract::State;
use road::app_road::AppRoad;
use road::debt::{Debt, DebtState};
use road::exemption::ExemptionState;
use road::names::{ApplicationName, BaseName, GoldenPathId, Owner};
use road::paving::{RoadEntry, RoadKind};
use serde::{Deserialize, Serialize};
use store::{Actor, Declared, RoadAt, RoadEntries, Step, StoredRoadEntry};
use utoipa::{IntoParams, ToSchema};

use crate::bases::{BaseEntry, may_see};
use crate::body::Body;
use crate::events::EventEntry;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{Administrator, Session};
use crate::state::WebState;

pub(crate) mod adoption;
pub(crate) mod work;

/// The cause that events of a change carry.
const CAUSE: &str = "road";

/// Problems of one base that are told one by one, the open ones first.
const DEBTS_TOLD: usize = 100;

/// What the catalogue should say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewRoad {
    /// Bases, as `PUT /bases` takes them.
    #[schema(value_type = Vec<Object>)]
    pub bases: Vec<road::base::BaseImage>,
    /// All else: `kind` (`Toolchain`, `GoldenPath`, `AppRoad`, `Exemption`) and `entry`.
    #[schema(value_type = Vec<Object>)]
    pub entries: Vec<RoadEntry>,
}

/// How to change it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChangeQuery {
    /// Only say what would be done.
    dry_run: bool,
    /// Take back what is not named.
    prune: bool,
}

/// What was changed, or would be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangedRoad {
    /// Whether it was done.
    pub applied: bool,
    /// The differences, in the order in which they are carried out.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<Step>,
    /// The version of the catalogue afterwards: the number of the last event that changed it.
    pub version: i64,
}

/// Which version.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RoadQuery {
    /// As of which version, as it was at the moment of that change, for administrators; by default the present one, as it is now.
    version: Option<i64>,
}

/// The catalogue.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ShownRoad {
    /// The number of the last event that changed it; only for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Its bases, by name.
    pub bases: Vec<BaseEntry>,
    /// All else, by kind and name.
    pub entries: Vec<ShownEntry>,
}

/// An entry of the catalogue.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownEntry {
    /// `Toolchain`, `GoldenPath`, `AppRoad` or `Exemption`.
    #[schema(value_type = String)]
    pub kind: RoadKind,
    /// Its name; of an exemption `application:rule`.
    pub name: String,
    /// `kind` and `entry`, as `POST /road` takes them.
    #[schema(value_type = Object)]
    pub entry: RoadEntry,
    /// `pending`, `live` or `expired`.
    #[schema(value_type = String)]
    pub state: ExemptionState,
    /// Until when it counts, not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Moment>,
    /// Of an exemption, how often it was given a later end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub renewals: u8,
    /// When it was last set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Moment>,
    /// By whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub set_by: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Show the catalogue: bases whose repositories the caller may pull, toolchains and golden paths, and of applications and
/// exemptions what is about repositories of theirs.
#[utoipa::path(get, path = "/road", tag = "fleet", params(RoadQuery), responses(
    (status = OK, description = "The catalogue", body = ShownRoad),
    (status = FORBIDDEN, description = "Earlier versions are for administrators", body = Problem),
))]
pub(crate) async fn get_road(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<RoadQuery>,
) -> Result<Body<ShownRoad>, ApiError> {
    let session = session.signed_in()?;
    if let Some(version) = query.version {
        session.system()?;
        return Ok(Body(shown_then(state.store.road_at(Some(version)).await?)));
    }
    let road = state.store.road().await?;
    let now = state.store.now().to_utc();
    let is_administrator = session.system().is_ok();
    let version = if is_administrator {
        Some(state.store.road_version().await?)
    } else {
        None
    };
    let stored = state.store.road_entries().await?;
    let visible = stored
        .into_iter()
        .filter(|of| is_administrator || sees(&session, &road, &of.entry));
    let bases = road.bases.iter().filter(|base| may_see(&session, base));
    Ok(Body(ShownRoad {
        version,
        bases: bases.cloned().map(BaseEntry).collect(),
        entries: visible
            .map(|of| shown(of, |path| road.paving.end_of_path(path), now))
            .collect(),
    }))
}

/// As it was at the moment of its last change: by the entries and the clock of then.
fn shown_then(then: RoadAt) -> ShownRoad {
    let ends: BTreeMap<GoldenPathId, time::OffsetDateTime> = then
        .entries
        .iter()
        .filter_map(|of| match &of.entry {
            RoadEntry::GoldenPath(path) => Some((path.id.clone(), path.supported_until)),
            _ => None,
        })
        .collect();
    // Before the first change there is nothing that could stand anywhere.
    let now = then
        .at
        .map_or(time::OffsetDateTime::UNIX_EPOCH, store::Timestamp::to_utc);
    let entries = then.entries.into_iter();
    ShownRoad {
        version: Some(then.version),
        bases: then.bases.into_iter().map(BaseEntry).collect(),
        entries: entries
            .map(|of| shown(of, |path| ends.get(path).copied(), now))
            .collect(),
    }
}

/// What whoever is on the road may use is open; what is about an application, to those who see something of it.
fn sees(session: &Session, road: &RoadEntries, entry: &RoadEntry) -> bool {
    match entry {
        RoadEntry::Toolchain(_) | RoadEntry::GoldenPath(_) => true,
        RoadEntry::AppRoad(AppRoad { application, .. }) => sees_application(session, road, application),
        RoadEntry::Exemption(of) => sees_application(session, road, &of.application),
    }
}

fn sees_application(session: &Session, road: &RoadEntries, name: &ApplicationName) -> bool {
    let application = road.applications.get(name);
    let mut patterns = application
        .into_iter()
        .flat_map(|application| &application.repositories);
    patterns.any(|stated| session.may_see(&stated.value))
}

fn shown(
    stored: StoredRoadEntry,
    end_of_path: impl FnOnce(&GoldenPathId) -> Option<time::OffsetDateTime>,
    now: time::OffsetDateTime,
) -> ShownEntry {
    let entry = stored.entry;
    let ends = entry.ends(end_of_path);
    ShownEntry {
        kind: entry.kind(),
        name: entry.name(),
        state: entry.state(ends, now),
        ends: ends.map(|end| Moment(end.into())),
        renewals: stored.renewals,
        set_at: Some(Moment(stored.set_at)),
        set_by: stored.set_by,
        entry,
    }
}

/// Change the catalogue: all of it in one transaction, or nothing. With `prune`, what is not named is taken back.
#[utoipa::path(post, path = "/road", tag = "fleet", params(ChangeQuery), request_body = NewRoad, responses(
    (status = OK, description = "What was changed, or would be", body = ChangedRoad),
    (status = BAD_REQUEST, description = "The entries do not go together", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn change_road(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<ChangeQuery>,
    Body(new): Body<NewRoad>,
) -> Result<Body<ChangedRoad>, ApiError> {
    let store = &state.store;
    if query.prune && new.bases.is_empty() && new.entries.is_empty() {
        let detail =
            "nothing is declared, and prune would take back the whole catalogue: was it rendered empty?";
        return Err(ApiError::malformed(detail));
    }
    let declared = Declared {
        bases: new.bases,
        road: new.entries,
        ..Declared::default()
    };
    let plan = store.plan_road(&declared, query.prune).await?;
    let steps = plan.steps.clone();
    if !query.dry_run {
        store
            .carry_out(&Actor::administrator(&permit, CAUSE), plan)
            .await?;
    }
    let version = store.road_version().await?;
    Ok(Body(ChangedRoad {
        applied: !query.dry_run,
        steps,
        version,
    }))
}

/// Which changes.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistoryQuery {
    /// Only of what is called so: a base, toolchain or application, `path@version`, `application:rule`.
    name: Option<String>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Events on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// What happened to the catalogue, the newest first: changes with what was and what is, ends, promises kept and broken.
#[utoipa::path(get, path = "/road/history", tag = "fleet", params(HistoryQuery), responses(
    (status = OK, description = "A page of events", body = Page<EventEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_history(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<HistoryQuery>,
) -> Result<Body<Page<EventEntry>>, ApiError> {
    let before = page::numeric_cursor(query.after.as_deref())?;
    let limit = page::limit(query.limit)?;
    let page = state
        .store
        .road_history(query.name.as_deref(), before, limit)
        .await?;
    Ok(Body(Page::of(
        page,
        |event| event.seq.to_string(),
        EventEntry::from,
    )))
}

/// Names a base, or none.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PromisesQuery {
    /// Only of this base.
    #[param(value_type = Option<String>)]
    base: Option<BaseName>,
}

/// How the owner of a base keeps what they promised.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BasePromises {
    /// Which base.
    #[schema(value_type = String)]
    pub base: BaseName,
    /// Whose.
    #[schema(value_type = String)]
    pub owner: Owner,
    /// Within how many seconds it is patched, by severity, as it was promised.
    #[schema(value_type = Object)]
    pub patch_within: road::base::Promise,
    /// Problems that are to be patched, and whose time has not run out.
    pub open: u64,
    /// Problems that are to be patched, and whose time has run out.
    pub late: u64,
    /// Problems that were patched in time.
    pub kept: u64,
    /// Problems that were patched too late.
    pub broken: u64,
    /// From advisory to patched base, in seconds: the one in the middle of those that were patched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<i64>,
    /// The problems, at most 100: what is late first, then what is due next, then the newest.
    #[schema(value_type = Vec<Object>)]
    pub debts: Vec<Debt>,
    /// How many more there are.
    pub more: u64,
}

/// Show what owners of bases promised, and how they keep it: measured from the advisory to the release that is without it.
#[utoipa::path(get, path = "/road/promises", tag = "fleet", params(PromisesQuery), responses(
    (status = OK, description = "By base", body = Vec<BasePromises>),
    (status = NOT_FOUND, description = "No such base, or none of the caller's", body = Problem),
))]
pub(crate) async fn get_promises(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PromisesQuery>,
) -> Result<Body<Vec<BasePromises>>, ApiError> {
    let session = session.signed_in()?;
    let road = state.store.road().await?;
    let is_asked = |name: &BaseName| query.base.as_ref().is_none_or(|asked| asked == name);
    let bases = road
        .bases
        .iter()
        .filter(|base| is_asked(&base.name) && may_see(&session, base));
    let bases: Vec<_> = bases.collect();
    if let Some(name) = query.base.as_ref().filter(|_| bases.is_empty()) {
        return Err(ApiError::not_found("base", name));
    }
    let mut debts: BTreeMap<BaseName, Vec<Debt>> = BTreeMap::new();
    for debt in state.store.base_debts(query.base.as_ref()).await? {
        debts.entry(debt.base.clone()).or_default().push(debt);
    }
    let promises = bases
        .into_iter()
        .map(|base| promises(base, debts.remove(&base.name).unwrap_or_default()));
    Ok(Body(promises.collect()))
}

fn promises(base: &road::base::BaseImage, mut debts: Vec<Debt>) -> BasePromises {
    let count = |is: &dyn Fn(&Debt) -> bool| debts.iter().filter(|debt| is(debt)).count() as u64;
    let is_patched =
        |debt: &Debt, kept: bool| debt.state == DebtState::Patched && debt.is_kept() == Some(kept);
    let (open, late) = (
        count(&|debt| debt.state == DebtState::Open),
        count(&|debt| debt.state == DebtState::Late),
    );
    let (kept, broken) = (
        count(&|debt| is_patched(debt, true)),
        count(&|debt| is_patched(debt, false)),
    );
    let took = debts
        .iter()
        .filter_map(|debt| Some((debt.patched_at? - debt.known_at).whole_seconds()));
    let mut took: Vec<i64> = took.collect();
    took.sort_unstable();
    debts.sort_by_key(|debt| {
        let rank = match debt.state {
            DebtState::Late => 0,
            DebtState::Open => 1,
            DebtState::Patched | DebtState::Gone => 2,
        };
        let newest = if rank == 2 {
            std::cmp::Reverse(Some(debt.known_at))
        } else {
            std::cmp::Reverse(None)
        };
        (rank, newest, debt.due_at, debt.vulnerability.clone())
    });
    let more = debts.len().saturating_sub(DEBTS_TOLD) as u64;
    debts.truncate(DEBTS_TOLD);
    BasePromises {
        base: base.name.clone(),
        owner: base.owner.clone(),
        patch_within: base.patch_within.clone(),
        open,
        late,
        kept,
        broken,
        median_seconds: took.get(took.len() / 2).copied(),
        debts,
        more,
    }
}
