//! Agreed changes: who does what by when, how far it is, and the rule that stays when it is over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::assessment::Assessment;
use crate::facts::{Chain, Placement};
use crate::model::{Model, Obligation, Scope};
use crate::rule::State;
use crate::words::{CriterionId, MAX_TEXT_BYTES, Person, RecordId, SubjectName};

/// Longest campaign.
pub const LONGEST_CAMPAIGN: Duration = Duration::days(730);

/// Most criteria of one campaign.
pub const MAX_CAMPAIGN_CRITERIA: usize = 20;

/// Most reminders before the end.
pub const MAX_REMINDERS: usize = 10;

/// An agreed change: all tier-1 applications signed by June.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its id.
    pub id: RecordId,
    /// What it is about.
    pub title: String,
    /// Who answers for it.
    pub owner: Person,
    /// Which applications.
    #[serde(default)]
    pub scope: Scope,
    /// Which criteria they are to hold.
    pub criteria: Vec<CriterionId>,
    /// From when on.
    #[serde(with = "time::serde::rfc3339")]
    pub starts: OffsetDateTime,
    /// By when.
    #[serde(with = "time::serde::rfc3339")]
    pub due: OffsetDateTime,
    /// How many days before the end teams are reminded.
    #[serde(default)]
    pub remind_days_before: BTreeSet<u16>,
    /// Whether it stays as a rule when it is over.
    #[serde(default)]
    pub becomes_rule: bool,
}

/// Why a campaign is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CampaignError {
    /// No criterion, or more than [`MAX_CAMPAIGN_CRITERIA`].
    #[error("it names {0} criteria: write 1 to {MAX_CAMPAIGN_CRITERIA}")]
    Criteria(usize),
    /// Not a criterion.
    #[error("there is no criterion `{id}`{hint}")]
    NoCriterion {
        /// The name.
        id: CriterionId,
        /// The nearest one.
        hint: String,
    },
    /// It ends before it begins, or [`LONGEST_CAMPAIGN`].
    #[error("it lasts {0} days: write 1 to {max}", max = LONGEST_CAMPAIGN.whole_days())]
    Length(i64),
    /// [`MAX_REMINDERS`].
    #[error("it reminds {0} times: at most {MAX_REMINDERS} are allowed")]
    Reminders(usize),
    /// No title, or a very long one.
    #[error("it needs a title, of at most {MAX_TEXT_BYTES} bytes")]
    Title,
}

/// How far one application is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppProgress {
    /// Which.
    pub app: SubjectName,
    /// Whose.
    pub team: Option<SubjectName>,
    /// What does not hold yet, and in which state it is.
    pub open: Vec<(CriterionId, State)>,
    /// What is excused, which ends.
    pub exempt: Vec<CriterionId>,
}

/// How many applications are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Everything holds, and nothing of it by exemption.
    pub done: usize,
    /// Everything holds, something of it by exemption.
    pub exempt: usize,
    /// Something fails or has ended.
    pub open: usize,
    /// Nothing is known to fail, but something is unknown.
    pub unknown: usize,
}

impl Count {
    /// All of them.
    pub fn all(&self) -> usize {
        self.done + self.exempt + self.open + self.unknown
    }
}

/// How far a campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which.
    pub campaign: RecordId,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// All applications.
    pub count: Count,
    /// By team.
    pub teams: Vec<(Option<SubjectName>, Count)>,
    /// Every application, by name.
    pub apps: Vec<AppProgress>,
    /// Whole days that are left; negative: since when it is over.
    pub days_left: i64,
}

/// A reminder that is due to a team.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reminder {
    /// Of which campaign.
    pub campaign: RecordId,
    /// To whom; none: to those who look after what nobody owns.
    pub team: Option<SubjectName>,
    /// Which one: so many days before the end; 0: it is over.
    pub days_before: u16,
    /// How many of its applications are not done.
    pub open: usize,
}

impl Campaign {
    /// Whether it may be taken.
    pub fn check(&self, model: &Model) -> Result<(), CampaignError> {
        if self.criteria.is_empty() || self.criteria.len() > MAX_CAMPAIGN_CRITERIA {
            return Err(CampaignError::Criteria(self.criteria.len()));
        }
        if let Some(id) = self.criteria.iter().find(|id| model.criterion(id).is_none()) {
            return Err(CampaignError::NoCriterion {
                id: id.clone(),
                hint: model.nearest_criterion(id.as_str()),
            });
        }
        let length = self.due - self.starts;
        if length < Duration::DAY || length > LONGEST_CAMPAIGN {
            return Err(CampaignError::Length(length.whole_days()));
        }
        if self.remind_days_before.len() > MAX_REMINDERS {
            return Err(CampaignError::Reminders(self.remind_days_before.len()));
        }
        if self.title.trim().is_empty() || self.title.len() > MAX_TEXT_BYTES {
            return Err(CampaignError::Title);
        }
        Ok(())
    }

    /// How far it is now.
    pub fn progress(&self, assessment: &Assessment) -> Progress {
        let mut count = Count::default();
        let mut teams: BTreeMap<Option<SubjectName>, Count> = BTreeMap::new();
        let mut apps = Vec::new();
        for placement in assessment.facts().apps() {
            let (tier, team) = (placement.tier, placement.team.as_ref());
            if self.scope.takes(&placement.app, tier, team) {
                let app = self.of_app(assessment, placement);
                app.count(&mut count);
                app.count(teams.entry(app.team.clone()).or_default());
                apps.push(app);
            }
        }
        Progress {
            campaign: self.id.clone(),
            as_of: assessment.now(),
            count,
            teams: teams.into_iter().collect(),
            apps,
            days_left: (self.due - assessment.now()).whole_days(),
        }
    }

    fn of_app(&self, assessment: &Assessment, placement: &Placement) -> AppProgress {
        let chain = Chain::of(assessment.facts(), &placement.subject());
        let places = self
            .criteria
            .iter()
            .filter_map(|id| Some((id, assessment.model().index().place(id)?)));
        let states = places.map(|(id, place)| (id.clone(), assessment.state_in(&chain, place)));
        let states: Vec<_> = states
            .map(|(id, state)| (id, state.unwrap_or(State::Unknown)))
            .collect();
        let exempt = states.iter().filter(|(_, state)| *state == State::Exempt);
        AppProgress {
            app: placement.app.clone(),
            team: placement.team.clone(),
            exempt: exempt.map(|(id, _)| id.clone()).collect(),
            open: states.into_iter().filter(|(_, state)| !state.holds()).collect(),
        }
    }

    /// Reminders that are due and were not sent: to each team with something left, only the last one of those that it missed.
    pub fn reminders(
        &self,
        progress: &Progress,
        sent: &BTreeSet<(Option<SubjectName>, u16)>,
    ) -> Vec<Reminder> {
        if progress.as_of < self.starts {
            return Vec::new();
        }
        let days = self.remind_days_before.iter().copied().chain([0]);
        let is_due = |days: &u16| self.due - Duration::days(i64::from(*days)) <= progress.as_of;
        let Some(days_before) = days.filter(is_due).min() else {
            return Vec::new();
        };
        let left = progress
            .teams
            .iter()
            .map(|(team, count)| (team, count.open + count.unknown));
        let left = left.filter(|(team, open)| *open > 0 && !sent.contains(&((*team).clone(), days_before)));
        left.map(|(team, open)| Reminder {
            campaign: self.id.clone(),
            team: team.clone(),
            days_before,
            open,
        })
        .collect()
    }

    /// The rule that stays when it is over, if it is to: from its end on, its criteria are to hold. Added to a model by
    /// [`Model::oblige`].
    pub fn obligation(&self) -> Option<Obligation> {
        self.becomes_rule.then(|| Obligation {
            id: self.id.clone(),
            criteria: self.criteria.clone(),
            scope: self.scope.clone(),
            from: self.due,
            reason: self.title.clone(),
        })
    }
}

impl AppProgress {
    fn count(&self, count: &mut Count) {
        let only_unknown = self.open.iter().all(|(_, state)| *state == State::Unknown);
        let count = match (self.open.is_empty(), self.exempt.is_empty(), only_unknown) {
            (true, true, _) => &mut count.done,
            (true, false, _) => &mut count.exempt,
            (false, _, true) => &mut count.unknown,
            (false, _, false) => &mut count.open,
        };
        *count += 1;
    }
}

#[cfg(test)]
mod tests;
