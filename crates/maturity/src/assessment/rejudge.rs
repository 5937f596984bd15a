//! Judging again what something touched, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assessment, Why, time_went_by};
use crate::facts::{Chain, Placement};
use crate::history::What;
use crate::model::Model;
use crate::rule::{Judged, State, judge, topic_level};
use crate::scorecard::core_of;
use crate::words::{CriterionId, Subject, SubjectKind, SubjectName};

impl Assessment {
    /// Judges some criteria of a subject again, and what requires them. With `counts_change` levels are looked at even if no
    /// state changed, for a criterion may have begun to count.
    pub(super) fn rejudge(&mut self, subject: &Subject, places: &[usize], counts_change: bool, why: &Why) {
        if !self.knows(subject) {
            return;
        }
        let model = Arc::clone(&self.model);
        let chain = Chain::of(&self.facts, subject);
        let mut moved: Vec<(Subject, usize)> = Vec::new();
        for &place in places {
            let changed = self.judge_one(&chain, subject, place, why);
            if !changed && !counts_change {
                continue;
            }
            moved.push((subject.clone(), place));
            for &other in model.index().dependents(place) {
                for one in self.standing_on(subject, model.criteria()[other].scope) {
                    let chain = Chain::of(&self.facts, &one);
                    if self.judge_one(&chain, &one, other, why) {
                        moved.push((one, other));
                    }
                }
            }
        }
        self.level(&moved, why);
    }

    /// Judges one criterion; answers whether its state changed.
    fn judge_one(&mut self, chain: &Chain, subject: &Subject, place: usize, why: &Why) -> bool {
        let required = |other: usize| self.judged_in(chain, other);
        let new = judge(&self.model, &self.facts, chain, place, self.now, required, None);
        let old = self.put(subject, place, Some(new));
        let from = old.map_or(State::Unknown, |old| old.state);
        if from == new.state {
            return false;
        }
        let what = What::State {
            subject: subject.clone(),
            criterion: self.model.criteria()[place].id.clone(),
            from,
            to: new.state,
        };
        self.record(what, why);
        true
    }

    /// Keeps what was judged and when that is to be looked at again.
    fn put(&mut self, subject: &Subject, place: usize, new: Option<Judged>) -> Option<Judged> {
        let slot = self.judged.get_mut(subject)?.get_mut(place)?;
        let old = std::mem::replace(slot, new);
        let (before, after) = (old.and_then(|old| old.until), new.and_then(|new| new.until));
        if before != after
            && let Some(at) = before
        {
            self.due.remove(&(at, subject.clone(), place));
        }
        if let Some(at) = after.filter(|at| *at > self.now) {
            self.due.insert((at, subject.clone(), place));
        }
        old
    }

    /// Subjects of a smaller or the same scope that stand on one.
    fn standing_on(&self, subject: &Subject, scope: SubjectKind) -> Vec<Subject> {
        if scope == subject.kind {
            return vec![subject.clone()];
        }
        let mut subjects: Vec<Subject> = match scope {
            SubjectKind::App => self.facts.apps_on(subject).map(Placement::subject).collect(),
            _ => self
                .judged
                .keys()
                .filter(|one| one.kind == scope)
                .cloned()
                .collect(),
        };
        subjects.retain(|one| self.knows(one) && Chain::of(&self.facts, one).all().any(|one| one == subject));
        subjects.sort_unstable();
        subjects
    }

    /// Levels of all applications that stand on what moved.
    fn level(&mut self, moved: &[(Subject, usize)], why: &Why) {
        let mut topics: BTreeMap<(SubjectName, usize), CriterionId> = BTreeMap::new();
        for (subject, place) in moved {
            let topic = self.model.index().topic_of(*place);
            let criterion = &self.model.criteria()[*place];
            if !criterion.is_core() {
                continue;
            }
            for placement in self.facts.apps_on(subject) {
                topics
                    .entry((placement.app.clone(), topic))
                    .or_insert_with(|| criterion.id.clone());
            }
        }
        for ((app, topic), because) in topics {
            let subject = Subject::app(app);
            let chain = Chain::of(&self.facts, &subject);
            self.level_one(&chain, &subject, topic, Some(because), why);
        }
    }

    fn level_one(
        &mut self,
        chain: &Chain,
        app: &Subject,
        topic: usize,
        because: Option<CriterionId>,
        why: &Why,
    ) {
        if !self.knows(app) {
            return;
        }
        let core = core_of(&self.model, topic, |place| self.state_in(chain, place), self.now);
        let to = topic_level(
            core.map(|(_, level, state)| (level, state)),
            self.model.top_level(),
        );
        let count = self.model.topics().len();
        let levels = self
            .levels
            .entry(app.name.clone())
            .or_insert_with(|| vec![Some(0); count]);
        let from = std::mem::replace(&mut levels[topic], to);
        if from != to {
            let topic = self.model.topics()[topic].id.clone();
            let subject = app.clone();
            self.record(
                What::Level {
                    subject,
                    topic,
                    from,
                    to,
                    because,
                },
                why,
            );
        }
    }

    /// Begins to judge a subject, unless it is judged already.
    pub(super) fn admit(&mut self, subject: &Subject, why: &Why) {
        if self.knows(subject) {
            return;
        }
        let model = Arc::clone(&self.model);
        self.judged
            .insert(subject.clone(), vec![None; model.criteria().len()]);
        let chain = Chain::of(&self.facts, subject);
        // The larger subjects that it stands on come first where something is required of them.
        for one in chain.all().filter(|one| one.kind > subject.kind) {
            self.admit(one, why);
        }
        for &place in model.index().order() {
            if model.criteria()[place].scope == subject.kind {
                self.judge_one(&chain, subject, place, why);
            }
        }
    }

    /// Judges an application again as it belongs now.
    pub(super) fn settle(&mut self, app: &Subject, why: &Why) {
        if !self.knows(app) {
            return;
        }
        let model = Arc::clone(&self.model);
        let chain = Chain::of(&self.facts, app);
        for &place in model.index().order() {
            let is_own = model.criteria()[place].scope == SubjectKind::App;
            if is_own && !model.index().requires(place).is_empty() {
                self.judge_one(&chain, app, place, why);
            }
        }
        for topic in 0..model.topics().len() {
            self.level_one(&chain, app, topic, None, why);
        }
    }

    /// Judges a subject no longer. Its history stays.
    pub(super) fn dismiss(&mut self, subject: &Subject, why: &Why) {
        let Some(judged) = self.judged.get(subject).cloned() else {
            return;
        };
        for (place, old) in judged.iter().enumerate() {
            let Some(old) = old else { continue };
            self.put(subject, place, None);
            if old.state != State::Unknown {
                let what = What::State {
                    subject: subject.clone(),
                    criterion: self.model.criteria()[place].id.clone(),
                    from: old.state,
                    to: State::Unknown,
                };
                self.record(what, why);
            }
        }
        self.judged.remove(subject);
        if subject.kind == SubjectKind::App {
            self.forget_levels(subject, why);
            return;
        }
        self.settle_all_on(subject, why);
    }

    /// Judges all applications again that name a subject.
    pub(super) fn settle_all_on(&mut self, subject: &Subject, why: &Why) {
        let apps: Vec<Subject> = self.facts.apps_on(subject).map(Placement::subject).collect();
        for app in &apps {
            self.settle(app, why);
        }
    }

    fn forget_levels(&mut self, app: &Subject, why: &Why) {
        let levels = self.levels.get_mut(&app.name).map(|levels| {
            let none = vec![None; levels.len()];
            std::mem::replace(levels, none)
        });
        for (topic, from) in levels
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, from)| from.is_some())
        {
            let what = What::Level {
                subject: app.clone(),
                topic: self.model.topics()[topic].id.clone(),
                from,
                to: None,
                because: None,
            };
            self.record(what, why);
        }
    }

    /// Lets another model judge.
    pub(super) fn replace(&mut self, model: &Arc<Model>, why: &Why) {
        let old = std::mem::replace(&mut self.model, Arc::clone(model));
        let judged = std::mem::take(&mut self.judged);
        let levels = std::mem::take(&mut self.levels);
        self.due.clear();
        let mut subjects: Vec<Subject> = judged.keys().cloned().collect();
        subjects.sort_unstable_by(|a, b| b.cmp(a));
        for subject in &subjects {
            let before = |id: &CriterionId| {
                let place = old.index().place(id)?;
                judged[subject][place]
            };
            let slots = model
                .criteria()
                .iter()
                .map(|criterion| before(&criterion.id))
                .collect();
            self.judged.insert(subject.clone(), slots);
            for retired in old
                .criteria()
                .iter()
                .filter(|one| model.index().place(&one.id).is_none())
            {
                let from = before(&retired.id).map_or(State::Unknown, |judged| judged.state);
                if from != State::Unknown {
                    let (subject, criterion) = (subject.clone(), retired.id.clone());
                    self.record(
                        What::State {
                            subject,
                            criterion,
                            from,
                            to: State::Unknown,
                        },
                        why,
                    );
                }
            }
        }
        for (app, levels) in levels {
            let places = model.topics().iter().map(|topic| old.index().topic(&topic.id));
            let levels = places.map(|place| place.map_or(Some(0), |place| levels[place]));
            self.levels.insert(app, levels.collect());
        }
        self.judge_everything(&subjects, why);
    }

    /// The larger subjects come first: others stand on them.
    pub(super) fn judge_everything(&mut self, subjects: &[Subject], why: &Why) {
        let model = Arc::clone(&self.model);
        for subject in subjects {
            let chain = Chain::of(&self.facts, subject);
            for &place in model.index().order() {
                if model.criteria()[place].scope == subject.kind {
                    self.judge_one(&chain, subject, place, why);
                }
            }
        }
        for app in subjects.iter().filter(|one| one.kind == SubjectKind::App) {
            let chain = Chain::of(&self.facts, app);
            for topic in 0..model.topics().len() {
                self.level_one(&chain, app, topic, None, why);
            }
        }
    }

    /// Takes over what the history says of every subject, and judges it as of now.
    pub(super) fn resume(&mut self) {
        let model = Arc::clone(&self.model);
        let mut subjects: Vec<Subject> = self.facts.subjects().into_iter().collect();
        subjects.sort_unstable_by(|a, b| b.cmp(a));
        for subject in &subjects {
            let snapshot = self.history.as_of(subject, self.now);
            let state = |id: &CriterionId| {
                snapshot
                    .states
                    .get(id)
                    .map(|&state| Judged { state, until: None })
            };
            let slots = model
                .criteria()
                .iter()
                .map(|criterion| state(&criterion.id))
                .collect();
            self.judged.insert(subject.clone(), slots);
            if subject.kind == SubjectKind::App {
                let topics = model
                    .topics()
                    .iter()
                    .map(|topic| snapshot.levels.get(&topic.id).copied());
                let levels = topics.map(|level| level.unwrap_or(Some(0))).collect();
                self.levels.insert(subject.name.clone(), levels);
            }
        }
        self.judge_everything(&subjects, &time_went_by());
    }

    /// What everything would be, judged anew: what is kept must be the same.
    #[cfg(test)]
    pub(super) fn check_against_whole(&self) {
        for subject in self.judged.keys() {
            let chain = Chain::of(&self.facts, subject);
            let whole =
                crate::scorecard::judge_all(&self.model, &self.facts, &chain, subject.kind, self.now, None);
            for (place, kept) in self.judged[subject].iter().enumerate() {
                if let Some(kept) = kept {
                    let id = &self.model.criteria()[place].id;
                    assert_eq!(
                        Some(kept.state),
                        whole[place].map(|one| one.state),
                        "{subject} {id}"
                    );
                }
            }
            if subject.kind == SubjectKind::App {
                let levels = crate::scorecard::levels_of(&self.model, &whole, self.now);
                assert_eq!(self.levels[&subject.name], levels, "{subject}");
            }
        }
    }
}
