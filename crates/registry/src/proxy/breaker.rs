//! Memory of an upstream that cannot be reached: not every pull has to find out by itself.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nobody asks after the first failure; doubled with each one that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest time without a try.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Lets questions pass while they are answered. After a failure there is a pause; then one may try, and others only when it was
/// answered, or has failed and paused again.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pause: Duration,
    until: Option<Instant>,
    /// Somebody tries; whoever else fails was let pass before the pause.
    is_tried: bool,
}

impl Breaker {
    /// Whether the upstream may be asked now; else for how long it is left alone.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.until {
            None => Ok(()),
            Some(until) if until > now => Err(until - now),
            Some(_) => {
                // The one who tries; were he lost, the pause would end.
                state.until = Some(now + state.pause);
                state.is_tried = true;
                Ok(())
            }
        }
    }

    /// It has answered, whatever it said.
    pub(crate) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// It has not. Of all that were under way when that was found out, the first says it: a hundred connections that break at
    /// once are one failure.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.until.is_some() && !state.is_tried {
            return;
        }
        state.is_tried = false;
        state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        state.until = Some(now + state.pause);
    }

    /// Whether it was answered when it was last asked.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_may_try_when_the_pause_is_over() {
        let breaker = Breaker::default();
        let now = Instant::now();
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Err(FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert_eq!(breaker.admit(later), Ok(()), "one");
        assert!(breaker.admit(later).is_err(), "and no more");
        breaker.failed(later);
        assert_eq!(breaker.admit(later), Err(FIRST_PAUSE * 2));
        assert!(!breaker.is_closed());
        breaker.answered();
        assert!(breaker.is_closed());
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_fail_together_are_one_failure() {
        let breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(breaker.admit(now), Ok(()));
        }
        for _ in 0..100 {
            breaker.failed(now);
        }
        assert_eq!(breaker.admit(now), Err(FIRST_PAUSE));
        assert_eq!(breaker.admit(now + FIRST_PAUSE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_has_an_end_and_a_lost_try_does_not_last() {
        let breaker = Breaker::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            breaker.failed(now);
            now += LONGEST_PAUSE;
            assert_eq!(breaker.admit(now), Ok(()));
        }
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Err(LONGEST_PAUSE));
        now += LONGEST_PAUSE;
        assert_eq!(breaker.admit(now), Ok(()), "who tries and never comes back");
        assert_eq!(breaker.admit(now + LONGEST_PAUSE), Ok(()), "keeps nobody out");
    }
}
