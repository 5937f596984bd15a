//! Agreed changes: which applications are to hold which criteria by when, how far they are, and the rule that stays.

use std::collections::{BTreeMap, BTreeSet};

use ::maturity::assessment::Assessment;
use ::maturity::campaign::{AppProgress, Campaign, Count, Progress};
use ::maturity::model::Scope;
use ::maturity::rule::State as Condition;
use ::maturity::words::{CriterionId, RecordId, SubjectName};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Actor, EventKind, MaturityRecord, RecordKind, Timestamp};
use utoipa::ToSchema;

use super::{CAUSE, Said, Sight, asked, keeper};
use crate::body::Body;
use crate::incidents::Placed;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Path;
use crate::session::Administrator;
use crate::state::WebState;

/// A change to agree on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// What it is called; one of this id is replaced.
    #[schema(value_type = String)]
    pub id: RecordId,
    /// What it is about: `all tier-1 applications signed by June`.
    pub title: String,
    /// Which applications: `tiers`, `teams`, `apps`; an empty list takes all.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub scope: Scope,
    /// Which criteria they are to hold, at most 20.
    #[schema(value_type = Vec<String>)]
    pub criteria: Vec<CriterionId>,
    /// From when on; by default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Moment>,
    /// By when.
    pub due: Moment,
    /// How many days before the end teams are reminded, at most ten times.
    #[serde(default)]
    pub remind_days_before: BTreeSet<u16>,
    /// Whether it stays as a rule when it is over.
    #[serde(default)]
    pub becomes_rule: bool,
}

/// An agreed change, and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CampaignEntry {
    /// `id`, `title`, `owner`, `scope`, `criteria`, `starts`, `due`, `remind_days_before`, `becomes_rule`.
    #[schema(value_type = Object)]
    pub campaign: Campaign,
    /// Of the applications that the caller sees: `count` and `teams` (`done`, `exempt`, `open`, `unknown`), `apps` with what is open,
    /// `days_left`.
    #[schema(value_type = Object)]
    pub progress: Progress,
}

/// By what an application counts, as the campaign counts it.
fn count(app: &AppProgress, count: &mut Count) {
    let only_unknown = app.open.iter().all(|(_, state)| *state == Condition::Unknown);
    let count = match (app.open.is_empty(), app.exempt.is_empty(), only_unknown) {
        (true, true, _) => &mut count.done,
        (true, false, _) => &mut count.exempt,
        (false, _, true) => &mut count.unknown,
        (false, _, false) => &mut count.open,
    };
    *count += 1;
}

/// How far it is, as far as the caller sees it.
fn progress(campaign: &Campaign, assessment: &Assessment, sight: &Sight) -> Progress {
    let mut progress = campaign.progress(assessment);
    if sight.is_administrator {
        return progress;
    }
    progress.apps.retain(|app| sight.sees_app(&app.app));
    progress.count = Count::default();
    let mut teams: BTreeMap<Option<SubjectName>, Count> = BTreeMap::new();
    for app in &progress.apps {
        count(app, &mut progress.count);
        count(app, teams.entry(app.team.clone()).or_default());
    }
    progress.teams = teams.into_iter().collect();
    progress
}

fn campaign(record: &MaturityRecord) -> Option<Campaign> {
    serde_json::from_str(&record.body).ok()
}

/// List the changes that are agreed on, with how far the applications are that the caller sees.
#[utoipa::path(get, path = "/maturity/campaigns", tag = "maturity", responses(
    (status = OK, description = "By id", body = Vec<CampaignEntry>),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn list_campaigns(
    State(state): State<WebState>,
    placed: Placed,
) -> Result<Body<Vec<CampaignEntry>>, ApiError> {
    keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let records = state.store.maturity_records(RecordKind::Campaign).await?;
    let entries = asked(&state, move |assessment| {
        let campaigns = records.iter().filter_map(campaign);
        let entry = |campaign: Campaign| CampaignEntry {
            progress: progress(&campaign, assessment, &sight),
            campaign,
        };
        campaigns.map(entry).collect()
    });
    Ok(Body(entries.await?))
}

/// Agree on a change by a date, in place of one of the same id. With `becomes_rule` its criteria must hold from then on, whatever the
/// applications aim at: that is another version of the model.
#[utoipa::path(post, path = "/maturity/campaigns", tag = "maturity", request_body = NewCampaign, responses(
    (status = OK, description = "Agreed", body = CampaignEntry),
    (status = BAD_REQUEST, description = "It names no criterion, has no title or no sensible end", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "No images are looked into, or there are too many", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn set_campaign(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(new): Body<NewCampaign>,
) -> Result<Body<CampaignEntry>, ApiError> {
    let keeper = keeper(&state)?;
    let now = state.store.now();
    let campaign = Campaign {
        id: new.id,
        title: new.title,
        owner: permit.principal_name().parse().map_err(ApiError::malformed)?,
        scope: new.scope,
        criteria: new.criteria,
        starts: new.starts.map_or(now, |starts| starts.0).to_utc(),
        due: new.due.0.to_utc(),
        remind_days_before: new.remind_days_before,
        becomes_rule: new.becomes_rule,
    };
    let wanted = campaign.clone();
    let checked = asked(&state, move |assessment| {
        wanted.check(assessment.model()).map_err(ApiError::malformed)
    });
    checked.await??;
    let body = serde_json::to_string(&campaign).map_err(|error| ApiError::internal(&error))?;
    let said = Said {
        kind: EventKind::CampaignSet,
        subject: campaign.id.to_string(),
        about: json!({
            "title": campaign.title, "criteria": campaign.criteria, "due": new.due, "becomes_rule": campaign.becomes_rule,
        }),
        entries: Vec::new(),
        record: Some(MaturityRecord {
            kind: RecordKind::Campaign,
            name: campaign.id.to_string(),
            body,
            set_at: Timestamp(0),
            set_by: String::new(),
        }),
    };
    keeper.say(Actor::administrator(&permit, CAUSE), said).await?;
    let of = campaign.clone();
    let progress = asked(&state, move |assessment| of.progress(assessment)).await?;
    Ok(Body(CampaignEntry { campaign, progress }))
}

/// Agree on a change no more; the rule that it has become goes, too.
#[utoipa::path(delete, path = "/maturity/campaigns/{id}", tag = "maturity",
    params(("id" = String, Path, description = "What it is called")), responses(
    (status = NO_CONTENT, description = "Taken back"),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = NOT_FOUND, description = "No such campaign", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
))]
pub(crate) async fn remove_campaign(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(id): Path<RecordId>,
) -> Result<StatusCode, ApiError> {
    keeper(&state)?;
    let actor = Actor::administrator(&permit, CAUSE);
    let name = id.to_string();
    if !state
        .store
        .remove_maturity_record(&actor, RecordKind::Campaign, &name)
        .await?
    {
        return Err(ApiError::not_found("campaign", &id));
    }
    Ok(StatusCode::NO_CONTENT)
}
