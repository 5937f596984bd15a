//! Levels by topic and where applications stand on the road.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{OnTarget, Part, RoadPart, Row, Topic};
use super::merge::{columns, groups, may_be_shown, sum};
use super::{Application, Input, MAX_LEVEL};
use crate::kpi::Cohort;

/// No level, and the levels from 0 to [`MAX_LEVEL`].
const COLUMNS: usize = 7;

/// The topics that may be told, and how many may not.
pub(super) fn topics(input: &Input<'_>) -> (Vec<Topic>, u64) {
    let used: BTreeSet<&String> = input
        .applications
        .iter()
        .flat_map(|one| one.levels.keys())
        .collect();
    let (public, own): (Vec<&String>, Vec<&String>) = used
        .into_iter()
        .partition(|topic| input.public_topics.contains(*topic));
    let tiers = tiers(input);
    let topics = public
        .into_iter()
        .map(|topic| Topic {
            topic: topic.clone(),
            rows: rows(input.applications, topic, &tiers),
            on_target: on_target(input.applications, topic),
        })
        .collect();
    (topics, u64::try_from(own.len()).unwrap_or(u64::MAX))
}

/// Which tiers are told together, alike in all topics; one empty list for all of them.
fn tiers(input: &Input<'_>) -> Vec<Vec<u8>> {
    if !input.by_tier {
        return vec![Vec::new()];
    }
    let mut sizes: BTreeMap<u8, u64> = BTreeMap::new();
    for one in input.applications {
        *sizes.entry(tier(one)).or_default() += 1;
    }
    let (names, counts): (Vec<u8>, Vec<u64>) = sizes.into_iter().unzip();
    columns(&[counts])
        .into_iter()
        .map(|part| names.get(part).unwrap_or_default().to_vec())
        .collect()
}

fn tier(application: &Application) -> u8 {
    application.tier.unwrap_or(0)
}

fn rows(applications: &[Application], topic: &str, tiers: &[Vec<u8>]) -> Vec<Row> {
    let counts: Vec<Vec<u64>> = tiers
        .iter()
        .map(|tiers| counts(applications, topic, tiers))
        .collect();
    let parts = columns(&counts);
    let row = |(tiers, counts): (&Vec<u8>, &Vec<u64>)| Row {
        tiers: tiers.clone(),
        parts: parts
            .iter()
            .map(|part| Part {
                lowest: level(part.start),
                highest: level(part.end.saturating_sub(1)),
                applications: sum(counts, part),
            })
            .collect(),
    };
    tiers.iter().zip(&counts).map(row).collect()
}

/// How many of these tiers have no level, level 0 and so on.
fn counts(applications: &[Application], topic: &str, tiers: &[u8]) -> Vec<u64> {
    let mut counts = vec![0; COLUMNS];
    let asked = applications
        .iter()
        .filter(|one| tiers.is_empty() || tiers.contains(&tier(one)));
    for one in asked {
        let column = one
            .levels
            .get(topic)
            .map_or(0, |level| 1 + usize::from((*level).min(MAX_LEVEL)));
        if let Some(count) = counts.get_mut(column) {
            *count += 1;
        }
    }
    counts
}

fn level(column: usize) -> Option<u8> {
    u8::try_from(column.checked_sub(1)?).ok()
}

fn on_target(applications: &[Application], topic: &str) -> Option<OnTarget> {
    let (mut on, mut below, mut without) = (0, 0, 0);
    for one in applications {
        match one.on_target.get(topic) {
            Some(true) => on += 1,
            Some(false) => below += 1,
            None => without += 1,
        }
    }
    let all = [on, below, without].into_iter().all(may_be_shown);
    (all && on + below > 0).then_some(OnTarget { on, below })
}

/// Every cohort, those with too few together with others.
pub(super) fn road(applications: &[Application]) -> Vec<RoadPart> {
    let of_cohort = |cohort: Cohort| {
        let same = applications.iter().filter(|one| one.cohort == cohort);
        (vec![cohort], u64::try_from(same.count()).unwrap_or(u64::MAX))
    };
    let parts: Vec<(Vec<Cohort>, u64)> = Cohort::ALL.into_iter().map(of_cohort).collect();
    let merged = groups(
        parts,
        |(_, applications)| *applications,
        |into, (cohorts, applications)| {
            into.0.extend(cohorts);
            into.0.sort_unstable();
            into.1 += applications;
        },
    );
    let part = |(cohorts, applications)| RoadPart {
        cohorts,
        applications,
    };
    merged.into_iter().map(part).collect()
}
