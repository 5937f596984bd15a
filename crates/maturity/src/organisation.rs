//! Teams and the organisation: how their applications are distributed, weighted by tier. Never a mean of levels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assessment::Assessment;
use crate::facts::{Chain, Placement};
use crate::model::TopicId;
use crate::rule::State;
use crate::scorecard::{Coverage, Standing, core_of, standing_of};
use crate::words::{Subject, SubjectName};

/// How much an application of each tier counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierWeights {
    /// By tier.
    pub tiers: BTreeMap<u8, u32>,
    /// Of tiers that are not listed, and of applications without one.
    pub others: u32,
}

impl Default for TierWeights {
    fn default() -> Self {
        Self {
            // Tier 0 is the most important; many begin with 1.
            tiers: BTreeMap::from([(0, 4), (1, 4), (2, 2)]),
            others: 1,
        }
    }
}

impl TierWeights {
    /// That of one application.
    pub fn of(&self, tier: Option<u8>) -> u32 {
        tier.and_then(|tier| self.tiers.get(&tier))
            .copied()
            .unwrap_or(self.others)
    }
}

/// Some of the applications.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// How many.
    pub apps: usize,
    /// Their weight together.
    pub weight: u64,
}

impl Band {
    fn add(&mut self, weight: u32) {
        self.apps += 1;
        self.weight += u64::from(weight);
    }

    /// Of a hundred of another band, by weight, rounded down; none of an empty one.
    pub fn percent_of(&self, whole: &Self) -> Option<u8> {
        let percent = (self.weight * 100).checked_div(whole.weight)?;
        u8::try_from(percent).ok()
    }
}

/// How applications are distributed in one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Which.
    pub topic: TopicId,
    /// All of them.
    pub all: Band,
    /// By level, from 0.
    pub by_level: BTreeMap<u8, Band>,
    /// Those to which nothing of it applies.
    pub not_rated: Band,
    /// By standing to their targets.
    pub by_standing: BTreeMap<Standing, Band>,
    /// Those whose next level, or target, nobody can tell: a core criterion on the way is unknown or expired. Shown apart, never as
    /// good or bad.
    pub untold: Band,
}

impl Distribution {
    fn of(topic: TopicId) -> Self {
        Self {
            topic,
            all: Band::default(),
            by_level: BTreeMap::new(),
            not_rated: Band::default(),
            by_standing: BTreeMap::new(),
            untold: Band::default(),
        }
    }

    /// Those at a level or above.
    pub fn at_least(&self, level: u8) -> Band {
        let mut sum = Band::default();
        for band in self.by_level.range(level..).map(|(_, band)| band) {
            sum.apps += band.apps;
            sum.weight += band.weight;
        }
        sum
    }
}

/// A team, or the whole organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Which team; none of the organisation, and of applications without team.
    pub team: Option<SubjectName>,
    /// How many applications.
    pub apps: Band,
    /// In the order of the model's topics.
    pub topics: Vec<Distribution>,
    /// Criteria of the team itself, or of the organisation itself, by state.
    pub own: Coverage,
}

/// The applications of one team; of none: those without team.
pub fn team(assessment: &Assessment, team: Option<&SubjectName>, weights: &TierWeights) -> Group {
    let own = team.map(|team| Subject::team(team.clone()));
    let apps = assessment
        .facts()
        .apps()
        .filter(|placement| present_team(assessment, placement) == team);
    group(assessment, team.cloned(), apps, own, weights)
}

/// All applications.
pub fn whole(assessment: &Assessment, weights: &TierWeights) -> Group {
    let own = Some(crate::facts::organisation());
    group(assessment, None, assessment.facts().apps(), own, weights)
}

/// Every team with its distributions, by name, those without team last: teams × topics.
pub fn heat_map(assessment: &Assessment, weights: &TierWeights) -> Vec<Group> {
    let mut by_team: BTreeMap<Option<&SubjectName>, Vec<&Placement>> = BTreeMap::new();
    for placement in assessment.facts().apps() {
        by_team
            .entry(present_team(assessment, placement))
            .or_default()
            .push(placement);
    }
    let without = by_team.remove(&None).map(|apps| (None, apps));
    by_team
        .into_iter()
        .chain(without)
        .map(|(team, apps)| {
            let own = team.map(|team| Subject::team(team.clone()));
            group(assessment, team.cloned(), apps.into_iter(), own, weights)
        })
        .collect()
}

/// The team of an application, unless that is no more.
fn present_team<'p>(assessment: &Assessment, placement: &'p Placement) -> Option<&'p SubjectName> {
    let team = placement.team.as_ref();
    team.filter(|team| !assessment.facts().is_gone(&Subject::team((*team).clone())))
}

fn group<'p>(
    assessment: &Assessment,
    team: Option<SubjectName>,
    apps: impl Iterator<Item = &'p Placement>,
    own: Option<Subject>,
    weights: &TierWeights,
) -> Group {
    let model = assessment.model();
    let mut topics: Vec<Distribution> = model
        .topics()
        .iter()
        .map(|topic| Distribution::of(topic.id.clone()))
        .collect();
    let mut all = Band::default();
    for placement in apps {
        let weight = weights.of(placement.tier);
        all.add(weight);
        let chain = Chain::of(assessment.facts(), &placement.subject());
        for (place, distribution) in topics.iter_mut().enumerate() {
            let level = assessment.level_at(&placement.app, place);
            let target = placement.targets.of(&distribution.topic);
            distribution.all.add(weight);
            match level {
                Some(level) => distribution.by_level.entry(level).or_default().add(weight),
                None => distribution.not_rated.add(weight),
            }
            distribution
                .by_standing
                .entry(standing_of(level, target))
                .or_default()
                .add(weight);
            if is_untold(assessment, &chain, place, level, target) {
                distribution.untold.add(weight);
            }
        }
    }
    let mut coverage = Coverage::default();
    if let Some(own) = own {
        let mine = model
            .criteria()
            .iter()
            .filter(|one| one.scope == own.kind && one.counts(assessment.now()));
        for state in mine.filter_map(|one| assessment.state(&own, &one.id)) {
            coverage.add(state);
        }
    }
    Group {
        team,
        apps: all,
        topics,
        own: coverage,
    }
}

/// Whether a core criterion on the way to the target, else to the next level, is unknown or expired.
fn is_untold(
    assessment: &Assessment,
    chain: &Chain,
    topic: usize,
    level: Option<u8>,
    target: Option<u8>,
) -> bool {
    let Some(level) = level else { return false };
    let aim = target.unwrap_or(level.saturating_add(1));
    let state = |place| assessment.state_in(chain, place);
    let mut core = core_of(assessment.model(), topic, state, assessment.now());
    core.any(|(_, level, state)| level <= aim && matches!(state, State::Unknown | State::Expired))
}

#[cfg(test)]
mod tests;
