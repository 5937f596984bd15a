//! Exact answers about pairs of patterns, by searching the product of their automata.
//!
//! A pattern becomes a list of [`State`]s; the search steps through both patterns and the grammar of names at
//! once, so that only words count that are repository names. It goes breadth first, one character per level,
//! and stops at the length limit of names. Letters that neither pattern mentions behave alike, so one of them
//! stands for all.

use std::collections::HashSet;

use super::glob::Segment;
use crate::repo_name::{MAX_REPO_NAME_BYTES, NameState};

/// A place in a pattern. Each has at most one successor per character, and one without any.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Wants this character, a slash included.
    Byte(u8),
    /// `*`: takes any character but a slash and stays; or is skipped.
    Star,
    /// `**` between components: may be skipped, or begins one more. Always followed by `Inside`.
    Boundary,
    /// Within a component that `**` takes; a slash leads back to `Boundary`.
    Inside,
    /// `**` at the end: may be skipped, or a slash leads to `Rest`. Always followed by `Rest`.
    Tail,
    /// Takes everything.
    Rest,
    /// The whole pattern is matched.
    End,
}

pub(super) struct Automaton {
    states: Vec<State>,
    /// For each state the first one of its segment: what a later state of the same component makes
    /// superfluous.
    segment_starts: Vec<usize>,
}

impl Automaton {
    pub(super) fn new(segments: &[Segment]) -> Automaton {
        let mut automaton = Automaton {
            states: Vec::new(),
            segment_starts: Vec::new(),
        };
        for (index, segment) in segments.iter().enumerate() {
            let start = automaton.states.len();
            match segment {
                Segment::Many if index + 1 == segments.len() => {
                    automaton.states.extend([State::Tail, State::Rest]);
                }
                Segment::Many => automaton.states.extend([State::Boundary, State::Inside]),
                Segment::One(glob) => automaton.states.extend(glob.bytes().map(|byte| match byte {
                    b'*' => State::Star,
                    byte => State::Byte(byte),
                })),
            }
            automaton.segment_starts.resize(automaton.states.len(), start);
            // The slash after a component; `Boundary` and `Tail` bring their own.
            let slash = match &segments[index + 1..] {
                [] | [Segment::Many] => false,
                _ => matches!(segment, Segment::One(_)),
            };
            if slash {
                automaton.segment_starts.push(automaton.states.len());
                automaton.states.push(State::Byte(b'/'));
            }
        }
        automaton.segment_starts.push(automaton.states.len());
        automaton.states.push(State::End);
        automaton
    }

    /// The state that can be entered from `state` without a character.
    fn skip(&self, state: usize) -> Option<usize> {
        match self.states[state] {
            State::Star | State::Rest => Some(state + 1),
            State::Boundary | State::Tail => Some(state + 2),
            State::Byte(_) | State::Inside | State::End => None,
        }
    }

    /// `state` and everything that follows without a character.
    fn reach(&self, state: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(state), |&state| self.skip(state))
    }

    /// Where `byte` leads.
    fn step(&self, state: usize, byte: u8) -> Option<usize> {
        match self.states[state] {
            State::Byte(wanted) => (wanted == byte).then_some(state + 1),
            State::Star => (byte != b'/').then_some(state),
            State::Boundary => (byte != b'/').then_some(state + 1),
            State::Inside => Some(if byte == b'/' { state - 1 } else { state }),
            State::Tail => (byte == b'/').then_some(state + 1),
            State::Rest => Some(state),
            State::End => None,
        }
    }

    fn accepts(&self, state: usize) -> bool {
        self.reach(state)
            .any(|state| matches!(self.states[state], State::End))
    }

    /// The characters that need telling apart for the two patterns.
    fn alphabet(&self, other: &Automaton) -> Vec<u8> {
        let mentioned: HashSet<u8> = self
            .states
            .iter()
            .chain(&other.states)
            .filter_map(|state| match state {
                State::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        let unmentioned = (b'a'..=b'z')
            .chain(b'0'..=b'9')
            .find(|byte| !mentioned.contains(byte));
        let mut alphabet: HashSet<u8> = mentioned;
        alphabet.extend(b"/._-");
        alphabet.extend(unmentioned);
        alphabet.into_iter().collect()
    }

    /// Whether some name is accepted by both.
    pub(super) fn overlaps(&self, other: &Automaton) -> bool {
        let alphabet = self.alphabet(other);
        search((0, 0), |&(a, b), name| {
            if name.is_complete() && self.accepts(a) && other.accepts(b) {
                return Next::Found;
            }
            let mut next = Vec::new();
            for a in self.reach(a) {
                for b in other.reach(b) {
                    next.extend(alphabet.iter().filter_map(|&byte| {
                        Some(((self.step(a, byte)?, other.step(b, byte)?), name.step(byte)?))
                    }));
                }
            }
            Next::Visit(next)
        })
    }

    /// Whether every name that `other` accepts is accepted by `self`: no name is accepted by `other` alone.
    pub(super) fn contains(&self, other: &Automaton) -> bool {
        let alphabet = self.alphabet(other);
        let stray = search((0, self.closed([0])), |(b, set), name| {
            if name.is_complete() && other.accepts(*b) && !set.iter().any(|&a| self.accepts(a)) {
                return Next::Found;
            }
            if set.iter().any(|&a| matches!(self.states[a], State::Rest)) {
                return Next::Visit(Vec::new());
            }
            let mut next = Vec::new();
            for b in other.reach(*b) {
                for &byte in &alphabet {
                    if let (Some(b), Some(name)) = (other.step(b, byte), name.step(byte)) {
                        let after = self.closed(set.iter().filter_map(|&a| self.step(a, byte)));
                        next.push(((b, after), name));
                    }
                }
            }
            Next::Visit(next)
        });
        !stray
    }

    /// The set of states reached from `states`, in order and without those that cannot accept more than a
    /// later one does.
    ///
    /// A `*` accepts whatever an earlier place in the same component accepts, for that place has to pass the
    /// `*` within this component; a `**` likewise whatever any earlier place accepts. Dropping those keeps
    /// the number of different sets small: what grows exponentially is only a `**` followed by components
    /// with `*`, of which there are at most [`MAX_WILDCARDS`](super::MAX_WILDCARDS).
    fn closed(&self, states: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut set: Vec<usize> = states.into_iter().flat_map(|state| self.reach(state)).collect();
        set.sort_unstable();
        set.dedup();
        let mut kept: Vec<usize> = Vec::with_capacity(set.len());
        for state in set {
            let covers_from = match self.states[state] {
                State::Star => self.segment_starts[state],
                State::Boundary | State::Inside | State::Rest => 0,
                State::Byte(_) | State::Tail | State::End => state,
            };
            kept.truncate(kept.partition_point(|&earlier| earlier < covers_from));
            kept.push(state);
        }
        kept
    }
}

enum Next<S> {
    Found,
    Visit(Vec<(S, NameState)>),
}

/// Breadth-first search over places and name states, one level per character of the name.
fn search<S: Clone + Eq + std::hash::Hash>(start: S, expand: impl Fn(&S, NameState) -> Next<S>) -> bool {
    let mut seen = HashSet::from([(start.clone(), NameState::Start)]);
    let mut level = vec![(start, NameState::Start)];
    for _ in 0..=MAX_REPO_NAME_BYTES {
        let mut next_level = Vec::new();
        for (place, name) in level {
            match expand(&place, name) {
                Next::Found => return true,
                Next::Visit(places) => {
                    next_level.extend(places.into_iter().filter(|place| seen.insert(place.clone())));
                }
            }
        }
        level = next_level;
    }
    false
}
