//! Counts as numbers, and what is in the middle of them.

use serde::{Deserialize, Serialize};
use time::Duration;

/// A count as a number. Counts above four thousand million are cut: nothing here has so many.
pub(crate) fn exact(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How many there are.
pub(crate) fn count<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// `part` of `whole`; none of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| exact(part) / exact(whole))
}

/// From an earlier moment to a later one in seconds; `None` if it is not later, which only clocks that disagree bring about.
pub(crate) fn seconds(duration: Duration) -> Option<u64> {
    u64::try_from(duration.whole_seconds())
        .ok()
        .filter(|_| !duration.is_negative())
}

/// The usual median of counts: between the two in the middle where their number is even.
pub(crate) fn median_count(counts: &[u64]) -> Option<f64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(exact(lower), exact(upper)))
}

/// How durations are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many there are.
    pub n: u64,
    /// The shortest time within which half of them lie, in seconds.
    pub median_seconds: u64,
    /// The same for nine in ten.
    pub p90_seconds: u64,
}

/// Median and ninetieth percentile by nearest rank, so that each is a duration that really occurred; `None` of nothing.
pub fn spread(seconds: impl IntoIterator<Item = u64>) -> Option<Spread> {
    let mut sorted: Vec<u64> = seconds.into_iter().collect();
    sorted.sort_unstable();
    Some(Spread {
        n: count(&sorted),
        median_seconds: nearest_rank(&sorted, 5)?,
        p90_seconds: nearest_rank(&sorted, 9)?,
    })
}

/// The value that so many tenths of a sorted list have reached.
fn nearest_rank(sorted: &[u64], tenths: usize) -> Option<u64> {
    let rank = (sorted.len() * tenths).div_ceil(10);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The ninth digit of products and sums of fractions is rounding.
pub(crate) const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_counts() {
        assert_eq!(median_count(&[]), None);
        assert_eq!(median_count(&[3]), Some(3.0));
        assert_eq!(median_count(&[4, 1]), Some(2.5));
        assert_eq!(median_count(&[9, 1, 4]), Some(4.0));
    }

    #[test]
    fn the_spread_of_durations() {
        assert_eq!(spread([]), None);
        let spread = spread([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).unwrap();
        assert_eq!((spread.n, spread.median_seconds, spread.p90_seconds), (10, 5, 9));
    }

    #[test]
    fn time_does_not_run_backwards() {
        assert_eq!(seconds(Duration::seconds(5)), Some(5));
        assert_eq!(seconds(Duration::ZERO), Some(0));
        assert_eq!(seconds(Duration::milliseconds(-1)), None);
    }

    #[test]
    fn nothing_has_no_share() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(1, 4), Some(0.25));
    }
}
