//! Where sources disagree about one vulnerability of one package.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Denied;
use crate::{
    Severity,
    advisory::{
        matcher::{Fix, Match},
        rating::Rating,
    },
};

/// A disagreement. Nobody is right by default; the finding says what follows from each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflict {
    /// Whether it is affected at all.
    Affected {
        /// Advisories that say so.
        by: Vec<Arc<str>>,
        /// Advisories that speak of the package but do not say so.
        not_by: Vec<Arc<str>>,
    },
    /// Which version fixes it, by advisory.
    Fix(Vec<(Arc<str>, Fix)>),
    /// How bad it is, by advisory.
    Severity(Vec<(Arc<str>, Severity)>),
}

/// Uncertain sources take part in none: they do not say anything.
pub(super) fn conflicts(sources: &[Match], denied_by: &[Denied]) -> Vec<Conflict> {
    let affecting: Vec<&Match> = sources
        .iter()
        .filter(|source| source.uncertain.is_none())
        .collect();
    let mut conflicts = Vec::new();
    if !affecting.is_empty() && !denied_by.is_empty() {
        conflicts.push(Conflict::Affected {
            by: affecting.iter().map(|source| source.advisory.clone()).collect(),
            not_by: denied_by.iter().map(|denied| denied.advisory.clone()).collect(),
        });
    }
    let fixes = affecting
        .iter()
        .map(|source| (source.advisory.clone(), source.fix.clone()));
    let fixes: Vec<(Arc<str>, Fix)> = fixes.collect();
    if fixes
        .windows(2)
        .any(|pair| pair[0].1.version() != pair[1].1.version())
    {
        conflicts.push(Conflict::Fix(fixes));
    }
    let rated = affecting.iter().filter_map(|source| {
        Some((
            source.advisory.clone(),
            Rating::leading(&source.ratings)?.severity,
        ))
    });
    let rated: Vec<(Arc<str>, Severity)> = rated.collect();
    if rated
        .iter()
        .map(|(_, severity)| severity)
        .collect::<BTreeSet<_>>()
        .len()
        > 1
    {
        conflicts.push(Conflict::Severity(rated));
    }
    conflicts
}
