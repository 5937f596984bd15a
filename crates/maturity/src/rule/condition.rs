//! One condition on one fact, and when its answer changes by itself.

use time::{Duration, OffsetDateTime};

use super::{Check, MAX_LINKED, Truth, earlier};
use crate::evidence::{Observation, Series, Slot};
use crate::signal::{Condition, Nature, Origin, Wanted, WhenNone, Window};
use crate::words::EventId;

/// An answer and when it changes by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) truth: Truth,
    pub(super) until: Option<OffsetDateTime>,
}

impl Answer {
    fn lasting(truth: Truth) -> Self {
        Self { truth, until: None }
    }
}

/// Looks at one condition. Where `checks` is given, what was found is added to it.
pub(super) fn look(
    condition: &Condition,
    series: Option<&Series>,
    now: OffsetDateTime,
    checks: Option<&mut Vec<Check>>,
) -> Answer {
    if condition.info.nature == Nature::State {
        let slot = series.map(|series| &series.state);
        let answer = state(condition, slot, now);
        if let Some(checks) = checks {
            checks.push(explain_state(condition, slot, answer, now));
        }
        return answer;
    }
    let chosen = series
        .map(|series| Chosen::of(condition, series, now))
        .unwrap_or_default();
    let answer = chosen.answer(condition, now);
    if let Some(checks) = checks {
        checks.push(chosen.explain(condition, answer, now));
    }
    answer
}

/// When a state ends.
fn end(condition: &Condition, seen: &Observation) -> Option<OffsetDateTime> {
    let aged = match condition.window {
        Window::Days(days) => seen.observed_at.checked_add(Duration::days(i64::from(days))),
        Window::Newest(_) => None,
    };
    earlier(aged, seen.valid_until)
}

fn state(condition: &Condition, slot: Option<&Slot>, now: OffsetDateTime) -> Answer {
    let Some(best) = slot.and_then(Slot::best) else {
        return Answer::lasting(when_none(condition));
    };
    let until = end(condition, best);
    if until.is_some_and(|until| until <= now) {
        return Answer::lasting(Truth::Expired);
    }
    let truth = if condition.test.holds(best.value) {
        Truth::Holds
    } else {
        Truth::Fails
    };
    Answer { truth, until }
}

fn when_none(condition: &Condition) -> Truth {
    match condition.none {
        WhenNone::Unknown => Truth::Unknown,
        WhenNone::Holds => Truth::Holds,
        WhenNone::Fails => Truth::Fails,
    }
}

fn explain_state(condition: &Condition, slot: Option<&Slot>, answer: Answer, now: OffsetDateTime) -> Check {
    let best = slot.and_then(Slot::best);
    let found = match best {
        None => nothing(condition),
        Some(best) if answer.truth == Truth::Expired => {
            format!("{}, seen by {}: too old", best.value, best.source.name)
        }
        Some(best) => format!("{}, seen by {}", best.value, best.source.name),
    };
    Check {
        what: condition.to_string(),
        truth: answer.truth,
        found,
        evidence: best.iter().map(|best| best.id.clone()).collect(),
        events: best.iter().flat_map(|best| best.events.iter().copied()).collect(),
        contradicted_by: slot
            .into_iter()
            .flat_map(|slot| slot.contradictions(now))
            .cloned()
            .collect(),
        until: answer.until,
    }
}

/// Why there is no evidence.
fn nothing(condition: &Condition) -> String {
    match condition.info.origin {
        Origin::Cluster => "nothing: no cluster is connected that tells it".to_owned(),
        Origin::Elsewhere => "nothing: nobody pushed it with `roadbed evidence push`".to_owned(),
        Origin::Registry => "nothing: the registry has not seen it yet".to_owned(),
    }
}

/// The images or happenings that count now.
#[derive(Debug, Default)]
struct Chosen<'s> {
    slots: Vec<(&'s Slot, &'s Observation)>,
    /// The newest image stands in for a window in which none came.
    newest: Option<(&'s Slot, &'s Observation)>,
}

impl<'s> Chosen<'s> {
    fn of(condition: &Condition, series: &'s Series, now: OffsetDateTime) -> Self {
        let newest_first = series.items.iter().rev();
        let seen = newest_first.filter_map(|item| item.slot.best().map(|best| (&item.slot, best)));
        let mut live = seen
            .filter(|(_, seen)| seen.valid_until.is_none_or(|until| until > now))
            .peekable();
        let newest = live
            .peek()
            .copied()
            .filter(|_| condition.info.nature == Nature::Image);
        let slots = match condition.window {
            Window::Newest(count) => live.take(count as usize).collect(),
            Window::Days(days) => {
                let since = now.checked_sub(Duration::days(i64::from(days)));
                live.take_while(|(_, seen)| since.is_none_or(|since| seen.observed_at > since))
                    .collect()
            }
        };
        Self { slots, newest }
    }

    fn truth(&self, condition: &Condition, hits: usize, all: usize) -> Truth {
        if all > 0 {
            return counted(condition, hits, all);
        }
        match self.newest {
            Some((_, newest)) => counted(condition, usize::from(condition.test.holds(newest.value)), 1),
            None => when_none(condition),
        }
    }

    fn counts(&self, condition: &Condition) -> (usize, usize) {
        let hits = self
            .slots
            .iter()
            .filter(|(_, seen)| condition.test.holds(seen.value))
            .count();
        (hits, self.slots.len())
    }

    /// The answer, and the first moment at which it is another one because something left the window.
    fn answer(&self, condition: &Condition, now: OffsetDateTime) -> Answer {
        let (mut hits, mut all) = self.counts(condition);
        let truth = self.truth(condition, hits, all);
        let Window::Days(days) = condition.window else {
            // What comes into its place is not looked at: the answer is asked for again then.
            let until = self.slots.iter().filter_map(|(_, seen)| seen.valid_until).min();
            return Answer { truth, until };
        };
        let leaves = |seen: &Observation| {
            let aged = seen.observed_at.checked_add(Duration::days(i64::from(days)));
            earlier(aged, seen.valid_until)
        };
        let mut leaving: Vec<(OffsetDateTime, bool)> = self
            .slots
            .iter()
            .filter_map(|(_, seen)| leaves(seen).map(|at| (at, condition.test.holds(seen.value))))
            .collect();
        leaving.sort_unstable();
        let mut leaving = leaving.into_iter().peekable();
        while let Some((at, held)) = leaving.next() {
            hits -= usize::from(held);
            all -= 1;
            // All that leave at once leave together.
            let is_last = leaving.peek().is_none_or(|(next, _)| *next != at);
            if is_last && at > now && self.truth(condition, hits, all) != truth {
                return Answer {
                    truth,
                    until: Some(at),
                };
            }
        }
        let until = self.newest.and_then(|(_, newest)| newest.valid_until);
        Answer { truth, until }
    }

    fn explain(&self, condition: &Condition, answer: Answer, now: OffsetDateTime) -> Check {
        let (hits, all) = self.counts(condition);
        let (shown, found) = match (all, self.newest) {
            (0, None) => (Vec::new(), nothing(condition)),
            (0, Some(newest)) => (
                vec![newest],
                "none in the window: the newest image counts".to_owned(),
            ),
            _ => (self.slots.clone(), format!("{hits} of {all}")),
        };
        // What speaks against it is of more interest than what speaks for it.
        let wants_proof = matches!(condition.wanted, Wanted::Hits(_)) || answer.truth == Truth::Holds;
        let (mut first, rest): (Vec<_>, Vec<_>) = shown
            .into_iter()
            .partition(|(_, seen)| condition.test.holds(seen.value) == wants_proof);
        first.extend(rest);
        first.truncate(MAX_LINKED);
        let mut events: Vec<EventId> = first
            .iter()
            .flat_map(|(_, seen)| seen.events.iter().copied())
            .collect();
        events.truncate(MAX_LINKED);
        let others = first.iter().flat_map(|(slot, _)| slot.contradictions(now));
        Check {
            what: condition.to_string(),
            truth: answer.truth,
            found,
            contradicted_by: others.take(MAX_LINKED).cloned().collect(),
            evidence: first.iter().map(|(_, seen)| seen.id.clone()).collect(),
            events,
            until: answer.until,
        }
    }
}

fn counted(condition: &Condition, hits: usize, all: usize) -> Truth {
    if all < condition.least as usize {
        Truth::Unknown
    } else if condition.is_enough(hits, all) {
        Truth::Holds
    } else {
        Truth::Fails
    }
}
