//! Where a ratio of sums may really lie (B. Efron: "Bootstrap Methods: Another Look at the Jackknife", 1979).
//!
//! Applications are drawn with replacement, each with its counts of both windows, so that what differs between them and what they
//! have in common stays. The interval is that of the percentiles. It is the same for the same counts: the generator starts from a
//! fixed number.

use serde::{Deserialize, Serialize};

use crate::kpi::numbers;

/// How often applications are drawn.
pub const RESAMPLES: u32 = 2_000;

/// What the generator starts from.
pub const SEED: u64 = 0x0c5d_11e7_0f57_0a7e;

/// How much of what could be is in the interval, in percent.
pub const INTERVAL_PERCENT: u32 = 95;

/// With fewer applications than this, drawing among them says nothing.
pub const MIN_APPS_FOR_INTERVAL: u64 = 10;

/// Between these it lies in [`INTERVAL_PERCENT`] of cases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end; `None` where too many draws had an empty baseline to say one.
    pub high: Option<f64>,
    /// How many draws there were.
    pub resamples: u32,
}

/// The interval of `Σ now / Σ then` over applications with `(then, now)`.
pub fn interval(apps: &[(u64, u64)]) -> Option<Interval> {
    interval_from(apps, RESAMPLES, SEED)
}

/// The same with other draws, for simulations.
pub(super) fn interval_from(apps: &[(u64, u64)], resamples: u32, seed: u64) -> Option<Interval> {
    if numbers::count(apps) < MIN_APPS_FOR_INTERVAL {
        return None;
    }
    let mut random = SplitMix(seed);
    let mut ratios: Vec<f64> = (0..resamples).map(|_| ratio(&draw(apps, &mut random))).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    // 2.5 % of the draws lie outside on each side.
    let outside = usize::try_from(resamples / 40).ok()?;
    let low = *ratios.get(outside)?;
    let high = *ratios.get(ratios.len().checked_sub(outside + 1)?)?;
    low.is_finite().then_some(Interval {
        low,
        high: Some(high).filter(|high| high.is_finite()),
        resamples,
    })
}

fn draw(apps: &[(u64, u64)], random: &mut SplitMix) -> (u64, u64) {
    let mut sums = (0, 0);
    for _ in 0..apps.len() {
        if let Some((then, now)) = apps.get(random.below(apps.len())) {
            sums = (sums.0 + then, sums.1 + now);
        }
    }
    sums
}

/// Endless where the baseline is empty: such a draw lies above all others.
fn ratio((then, now): &(u64, u64)) -> f64 {
    numbers::share(*now, *then).unwrap_or(f64::INFINITY)
}

/// `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood: "Fast Splittable Pseudorandom Number Generators", 2014): small, and its whole
/// state is its seed.
#[derive(Debug, Clone)]
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, each nearly as likely as any other: the difference is one part in 2⁶⁴ for each.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u128::try_from(end).unwrap_or(u128::MAX);
        usize::try_from((u128::from(self.number()) * end) >> 64).unwrap_or(0)
    }
}
