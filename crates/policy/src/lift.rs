//! The other side of the brake: an import that would let pass too much of what is refused waits for a person.

use crate::Share;

/// How much of what is refused an import of advisories may let pass before a person has looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiftGuard {
    /// Share of what is refused; everything switches the guard off.
    pub share: Share,
    /// So many refusals may be lifted however few there are.
    pub floor: u64,
}

impl Default for LiftGuard {
    fn default() -> Self {
        Self {
            share: Share::ONE_PERCENT,
            floor: 4,
        }
    }
}

impl LiftGuard {
    /// Whether an import that lifts `lifted` of `refused` refusals waits until a person approves it.
    ///
    /// The comparison is exact, in whole numbers: the share itself is held. With one percent, 9 of 1,000 go and 10 are held. The floor
    /// is for fleets of which the share is less than a few images: one advisory that is rightly withdrawn frees the few tags of one
    /// application, and nobody is to be asked about that.
    pub fn holds(self, lifted: u64, refused: u64) -> bool {
        !self.share.is_everything() && lifted > self.floor && self.share.is_reached(lifted, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_held_and_a_few_are_not() {
        let guard = LiftGuard::default();
        for (lifted, refused, holds) in [
            (0, 0, false),
            (1, 3, false),
            (4, 4, false),
            (5, 5, true),
            (5, 500, true),
            (5, 501, false),
            (9, 1_000, false),
            (10, 1_000, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(guard.holds(lifted, refused), holds, "{lifted} of {refused}");
        }
        let strict = LiftGuard { floor: 0, ..guard };
        assert!(strict.holds(1, 3) && !strict.holds(0, 3));
        let off = LiftGuard {
            share: Share::basis_points(10_000),
            floor: 0,
        };
        assert!(!off.holds(7, 7));
        let any = LiftGuard {
            share: Share::basis_points(0),
            floor: 0,
        };
        assert!(any.holds(1, 1_000_000) && !any.holds(0, 0));
    }
}
