//! What has to be done to make applications and bases what they should be.

use std::collections::{HashMap, HashSet};

use super::{Present, becoming};
use crate::declared::{Declared, Step};
use crate::{AdminError, application, base};

/// Removals first. What would be afterwards must go together.
pub(super) fn steps(declared: &Declared, present: &Present, prune: bool) -> Result<Vec<Step>, AdminError> {
    let mut steps = Vec::new();
    applications(declared, present, prune, &mut steps)?;
    bases(declared, present, prune, &mut steps)?;
    Ok(steps)
}

fn applications(
    declared: &Declared,
    present: &Present,
    prune: bool,
    steps: &mut Vec<Step>,
) -> Result<(), AdminError> {
    let mut named = HashSet::new();
    for entry in &declared.applications {
        if !named.insert(&entry.application) {
            return Err(twice("application", entry.application.as_str()));
        }
    }
    let known: HashMap<_, _> = present
        .applications
        .iter()
        .map(|is| (&is.application, is))
        .collect();
    let others = present
        .applications
        .iter()
        .filter(|is| !named.contains(&is.application));
    let before = steps.len();
    if prune {
        steps.extend(
            others
                .clone()
                .cloned()
                .map(|is| Step::RemoveApplication(Box::new(is))),
        );
    }
    let set = declared.applications.iter();
    steps.extend(set.filter_map(|entry| {
        let is = known.get(&entry.application).copied();
        becoming(entry, is).map(|entry| Step::SetApplication(Box::new(entry)))
    }));
    if steps.len() == before {
        return Ok(());
    }
    let left = others.filter(|_| !prune).cloned();
    application::check_together(left.chain(declared.applications.iter().cloned()).collect())
}

fn bases(
    declared: &Declared,
    present: &Present,
    prune: bool,
    steps: &mut Vec<Step>,
) -> Result<(), AdminError> {
    let mut named = HashSet::new();
    for entry in &declared.bases {
        base::check(entry)?;
        if !named.insert(&entry.name) {
            return Err(twice("base", entry.name.as_str()));
        }
    }
    let known: HashMap<_, _> = present.bases.iter().map(|is| (&is.name, is)).collect();
    let others = present.bases.iter().filter(|is| !named.contains(&is.name));
    let before = steps.len();
    if prune {
        steps.extend(others.clone().cloned().map(|is| Step::RemoveBase(Box::new(is))));
    }
    let set = declared.bases.iter();
    steps.extend(set.filter_map(|entry| {
        let is = known.get(&entry.name).copied();
        becoming(entry, is).map(|entry| Step::SetBase(Box::new(entry)))
    }));
    if steps.len() == before {
        return Ok(());
    }
    let left = others.filter(|_| !prune).cloned();
    base::check_together(left.chain(declared.bases.iter().cloned()).collect())
}

fn twice(kind: &str, name: &str) -> AdminError {
    AdminError::Invalid {
        reason: format!("the {kind} {name} is declared twice"),
    }
}
