//! Whether an advisory means a version: OSV's evaluation over all that one advisory says of one package.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use super::index::{Entry, Inside, SortedRange};
use crate::{Ecosystem, version::compare};

/// Steps from one fix to the next, and candidates tried beside the ranges. An honest advisory needs one or two.
const FIX_STEPS: usize = 64;
/// A range without an end on either side.
const EVERY: &str = "every version";
/// Versions of a range of evidence that are looked at.
const EVIDENCE_POINTS: usize = 256;

/// What an advisory says of one version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is affected, by this range or by name.
    Affected {
        /// In words: `2.4 <= version < 2.12.2`.
        range: String,
        /// Versions were ordered to find out.
        is_compared: bool,
    },
    /// It cannot be said, for this reason.
    Uncertain(String),
    /// The advisory speaks of the package, but not of this version.
    NotAffected,
}

/// Entries of one advisory for one package, any of which is enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) entries: &'a [&'a Entry],
}

impl<'a> Statement<'a> {
    /// Judges one version. An empty one is not known.
    pub(crate) fn judge(self, version: &str) -> Verdict {
        let mut doubt = None;
        for entry in self.entries {
            match judge_entry(entry, version) {
                Verdict::NotAffected => {}
                Verdict::Uncertain(why) => doubt = doubt.or(Some(why)),
                affected @ Verdict::Affected { .. } => return affected,
            }
        }
        doubt.map_or(Verdict::NotAffected, Verdict::Uncertain)
    }

    /// Whether versions have to be ordered to judge one.
    pub(crate) fn compares(self) -> bool {
        self.entries.iter().any(|entry| !entry.ranges.is_empty())
    }

    /// Judges evidence that allows every version from `first` to `last`.
    pub(crate) fn judge_evidence(self, first: &str, last: &str) -> Verdict {
        let lies_between = |version: &&str| {
            let order = |left, right| compare(self.ecosystem, left, right);
            order(first, version) == Ok(Ordering::Less) && order(version, last) == Ok(Ordering::Less)
        };
        let ranges = self.entries.iter().flat_map(|entry| entry.ranges.iter());
        let points = ranges
            .flat_map(SortedRange::versions)
            .filter(lies_between)
            .take(EVIDENCE_POINTS);
        let mut verdicts = [first, last]
            .into_iter()
            .chain(points)
            .map(|version| self.judge(version));
        let Some(verdict) = verdicts.next() else {
            return Verdict::NotAffected;
        };
        let is_affected = |verdict: &Verdict| matches!(verdict, Verdict::Affected { .. });
        if verdicts.all(|other| is_affected(&other) == is_affected(&verdict)) {
            return verdict;
        }
        Verdict::Uncertain(format!(
            "the evidence allows {first} to {last}, of which some are affected"
        ))
    }

    /// The version to go to from an affected one: where the part of the range ends that it lies in; if that version is affected
    /// by another range of the same advisory, where that one ends, and so on. Sources without ranges, and ranges without
    /// an end, leave the smallest later version that the advisory names as fixed or unaffected.
    pub(crate) fn fix(self, version: &str) -> Option<String> {
        self.fix_along_ranges(version)
            .or_else(|| self.fix_among_named(version))
            .map(str::to_owned)
    }

    fn fix_along_ranges(self, version: &str) -> Option<&'a str> {
        let mut next = self.end_of_part(version)?;
        for _ in 0..FIX_STEPS {
            match self.judge(next) {
                Verdict::NotAffected => return Some(next),
                Verdict::Affected { .. } => next = self.end_of_part(next)?,
                Verdict::Uncertain(_) => return None,
            }
        }
        None
    }

    fn end_of_part(self, version: &str) -> Option<&'a str> {
        let ranges = self.entries.iter().flat_map(|entry| entry.ranges.iter());
        let ends = ranges
            .filter(|range| !range.is_unordered())
            .filter_map(|range| range.locate(version).ok().flatten()?.fixed);
        self.smallest(ends)
    }

    fn fix_among_named(self, version: &str) -> Option<&'a str> {
        let fixes = self
            .entries
            .iter()
            .flat_map(|entry| entry.ranges.iter())
            .flat_map(SortedRange::fixes);
        let unaffected = self
            .entries
            .iter()
            .flat_map(|entry| entry.unaffected.iter().map(AsRef::as_ref));
        let is_later =
            |candidate: &&str, than: &str| compare(self.ecosystem, candidate, than) == Ok(Ordering::Greater);
        let candidates: Vec<&str> = fixes
            .chain(unaffected)
            .filter(|candidate| is_later(candidate, version))
            .collect();
        let mut after = version;
        for _ in 0..FIX_STEPS {
            let later = candidates
                .iter()
                .copied()
                .filter(|candidate| is_later(candidate, after));
            let candidate = self.smallest(later)?;
            if self.judge(candidate) == Verdict::NotAffected {
                return Some(candidate);
            }
            after = candidate;
        }
        None
    }

    fn smallest<'b>(self, versions: impl Iterator<Item = &'b str>) -> Option<&'b str> {
        versions.reduce(|left, right| {
            if compare(self.ecosystem, right, left) == Ok(Ordering::Less) {
                right
            } else {
                left
            }
        })
    }
}

fn judge_entry(entry: &Entry, version: &str) -> Verdict {
    if !version.is_empty()
        && entry
            .versions
            .binary_search_by(|known| known.as_ref().cmp(version))
            .is_ok()
    {
        return Verdict::Affected {
            range: format!("version {version}, by name"),
            is_compared: false,
        };
    }
    let mut doubt = None;
    for range in &entry.ranges {
        if range.is_unordered() {
            doubt = doubt.or(Some(
                "a version of the advisory's range has no place in the order".to_owned(),
            ));
            continue;
        }
        match range.locate(version) {
            Ok(Some(inside)) => {
                let range = in_words(&inside);
                return Verdict::Affected {
                    is_compared: range != EVERY,
                    range,
                };
            }
            Ok(None) => {}
            Err(_) if version.is_empty() => doubt = doubt.or(Some("the version is not known".to_owned())),
            Err(error) => doubt = doubt.or(Some(error.to_string())),
        }
    }
    if entry.ranges.is_empty() && entry.versions.is_empty() {
        doubt = Some(
            if entry.has_commits {
                "the advisory names commits only"
            } else {
                "the advisory names no version"
            }
            .to_owned(),
        );
    } else if version.is_empty() && doubt.is_none() && entry.ranges.is_empty() {
        doubt = Some("the version is not known".to_owned());
    }
    doubt.map_or(Verdict::NotAffected, Verdict::Uncertain)
}

fn in_words(inside: &Inside<'_>) -> String {
    let start = match inside.introduced {
        "0" => String::new(),
        introduced => format!("{introduced} <= "),
    };
    match (inside.fixed, inside.last_affected) {
        (Some(fixed), _) => format!("{start}version < {fixed}"),
        (None, Some(last)) => format!("{start}version <= {last}"),
        (None, None) if start.is_empty() => EVERY.to_owned(),
        (None, None) => format!("{start}version"),
    }
}
