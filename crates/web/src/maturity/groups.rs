//! Teams and the organisation: how their applications are distributed, weighted by tier. Only those that the caller sees are counted.

use std::collections::BTreeMap;

use ::maturity::assessment::Assessment;
use ::maturity::facts::{Chain, ORGANISATION, Placement};
use ::maturity::model::{Criterion, TopicId};
use ::maturity::organisation::{Band, Distribution, Group, TierWeights};
use ::maturity::rule::State as Condition;
use ::maturity::scorecard::{Coverage, Standing};
use ::maturity::words::{Subject, SubjectKind, SubjectName};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Sight, asked, keeper};
use crate::body::Body;
use crate::incidents::Placed;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::state::WebState;

/// A team or the organisation: `apps`, by topic their levels (`by_level`), their standing to their targets (`by_standing`) and those of
/// which nobody can tell (`untold`), each as `apps` and `weight` (tiers 0 and 1 weigh 4, tier 2 weighs 2, others 1); `own`: its own
/// criteria by state. There is no mean of levels.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct GroupEntry(pub Group);

/// Names a team.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamKey {
    /// Its name: `payments`.
    #[param(value_type = String)]
    name: SubjectName,
}

/// Teams by topics.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HeatMap {
    /// Every team, by name; applications without a team last.
    #[schema(value_type = Vec<Object>)]
    pub teams: Vec<Group>,
}

/// The core criteria of a topic that count.
type Core<'a> = BTreeMap<&'a TopicId, Vec<&'a Criterion>>;

struct Counter<'a> {
    assessment: &'a Assessment,
    weights: TierWeights,
    core: Core<'a>,
}

fn add(band: &mut Band, weight: u32) {
    band.apps += 1;
    band.weight += u64::from(weight);
}

fn standing(level: Option<u8>, target: Option<u8>) -> Standing {
    match (level, target) {
        (None, _) => Standing::NotRated,
        (_, None) => Standing::NoTarget,
        (Some(level), Some(target)) if level >= target => Standing::OnTarget,
        _ => Standing::Below,
    }
}

impl<'a> Counter<'a> {
    fn of(assessment: &'a Assessment) -> Self {
        let counting = assessment.model().criteria().iter();
        let counting = counting.filter(|criterion| criterion.is_core() && criterion.counts(assessment.now()));
        let mut core: Core<'a> = BTreeMap::new();
        for criterion in counting {
            core.entry(&criterion.topic).or_default().push(criterion);
        }
        Self {
            assessment,
            weights: TierWeights::default(),
            core,
        }
    }

    /// Whether a core criterion on the way to the target, else to the next level, is unknown or has expired.
    fn is_untold(&self, chain: &Chain, topic: &TopicId, level: Option<u8>, target: Option<u8>) -> bool {
        let Some(level) = level else { return false };
        let aim = target.unwrap_or(level.saturating_add(1));
        let state = |criterion: &Criterion| {
            let subject = chain.subject(criterion.scope)?;
            self.assessment.state(subject, &criterion.id)
        };
        let core = self.core.get(topic).into_iter().flatten();
        let mut states = core
            .filter(|criterion| criterion.level <= aim)
            .map(|criterion| state(criterion));
        states.any(|state| {
            matches!(
                state.unwrap_or(Condition::Unknown),
                Condition::Unknown | Condition::Expired
            )
        })
    }

    fn group(&self, team: Option<SubjectName>, apps: &[&Placement], own: Option<&Subject>) -> Group {
        let topics = self.assessment.model().topics().iter();
        let mut group = Group {
            team,
            apps: Band::default(),
            topics: topics.map(|topic| empty(topic.id.clone())).collect(),
            own: own.map(|own| self.own(own)).unwrap_or_default(),
        };
        for placement in apps {
            let weight = self.weights.of(placement.tier);
            add(&mut group.apps, weight);
            self.count(placement, weight, &mut group.topics);
        }
        group
    }

    fn count(&self, placement: &Placement, weight: u32, topics: &mut [Distribution]) {
        let Some(levels) = self.assessment.levels(&placement.app) else {
            return;
        };
        let chain = Chain::of(self.assessment.facts(), &placement.subject());
        for ((topic, level), distribution) in levels.zip(topics) {
            let target = placement.targets.of(topic);
            add(&mut distribution.all, weight);
            match level {
                Some(level) => add(distribution.by_level.entry(level).or_default(), weight),
                None => add(&mut distribution.not_rated, weight),
            }
            let by_standing = &mut distribution.by_standing;
            add(by_standing.entry(standing(level, target)).or_default(), weight);
            if self.is_untold(&chain, topic, level, target) {
                add(&mut distribution.untold, weight);
            }
        }
    }

    fn own(&self, own: &Subject) -> Coverage {
        let mut coverage = Coverage::default();
        let criteria = self.assessment.model().criteria().iter();
        let mine = criteria.filter(|one| one.scope == own.kind && one.counts(self.assessment.now()));
        let states = mine.filter_map(|one| self.assessment.state(own, &one.id));
        states.for_each(|state| coverage.add(state));
        coverage
    }

    /// Every team with the applications that are seen, by name; without a team last.
    fn teams(&self, sight: &Sight) -> Vec<Group> {
        let mut by_team: BTreeMap<Option<&SubjectName>, Vec<&Placement>> = BTreeMap::new();
        for placement in seen(self.assessment, sight) {
            by_team
                .entry(self.team_of(placement))
                .or_default()
                .push(placement);
        }
        let without = by_team.remove(&None).map(|apps| (None, apps));
        let of_team = |(team, apps): (Option<&SubjectName>, Vec<&Placement>)| {
            let own = team.map(|team| Subject::team(team.clone()));
            self.group(team.cloned(), &apps, own.as_ref())
        };
        by_team.into_iter().chain(without).map(of_team).collect()
    }

    /// The team of an application, unless that is no more.
    fn team_of<'p>(&self, placement: &'p Placement) -> Option<&'p SubjectName> {
        let is_there =
            |team: &&SubjectName| !self.assessment.facts().is_gone(&Subject::team((*team).clone()));
        placement.team.as_ref().filter(is_there)
    }
}

fn empty(topic: TopicId) -> Distribution {
    Distribution {
        topic,
        all: Band::default(),
        by_level: BTreeMap::new(),
        not_rated: Band::default(),
        by_standing: BTreeMap::new(),
        untold: Band::default(),
    }
}

fn seen<'a>(assessment: &'a Assessment, sight: &'a Sight) -> impl Iterator<Item = &'a Placement> {
    assessment
        .facts()
        .apps()
        .filter(|placement| sight.sees_app(&placement.app))
}

/// How the applications of the organisation that the caller sees are distributed, by topic.
#[utoipa::path(get, path = "/maturity/organisation", tag = "maturity", responses(
    (status = OK, description = "The distributions", body = GroupEntry),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_organisation(
    State(state): State<WebState>,
    placed: Placed,
) -> Result<Body<GroupEntry>, ApiError> {
    keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let name: SubjectName = ORGANISATION
        .parse::<SubjectName>()
        .map_err(|error| ApiError::internal(&error))?;
    let own = Subject {
        kind: SubjectKind::Org,
        name,
    };
    let group = asked(&state, move |assessment| {
        let apps: Vec<&Placement> = seen(assessment, &sight).collect();
        Counter::of(assessment).group(None, &apps, Some(&own))
    });
    Ok(Body(GroupEntry(group.await?)))
}

/// How the applications of a team that the caller sees are distributed, by topic.
#[utoipa::path(get, path = "/maturity/team", tag = "maturity", params(TeamKey), responses(
    (status = OK, description = "The distributions", body = GroupEntry),
    (status = NOT_FOUND, description = "No such team, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_team(
    State(state): State<WebState>,
    placed: Placed,
    Query(TeamKey { name }): Query<TeamKey>,
) -> Result<Body<GroupEntry>, ApiError> {
    keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let own = Subject::team(name.clone());
    sight.demand(&own)?;
    let group = asked(&state, move |assessment| {
        let counter = Counter::of(assessment);
        let apps = seen(assessment, &sight);
        let apps: Vec<&Placement> = apps.filter(|of| counter.team_of(of) == Some(&name)).collect();
        (!apps.is_empty()).then(|| counter.group(Some(name.clone()), &apps, Some(&own)))
    });
    let group = group
        .await?
        .ok_or_else(|| ApiError::new(crate::problem::Kind::NotFound, "there is no such team"))?;
    Ok(Body(GroupEntry(group)))
}

/// Every team with its distributions, of applications that the caller sees: where the organisation is weak.
#[utoipa::path(get, path = "/maturity/heat-map", tag = "maturity", responses(
    (status = OK, description = "Teams by topics", body = HeatMap),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_heat_map(
    State(state): State<WebState>,
    placed: Placed,
) -> Result<Body<HeatMap>, ApiError> {
    keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let teams = asked(&state, move |assessment| Counter::of(assessment).teams(&sight));
    Ok(Body(HeatMap { teams: teams.await? }))
}
