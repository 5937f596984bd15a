//! Values by pattern, of which the most specific wins.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::RepoPattern;
use crate::RepoName;

/// Values by pattern. The most specific pattern that matches a name wins; that there is only one is checked
/// when the map is built.
#[derive(Clone, Debug)]
pub struct PatternMap<T> {
    /// Most specific first.
    entries: Vec<(RepoPattern, T)>,
    /// Patterns without wildcard: nothing that matches their name is more specific.
    exact: HashMap<Box<str>, usize>,
    /// Patterns with a wildcard, by their first component where that has none.
    by_first: HashMap<Box<str>, Vec<usize>>,
    /// All others.
    rest: Vec<usize>,
}

/// Two patterns that match a common name and are equally specific, so that neither wins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "repository patterns `{a}` and `{b}` match common names and neither is more specific: change one of them"
)]
pub struct PatternTie {
    /// One of them.
    pub a: RepoPattern,
    /// The other; the same if it is given twice.
    pub b: RepoPattern,
}

impl<T> PatternMap<T> {
    /// A map from pairs in any order.
    pub fn build(mut entries: Vec<(RepoPattern, T)>) -> Result<PatternMap<T>, PatternTie> {
        entries.sort_by_cached_key(|(pattern, _)| (Reverse(pattern.specificity()), pattern.clone()));
        for equals in entries.chunk_by(|(a, _), (b, _)| a.specificity() == b.specificity()) {
            refuse_ties(equals)?;
        }
        let mut map = PatternMap {
            entries,
            exact: HashMap::new(),
            by_first: HashMap::new(),
            rest: Vec::new(),
        };
        for (index, (pattern, _)) in map.entries.iter().enumerate() {
            if !pattern.as_str().contains('*') {
                map.exact.insert(pattern.as_str().into(), index);
            } else if let Some(first) = pattern.first_component() {
                map.by_first.entry(first.into()).or_default().push(index);
            } else {
                map.rest.push(index);
            }
        }
        Ok(map)
    }

    /// The value of the most specific pattern that matches.
    pub fn get(&self, name: &RepoName) -> Option<&T> {
        self.get_entry(name).map(|(_, value)| value)
    }

    /// The same with the pattern that won.
    pub fn get_entry(&self, name: &RepoName) -> Option<(&RepoPattern, &T)> {
        let index = self.exact.get(name.as_str()).copied().or_else(|| {
            let first = name.components().next().unwrap_or_default();
            let near = self
                .by_first
                .get(first)
                .and_then(|indexes| self.first_match(indexes, name));
            let far = self.first_match(&self.rest, name);
            near.into_iter().chain(far).min()
        })?;
        let (pattern, value) = &self.entries[index];
        Some((pattern, value))
    }

    fn first_match(&self, indexes: &[usize], name: &RepoName) -> Option<usize> {
        indexes
            .iter()
            .copied()
            .find(|&index| self.entries[index].0.matches(name))
    }

    /// All entries, most specific first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&RepoPattern, &T)> {
        self.entries.iter().map(|(pattern, value)| (pattern, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for PatternMap<T> {
    fn default() -> Self {
        PatternMap {
            entries: Vec::new(),
            exact: HashMap::new(),
            by_first: HashMap::new(),
            rest: Vec::new(),
        }
    }
}

/// Two patterns can only overlap if what one has before its first wildcard begins what the other has there.
/// Sorted by that, the candidates of each pattern follow it directly, which spares the exact search for
/// nearly all pairs.
fn refuse_ties<T>(equals: &[(RepoPattern, T)]) -> Result<(), PatternTie> {
    let mut fixed: Vec<(&str, &RepoPattern)> = equals
        .iter()
        .map(|(pattern, _)| (fixed_start(pattern), pattern))
        .collect();
    fixed.sort_unstable();
    for (index, (start, a)) in fixed.iter().enumerate() {
        let candidates = fixed[index + 1..]
            .iter()
            .take_while(|(other, _)| other.starts_with(start));
        if let Some((_, b)) = candidates.into_iter().find(|(_, b)| a.overlaps(b)) {
            return Err(PatternTie {
                a: (*a).clone(),
                b: (*b).clone(),
            });
        }
    }
    Ok(())
}

fn fixed_start(pattern: &RepoPattern) -> &str {
    pattern.as_str().split('*').next().unwrap_or_default()
}
