//! That the parts of a model fit together.

use std::collections::{BTreeMap, BTreeSet};

use super::error::MAX_ERRORS;
use super::{
    Criterion, Index, MAX_CRITERIA, MAX_LEVEL, MAX_LINKS, MAX_OBLIGATIONS, MAX_TOPICS, Model, ModelError,
    ModelErrors, Parts, Problem, ProofKind,
};
use crate::words::{CriterionId, did_you_mean, one_line};

/// Where criteria were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) file: String,
    pub(crate) lines: BTreeMap<CriterionId, u64>,
}

impl Places {
    pub(crate) fn line(&self, id: &CriterionId) -> u64 {
        self.lines.get(id).copied().unwrap_or(1)
    }

    pub(crate) fn error(&self, line: u64, problem: Problem) -> ModelErrors {
        let mut errors = Errors::of(self);
        errors.add(line, problem);
        errors.into_errors()
    }
}

/// Collects what is wrong.
pub(crate) struct Errors<'p> {
    places: &'p Places,
    found: Vec<(u64, Problem)>,
}

impl<'p> Errors<'p> {
    pub(crate) fn of(places: &'p Places) -> Self {
        Self {
            places,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, line: u64, problem: Problem) {
        self.found.push((line, problem));
    }

    fn at(&mut self, criterion: &CriterionId, problem: Problem) {
        self.found.push((self.places.line(criterion), problem));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_errors(mut self) -> ModelErrors {
        self.found.sort_by_key(|(line, _)| *line);
        let more = self.found.len().saturating_sub(MAX_ERRORS);
        let first = self.found.into_iter().take(MAX_ERRORS);
        let file = one_line(&self.places.file, 200);
        let errors = first.map(|(line, problem)| ModelError {
            file: file.clone(),
            line,
            problem,
        });
        ModelErrors {
            errors: errors.collect(),
            more,
        }
    }
}

/// Checks the parts and makes the index.
pub(crate) fn build(parts: Parts, places: &Places) -> Result<Model, ModelErrors> {
    let mut errors = Errors::of(places);
    check_sizes(&parts, &mut errors);
    check_levels(&parts, &mut errors);
    check_ids(&parts, &mut errors);
    let ids: BTreeSet<&CriterionId> = parts.criteria.iter().map(|criterion| &criterion.id).collect();
    for criterion in &parts.criteria {
        check_criterion(criterion, &parts, &mut errors);
        check_requires(criterion, &parts, &ids, &mut errors);
    }
    check_obligations(&parts, &ids, &mut errors);
    if !errors.is_empty() {
        return Err(errors.into_errors());
    }
    match Index::of(&parts) {
        Ok(index) => Ok(Model { parts, index }),
        Err((of, circle)) => {
            let through = circle
                .iter()
                .map(CriterionId::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            let line = places.line(&of);
            let of = of.to_string();
            let verb = "requires";
            Err(places.error(line, Problem::Cycle { of, verb, through }))
        }
    }
}

fn check_sizes(parts: &Parts, errors: &mut Errors<'_>) {
    if parts.criteria.len() > MAX_CRITERIA {
        errors.add(1, Problem::Criteria(parts.criteria.len()));
    }
    if parts.topics.len() > MAX_TOPICS {
        errors.add(1, Problem::Topics(parts.topics.len()));
    }
    if parts.obligations.len() > MAX_OBLIGATIONS {
        errors.add(1, Problem::Obligations(parts.obligations.len()));
    }
}

fn check_levels(parts: &Parts, errors: &mut Errors<'_>) {
    for (place, level) in parts.levels.iter().enumerate() {
        if usize::from(level.level) != place + 1 || level.level > MAX_LEVEL {
            errors.add(1, Problem::LevelOrder(place + 1));
        }
    }
    if parts.levels.is_empty() {
        errors.add(1, Problem::LevelOrder(1));
    }
}

fn check_ids(parts: &Parts, errors: &mut Errors<'_>) {
    let mut seen = BTreeSet::new();
    for criterion in &parts.criteria {
        if !seen.insert(&criterion.id) {
            let id = criterion.id.to_string();
            errors.at(
                &criterion.id,
                Problem::Twice {
                    what: "criterion",
                    id,
                },
            );
        }
    }
    let categories = parts
        .categories
        .iter()
        .map(|category| ("category", category.id.to_string()));
    let topics = parts.topics.iter().map(|topic| ("topic", topic.id.to_string()));
    let obligations = parts
        .obligations
        .iter()
        .map(|one| ("obligation", one.id.to_string()));
    let mut seen = BTreeSet::new();
    for (what, id) in categories.chain(topics).chain(obligations) {
        if !seen.insert((what, id.clone())) {
            errors.add(1, Problem::Twice { what, id });
        }
    }
}

fn check_criterion(criterion: &Criterion, parts: &Parts, errors: &mut Errors<'_>) {
    let of = || criterion.id.to_string();
    let top = u8::try_from(parts.levels.len()).unwrap_or(MAX_LEVEL);
    if criterion.level == 0 || criterion.level > top {
        let level = criterion.level;
        errors.at(&criterion.id, Problem::Level { of: of(), level, top });
    }
    if !parts.topics.iter().any(|topic| topic.id == criterion.topic) {
        let id = criterion.topic.to_string();
        let names: Vec<String> = parts.topics.iter().map(|topic| topic.id.to_string()).collect();
        let hint = did_you_mean(&id, names.iter().map(String::as_str));
        errors.at(
            &criterion.id,
            Problem::NoSuch {
                what: "topic",
                id,
                hint,
            },
        );
    }
    let (has_signal, has_attester) = (!criterion.signal.is_empty(), criterion.attester.is_some());
    let is_alone = criterion.kind == ProofKind::Attestation;
    if criterion.kind != ProofKind::Auto && !has_attester {
        errors.at(&criterion.id, Problem::NoAttester(of()));
    }
    if criterion.kind == ProofKind::Auto && has_attester {
        errors.at(&criterion.id, Problem::NeedlessAttester(of()));
    }
    if !is_alone && !has_signal {
        errors.at(&criterion.id, Problem::NoSignal(of()));
    }
    if is_alone && has_signal {
        errors.at(&criterion.id, Problem::NeedlessSignal(of()));
    }
    for (key, count) in [
        ("requires", criterion.requires.len()),
        ("controls", criterion.controls.len()),
    ] {
        if count > MAX_LINKS {
            errors.at(&criterion.id, Problem::Links { of: of(), key, count });
        }
    }
}

fn check_requires(
    criterion: &Criterion,
    parts: &Parts,
    ids: &BTreeSet<&CriterionId>,
    errors: &mut Errors<'_>,
) {
    for required in &criterion.requires {
        if !ids.contains(required) {
            errors.at(&criterion.id, no_such_criterion(required, ids));
            continue;
        }
        let found = parts.criteria.iter().find(|one| one.id == *required);
        if found.is_some_and(|found| found.scope < criterion.scope) {
            let problem = Problem::Narrower {
                of: criterion.id.to_string(),
                required: required.to_string(),
            };
            errors.at(&criterion.id, problem);
        }
    }
}

fn check_obligations(parts: &Parts, ids: &BTreeSet<&CriterionId>, errors: &mut Errors<'_>) {
    for obligation in &parts.obligations {
        if obligation.criteria.is_empty() {
            errors.add(1, Problem::EmptyObligation(obligation.id.to_string()));
        }
        for criterion in obligation.criteria.iter().filter(|id| !ids.contains(id)) {
            errors.add(1, no_such_criterion(criterion, ids));
        }
    }
}

pub(crate) fn no_such_criterion<'i>(
    id: &CriterionId,
    ids: impl IntoIterator<Item = &'i &'i CriterionId>,
) -> Problem {
    Problem::NoSuch {
        what: "criterion",
        id: id.to_string(),
        hint: did_you_mean(id.as_str(), ids.into_iter().map(|known| known.as_str())),
    }
}
