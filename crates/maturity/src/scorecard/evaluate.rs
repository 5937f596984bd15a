//! From facts to a scorecard.

use time::OffsetDateTime;

use super::drops::next_drop;
use super::{
    Blocking, CategoryResult, Coverage, CriterionResult, ObligationResult, Scorecard, Standing, TopicResult,
};
use crate::facts::{Chain, Facts, Placement};
use crate::model::{Category, Index, Model};
use crate::rule::{Check, Judged, State, judge, topic_level};
use crate::words::{CriterionId, Subject, SubjectKind};

/// What each criterion was judged, by its place in the model; none: it is of a smaller scope.
pub(crate) type AllJudged = Vec<Option<Judged>>;

/// Judges all criteria that a subject answers for or stands on; of `only` these, if given, with what they require.
pub(crate) fn judge_all(
    model: &Model,
    facts: &Facts,
    chain: &Chain,
    kind: SubjectKind,
    now: OffsetDateTime,
    only: Option<&[usize]>,
) -> AllJudged {
    let wanted = only.map(|only| with_required(model, only));
    let mut judged: AllJudged = vec![None; model.criteria().len()];
    for &place in model.index().order() {
        let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted[place]);
        if is_wanted && model.criteria()[place].scope >= kind {
            let required = |other: usize| judged[other];
            judged[place] = Some(judge(model, facts, chain, place, now, required, None));
        }
    }
    judged
}

fn with_required(model: &Model, only: &[usize]) -> Vec<bool> {
    let mut wanted = vec![false; model.criteria().len()];
    let mut open = only.to_vec();
    while let Some(place) = open.pop() {
        if !std::mem::replace(&mut wanted[place], true) {
            open.extend(model.index().requires(place));
        }
    }
    wanted
}

/// Level and state of the core criteria of a topic that count.
pub(crate) fn core_of<'m>(
    model: &'m Model,
    topic: usize,
    state: impl Fn(usize) -> Option<State> + 'm,
    now: OffsetDateTime,
) -> impl Iterator<Item = (usize, u8, State)> + 'm {
    model.index().of_topic(topic).iter().filter_map(move |&place| {
        let criterion = &model.criteria()[place];
        let counts = criterion.is_core() && criterion.counts(now);
        counts
            .then(|| state(place).map(|state| (place, criterion.level, state)))
            .flatten()
    })
}

/// The level of each topic.
pub(crate) fn levels_of(model: &Model, judged: &AllJudged, now: OffsetDateTime) -> Vec<Option<u8>> {
    (0..model.topics().len())
        .map(|topic| {
            let core = core_of(model, topic, |place| judged[place].map(|one| one.state), now);
            topic_level(core.map(|(_, level, state)| (level, state)), model.top_level())
        })
        .collect()
}

/// How a level stands to a target.
pub(crate) fn standing_of(level: Option<u8>, target: Option<u8>) -> Standing {
    match (level, target) {
        (None, _) => Standing::NotRated,
        (_, None) => Standing::NoTarget,
        (Some(level), Some(target)) if level >= target => Standing::OnTarget,
        _ => Standing::Below,
    }
}

/// The scorecard of a subject at any moment, also one to come: what is known now is then taken for all that is known.
///
/// Only applications have levels; what larger subjects answer for is shown by criterion, and by distribution in
/// [`crate::organisation`].
pub fn evaluate(model: &Model, facts: &Facts, subject: &Subject, now: OffsetDateTime) -> Scorecard {
    let chain = Chain::of(facts, subject);
    let judged = judge_all(model, facts, &chain, subject.kind, now, None);
    let placement = facts
        .placement(&subject.name)
        .filter(|_| subject.kind == SubjectKind::App);
    let view = View {
        model,
        facts,
        chain: &chain,
        subject,
        judged: &judged,
        placement,
        now,
    };
    let topics: Vec<TopicResult> = (0..model.topics().len()).map(|topic| view.topic(topic)).collect();
    let categories = model
        .categories()
        .iter()
        .map(|category| view.category(category, &topics))
        .collect();
    Scorecard {
        subject: subject.clone(),
        as_of: now,
        rule_version: model.rule_version().clone(),
        team: placement.and_then(|placement| placement.team.clone()),
        tier: placement.and_then(|placement| placement.tier),
        categories,
        topics,
        obligations: view.obligations(),
    }
}

/// One criterion, with its chain of proof.
pub fn explain(
    model: &Model,
    facts: &Facts,
    subject: &Subject,
    criterion: &CriterionId,
    now: OffsetDateTime,
) -> Option<CriterionResult> {
    let place = model.index().place(criterion)?;
    let chain = Chain::of(facts, subject);
    let judged = judge_all(model, facts, &chain, subject.kind, now, Some(&[place]));
    let view = View {
        model,
        facts,
        chain: &chain,
        subject,
        judged: &judged,
        placement: None,
        now,
    };
    view.criterion(place)
}

struct View<'a> {
    model: &'a Model,
    facts: &'a Facts,
    chain: &'a Chain,
    subject: &'a Subject,
    judged: &'a AllJudged,
    placement: Option<&'a Placement>,
    now: OffsetDateTime,
}

impl View<'_> {
    fn state(&self, place: usize) -> Option<State> {
        self.judged[place].map(|judged| judged.state)
    }

    fn topic(&self, topic: usize) -> TopicResult {
        let (model, now) = (self.model, self.now);
        let is_app = self.subject.kind == SubjectKind::App;
        let core: Vec<_> =
            core_of(model, topic, |place| self.judged[place].map(|one| one.state), now).collect();
        let level = topic_level(
            core.iter().map(|(_, level, state)| (*level, *state)),
            model.top_level(),
        );
        let level = level.filter(|_| is_app);
        let id = &model.topics()[topic].id;
        let target = self.placement.and_then(|placement| placement.targets.of(id));
        let blocked = core
            .iter()
            .filter(|(_, _, state)| !state.holds())
            .map(|(_, level, _)| *level)
            .min();
        let reached = level.unwrap_or_default();
        let name = |place: usize| model.criteria()[place].id.clone();
        let ahead = core
            .iter()
            .filter(|(_, level, state)| *level > reached && *state == State::Met);
        let blocking = core
            .iter()
            .filter(|(_, level, state)| Some(*level) == blocked && !state.holds());
        let mut coverage = Coverage::default();
        for &place in model.index().of_topic(topic) {
            if let Some(state) = self.state(place).filter(|_| model.criteria()[place].counts(now)) {
                coverage.add(state);
            }
        }
        TopicResult {
            topic: id.clone(),
            name: model.topics()[topic].name.clone(),
            level,
            defined_to: core.iter().map(|(_, level, _)| *level).max().unwrap_or_default(),
            target,
            standing: standing_of(level, target),
            ahead: ahead.filter(|_| is_app).map(|(place, ..)| name(*place)).collect(),
            blocking: blocking
                .map(|&(place, level, state)| Blocking {
                    criterion: name(place),
                    level,
                    state,
                })
                .collect(),
            next_drop: level
                .and_then(|level| next_drop(model, self.facts, self.chain, topic, level, self.judged, now)),
            coverage,
            criteria: model
                .index()
                .of_topic(topic)
                .iter()
                .filter_map(|&place| self.criterion(place))
                .collect(),
        }
    }

    fn criterion(&self, place: usize) -> Option<CriterionResult> {
        self.judged[place]?;
        let criterion = &self.model.criteria()[place];
        let mut checks: Vec<Check> = Vec::new();
        let required = |other: usize| self.judged[other];
        let judged = judge(
            self.model,
            self.facts,
            self.chain,
            place,
            self.now,
            required,
            Some(&mut checks),
        );
        Some(CriterionResult {
            criterion: criterion.id.clone(),
            text: criterion.text.clone(),
            subject: self.chain.subject(criterion.scope).cloned(),
            level: criterion.level,
            weight: criterion.weight,
            kind: criterion.kind,
            state: judged.state,
            counts: criterion.counts(self.now),
            until: judged.until,
            checks,
            rule_version: self.model.rule_version().clone(),
        })
    }

    fn category(&self, category: &Category, topics: &[TopicResult]) -> CategoryResult {
        let places = Index::topics_of(self.model.parts(), &category.id);
        let mut levels: Vec<u8> = places.filter_map(|place| topics[place].level).collect();
        levels.sort_unstable();
        CategoryResult {
            category: category.id.clone(),
            name: category.name.clone(),
            lowest: levels.first().copied(),
            median: levels.get(levels.len().saturating_sub(1) / 2).copied(),
            rated: levels.len(),
        }
    }

    fn obligations(&self) -> Vec<ObligationResult> {
        let Some(placement) = self.placement else {
            return Vec::new();
        };
        let (tier, team) = (placement.tier, placement.team.as_ref());
        let live = self.model.obligations().iter().filter(|one| one.from <= self.now);
        let mine = live.filter(|one| one.scope.takes(&placement.app, tier, team));
        mine.flat_map(|one| one.criteria.iter().map(move |criterion| (one, criterion)))
            .filter_map(|(one, criterion)| {
                let state = self.state(self.model.index().place(criterion)?)?;
                Some(ObligationResult {
                    obligation: one.id.clone(),
                    criterion: criterion.clone(),
                    state,
                    kept: state.holds(),
                    reason: one.reason.clone(),
                })
            })
            .collect()
    }
}
