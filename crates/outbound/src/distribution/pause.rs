//! How long an upstream asked to be left alone.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest pause that is kept, whatever the upstream asks for: whoever can make it answer once must not silence it for a day.
const LONGEST: Duration = Duration::from_mins(15);

/// What is kept where the upstream does not say for how long, as Docker Hub does not: whoever pulls then would ask it once more.
pub(super) const UNSAID: Duration = Duration::from_secs(5);

/// What is asked for. Registries count them apart: Docker Hub lets `HEAD` pass when it has had enough of `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Manifest,
    Blob,
    List,
    Token,
    Push,
}

/// Until when each kind is not asked for.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<[Option<Instant>; 6]>);

impl Pauses {
    /// It asked for one.
    pub(super) fn begin(&self, kind: Kind, now: Instant, asked: Duration) {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses[kind as usize] = Some(now + asked.min(LONGEST));
    }

    /// How long there is still none to be asked for.
    pub(super) fn left(&self, kind: Kind, now: Instant) -> Option<Duration> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = pauses[kind as usize]?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_of_one_kind_and_ends() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        assert_eq!(pauses.left(Kind::Manifest, now), None);
        pauses.begin(Kind::Manifest, now, Duration::from_secs(7));
        assert_eq!(pauses.left(Kind::Manifest, now), Some(Duration::from_secs(7)));
        assert_eq!(pauses.left(Kind::Head, now), None);
        assert_eq!(pauses.left(Kind::Manifest, now + Duration::from_secs(7)), None);
        pauses.begin(Kind::Blob, now, Duration::from_hours(24));
        assert_eq!(pauses.left(Kind::Blob, now), Some(LONGEST));
    }
}
