//! The brake: a change that would refuse too much of what is in use waits for a person.

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// A share in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share(u32);

impl Share {
    /// One percent: the share of the design.
    pub const ONE_PERCENT: Self = Self(100);

    /// So many hundredths of a percent; more than everything is everything.
    pub const fn basis_points(points: u32) -> Self {
        Self(if points > 10_000 { 10_000 } else { points })
    }
}

/// One image in one repository, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<I> {
    /// Which.
    pub id: I,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Pulled within 30 days, imported as such, or seen in a cluster.
    pub in_use: bool,
}

/// Whether a change may take effect at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrakeVerdict<I> {
    /// It may.
    Go {
        /// What is in use and would be refused from now on.
        turned: Vec<I>,
        /// How much is in use.
        in_use: usize,
    },
    /// It may not: what it would refuse is held at warn until a person approves it.
    Hold {
        /// What is in use and would be refused from now on.
        turned: Vec<I>,
        /// How much is in use.
        in_use: usize,
    },
}

impl<I> BrakeVerdict<I> {
    /// Whether it waits for a person.
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Hold { .. })
    }
}

/// Whether a change of feed, rule or waiver turns more than `share` of what is in use to refuse.
///
/// Counted is what is in use after the change and refused after it but not before; what had no decision before counts as not
/// refused. The comparison is exact, in whole numbers, without rounding: *more than* the share is held, the share itself is
/// not. With one percent, 1 of 100 goes and 2 of 100 is held; 1 of 99 is held, as is any single one of fewer than 100: in a
/// small fleet every refusal of something in use is a matter for a person. Nothing in use, or nothing turned, always goes.
pub fn brake<I: Ord + Clone>(before: &[Judged<I>], after: &[Judged<I>], share: Share) -> BrakeVerdict<I> {
    let mut refused_before: Vec<&I> = before
        .iter()
        .filter(|judged| judged.outcome == Outcome::Refuse)
        .map(|judged| &judged.id)
        .collect();
    refused_before.sort_unstable();
    let used = || after.iter().filter(|judged| judged.in_use);
    let mut turned: Vec<I> = used()
        .filter(|judged| judged.outcome == Outcome::Refuse)
        .filter(|judged| refused_before.binary_search(&&judged.id).is_err())
        .map(|judged| judged.id.clone())
        .collect();
    turned.sort_unstable();
    let in_use = used().count();
    let is_more = turned.len() as u128 * 10_000 > in_use as u128 * u128::from(share.0);
    if is_more {
        BrakeVerdict::Hold { turned, in_use }
    } else {
        BrakeVerdict::Go { turned, in_use }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(size: u32, refused: std::ops::Range<u32>) -> Vec<Judged<u32>> {
        let judged = |id| Judged {
            id,
            outcome: if refused.contains(&id) {
                Outcome::Refuse
            } else {
                Outcome::Warn
            },
            in_use: true,
        };
        (0..size).map(judged).collect()
    }

    #[test]
    fn the_share_itself_goes_and_more_is_held() {
        for (size, turned, held) in [
            (100, 1, false),
            (100, 2, true),
            (99, 1, true),
            (101, 1, false),
            (199, 1, false),
            (199, 2, true),
            (200, 2, false),
            (200, 3, true),
            (1, 1, true),
            (1, 0, false),
            (0, 0, false),
            (50_000, 500, false),
            (50_000, 501, true),
        ] {
            let verdict = brake(&fleet(size, 0..0), &fleet(size, 0..turned), Share::ONE_PERCENT);
            assert_eq!(verdict.is_held(), held, "{turned} of {size}");
        }
    }

    #[test]
    fn only_what_turns_and_is_in_use_counts() {
        let before = fleet(100, 0..50);
        assert!(!brake(&before, &fleet(100, 0..51), Share::ONE_PERCENT).is_held());
        assert!(brake(&before, &fleet(100, 0..52), Share::ONE_PERCENT).is_held());
        let mut idle = fleet(100, 0..100);
        for judged in &mut idle {
            judged.in_use = false;
        }
        let verdict = brake(&fleet(100, 0..0), &idle, Share::ONE_PERCENT);
        assert_eq!(
            verdict,
            BrakeVerdict::Go {
                turned: Vec::new(),
                in_use: 0
            }
        );
        assert_eq!(
            brake(&[], &fleet(100, 3..5), Share::ONE_PERCENT),
            BrakeVerdict::Hold {
                turned: vec![3, 4],
                in_use: 100
            }
        );
        assert!(brake(&[], &fleet(100, 0..1), Share::basis_points(0)).is_held());
        assert!(!brake(&[], &fleet(100, 0..100), Share::basis_points(99_999)).is_held());
    }
}
