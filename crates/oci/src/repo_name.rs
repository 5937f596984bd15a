//! Repository names.

use std::sync::Arc;

use crate::text::{checked_text, excerpt};

/// Longest repository name in bytes.
///
/// The specification leaves the number to the registry but warns that clients limit host and name together to
/// 255.
pub const MAX_REPO_NAME_BYTES: usize = 255;

/// The name of a repository, such as `team/app`.
///
/// One or more components joined by `/`; a component is runs of `[a-z0-9]+` joined by `.`, `_`, `__` or any
/// number of `-` (distribution-spec, "Pulling manifests"). So it can hold no `..`, no control character and
/// no empty part, and is safe as a relative path. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName(Arc<str>);

/// Why a text is no repository name. Answered to clients as `NAME_INVALID`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepoNameError {
    /// Nothing there.
    #[error("repository name is empty: give one such as team/app")]
    Empty,
    /// Over [`MAX_REPO_NAME_BYTES`].
    #[error("repository name has {bytes} bytes: at most {MAX_REPO_NAME_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Outside the grammar.
    #[error(
        "repository name `{name}` is malformed at byte {at}: use lowercase letters and digits, joined by `.`, `_`, \
         `__` or `-`, in components separated by `/`"
    )]
    Malformed {
        /// The name, clipped and escaped.
        name: String,
        /// Offset in bytes of the first one that does not fit; the length if the name ends too early.
        at: usize,
    },
}

checked_text!(
    RepoName,
    RepoNameError,
    check,
    "a repository name such as team/app"
);

impl RepoName {
    /// The parts between the slashes; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

fn check(name: &str) -> Result<&str, RepoNameError> {
    if name.is_empty() {
        return Err(RepoNameError::Empty);
    }
    if name.len() > MAX_REPO_NAME_BYTES {
        return Err(RepoNameError::TooLong { bytes: name.len() });
    }
    let malformed = |at| RepoNameError::Malformed {
        name: excerpt(name),
        at,
    };
    let mut state = NameState::Start;
    for (at, byte) in name.bytes().enumerate() {
        state = state.step(byte).ok_or_else(|| malformed(at))?;
    }
    if state.is_complete() {
        Ok(name)
    } else {
        Err(malformed(name.len()))
    }
}

/// The grammar of names as a state machine, shared with the reasoning about [patterns](crate::RepoPattern).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NameState {
    /// Before the first character of a component.
    Start,
    /// After a letter or digit: the only state in which a name may end.
    Word,
    Dot,
    Underscore,
    TwoUnderscores,
    Dashes,
}

impl NameState {
    pub(crate) fn step(self, byte: u8) -> Option<NameState> {
        use NameState::{Dashes, Dot, Start, TwoUnderscores, Underscore, Word};
        match (self, byte) {
            (_, b'a'..=b'z' | b'0'..=b'9') => Some(Word),
            (Word, b'/') => Some(Start),
            (Word, b'.') => Some(Dot),
            (Word, b'_') => Some(Underscore),
            (Underscore, b'_') => Some(TwoUnderscores),
            (Word | Dashes, b'-') => Some(Dashes),
            _ => None,
        }
    }

    pub(crate) fn is_complete(self) -> bool {
        self == NameState::Word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_grammar_allows() {
        let longest = "a".repeat(MAX_REPO_NAME_BYTES);
        for name in [
            "a",
            "0",
            "team/app",
            "a.b_c__d-e---f",
            "library/alpine",
            "a/b/c/d/e",
            "1-2/3.4",
            longest.as_str(),
        ] {
            assert_eq!(name.parse::<RepoName>().unwrap(), name);
        }
        let name: RepoName = "a/b/c".parse().unwrap();
        assert_eq!(name.components().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn refuses_the_rest_and_says_where() {
        for (name, at) in [
            ("/a", 0),
            ("a/", 2),
            ("a//b", 2),
            ("A", 0),
            ("team/App", 5),
            (".", 0),
            ("..", 0),
            ("a/../b", 2),
            ("a..b", 2),
            ("a.", 2),
            ("a___b", 3),
            ("a-_b", 2),
            ("-a", 0),
            ("a-", 2),
            ("a b", 1),
            ("a\0", 1),
            ("a\n", 1),
            ("a:b", 1),
            ("a@b", 1),
            ("a%2fb", 1),
            ("a\\b", 1),
            ("é", 0),
        ] {
            let error = name.parse::<RepoName>().unwrap_err();
            assert_eq!(
                error,
                RepoNameError::Malformed {
                    name: excerpt(name),
                    at
                },
                "{name:?}"
            );
        }
        assert_eq!("".parse::<RepoName>(), Err(RepoNameError::Empty));
        let long = "a".repeat(MAX_REPO_NAME_BYTES + 1);
        assert_eq!(
            long.parse::<RepoName>(),
            Err(RepoNameError::TooLong {
                bytes: MAX_REPO_NAME_BYTES + 1
            })
        );
    }
}
