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
        Self(if points > EVERYTHING { EVERYTHING } else { points })
    }

    /// Whether it is all there is.
    pub(crate) const fn is_everything(self) -> bool {
        self.0 >= EVERYTHING
    }

    /// Whether a part of a whole is this share or more of it; exact, in whole numbers.
    pub(crate) fn is_reached(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(EVERYTHING) >= u128::from(whole) * u128::from(self.0)
    }
}

/// How much a change may turn to refuse before a person has looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    /// Share of what is in use; everything switches the brake off.
    pub share: Share,
    /// So many images may turn however few are in use.
    pub floor: u64,
}

impl Default for Brake {
    fn default() -> Self {
        Self {
            share: Share::ONE_PERCENT,
            floor: 1,
        }
    }
}

impl Brake {
    /// Whether a change that turns `turned` of the `in_use` images to refuse is held at warn until a person approves it.
    ///
    /// The comparison is exact, in whole numbers, without rounding: *more than* the share is held, the share itself is not.
    /// With one percent, 1 of 100 goes and 2 of 100 is held.
    ///
    /// The floor is for fleets of which the share is less than one image. Without it a rule that says `running: refuse` would
    /// never do so there by itself; the brake is against feeds and rules that are wrong about many, and one image is not many.
    pub fn holds(self, turned: u64, in_use: u64) -> bool {
        let is_more =
            u128::from(turned) * u128::from(EVERYTHING) > u128::from(in_use) * u128::from(self.share.0);
        self.share.0 < EVERYTHING && turned > self.floor && is_more
    }
}

/// Hundredths of a percent.
const EVERYTHING: u32 = 10_000;

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

/// Whether a change of feed, rule or waiver turns more than `brake` lets through of what is in use to refuse.
///
/// Counted is what is in use after the change and refused after it but not before; what had no decision before counts as not
/// refused. Nothing in use, or nothing turned, always goes.
pub fn brake<I: Ord + Clone>(before: &[Judged<I>], after: &[Judged<I>], brake: Brake) -> BrakeVerdict<I> {
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
    if brake.holds(turned.len() as u64, in_use as u64) {
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

    const EXACT: Brake = Brake {
        share: Share::ONE_PERCENT,
        floor: 0,
    };

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
            let verdict = brake(&fleet(size, 0..0), &fleet(size, 0..turned), EXACT);
            assert_eq!(verdict.is_held(), held, "{turned} of {size}");
        }
    }

    #[test]
    fn only_what_turns_and_is_in_use_counts() {
        let before = fleet(100, 0..50);
        assert!(!brake(&before, &fleet(100, 0..51), EXACT).is_held());
        assert!(brake(&before, &fleet(100, 0..52), EXACT).is_held());
        let mut idle = fleet(100, 0..100);
        for judged in &mut idle {
            judged.in_use = false;
        }
        let verdict = brake(&fleet(100, 0..0), &idle, EXACT);
        assert_eq!(
            verdict,
            BrakeVerdict::Go {
                turned: Vec::new(),
                in_use: 0
            }
        );
        assert_eq!(
            brake(&[], &fleet(100, 3..5), EXACT),
            BrakeVerdict::Hold {
                turned: vec![3, 4],
                in_use: 100
            }
        );
        let of = |points| Brake {
            share: Share::basis_points(points),
            floor: 0,
        };
        assert!(brake(&[], &fleet(100, 0..1), of(0)).is_held());
        assert!(!brake(&[], &fleet(100, 0..100), of(99_999)).is_held());
        assert!(!of(10_000).holds(5, 0), "everything is no bound");
    }

    #[test]
    fn the_floor_counts_where_the_share_is_less() {
        for (floor, size, turned, held) in [
            (1, 1, 1, false),
            (1, 20, 1, false),
            (1, 20, 2, true),
            (1, 0, 1, false),
            (1, 300, 3, false),
            (1, 300, 4, true),
            (5, 20, 5, false),
            (5, 20, 6, true),
            (0, 1, 1, true),
        ] {
            let brake = Brake {
                floor,
                ..Brake::default()
            };
            assert_eq!(
                brake.holds(turned, size),
                held,
                "{turned} of {size}, floor {floor}"
            );
        }
    }
}
