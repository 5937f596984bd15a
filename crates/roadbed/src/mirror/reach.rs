//! Whether the centre answers. Not every pull has to find out by itself that it does not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nobody asks after a failure; it is doubled with each one that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest time without a try: whoever is alive again is to be known soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when it does not answer, and why.
    away: Option<Away>,
    pause: Duration,
    until: Option<Instant>,
    answered_at: Option<Instant>,
}

/// It does not answer.
#[derive(Debug, Clone)]
pub(super) struct Away {
    pub(super) since: Instant,
    pub(super) why: String,
}

impl Reach {
    /// Whether it may be asked now. After a pause one may try, and others when that one was answered.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Away> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&state.away, state.until) {
            (Some(away), Some(until)) if until > now => Err(away.clone()),
            (Some(_), _) => {
                // Were the one who tries lost, the pause would end.
                state.until = Some(now + state.pause);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// It has answered, whatever it said. Answers whether it had been away.
    pub(super) fn answered(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_away = state.away.is_some();
        *state = State {
            answered_at: Some(now),
            ..State::default()
        };
        was_away
    }

    /// It has not. Answers whether that is new.
    pub(super) fn failed(&self, now: Instant, why: String) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        state.until = Some(now + state.pause);
        let since = state.away.as_ref().map(|away| away.since);
        state.away = Some(Away {
            since: since.unwrap_or(now),
            why,
        });
        since.is_none()
    }

    /// Since when it does not answer, and why.
    pub(super) fn away(&self) -> Option<Away> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.away.clone()
    }

    /// Whether it is worth asking just to know: it is away and may be asked, or nobody has heard of it for `quiet`.
    pub(super) fn is_due(&self, now: Instant, quiet: Duration) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.away {
            Some(_) => state.until.is_none_or(|until| until <= now),
            None => state.answered_at.is_none_or(|at| now.duration_since(at) >= quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_may_try_when_the_pause_is_over() {
        let (reach, now) = (Reach::default(), Instant::now());
        assert!(reach.is_due(now, FIRST_PAUSE), "nobody knows yet");
        assert!(reach.admit(now).is_ok());
        assert!(reach.failed(now, "gone".to_owned()), "new");
        assert_eq!(reach.admit(now).unwrap_err().why, "gone");
        assert!(!reach.is_due(now, FIRST_PAUSE));
        let later = now + FIRST_PAUSE;
        assert!(reach.is_due(later, FIRST_PAUSE));
        assert!(reach.admit(later).is_ok(), "one");
        assert!(reach.admit(later).is_err(), "and no more");
        assert!(!reach.failed(later, "still gone".to_owned()));
        let away = reach.away().unwrap();
        assert_eq!((away.since, away.why.as_str()), (now, "still gone"));
        assert!(reach.answered(later), "it was away");
        assert!(reach.away().is_none() && reach.admit(later).is_ok());
        assert!(!reach.is_due(later, FIRST_PAUSE));
        assert!(reach.is_due(later + FIRST_PAUSE, FIRST_PAUSE), "quiet for long");
    }

    #[test]
    fn the_pause_has_an_end() {
        let (reach, mut now) = (Reach::default(), Instant::now());
        for _ in 0..20 {
            reach.failed(now, String::new());
        }
        now += LONGEST_PAUSE;
        assert!(reach.admit(now).is_ok());
    }
}
