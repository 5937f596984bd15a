//! Semantic versions (semver.org 2.0.0, section 11), and what advisories write in their place.
//!
//! Taken beyond the standard: a `v` in front, fewer or more than three numbers (missing ones are 0), numbers of any length, and
//! a pre-release without its hyphen (`1.0RC2`, `1.0.0.beta.3`). Build metadata are no part of the order. The crate `semver`
//! knows none of these; it is what the tests compare with.

use std::{borrow::Cow, cmp::Ordering};

use super::digits;

/// A version in its two parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    /// Digits and dots.
    numbers: &'a [u8],
    /// What is behind them, without its hyphen.
    pre_release: Option<&'a [u8]>,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(text, _build)| text);
        let (numbers, rest) =
            digits::split_while(text.as_bytes(), |byte| byte.is_ascii_digit() || *byte == b'.');
        Self {
            numbers,
            pre_release: match rest {
                [] => None,
                [b'-', rest @ ..] | rest => Some(rest),
            },
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        compare_numbers(self.numbers, other.numbers).then_with(|| {
            match (self.pre_release, other.pre_release) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(left), Some(right)) => compare_pre_releases(left, right),
            }
        })
    }
}

/// Numbers with dots between, missing ones are 0.
pub(super) fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let [mut left, mut right] = [left, right].map(parts);
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => digits::compare(left.unwrap_or_default(), right.unwrap_or_default()),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn compare_pre_releases(left: &[u8], right: &[u8]) -> Ordering {
    let [mut left, mut right] = [left, right].map(parts);
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => compare_identifiers(left, right),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn compare_identifiers(left: &[u8], right: &[u8]) -> Ordering {
    match (digits::is_number(left), digits::is_number(right)) {
        (true, true) => digits::compare(left, right),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'.')
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    Version::parse(left).compare(&Version::parse(right))
}

/// .NET's order is the same but for the case of letters (learn.microsoft.com, `NuGet`, "Package versioning").
pub(super) fn compare_ignoring_case(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(lower_case);
    compare(&left, &right)
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether it begins with a number.
pub(super) fn is_valid(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}
