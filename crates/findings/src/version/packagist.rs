//! Composer's rule: PHP's `version_compare` over versions that Composer has normalised (getcomposer.org, "Versions and
//! constraints"; php.net, `version_compare`).

use std::{borrow::Cow, cmp::Ordering};

use super::{digits, semantic};

/// One part behind the numbers. In their order: a word that PHP does not know is older than any that it does.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Unknown(&'a [u8]),
    Dev,
    Alpha,
    Beta,
    Candidate,
    End,
    Number(&'a [u8]),
    Patch,
}

impl<'a> Part<'a> {
    /// Composer takes the word `stable` away.
    fn of_word(word: &'a [u8]) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"stable" => return None,
            b"dev" => Self::Dev,
            b"alpha" | b"a" => Self::Alpha,
            b"beta" | b"b" => Self::Beta,
            b"rc" | b"c" => Self::Candidate,
            b"patch" | b"pl" | b"p" => Self::Patch,
            _ => Self::Unknown(word),
        })
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Unknown(_) => 0,
            Self::Dev => 1,
            Self::Alpha => 2,
            Self::Beta => 3,
            Self::Candidate => 4,
            Self::End => 5,
            Self::Number(_) => 6,
            Self::Patch => 7,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => digits::compare(left, right),
            (Self::Unknown(left), Self::Unknown(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(with_branch_number);
    let (left, mut left_rest) = split_numbers(&left);
    let (right, mut right_rest) = split_numbers(&right);
    let ordering = semantic::compare_numbers(left, right);
    if ordering.is_ne() {
        return ordering;
    }
    loop {
        let [left, right] = [next_part(&mut left_rest), next_part(&mut right_rest)];
        let ordering = left.compare(&right);
        if ordering.is_ne() || matches!(left, Part::End) {
            return ordering;
        }
    }
}

/// A number in front, or the name of a branch.
pub(super) fn is_valid(text: &str) -> bool {
    semantic::is_valid(text) || text.starts_with("dev-") || text.ends_with("-dev")
}

/// `1.x-dev` is later than every 1.N.
fn with_branch_number(text: &str) -> Cow<'_, str> {
    match text.strip_suffix(".x-dev") {
        Some(branch) => Cow::Owned(format!("{branch}.9999999-dev")),
        None => Cow::Borrowed(text),
    }
}

fn split_numbers(text: &str) -> (&[u8], &[u8]) {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let text = text.split(['+', '#', '@']).next().unwrap_or_default();
    digits::split_while(text.as_bytes(), |byte| byte.is_ascii_digit() || *byte == b'.')
}

/// Everything but letters and digits only separates, and so does going from the one to the other.
fn next_part<'a>(rest: &mut &'a [u8]) -> Part<'a> {
    loop {
        let (_, text) = digits::split_while(rest, |byte| !byte.is_ascii_alphanumeric());
        let Some(first) = text.first() else {
            return Part::End;
        };
        if first.is_ascii_digit() {
            let (number, after) = digits::split(text);
            *rest = after;
            return Part::Number(number);
        }
        let (word, after) = digits::split_while(text, u8::is_ascii_alphabetic);
        *rest = after;
        if let Some(part) = Part::of_word(word) {
            return part;
        }
    }
}
