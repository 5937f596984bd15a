//! How the road is taken up.

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;

use axum::extract::State;
use http::Extensions;
use road::adoption::{Bands, SharedBase};
use road::names::Owner;
use serde::{Deserialize, Serialize};
use store::AdoptionSum;
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::PeerAddress;
use crate::affected::{MayPull, may_pull, places};
use crate::body::Body;
use crate::judging;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// Owners that are listed.
const OWNERS: usize = 500;

/// Most days that can be asked for.
const MAX_DAYS: i64 = store::MAX_ADOPTION_DAYS;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// An answer that is on its way.
pub type Surveyed<'a> = Pin<Box<dyn Future<Output = Result<Survey, SurveyError>> + Send + 'a>>;

/// Knows where all images stand. The program that serves the API puts that in.
pub trait Surveying: Send + Sync {
    /// Where the newest images of these repositories stand.
    fn survey(&self, may_pull: MayPull) -> Surveyed<'_>;
}

/// Where the newest image of each repository stands, by owner, and what repositories share.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// By owner; nobody's under `None`.
    pub by_owner: BTreeMap<Option<Owner>, Bands>,
    /// Repositories that were not looked into yet.
    pub waiting: u64,
    /// Bases that nobody has approved and that enough teams share.
    pub proposals: Vec<SharedBase>,
    /// What repositories share, approved or not, the most shared first.
    pub shared: Vec<SharedBase>,
}

/// Why there is none.
#[derive(Debug, Error)]
pub enum SurveyError {
    /// The index is being built.
    #[error("where images stand is still being found out: {0} % of them are known")]
    Waits(u8),
    /// It failed.
    #[error("where images stand could not be found out")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl From<SurveyError> for ApiError {
    fn from(error: SurveyError) -> Self {
        match &error {
            SurveyError::Waits(_) => Self::retry_after(Kind::Unavailable, error, 2),
            SurveyError::Failed(_) => Self::internal(&error),
        }
    }
}

/// Whose, and since when.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdoptionQuery {
    /// Only of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// How many days back: 1 to 800, by default 90.
    days: Option<i64>,
}

/// How the road is taken up.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AdoptionReport {
    /// How many repositories are in each cohort, by their newest image: `paved`, `stale`, `exempt`, `own-road`, `unknown`. Those of
    /// bases do not count.
    #[schema(value_type = Object)]
    pub now: Bands,
    /// Repositories whose newest image is still being looked into.
    pub waiting: u64,
    /// By owner, at most 500, those with the most repositories first.
    pub owners: Vec<OwnerAdoption>,
    /// How many more owners there are.
    pub more_owners: u64,
    /// Day by day, the oldest first; for administrators, of all repositories.
    pub days: Vec<AdoptionEntry>,
    /// Bases that nobody has approved and that at least three teams share.
    #[schema(value_type = Vec<Object>)]
    pub proposals: Vec<SharedBase>,
    /// Stacks of layers that repositories share, approved or not, the most shared first; at most 20.
    #[schema(value_type = Vec<Object>)]
    pub shared: Vec<SharedBase>,
}

/// How an owner takes it up.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OwnerAdoption {
    /// Who. Missing: repositories of nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// As `now`.
    #[schema(value_type = Object)]
    pub bands: Bands,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdoptionEntry {
    /// `2026-11-28`, UTC.
    pub day: String,
    /// As they were at its end.
    #[schema(value_type = Object)]
    pub bands: Bands,
}

/// How the road is taken up: bands by cohort, by team and over time, and unapproved bases that teams share.
#[utoipa::path(get, path = "/road/adoption", tag = "fleet", params(AdoptionQuery), responses(
    (status = OK, description = "Of the repositories that the caller may pull", body = AdoptionReport),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "It is still being found out", body = Problem),
))]
pub(crate) async fn get_adoption(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<AdoptionQuery>,
    extensions: Extensions,
) -> Result<Body<AdoptionReport>, ApiError> {
    let session = session.signed_in()?;
    let days = query.days.unwrap_or(90);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(ApiError::malformed(format!(
            "`days` must be from 1 to {MAX_DAYS}"
        )));
    }
    let from = extensions.get::<PeerAddress>().map(|peer| peer.0);
    let _places = places(&state, &session, from, true)?;
    let surveying = state.surveying.clone().ok_or_else(judging::switched_off)?;
    let survey = surveying.survey(may_pull(&session)).await?;
    let days = match session.system() {
        Ok(_) => {
            let today = state.store.now().micros().div_euclid(1_000_000 * DAY);
            let since = today - days + 1;
            let days = state.store.adoption_since(since, query.owner.as_ref()).await?;
            days.into_iter().map(entry).collect()
        }
        Err(_) => Vec::new(),
    };
    Ok(Body(report(survey, days, query.owner.as_ref())))
}

fn report(survey: Survey, days: Vec<AdoptionEntry>, of: Option<&Owner>) -> AdoptionReport {
    let is_asked = |owner: &Option<Owner>| of.is_none() || owner.as_ref() == of;
    let asked = survey.by_owner.into_iter().filter(|(owner, _)| is_asked(owner));
    let mut owners: Vec<OwnerAdoption> = asked
        .map(|(owner, bands)| OwnerAdoption { owner, bands })
        .collect();
    let mut now = Bands::default();
    for (cohort, count) in owners.iter().flat_map(|owner| &owner.bands.0) {
        now.add(*cohort, *count);
    }
    owners.sort_by_key(|owner| (std::cmp::Reverse(owner.bands.all()), owner.owner.clone()));
    let more_owners = owners.len().saturating_sub(OWNERS) as u64;
    owners.truncate(OWNERS);
    AdoptionReport {
        now,
        waiting: survey.waiting,
        owners,
        more_owners,
        days,
        proposals: survey.proposals,
        shared: survey.shared,
    }
}

fn entry(of: AdoptionSum) -> AdoptionEntry {
    AdoptionEntry {
        day: date(of.day),
        bands: of.bands,
    }
}

fn date(day: i64) -> String {
    let moment = time::OffsetDateTime::from_unix_timestamp(day.saturating_mul(DAY));
    moment.map_or_else(|_| day.to_string(), |moment| moment.date().to_string())
}

#[cfg(test)]
mod tests {
    use road::cohort::Cohort;

    use super::*;

    #[test]
    fn a_day_is_told_by_its_date() {
        let of = AdoptionSum {
            day: 20_000,
            bands: Bands::default(),
        };
        assert_eq!(entry(of).day, "2024-10-04");
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn owners_with_most_come_first_and_are_counted() {
        let mut survey = Survey::default();
        for number in 0..OWNERS + 2 {
            let mut bands = Bands::default();
            bands.add(Cohort::Paved, number as u64);
            let owner = (number > 0).then(|| format!("o{number}").parse().unwrap());
            survey.by_owner.insert(owner, bands);
        }
        let last: Owner = format!("o{}", OWNERS + 1).parse().unwrap();
        let told = report(survey.clone(), Vec::new(), None);
        assert_eq!((told.owners.len(), told.more_owners), (OWNERS, 2));
        assert_eq!(told.owners[0].owner, Some(last.clone()));
        let one = report(survey, Vec::new(), Some(&last));
        assert_eq!((one.owners.len(), one.now.all()), (1, OWNERS as u64 + 1));
    }
}
