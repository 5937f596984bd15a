//! An expression, compiled when it is first needed.
//!
//! A worker lives as long as one layer, in which most of a few hundred rules never see a keyword. Compiling them all would
//! take longer than the layer.

use std::sync::OnceLock;

use regex_automata::{
    Input, MatchKind, PatternSet,
    meta::{BuildError, Config, Regex},
    util::captures::Captures,
};
use regex_syntax::hir::Hir;

use super::syntax;

/// `secrets.rule_size`: bytes of the automaton of one expression (`(a{1000}){1000}`).
const SIZE_LIMIT: usize = 8 << 20;
/// Bytes of the states that are built while searching; what needs more is searched slower, but still in linear time.
const CACHE_LIMIT: usize = 1 << 20;

/// One expression, or several that are searched for at once.
#[derive(Debug)]
pub(super) struct Pattern {
    hirs: Vec<Hir>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Reads expressions of Go.
    pub(super) fn parse<S: AsRef<str>>(expressions: &[S]) -> Result<Self, Box<regex_syntax::Error>> {
        let hirs = expressions.iter().map(|go| syntax::parse(go.as_ref()));
        Ok(Self::of(hirs.collect::<Result<_, _>>()?))
    }

    pub(super) fn of(hirs: Vec<Hir>) -> Self {
        Self {
            hirs,
            compiled: OnceLock::new(),
        }
    }

    pub(super) fn hirs(&self) -> &[Hir] {
        &self.hirs
    }

    /// Compiles now.
    pub(super) fn verify(&self) -> Result<(), Box<BuildError>> {
        build(&self.hirs).map(|_| ())
    }

    /// `None`: its automaton is too large.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| build(&self.hirs).ok()).as_ref()
    }

    /// Whether any of them matches somewhere. One that is too large does not.
    pub(super) fn is_match(&self, bytes: &[u8]) -> bool {
        !self.hirs.is_empty() && self.regex().is_some_and(|regex| regex.is_match(bytes))
    }

    /// Which of them match.
    pub(super) fn matching(&self, bytes: &[u8]) -> PatternSet {
        let mut set = PatternSet::new(self.hirs.len());
        if let Some(regex) = self.regex().filter(|_| !self.hirs.is_empty()) {
            regex.which_overlapping_matches(&Input::new(bytes), &mut set);
        }
        set
    }
}

fn build(hirs: &[Hir]) -> Result<Regex, Box<BuildError>> {
    // Of several, all that match are asked for, not the first.
    let kind = if hirs.len() > 1 {
        MatchKind::All
    } else {
        MatchKind::LeftmostFirst
    };
    let config = Config::new()
        .match_kind(kind)
        .utf8_empty(false)
        .nfa_size_limit(Some(SIZE_LIMIT))
        .hybrid_cache_capacity(CACHE_LIMIT)
        .onepass(false)
        .dfa(false);
    Regex::builder()
        .configure(config)
        .build_many_from_hir(hirs)
        .map_err(Box::new)
}

/// The secret part of a match: the named group, else the first group that is not empty, else all of it.
pub(super) fn secret_span(captures: &Captures, group: usize) -> Option<std::ops::Range<usize>> {
    let whole = captures.get_group(0)?;
    if group > 0 {
        return captures.get_group(group).map(|span| span.range());
    }
    let groups = (1..captures.group_len()).filter_map(|group| captures.get_group(group));
    let first = groups.into_iter().find(|span| !span.is_empty());
    Some(first.unwrap_or(whole).range())
}
