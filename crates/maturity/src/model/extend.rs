//! A model with one extension.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Errors, Places, build, no_such_criterion};
use super::read::Extension;
use super::read_criterion::CriterionChange;
use super::{Amendment, Category, Criterion, Model, ModelErrors, Parts, Problem, Topic};
use crate::signal::{FactInfo, read_signal};
use crate::words::{CriterionId, RuleVersion, Slug, one_line};
use crate::yaml::Faults;

/// Adds, retires, changes and maps, in this order of the checks: an extension may change only what it was given.
pub(super) fn extend(model: &Model, extension: Extension, mut places: Places) -> Result<Model, ModelErrors> {
    if extension.extends != *model.id() {
        let problem = Problem::OfAnother {
            wanted: extension.extends.to_string(),
            given: model.id().to_string(),
        };
        return Err(places.error(extension.line, problem));
    }
    let mut parts = model.parts.clone();
    note_lines(&mut places, &extension);
    let mut errors = Errors::of(&places);
    let ids: BTreeSet<CriterionId> = parts.criteria.iter().map(|one| one.id.clone()).collect();
    let ids: BTreeSet<&CriterionId> = ids.iter().collect();
    parts.facts.extend(extension.facts.clone());
    for change in &extension.change {
        amend(&mut parts, &extension.id, change, &ids, &mut errors);
    }
    for (line, id, controls) in &extension.controls {
        match parts.criteria.iter_mut().find(|one| one.id == *id) {
            Some(criterion) => criterion.controls.extend(controls.iter().cloned()),
            None => errors.add(*line, no_such_criterion(id, &ids)),
        }
    }
    for (line, id, reason) in &extension.retire {
        if !ids.contains(id) {
            errors.add(*line, no_such_criterion(id, &ids));
        }
        parts.criteria.retain(|one| one.id != *id);
        // What another criterion required is no longer asked of it.
        for criterion in &mut parts.criteria {
            criterion.requires.retain(|required| required != id);
        }
        parts
            .amendments
            .push(amendment(&extension.id, id, "retired", reason));
    }
    if !errors.is_empty() {
        return Err(errors.into_errors());
    }
    parts.criteria.extend(extension.add);
    merge(
        &mut parts.categories,
        &mut parts.topics,
        extension.categories,
        extension.topics,
    );
    parts.obligations.extend(extension.obligations);
    let version = one_line(&extension.version, 40);
    parts.rule_version = RuleVersion(format!("{}+{}@{version}", parts.rule_version, extension.id).into());
    parts.id = extension.id;
    build(parts, &places)
}

fn note_lines(places: &mut Places, extension: &Extension) {
    for change in &extension.change {
        places.lines.insert(change.id.clone(), change.line);
    }
    for (line, id, _) in &extension.controls {
        places.lines.entry(id.clone()).or_insert(*line);
    }
}

fn amendment(by: &Slug, criterion: &CriterionId, what: &str, reason: &str) -> Amendment {
    Amendment {
        by: by.clone(),
        criterion: criterion.clone(),
        what: what.to_owned(),
        reason: reason.to_owned(),
    }
}

fn amend(
    parts: &mut Parts,
    by: &Slug,
    change: &CriterionChange,
    ids: &BTreeSet<&CriterionId>,
    errors: &mut Errors<'_>,
) {
    let facts = parts.facts.clone();
    let Some(criterion) = parts.criteria.iter_mut().find(|one| one.id == change.id) else {
        errors.add(change.line, no_such_criterion(&change.id, ids));
        return;
    };
    apply(criterion, change, &facts, errors);
    parts
        .amendments
        .push(amendment(by, &change.id, &change.what, &change.reason));
}

fn apply(
    criterion: &mut Criterion,
    change: &CriterionChange,
    facts: &BTreeMap<Slug, FactInfo>,
    errors: &mut Errors<'_>,
) {
    if let Some(level) = change.level {
        criterion.level = level;
    }
    if let Some(text) = &change.text {
        criterion.text.clone_from(text);
    }
    if let Some(weight) = change.weight {
        criterion.weight = weight;
    }
    if let Some(attester) = &change.attester {
        criterion.attester = Some(attester.clone());
    }
    if change.enable_from.is_some() {
        criterion.enable_from = change.enable_from;
    }
    if let Some(remedy) = &change.remedy {
        criterion.remedy = Some(remedy.clone());
    }
    if let Some(signal) = &change.signal {
        let mut faults = Faults::default();
        criterion.signal = read_signal(signal.clone(), criterion.scope, facts, &mut faults);
        for fault in faults.0 {
            errors.add(fault.line, Problem::Written(fault.reason));
        }
    }
}

/// A category that is there already takes the further topics.
fn merge(
    categories: &mut Vec<Category>,
    topics: &mut Vec<Topic>,
    more: Vec<Category>,
    more_topics: Vec<Topic>,
) {
    for category in more {
        if !categories.iter().any(|known| known.id == category.id) {
            categories.push(category);
        }
    }
    topics.extend(more_topics);
}
