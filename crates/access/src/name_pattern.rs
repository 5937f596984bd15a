//! Patterns of names of users and robots, as the configuration writes them: `*` stands for any characters.

use std::fmt;
use std::str::FromStr;

use crate::principal::{MAX_NAME_BYTES, PrincipalName};

/// A pattern such as `cluster-*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether the name is one that the pattern means.
    pub fn matches(&self, name: &PrincipalName) -> bool {
        glob(self.0.as_bytes(), name.as_str().as_bytes())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is what `pattern` says, in which `*` stands for any characters. Takes no longer than the product of
/// both lengths: after a mismatch only the last star is tried again.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == text.get(seen) {
            at += 1;
            seen += 1;
        } else if let Some((star_at, eaten)) = star {
            star = Some((star_at, eaten + 1));
            at = star_at + 1;
            seen = eaten + 1;
        } else {
            return false;
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@+-*".contains(&byte);
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(legal) {
            return Err(NamePatternError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// No name can match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use a-z, 0-9, `.`, `_`, `@`, `+`, `-` and `*`, at most 64 of them")]
pub struct NamePatternError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, matches) in [
            ("cluster-*", "cluster-a", true),
            ("cluster-*", "my-cluster-a", false),
            ("*", "ann", true),
            ("*-pull-*", "eu-pull-1", true),
            ("*-pull-*", "eu-push-1", false),
            ("ann", "ann", true),
            ("ann", "anna", false),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert_eq!(
                pattern.matches(&name.parse().unwrap()),
                matches,
                "{pattern} {name}"
            );
        }
        for bad in ["", "Ann", "a b", "ä*"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
    }
}
