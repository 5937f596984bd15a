//! How long it takes, when not all are done (E. L. Kaplan, P. Meier: "Nonparametric Estimation from Incomplete Observations",
//! 1958). What is open is not left out, which would flatter, but counts as "longer than this".

use serde::{Deserialize, Serialize};

/// One observation, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// How long.
    pub seconds: u64,
    /// Whether it ended then; otherwise it lasted longer, nobody knows how much.
    pub is_over: bool,
}

/// What can be said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// After how many seconds half are done; `None` while that is not known.
    pub median_seconds: Option<u64>,
    /// After how many seconds nine in ten are.
    pub p90_seconds: Option<u64>,
}

/// The product-limit estimate. At equal times what ended counts before what only lasted so long.
pub fn estimate(mut samples: Vec<Sample>) -> Estimate {
    /// Products of fractions that are a half on paper are nearly one in floating point.
    const ROUNDING: f64 = 1e-9;
    samples.sort_unstable_by_key(|sample| (sample.seconds, !sample.is_over));
    let mut at_risk = samples.len();
    let mut surviving = 1.0_f64;
    let mut found = Estimate::default();
    for same in samples.chunk_by(|left, right| left.seconds == right.seconds) {
        let over = same.iter().filter(|sample| sample.is_over).count();
        surviving *= 1.0 - ratio(over, at_risk);
        at_risk -= same.len();
        if over == 0 {
            continue;
        }
        let seconds = Some(same[0].seconds);
        if surviving <= 0.5 + ROUNDING {
            found.median_seconds = found.median_seconds.or(seconds);
        }
        if surviving <= 0.1 + ROUNDING {
            found.p90_seconds = found.p90_seconds.or(seconds);
        }
    }
    found
}

/// `part` of `whole`; none of nothing.
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        exact(part) / exact(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(list: &[(u64, bool)]) -> Vec<Sample> {
        list.iter()
            .map(|&(seconds, is_over)| Sample { seconds, is_over })
            .collect()
    }

    #[test]
    fn known_cases() {
        for (list, median, p90) in [
            (&[][..], None, None),
            (&[(5, false)], None, None),
            (&[(5, true)], Some(5), Some(5)),
            (&[(1, true), (2, true), (3, true), (4, true)], Some(2), Some(4)),
            (&[(1, true), (2, false), (3, false), (4, false)], None, None),
            // 3/4, then 2 of 2 left: 3/8.
            (&[(1, true), (2, false), (3, true), (4, false)], Some(3), None),
            (&[(1, true), (1, false), (1, true), (1, true)], Some(1), None),
            (
                &[
                    (1, true),
                    (2, true),
                    (3, true),
                    (4, true),
                    (5, true),
                    (6, true),
                    (7, true),
                    (8, true),
                    (9, true),
                    (10, false),
                ],
                Some(5),
                Some(9),
            ),
        ] {
            let found = estimate(samples(list));
            assert_eq!(
                (found.median_seconds, found.p90_seconds),
                (median, p90),
                "{list:?}"
            );
        }
    }

    /// The remission times of leukaemia patients under 6-MP (Freireich and others, 1963), of which every textbook has the median: 23.
    #[test]
    fn the_textbook() {
        let over = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let longer = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let mut list: Vec<(u64, bool)> = over.map(|weeks| (weeks, true)).to_vec();
        list.extend(longer.map(|weeks| (weeks, false)));
        assert_eq!(estimate(samples(&list)).median_seconds, Some(23));
    }

    proptest! {
        #[test]
        fn without_open_ones_it_is_the_plain_median(mut times in prop::collection::vec(0_u64..50, 1..40)) {
            let all: Vec<(u64, bool)> = times.iter().map(|time| (*time, true)).collect();
            times.sort_unstable();
            let plain = times[times.len().div_ceil(2) - 1];
            prop_assert_eq!(estimate(samples(&all)).median_seconds, Some(plain));
        }

        #[test]
        fn leaving_one_open_never_flatters(times in prop::collection::vec(0_u64..50, 1..40), which in 0_usize..40) {
            let mut all: Vec<(u64, bool)> = times.iter().map(|time| (*time, true)).collect();
            let before = estimate(samples(&all)).median_seconds;
            let which = which % all.len();
            all[which].1 = false;
            let after = estimate(samples(&all)).median_seconds;
            prop_assert!(after.is_none() || after >= before);
        }
    }
}
