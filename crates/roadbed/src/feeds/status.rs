//! How sources stand, and when they are looked at again.

use std::collections::HashMap;
use std::time::Duration;

use store::{Carried, FeedState, StoreError, Timestamp};
use web::wire::{CarriedSource, Moment, SourceState, SourceStatus};

use super::bundle::origin_of;
use super::source::Source;
use super::sync::Inner;

/// Pause after the first failure; each further one doubles it, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Every source that is configured, and those that once were or were carried here.
pub(super) async fn sources(inner: &Inner) -> Result<Vec<SourceStatus>, StoreError> {
    let states = inner.store.feeds().await?;
    let mut states: HashMap<String, FeedState> = states
        .into_iter()
        .map(|state| (state.source.clone(), state))
        .collect();
    let carried = inner.store.carried().await?;
    let mut carried: HashMap<String, Carried> = carried
        .into_iter()
        .map(|carried| (carried.source.clone(), carried))
        .collect();
    let now = inner.store.now();
    let stale_after = inner.config.stale_after();
    let mut shown: Vec<SourceStatus> = Vec::new();
    for source in &inner.sources {
        let state = states.remove(source.name()).unwrap_or_default();
        let carried = carried.remove(source.name());
        shown.push(of(source, &state, carried.as_ref(), now, stale_after));
    }
    shown.extend(others(states, carried, now, stale_after));
    if !inner.config.enabled {
        // Nobody looks by itself.
        for source in &mut shown {
            source.next_at = None;
        }
    }
    Ok(shown)
}

/// Sources that are not configured: those that once were fetched, and those that only ever were carried here.
fn others(
    former: HashMap<String, FeedState>,
    mut carried: HashMap<String, Carried>,
    now: Timestamp,
    stale_after: Duration,
) -> Vec<SourceStatus> {
    let mut others: Vec<SourceStatus> = Vec::new();
    for state in former.into_values() {
        let carried = carried.remove(&state.source);
        let carried = carried.as_ref().filter(|carried| is_later(carried, &state));
        let word = carried.map_or(SourceState::Off, |carried| of_carried(carried, now, stale_after));
        others.push(SourceStatus {
            state: word,
            next_at: None,
            ..known(&state.source, &state.url, &state, carried, now)
        });
    }
    // Files that somebody imports lie in folders of any name.
    let bundled = carried.into_values().filter(|carried| carried.bundle.is_some());
    others.extend(bundled.map(|carried| SourceStatus {
        state: of_carried(&carried, now, stale_after),
        ..known(&carried.source, "", &FeedState::default(), Some(&carried), now)
    }));
    others.sort_by(|a, b| a.source.cmp(&b.source));
    others
}

/// Whether it was carried here after it was last fetched.
fn is_later(carried: &Carried, state: &FeedState) -> bool {
    state.succeeded_at.is_none_or(|fetched| fetched < carried.at)
}

/// As of when what was carried here is: a bundle says so.
fn said_at(carried: &Carried) -> Timestamp {
    carried
        .bundle
        .as_ref()
        .map_or(carried.at, |bundle| bundle.made_at)
}

fn of_carried(carried: &Carried, now: Timestamp, stale_after: Duration) -> SourceState {
    if said_at(carried).plus(stale_after) < now {
        SourceState::Stale
    } else {
        SourceState::Carried
    }
}

fn of(
    source: &Source,
    state: &FeedState,
    carried: Option<&Carried>,
    now: Timestamp,
    stale_after: Duration,
) -> SourceStatus {
    let carried = carried.filter(|carried| is_later(carried, state));
    let word = match carried.map(said_at).or(state.succeeded_at) {
        _ if state.held.is_some() => SourceState::Held,
        None => SourceState::Never,
        Some(at) if at.plus(stale_after) < now => SourceState::Stale,
        Some(_) if state.failures > 0 => SourceState::Failing,
        Some(_) if carried.is_some() => SourceState::Carried,
        Some(_) => SourceState::Fresh,
    };
    SourceStatus {
        state: word,
        ..known(source.name(), source.url.as_str(), state, carried, now)
    }
}

fn known(
    name: &str,
    url: &str,
    state: &FeedState,
    carried: Option<&Carried>,
    now: Timestamp,
) -> SourceStatus {
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
        carried: carried.map(carried_source),
        age_seconds: carried.map(said_at).or(state.succeeded_at).map(age),
        failures: state.failures,
        error: state.error.clone(),
        held: state.held.clone(),
        generation: carried.map_or(state.generation, |carried| {
            carried.generation.max(state.generation)
        }),
        covers: carried.map_or(state.covers, |carried| carried.entries),
    }
}

fn carried_source(carried: &Carried) -> CarriedSource {
    CarriedSource {
        at: Moment(carried.at),
        by: carried.by.clone(),
        bundle: carried.bundle.clone().map(origin_of),
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
            let shown = of(&source, &state, None, now, Duration::from_hours(1));
            assert_eq!((shown.state, shown.tried_at), (word, None), "{state:?}");
            assert_eq!(shown.age_seconds.is_some(), succeeded_at.is_some());
        }
    }

    #[test]
    fn what_was_carried_here_is_as_old_as_its_bundle() {
        let source = Source::all(&config::Feeds::default()).remove(0);
        let now = Timestamp(100_000_000_000_000);
        let ago = |seconds: u64| now.minus(Duration::from_secs(seconds));
        for (fetched, came, made, word, age) in [
            (None, 10, 3_000, SourceState::Carried, 3_000),
            (None, 10, 3_601, SourceState::Stale, 3_601),
            (Some(20), 10, 3_000, SourceState::Carried, 3_000),
            (Some(5), 10, 3_601, SourceState::Fresh, 5),
        ] {
            let state = FeedState {
                succeeded_at: fetched.map(ago),
                generation: 2,
                ..FeedState::default()
            };
            let carried = Carried {
                source: source.name().to_owned(),
                at: ago(came),
                by: "ann".to_owned(),
                generation: 7,
                entries: 40,
                bundle: Some(store::CarriedBundle {
                    signed_by: Some("cosign.pub".to_owned()),
                    made_at: ago(made),
                    digest: "sha256:0".to_owned(),
                }),
            };
            let shown = of(&source, &state, Some(&carried), now, Duration::from_hours(1));
            assert_eq!((shown.state, shown.age_seconds), (word, Some(age)), "{fetched:?}");
            let is_carried = word != SourceState::Fresh;
            assert_eq!(shown.carried.is_some(), is_carried);
            assert_eq!(shown.covers, if is_carried { 40 } else { 0 });
            assert_eq!(shown.generation, if is_carried { 7 } else { 2 });
        }
        // One that nobody has configured is shown as well, and no folder of files.
        let carried = |name: &str, is_bundled: bool| {
            let carried = Carried {
                source: name.to_owned(),
                at: ago(1),
                by: "ann".to_owned(),
                generation: 7,
                entries: 40,
                bundle: is_bundled.then(|| store::CarriedBundle {
                    signed_by: None,
                    made_at: ago(1),
                    digest: "sha256:0".to_owned(),
                }),
            };
            (name.to_owned(), carried)
        };
        let shown = others(
            HashMap::new(),
            [carried("Bitnami", true), carried("my-folder", false)].into(),
            now,
            Duration::from_hours(1),
        );
        let shown: Vec<_> = shown
            .iter()
            .map(|source| (source.source.as_str(), source.state))
            .collect();
        assert_eq!(shown, [("Bitnami", SourceState::Carried)]);
    }
}
