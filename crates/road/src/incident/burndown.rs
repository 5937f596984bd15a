//! How many were open, by cohort, over time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Incident;
use crate::cohort::Cohort;

/// Most points of a curve; of more, every so many-th is kept, and the last.
pub const MAX_POINTS: usize = 200;

/// How many lines were affected from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// By the order of [`Cohort::ALL`].
    pub affected: [u64; 5],
}

impl Incident {
    /// The burn-down: one point per change, at most [`MAX_POINTS`]. Mitigated and waived lines count: they are affected.
    pub fn burn_down(&self) -> Vec<Point> {
        let mut changes: BTreeMap<OffsetDateTime, [i64; 5]> = BTreeMap::new();
        for line in self.lines() {
            let place = place(line.cohort);
            for (start, end) in line.spans() {
                changes.entry(start).or_default()[place] += 1;
                if let Some(end) = end {
                    changes.entry(end).or_default()[place] -= 1;
                }
            }
        }
        let mut now = [0_i64; 5];
        let points: Vec<Point> = changes
            .into_iter()
            .map(|(at, change)| {
                for (count, change) in now.iter_mut().zip(change) {
                    *count += change;
                }
                let affected = now.map(|count| u64::try_from(count).unwrap_or(0));
                Point { at, affected }
            })
            .collect();
        thin(points)
    }
}

fn place(cohort: Cohort) -> usize {
    Cohort::ALL.iter().position(|other| *other == cohort).unwrap_or(0)
}

fn thin(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= MAX_POINTS {
        return points;
    }
    let step = points.len().div_ceil(MAX_POINTS - 1);
    let last = points.len() - 1;
    let kept = points.into_iter().enumerate();
    kept.filter(|(place, _)| place % step == 0 || *place == last)
        .map(|(_, point)| point)
        .collect()
}
