//! How sources stand, and when they are looked at again.

use std::collections::HashMap;
use std::time::Duration;

use store::{FeedState, StoreError, Timestamp};
use web::wire::{Moment, SourceState, SourceStatus};

use super::source::Source;
use super::sync::Inner;

/// Pause after the first failure; each further one doubles it, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Every source that is configured, and those that once were.
pub(super) async fn sources(inner: &Inner) -> Result<Vec<SourceStatus>, StoreError> {
    let states = inner.store.feeds().await?;
    let mut states: HashMap<String, FeedState> = states
        .into_iter()
        .map(|state| (state.source.clone(), state))
        .collect();
    let now = inner.store.now();
    let stale_after = inner.config.stale_after();
    let mut shown: Vec<SourceStatus> = Vec::new();
    for source in &inner.sources {
        let state = states.remove(source.name());
        shown.push(of(source, &state.unwrap_or_default(), now, stale_after));
    }
    let mut former: Vec<FeedState> = states.into_values().collect();
    former.sort_by(|a, b| a.source.cmp(&b.source));
    shown.extend(former.iter().map(|state| SourceStatus {
        state: SourceState::Off,
        next_at: None,
        ..known(&state.source, &state.url, state, now)
    }));
    if !inner.config.enabled {
        // Nobody looks by itself.
        for source in &mut shown {
            source.next_at = None;
        }
    }
    Ok(shown)
}

fn of(source: &Source, state: &FeedState, now: Timestamp, stale_after: Duration) -> SourceStatus {
    let is_stale = |at: Timestamp| at.plus(stale_after) < now;
    let word = match state.succeeded_at {
        None => SourceState::Never,
        Some(_) if state.held.is_some() => SourceState::Held,
        Some(at) if is_stale(at) => SourceState::Stale,
        Some(_) if state.failures > 0 => SourceState::Failing,
        Some(_) => SourceState::Fresh,
    };
    SourceStatus {
        state: word,
        ..known(source.name(), source.url.as_str(), state, now)
    }
}

fn known(name: &str, url: &str, state: &FeedState, now: Timestamp) -> SourceStatus {
    let was_tried = state.tried_at > Timestamp::default();
    let age = |at: Timestamp| u64::try_from(now.seconds().saturating_sub(at.seconds())).unwrap_or(0);
    SourceStatus {
        source: name.to_owned(),
        state: SourceState::Never,
        url: url.to_owned(),
        tried_at: was_tried.then_some(Moment(state.tried_at)),
        succeeded_at: state.succeeded_at.map(Moment),
        changed_at: state.changed_at.map(Moment),
        next_at: was_tried.then_some(Moment(state.next_at)),
        age_seconds: state.succeeded_at.map(age),
        failures: state.failures,
        error: state.error.clone(),
        held: state.held.clone(),
        generation: state.generation,
        covers: state.covers,
    }
}

/// Pause after a success: the interval, or up to a tenth more, so that not all registries come at the same moment.
pub(super) fn after_success(interval: Duration) -> Duration {
    interval + interval / 10 * u32::from(dice()) / 255
}

/// Pause after so many failures in a row: half of the longest or more.
pub(super) fn after_failure(interval: Duration, failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(20);
    let longest = FIRST_PAUSE.saturating_mul(1 << doublings).min(interval);
    longest / 2 + longest / 2 * u32::from(dice()) / 255
}

/// A random number; 0 where the system has none.
pub(super) fn dice() -> u8 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn pauses_grow_up_to_the_interval() {
        let interval = Duration::from_hours(2);
        for (failures, minutes) in [(1, 1), (2, 2), (5, 16), (8, 120), (1_000, 120)] {
            let longest = Duration::from_secs(minutes * 60);
            for _ in 0..20 {
                let pause = after_failure(interval, failures);
                assert!(pause >= longest / 2 && pause <= longest, "{failures}: {pause:?}");
                let next = after_success(interval);
                assert!(next >= interval && next <= interval + interval / 10);
            }
        }
    }

    #[test]
    fn each_state_has_its_word() {
        let source = Source::all(&config::Feeds::default()).remove(0);
        let now = Timestamp(100_000_000_000_000);
        let ago = |seconds: u64| Some(now.minus(Duration::from_secs(seconds)));
        for (succeeded_at, failures, word) in [
            (None, 0, SourceState::Never),
            (None, 3, SourceState::Never),
            (ago(10), 0, SourceState::Fresh),
            (ago(10), 1, SourceState::Failing),
            (ago(3_601), 0, SourceState::Stale),
            (ago(3_601), 9, SourceState::Stale),
        ] {
            let state = FeedState {
                succeeded_at,
                failures,
                ..FeedState::default()
            };
            let shown = of(&source, &state, now, Duration::from_hours(1));
            assert_eq!((shown.state, shown.tried_at), (word, None), "{state:?}");
            assert_eq!(shown.age_seconds.is_some(), succeeded_at.is_some());
        }
    }
}
