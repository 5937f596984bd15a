//! What is worth doing next: the actions with the largest gain towards an application's targets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::facts::{Chain, Facts, Placement};
use crate::model::{Criterion, Model, ProofKind, Remedy, TopicId};
use crate::rule::{State, topic_level};
use crate::scorecard::{core_of, judge_all};
use crate::words::{CriterionId, Subject, SubjectKind, SubjectName};

/// Actions that are told.
pub const ACTIONS: usize = 3;

/// What one topic gains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// Which topic.
    pub topic: TopicId,
    /// The level now.
    pub from: u8,
    /// The level then, counted up to the target.
    pub to: u8,
    /// What is aimed at.
    pub aim: u8,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Who has to do it.
    pub subject: Subject,
    /// What, in one sentence.
    pub what: String,
    /// The command that does it.
    pub command: Option<String>,
    /// The page that does it.
    pub page: Option<String>,
    /// Which criteria it fulfils, the lowest level first.
    pub criteria: Vec<CriterionId>,
    /// How many levels are gained towards the targets, over all topics.
    pub levels: u32,
    /// How far it comes where it gains no level: thousandths of what blocks the next levels, over all topics.
    pub progress: u32,
    /// What each topic gains.
    pub gains: Vec<Gain>,
}

/// The actions with the largest gain towards the targets of an application, at most [`ACTIONS`]. An application without any target aims at the
/// next level of each topic.
pub fn actions(model: &Model, facts: &Facts, app: &Subject, now: OffsetDateTime) -> Vec<Action> {
    let Some(placement) = facts
        .placement(&app.name)
        .filter(|_| app.kind == SubjectKind::App)
    else {
        return Vec::new();
    };
    let mut actions = Planner::of(model, facts, placement, now).actions();
    actions.truncate(ACTIONS);
    actions
}

struct Open {
    place: usize,
    level: u8,
}

struct Planner<'a> {
    model: &'a Model,
    placement: &'a Placement,
    chain: Chain,
    states: Vec<Option<State>>,
    now: OffsetDateTime,
}

impl<'a> Planner<'a> {
    fn of(model: &'a Model, facts: &Facts, placement: &'a Placement, now: OffsetDateTime) -> Self {
        let chain = Chain::of(facts, &placement.subject());
        let judged = judge_all(model, facts, &chain, SubjectKind::App, now, None);
        let states = judged.into_iter().map(|one| one.map(|one| one.state)).collect();
        Self {
            model,
            placement,
            chain,
            states,
            now,
        }
    }

    fn actions(&self) -> Vec<Action> {
        let mut by_remedy: BTreeMap<(Subject, Remedy), Vec<Open>> = BTreeMap::new();
        for topic in 0..self.model.topics().len() {
            let Some((_, aim)) = self.aim(topic) else { continue };
            let core = core_of(self.model, topic, |place| self.states[place], self.now);
            for (place, level, _) in core.filter(|(_, level, state)| *level <= aim && !state.holds()) {
                let criterion = &self.model.criteria()[place];
                // Of whom nobody knows can be asked nothing.
                let Some(subject) = self.chain.subject(criterion.scope) else {
                    continue;
                };
                let key = (subject.clone(), self.remedy(criterion, subject));
                by_remedy.entry(key).or_default().push(Open { place, level });
            }
        }
        let mut actions: Vec<Action> = by_remedy
            .into_iter()
            .map(|((subject, remedy), open)| self.action(subject, remedy, open))
            .collect();
        // What gains most comes first, then what is in the application's own hands.
        actions.sort_by(|a, b| {
            let rank = |action: &Action| (action.levels, action.progress);
            rank(b)
                .cmp(&rank(a))
                .then_with(|| a.subject.kind.cmp(&b.subject.kind))
                .then_with(|| a.criteria.cmp(&b.criteria))
        });
        actions
    }

    /// Level and aim of a topic; none where the aim is reached or nothing applies.
    fn aim(&self, topic: usize) -> Option<(u8, u8)> {
        let core = core_of(self.model, topic, |place| self.states[place], self.now);
        let level = topic_level(
            core.map(|(_, level, state)| (level, state)),
            self.model.top_level(),
        )?;
        let targets = &self.placement.targets;
        let aims_at_nothing = targets.topics.is_empty() && targets.categories.is_empty();
        let aim = match targets.of(&self.model.topics()[topic].id) {
            Some(target) => target,
            None if aims_at_nothing => level.saturating_add(1),
            None => return None,
        };
        let aim = aim.min(self.model.top_level());
        (aim > level).then_some((level, aim))
    }

    fn remedy(&self, criterion: &Criterion, subject: &Subject) -> Remedy {
        let fill = |text: &String| {
            let team = self.placement.team.as_ref().map_or("TEAM", SubjectName::as_str);
            text.replace("{app}", self.placement.app.as_str())
                .replace("{team}", team)
                .replace("{subject}", &subject.to_string())
                .replace("{criterion}", criterion.id.as_str())
        };
        if let Some(remedy) = &criterion.remedy {
            return Remedy {
                text: fill(&remedy.text),
                command: remedy.command.as_ref().map(fill),
                page: remedy.page.as_ref().map(fill),
            };
        }
        let verb = match criterion.kind {
            ProofKind::Attestation => "attest",
            ProofKind::Auto | ProofKind::Hybrid => "why",
        };
        Remedy {
            text: criterion.text.clone(),
            command: Some(format!("roadbed maturity {verb} {subject} {}", criterion.id)),
            page: None,
        }
    }

    fn action(&self, subject: Subject, remedy: Remedy, mut open: Vec<Open>) -> Action {
        open.sort_by_key(|one| (one.level, one.place));
        let fulfilled = self.fulfilled(&open);
        let (mut gains, mut levels, mut progress) = (Vec::new(), 0, 0);
        for topic in 0..self.model.topics().len() {
            if !open
                .iter()
                .any(|one| self.model.index().topic_of(one.place) == topic)
            {
                continue;
            }
            let Some((from, aim)) = self.aim(topic) else {
                continue;
            };
            let core: Vec<_> = core_of(self.model, topic, |place| fulfilled[place], self.now).collect();
            let then = topic_level(
                core.iter().map(|(_, level, state)| (*level, *state)),
                self.model.top_level(),
            );
            let to = then.unwrap_or(from).clamp(from, aim);
            levels += u32::from(to - from);
            progress += self.progress(topic, &fulfilled);
            if to > from {
                let topic = self.model.topics()[topic].id.clone();
                gains.push(Gain { topic, from, to, aim });
            }
        }
        Action {
            subject,
            what: remedy.text,
            command: remedy.command,
            page: remedy.page,
            criteria: open
                .iter()
                .map(|one| self.model.criteria()[one.place].id.clone())
                .collect(),
            levels,
            progress,
            gains,
        }
    }

    /// The states when these criteria are met, and what they require is.
    fn fulfilled(&self, open: &[Open]) -> Vec<Option<State>> {
        let mut states = self.states.clone();
        for &place in self.model.index().order() {
            let holds = |required: &usize| states[*required].is_some_and(State::holds);
            let is_open = open.iter().any(|one| one.place == place);
            if is_open && self.model.index().requires(place).iter().all(holds) {
                states[place] = Some(State::Met);
            }
        }
        states
    }

    /// Thousandths of what blocks the next level of a topic that are out of the way then.
    fn progress(&self, topic: usize, fulfilled: &[Option<State>]) -> u32 {
        let core: Vec<_> = core_of(self.model, topic, |place| self.states[place], self.now).collect();
        let blocking = core.iter().filter(|(_, _, state)| !state.holds());
        let Some(lowest) = blocking.clone().map(|(_, level, _)| *level).min() else {
            return 0;
        };
        let blocking: Vec<_> = blocking.filter(|(_, level, _)| *level == lowest).collect();
        let gone = blocking
            .iter()
            .filter(|(place, ..)| fulfilled[*place].is_some_and(State::holds))
            .count();
        u32::try_from(gone * 1000 / blocking.len().max(1)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
