//! Medians of rounds and percentiles of latencies. All values are kept: nothing is rounded into buckets.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// One figure, taken once per round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds a round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle one, or the mean of the two in the middle; NaN if there are none.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        f64::midpoint(sorted[last / 2], sorted[last.div_ceil(2)])
    }

    /// The largest, or NaN.
    pub(crate) fn maximum(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Cut into consecutive parts of equal length.
    pub(crate) fn parts(&self, count: usize) -> Vec<Self> {
        self.0
            .chunks(self.0.len().div_ceil(count).max(1))
            .map(|chunk| Self(chunk.to_vec()))
            .collect()
    }

    /// The values in a row, for a note.
    pub(crate) fn all(&self, digits: usize) -> String {
        self.0
            .iter()
            .map(|value| format!("{value:.digits$}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// Half are faster.
    pub(crate) p50: f64,
    /// One in a hundred is slower.
    pub(crate) p99: f64,
    /// One in a thousand is slower.
    pub(crate) p999: f64,
    /// The slowest.
    pub(crate) max: f64,
}

impl Percentiles {
    /// Of any number of durations, in any order.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |per_thousand: usize| {
            let rank = (durations.len() * per_thousand).div_ceil(1000).saturating_sub(1);
            durations
                .get(rank)
                .map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
        };
        Self {
            p50: at(500),
            p99: at(990),
            p999: at(999),
            max: at(1000),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.1} ms",
            self.p50, self.p99, self.p999, self.max
        )
    }
}
