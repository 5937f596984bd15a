//! How new what is signed must be. A signature says who made something, not that it is still meant: whoever keeps an old one could put
//! it in the place of a newer one.

use std::time::Duration;

use store::Timestamp;
use thiserror::Error;

/// A clock may be wrong by so much. Default: the only value.
const AHEAD: Duration = Duration::from_hours(24);

/// What is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness {
    /// The present moment.
    pub(crate) now: Timestamp,
    /// When the newest one was made that was taken in; `None`: there was none.
    pub(crate) newest: Option<Timestamp>,
    /// A person has said that an older one is right.
    pub(crate) older_is_right: bool,
}

/// Why something signed is not taken in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFresh {
    /// A newer one counts.
    Older(Older),
    /// It is of a time to come.
    Ahead(Ahead),
}

/// A newer one was taken in.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("it was made {made}, and one that was made {newest} was taken in already")]
pub(crate) struct Older {
    made: String,
    newest: String,
}

/// It was made in the future. No person lets that pass: nothing that is made later would be taken in after it.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "it says to have been made {made}, which is to come: later ones would be taken for older ones; mend the clock that made it"
)]
pub(crate) struct Ahead {
    made: String,
}

impl Freshness {
    /// Whether what was made at a moment, by its own word, is new enough.
    pub(crate) fn check(&self, made: Timestamp) -> Result<(), NotFresh> {
        if made > self.now.plus(AHEAD) {
            let made = made.to_rfc3339();
            return Err(NotFresh::Ahead(Ahead { made }));
        }
        match self.newest {
            Some(newest) if made < newest && !self.older_is_right => Err(NotFresh::Older(Older {
                made: made.to_rfc3339(),
                newest: newest.to_rfc3339(),
            })),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_new_enough_and_what_is_to_come_never_is() {
        let now = Timestamp(1_000_000_000_000_000);
        let ago = |seconds| now.minus(Duration::from_secs(seconds));
        let at = |newest, older_is_right| Freshness {
            now,
            newest,
            older_is_right,
        };
        for (newest, older_is_right, made, is_fresh) in [
            (None, false, ago(9), true),
            (Some(ago(9)), false, ago(9), true),
            (Some(ago(9)), false, ago(8), true),
            (Some(ago(9)), false, ago(10), false),
            (Some(ago(9)), true, ago(10), true),
            (None, false, now.plus(AHEAD), true),
        ] {
            let checked = at(newest, older_is_right).check(made);
            assert_eq!(checked.is_ok(), is_fresh, "{newest:?} {made:?}: {checked:?}");
            assert!(is_fresh || matches!(checked, Err(NotFresh::Older(_))));
        }
        let to_come = now.plus(AHEAD + Duration::from_secs(1));
        for older_is_right in [false, true] {
            let checked = at(None, older_is_right).check(to_come);
            assert!(matches!(checked, Err(NotFresh::Ahead(_))), "{checked:?}");
        }
    }
}
