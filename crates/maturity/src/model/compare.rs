//! What another model would move, before it is applied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Criterion, Model, Obligation, TopicId};
use crate::facts::{Chain, Facts};
use crate::rule::State;
use crate::scorecard::{core_of, judge_all, levels_of};
use crate::words::{CriterionId, RuleVersion, Subject, SubjectKind, SubjectName};

/// A criterion that both models have, and say differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionDifference {
    /// Which.
    pub criterion: CriterionId,
    /// In what: the keys of the document.
    pub keys: Vec<String>,
}

/// A level that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Of which application.
    pub app: SubjectName,
    /// In which topic.
    pub topic: TopicId,
    /// What it is.
    pub from: Option<u8>,
    /// What it would be.
    pub to: Option<u8>,
    /// Core criteria of the other model that then block the level after.
    pub because: Vec<CriterionId>,
}

/// A state that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMove {
    /// Of whom.
    pub subject: Subject,
    /// Of which criterion.
    pub criterion: CriterionId,
    /// What it is.
    pub from: State,
    /// What it would be.
    pub to: State,
}

/// What another model would move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model that judges.
    pub from: RuleVersion,
    /// The one that might.
    pub to: RuleVersion,
    /// Criteria that only the other one has.
    pub added: Vec<CriterionId>,
    /// Criteria that it has no more.
    pub retired: Vec<CriterionId>,
    /// Criteria that it changes.
    pub changed: Vec<CriterionDifference>,
    /// States that move at once, of criteria that both have.
    pub states: Vec<StateMove>,
    /// Levels that move at once.
    pub levels: Vec<Move>,
    /// Levels that move when all its criteria count, if some begin to count only later.
    pub levels_later: Vec<Move>,
    /// When that is.
    #[serde(with = "time::serde::rfc3339::option")]
    pub later: Option<OffsetDateTime>,
}

/// Judges all that is known by both models. Facts are taken as they are `now`, also for what counts only later.
pub fn compare(old: &Model, new: &Model, facts: &Facts, now: OffsetDateTime) -> Comparison {
    let later = new
        .criteria()
        .iter()
        .filter_map(|one| one.enable_from)
        .filter(|from| *from > now)
        .max();
    let missing = |of: &Model, other: &Model| {
        let gone = of
            .criteria()
            .iter()
            .filter(|one| other.criterion(&one.id).is_none());
        gone.map(|one| one.id.clone()).collect()
    };
    let mut comparison = Comparison {
        from: old.rule_version().clone(),
        to: new.rule_version().clone(),
        added: missing(new, old),
        retired: missing(old, new),
        changed: changed(old, new),
        states: Vec::new(),
        levels: Vec::new(),
        levels_later: Vec::new(),
        later,
    };
    for subject in facts.subjects() {
        look(&mut comparison, old, new, facts, &subject, now);
    }
    comparison
}

fn look(
    comparison: &mut Comparison,
    old: &Model,
    new: &Model,
    facts: &Facts,
    subject: &Subject,
    now: OffsetDateTime,
) {
    let chain = Chain::of(facts, subject);
    let before = judge_all(old, facts, &chain, subject.kind, now, None);
    let after = judge_all(new, facts, &chain, subject.kind, now, None);
    for (place, criterion) in new
        .criteria()
        .iter()
        .enumerate()
        .filter(|(_, one)| one.scope == subject.kind)
    {
        let from = old.index().place(&criterion.id).and_then(|place| before[place]);
        if let (Some(from), Some(to)) = (from, after[place])
            && from.state != to.state
        {
            comparison.states.push(StateMove {
                subject: subject.clone(),
                criterion: criterion.id.clone(),
                from: from.state,
                to: to.state,
            });
        }
    }
    if subject.kind != SubjectKind::App {
        return;
    }
    let old_levels: BTreeMap<&TopicId, Option<u8>> = old
        .topics()
        .iter()
        .map(|topic| &topic.id)
        .zip(levels_of(old, &before, now))
        .collect();
    let moves = |counts_at: OffsetDateTime| {
        let levels = levels_of(new, &after, counts_at).into_iter().enumerate();
        let moves = levels.filter_map(|(place, to)| {
            let topic = &new.topics()[place].id;
            let from = old_levels.get(topic).copied().unwrap_or(Some(0));
            let core = core_of(new, place, |place| after[place].map(|one| one.state), counts_at);
            let blocking: Vec<_> = core.filter(|(_, _, state)| !state.holds()).collect();
            let lowest = blocking.iter().map(|(_, level, _)| *level).min();
            let because = blocking.iter().filter(|(_, level, _)| Some(*level) == lowest);
            (from != to).then(|| Move {
                app: subject.name.clone(),
                topic: topic.clone(),
                from,
                to,
                because: because
                    .map(|(place, ..)| new.criteria()[*place].id.clone())
                    .collect(),
            })
        });
        moves.collect::<Vec<_>>()
    };
    comparison.levels.extend(moves(now));
    if let Some(later) = comparison.later {
        comparison.levels_later.extend(moves(later));
    }
}

fn changed(old: &Model, new: &Model) -> Vec<CriterionDifference> {
    let both = new
        .criteria()
        .iter()
        .filter_map(|one| old.criterion(&one.id).map(|before| (before, one)));
    let differences = both.filter(|(before, after)| before != after);
    differences
        .map(|(before, after)| CriterionDifference {
            criterion: after.id.clone(),
            keys: keys(before, after),
        })
        .collect()
}

fn keys(before: &Criterion, after: &Criterion) -> Vec<String> {
    let differs = [
        ("topic", before.topic != after.topic),
        ("level", before.level != after.level),
        ("criterion", before.text != after.text),
        ("scope", before.scope != after.scope),
        ("weight", before.weight != after.weight),
        ("evidence", before.kind != after.kind),
        ("signal", before.signal != after.signal),
        ("applies_if", before.applies_if != after.applies_if),
        ("attester", before.attester != after.attester),
        ("requires", before.requires != after.requires),
        ("controls", before.controls != after.controls),
        ("remedy", before.remedy != after.remedy),
        ("enable_from", before.enable_from != after.enable_from),
        (
            "ref",
            before.reference != after.reference || before.basis != after.basis,
        ),
    ];
    differs
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| (*key).to_owned())
        .collect()
}

impl Model {
    /// This model with one more obligation: how a campaign ends as a rule. The version names it.
    pub fn oblige(&self, obligation: Obligation) -> Result<Self, super::ModelErrors> {
        let mut parts = self.parts().clone();
        parts.rule_version = RuleVersion(format!("{}+{}", parts.rule_version, obligation.id).into());
        parts.obligations.push(obligation);
        Self::try_from(parts)
    }
}
