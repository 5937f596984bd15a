//! Where a subject stands at a moment, with the chain of proof of each criterion.

mod drops;
mod evaluate;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::{ProofKind, TopicId, Weight};
use crate::rule::{Check, State};
use crate::words::{CriterionId, RecordId, RuleVersion, Slug, Subject, SubjectName};

pub use drops::{Drop, MAX_STEPS, next_drops};
pub(crate) use evaluate::{core_of, judge_all, levels_of, standing_of};
pub use evaluate::{evaluate, explain};

/// The state of one criterion, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// Which.
    pub criterion: CriterionId,
    /// What must hold.
    pub text: String,
    /// Of whom it was asked; none: it is not known of which team.
    pub subject: Option<Subject>,
    /// Of which level it is.
    pub level: u8,
    /// What it does to the level.
    pub weight: Weight,
    /// What proves it.
    pub kind: ProofKind,
    /// The state.
    pub state: State,
    /// Whether it counts yet; before its day it is only shown.
    pub counts: bool,
    /// When the state may change by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// The chain: what was asked, and what was found in which evidence and which events.
    pub checks: Vec<Check>,
    /// Which model judged.
    pub rule_version: RuleVersion,
}

/// How a level stands to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// At the target or above.
    OnTarget,
    /// Below it.
    Below,
    /// Nothing is aimed at.
    NoTarget,
    /// Nothing of the topic applies.
    NotRated,
}

/// What is in the way of the next level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocking {
    /// Which core criterion.
    pub criterion: CriterionId,
    /// Of which level.
    pub level: u8,
    /// In which state.
    pub state: State,
}

/// How many criteria are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Proven.
    pub met: usize,
    /// Disproven.
    pub not_met: usize,
    /// Nobody can tell.
    pub unknown: usize,
    /// Not asked of this subject.
    pub not_applicable: usize,
    /// Excused.
    pub exempt: usize,
    /// Ended.
    pub expired: usize,
}

impl Coverage {
    /// Counts one more.
    pub fn add(&mut self, state: State) {
        let count = match state {
            State::Met => &mut self.met,
            State::NotMet => &mut self.not_met,
            State::Unknown => &mut self.unknown,
            State::NotApplicable => &mut self.not_applicable,
            State::Exempt => &mut self.exempt,
            State::Expired => &mut self.expired,
        };
        *count += 1;
    }

    /// How many there are.
    pub fn all(&self) -> usize {
        self.met + self.not_met + self.unknown + self.not_applicable + self.exempt + self.expired
    }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicResult {
    /// Which.
    pub topic: TopicId,
    /// Its name.
    pub name: String,
    /// The level, from 0; none: nothing of it applies, or the subject is no application.
    pub level: Option<u8>,
    /// To which level there are core criteria at all; 0: there are none.
    pub defined_to: u8,
    /// What is aimed at.
    pub target: Option<u8>,
    /// How both compare.
    pub standing: Standing,
    /// Core criteria of higher levels that are met already.
    pub ahead: Vec<CriterionId>,
    /// What is in the way of the next level: core criteria that do not hold, those of the lowest such level.
    pub blocking: Vec<Blocking>,
    /// When the level falls by itself, if nothing is done.
    pub next_drop: Option<Drop>,
    /// Core and supporting criteria that count, by state.
    pub coverage: Coverage,
    /// All criteria, in the order of the model.
    pub criteria: Vec<CriterionResult>,
}

/// One category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryResult {
    /// Which.
    pub category: Slug,
    /// Its name.
    pub name: String,
    /// The lowest level of its topics, which is its level; none: no topic has one.
    pub lowest: Option<u8>,
    /// The median of its topics; of two in the middle the lower one, for that level exists.
    pub median: Option<u8>,
    /// How many topics have a level.
    pub rated: usize,
}

/// A rule beside the levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObligationResult {
    /// Which.
    pub obligation: RecordId,
    /// Of which criterion.
    pub criterion: CriterionId,
    /// The state of that.
    pub state: State,
    /// Whether it is kept.
    pub kept: bool,
    /// Why there is such a rule.
    pub reason: String,
}

/// Where a subject stands. There is no overall level, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Who.
    pub subject: Subject,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// Which model judged.
    pub rule_version: RuleVersion,
    /// Whose application it is.
    pub team: Option<SubjectName>,
    /// How important it is.
    pub tier: Option<u8>,
    /// In the order of the model.
    pub categories: Vec<CategoryResult>,
    /// In the order of the model.
    pub topics: Vec<TopicResult>,
    /// Rules beside the levels.
    pub obligations: Vec<ObligationResult>,
}

impl Scorecard {
    /// The first level that falls by itself.
    pub fn next_drop(&self) -> Option<(&TopicId, &Drop)> {
        let drops = self
            .topics
            .iter()
            .filter_map(|topic| topic.next_drop.as_ref().map(|drop| (&topic.topic, drop)));
        drops.min_by_key(|(_, drop)| drop.at)
    }

    /// The result of one criterion.
    pub fn criterion(&self, id: &CriterionId) -> Option<&CriterionResult> {
        self.topics
            .iter()
            .flat_map(|topic| &topic.criteria)
            .find(|result| result.criterion == *id)
    }
}

#[cfg(test)]
mod tests;
