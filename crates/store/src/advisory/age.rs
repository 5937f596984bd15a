//! Which of two states of a document is the older one. What a source said last year must not take the place of what it says today,
//! whoever hands it out.

use std::time::Duration;

use findings::advisory::{Epss, Kev, VexDocument};
use time::OffsetDateTime;

use crate::Timestamp;

/// A state that says to be from further ahead than this says nothing about its age: whoever once dated a document into the next
/// century must not keep out all later ones.
const AHEAD: Duration = Duration::from_hours(24);

/// Whether a state of an advisory is older than the one that is known, by the seconds in front of them.
///
/// One that does not say how old it is does not replace one that does; one that was taken back here says nothing, and
/// whatever its source says replaces it.
pub(super) fn is_older_state(state: &str, known: &str, now: Timestamp) -> bool {
    let Some(known) = seconds(known).filter(|known| *known <= horizon(now)) else {
        return false;
    };
    seconds(state).is_none_or(|seconds| seconds < known)
}

/// Whether a document of a kind is older than the one that is known.
pub(super) fn is_older_document(kind: &str, bytes: &[u8], known: &[u8], now: Timestamp) -> bool {
    let Some(known) = moment_of(kind, known).filter(|known| known.unix_timestamp() <= horizon(now)) else {
        return false;
    };
    moment_of(kind, bytes).is_some_and(|moment| moment < known)
}

fn horizon(now: Timestamp) -> i64 {
    now.plus(AHEAD).seconds()
}

fn seconds(state: &str) -> Option<i64> {
    state.split_once(' ')?.0.parse().ok()
}

fn moment_of(kind: &str, bytes: &[u8]) -> Option<OffsetDateTime> {
    match kind {
        "kev" => Kev::read(bytes).ok()?.released,
        "epss" => Epss::read(bytes).ok()?.scored_at(),
        "vex" => VexDocument::read(bytes).ok().map(|document| document.at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_as_old_as_they_say() {
        let now = Timestamp(1_000_000 * 1_000_000);
        for (state, known, is_older) in [
            ("9 a", "10 b", true),
            ("10 a", "10 b", false),
            ("11 a", "10 b", false),
            // It does not say.
            (" a", "10 b", true),
            (" a", " b", false),
            // What was taken back here.
            ("9 a", " b", false),
            // Dated ahead.
            ("9 a", "999999999999 b", false),
        ] {
            assert_eq!(is_older_state(state, known, now), is_older, "{state} {known}");
        }
    }
}
