//! What has to be done to make applications and bases what they should be.

use std::collections::{HashMap, HashSet};

use road::application::{Source, Statement};
use road::base::Bases;
use road::paving::RoadEntry;

use super::{Present, becoming};
use crate::declared::{Declared, Step};
use crate::{AdminError, application, base, paving};

/// Removals first. What would be afterwards must go together.
pub(super) fn steps(declared: &Declared, present: &Present, prune: bool) -> Result<Vec<Step>, AdminError> {
    let mut steps = Vec::new();
    applications(declared, present, prune, &mut steps)?;
    steps.extend(road_steps(declared, present, prune)?);
    Ok(steps)
}

/// The same for bases and what else is on the road.
pub(in crate::declared) fn road_steps(
    declared: &Declared,
    present: &Present,
    prune: bool,
) -> Result<Vec<Step>, AdminError> {
    let mut steps = Vec::new();
    let bases = bases(declared, present, prune, &mut steps)?;
    paving(declared, present, prune, &bases, &mut steps)?;
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
    let declared_ones = present
        .applications
        .iter()
        .filter(|is| is.source == Source::Declared);
    let known: HashMap<_, _> = declared_ones.clone().map(|is| (&is.application, is)).collect();
    let others = declared_ones.filter(|is| !named.contains(&is.application));
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

/// Answers what there would be.
fn bases(
    declared: &Declared,
    present: &Present,
    prune: bool,
    steps: &mut Vec<Step>,
) -> Result<Bases, AdminError> {
    let mut named = HashSet::new();
    for entry in &declared.bases {
        base::check(entry)?;
        if !named.insert(&entry.name) {
            return Err(twice("base", entry.name.as_str()));
        }
    }
    let known: HashMap<_, _> = present.bases.iter().map(|is| (&is.name, is)).collect();
    let others = present.bases.iter().filter(|is| !named.contains(&is.name));
    if prune {
        steps.extend(others.clone().cloned().map(|is| Step::RemoveBase(Box::new(is))));
    }
    let set = declared.bases.iter();
    steps.extend(set.filter_map(|entry| {
        let is = known.get(&entry.name).copied();
        becoming(entry, is).map(|entry| Step::SetBase(Box::new(entry)))
    }));
    let left = others.filter(|_| !prune).cloned();
    base::build(left.chain(declared.bases.iter().cloned()).collect())
}

fn paving(
    declared: &Declared,
    present: &Present,
    prune: bool,
    bases: &Bases,
    steps: &mut Vec<Step>,
) -> Result<(), AdminError> {
    let key = |entry: &RoadEntry| (entry.kind(), entry.name());
    let mut named = HashSet::new();
    for entry in &declared.road {
        if !named.insert(key(entry)) {
            return Err(twice(entry.kind().as_str(), &entry.name()));
        }
    }
    let known: HashMap<_, _> = present.road.iter().map(|is| (key(&is.entry), is)).collect();
    let there = present.road.iter().filter(|is| is.removed_at.is_none());
    let others = there.map(|is| &is.entry).filter(|is| !named.contains(&key(is)));
    if prune {
        steps.extend(others.clone().cloned().map(|is| Step::RemoveRoad(Box::new(is))));
    }
    for entry in &declared.road {
        let stored = known.get(&key(entry)).copied();
        paving::renewals(entry, stored)?;
        let is = stored.filter(|is| is.removed_at.is_none()).map(|is| &is.entry);
        let entry = &paving::kept(entry, stored);
        if let Some(becoming) = becoming(entry, is) {
            has_owner(entry, declared, present)?;
            steps.push(Step::SetRoad(Box::new(becoming)));
        }
    }
    let left = others.filter(|_| !prune).cloned();
    paving::check_together(bases, left.chain(declared.road.iter().cloned()).collect())
}

/// What names no owner belongs to whoever the application belongs to.
fn has_owner(entry: &RoadEntry, declared: &Declared, present: &Present) -> Result<(), AdminError> {
    let RoadEntry::AppRoad(road) = entry else {
        return Ok(());
    };
    let mut known = declared.applications.iter().chain(&present.applications);
    let is_owned = |of: &Statement| of.application == road.application && of.owner.is_some();
    if road.owner.is_some() || known.any(is_owned) {
        return Ok(());
    }
    Err(AdminError::Invalid {
        reason: format!(
            "the road of application {} has no owner: name `metadata.owner`, or declare whose the application is",
            road.application
        ),
    })
}

fn twice(kind: &str, name: &str) -> AdminError {
    AdminError::Invalid {
        reason: format!("the {kind} {name} is declared twice"),
    }
}
