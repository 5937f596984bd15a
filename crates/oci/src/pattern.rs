//! Patterns over repository names, for grants and rules.

mod automaton;
mod glob;
mod map;

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use map::{PatternMap, PatternTie};

use crate::RepoName;
use crate::repo_name::MAX_REPO_NAME_BYTES;
use crate::text::{excerpt, serde_as_text};
use automaton::Automaton;
use glob::Segment;

/// Longest pattern in bytes: that of the names it is for.
pub const MAX_PATTERN_BYTES: usize = MAX_REPO_NAME_BYTES;

/// Most wildcards (`*` and `**` counted alike) in one pattern; bounds the cost of [`RepoPattern::contains`],
/// which grows with two to the power of them.
pub const MAX_WILDCARDS: usize = 8;

/// A set of repository names: the one glob form that grants, rules and configuration use.
///
/// | in a pattern | stands for |
/// |---|---|
/// | `a-z 0-9 . _ - /` | itself |
/// | `*` | any number of characters, also none, within one component; a component is never empty |
/// | `**` between slashes | any number of components, also none |
/// | `**` at the end | one or more components |
///
/// So `team/**` is everything below `team` but not `team` itself, and `**` is every name; `**/app` is `app`,
/// `team/app` and `a/b/app`; `team/*` is `team/app` but not `team/a/b`. Cloning is cheap. Equality is that of
/// the text.
#[derive(Clone)]
pub struct RepoPattern {
    text: Arc<str>,
    segments: Arc<[Segment]>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing there.
    #[error("repository pattern is empty: use ** for every repository")]
    Empty,
    /// Over [`MAX_PATTERN_BYTES`].
    #[error("repository pattern has {bytes} bytes: at most {MAX_PATTERN_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Over [`MAX_WILDCARDS`].
    #[error("repository pattern has {wildcards} wildcards: at most {MAX_WILDCARDS} are allowed")]
    TooManyWildcards {
        /// How many it has.
        wildcards: usize,
    },
    /// Outside the grammar.
    #[error("repository pattern `{pattern}` is malformed: {problem}")]
    Malformed {
        /// The text, clipped and escaped.
        pattern: String,
        /// What is wrong and what is expected instead.
        problem: &'static str,
    },
    /// Well formed, but no repository name can match it.
    #[error(
        "repository pattern `{pattern}` can match no name: names are components such as my-app_2, joined by /"
    )]
    MatchesNothing {
        /// The text, clipped and escaped.
        pattern: String,
    },
}

/// How narrow a pattern is; greater is more specific.
///
/// First the number of characters that every match must have (slashes included), then fewer `**`, then fewer
/// `*`. A pattern that another one contains is always the more specific of the two, or they match the same
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    fixed: usize,
    deep: Reverse<usize>,
    wild: Reverse<usize>,
}

impl RepoPattern {
    /// `**`, the pattern of every name.
    pub fn everything() -> RepoPattern {
        RepoPattern {
            text: "**".into(),
            segments: [Segment::One("*".into()), Segment::Many].into(),
        }
    }

    /// The text as it was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `name` is in the set. Does not allocate.
    pub fn matches(&self, name: &RepoName) -> bool {
        glob::matches(&self.segments, name.as_str())
    }

    /// How narrow it is, to decide which of several matching patterns wins.
    pub fn specificity(&self) -> Specificity {
        let mut components = 0;
        let mut fixed = 0;
        let (mut deep, mut wild) = (0, 0);
        for segment in self.segments.iter() {
            match segment {
                Segment::Many => deep += 1,
                Segment::One(glob) => {
                    components += 1;
                    let stars = glob.bytes().filter(|&b| b == b'*').count();
                    wild += stars;
                    fixed += glob.len() - stars;
                }
            }
        }
        Specificity {
            fixed: fixed + components - 1,
            deep: Reverse(deep),
            wild: Reverse(wild),
        }
    }

    /// Whether some repository name matches both. Exact.
    pub fn overlaps(&self, other: &RepoPattern) -> bool {
        Automaton::new(&self.segments).overlaps(&Automaton::new(&other.segments))
    }

    /// Whether every repository name that matches `other` matches this one too. Exact.
    pub fn contains(&self, other: &RepoPattern) -> bool {
        Automaton::new(&self.segments).contains(&Automaton::new(&other.segments))
    }

    /// The one name that it matches, if it has no wildcard.
    pub fn exact(&self) -> Option<RepoName> {
        if self.text.contains('*') {
            None
        } else {
            self.text.parse().ok()
        }
    }

    /// What every name that it matches begins with: its text up to the first wildcard.
    pub fn literal_prefix(&self) -> &str {
        self.text.split('*').next().unwrap_or_default()
    }

    /// The text of its first component, if that has no wildcard.
    fn first_component(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::One(glob)) if !glob.contains('*') => Some(glob),
            _ => None,
        }
    }
}

impl FromStr for RepoPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        let malformed = |problem| PatternError::Malformed {
            pattern: excerpt(text),
            problem,
        };
        let segments = glob::parse(text).map_err(malformed)?;
        let wildcards = text.matches('*').count() - text.matches("**").count();
        if wildcards > MAX_WILDCARDS {
            return Err(PatternError::TooManyWildcards { wildcards });
        }
        let pattern = RepoPattern {
            text: text.into(),
            segments: segments.into(),
        };
        if pattern.overlaps(&pattern) {
            Ok(pattern)
        } else {
            Err(PatternError::MatchesNothing {
                pattern: excerpt(text),
            })
        }
    }
}

impl From<&RepoName> for RepoPattern {
    /// The pattern of this one name.
    fn from(name: &RepoName) -> Self {
        let segments = name
            .components()
            .map(|component| Segment::One(component.into()))
            .collect();
        RepoPattern {
            text: name.as_str().into(),
            segments,
        }
    }
}

impl PartialEq for RepoPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RepoPattern {}

impl std::hash::Hash for RepoPattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for RepoPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By text, for stable listings; see [`specificity`](RepoPattern::specificity) for the other order.
impl Ord for RepoPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for RepoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for RepoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoPattern({:?})", &*self.text)
    }
}

serde_as_text!(RepoPattern, "a repository pattern such as team/**");

#[cfg(test)]
mod tests;
