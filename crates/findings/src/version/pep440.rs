//! Python's rule (PEP 440, now packaging.python.org, "Version specifiers").
//!
//! What is no version by it (`1.0-snapshot-of-yesterday`) is older than everything that is, and ordered as text. The crate
//! `pep440_rs` refuses numbers beyond 64 bits, which would put them there; it is what the tests compare with.

use std::cmp::Ordering;

use super::{digits, semantic};

/// Spellings, the longer one before its own beginning, with their place.
const PRE: [(&str, u8); 8] = [
    ("preview", 2),
    ("alpha", 0),
    ("beta", 1),
    ("pre", 2),
    ("rc", 2),
    ("a", 0),
    ("b", 1),
    ("c", 2),
];
const POST: [(&str, u8); 3] = [("post", 0), ("rev", 0), ("r", 0)];
const DEV: [(&str, u8); 1] = [("dev", 0)];

type Numbered<'a> = (u8, &'a [u8]);

#[derive(Debug)]
struct Version<'a> {
    epoch: &'a [u8],
    release: &'a [u8],
    pre: Option<Numbered<'a>>,
    post: Option<Numbered<'a>>,
    dev: Option<Numbered<'a>>,
    local: Option<&'a [u8]>,
}

impl<'a> Version<'a> {
    /// `text` is lower case.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text).as_bytes();
        let (epoch, rest) = match digits::split(text) {
            (epoch, [b'!', rest @ ..]) if !epoch.is_empty() => (epoch, rest),
            _ => (&[][..], text),
        };
        let (release, mut rest) = split_release(rest)?;
        let version = Self {
            epoch,
            release,
            pre: take_word(&mut rest, &PRE),
            post: take_implicit_post(&mut rest).or_else(|| take_word(&mut rest, &POST)),
            dev: take_word(&mut rest, &DEV),
            local: take_local(&mut rest),
        };
        rest.is_empty().then_some(version)
    }

    fn compare(&self, other: &Self) -> Ordering {
        digits::compare(self.epoch, other.epoch)
            .then_with(|| semantic::compare_numbers(self.release, other.release))
            .then_with(|| self.pre_class().cmp(&other.pre_class()))
            .then_with(|| compare_numbered(self.pre, other.pre))
            .then_with(|| self.post.is_some().cmp(&other.post.is_some()))
            .then_with(|| compare_numbered(self.post, other.post))
            .then_with(|| self.dev.is_none().cmp(&other.dev.is_none()))
            .then_with(|| compare_numbered(self.dev, other.dev))
            .then_with(|| compare_locals(self.local, other.local))
    }

    /// A development release of the version itself, its pre-releases, the rest.
    const fn pre_class(&self) -> u8 {
        match self {
            Self { pre: Some(_), .. } => 1,
            Self {
                post: None,
                dev: Some(_),
                ..
            } => 0,
            _ => 2,
        }
    }
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(str::to_ascii_lowercase);
    match (Version::parse(&left), Version::parse(&right)) {
        (Some(left), Some(right)) => left.compare(&right),
        (None, None) => left.cmp(&right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}

pub(super) fn is_valid(text: &str) -> bool {
    Version::parse(&text.to_ascii_lowercase()).is_some()
}

/// Numbers with single dots between. A dot that no digit follows belongs to what comes next.
fn split_release(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = digits::split(text).0.len();
    if end == 0 {
        return None;
    }
    while let Some(b'.') = text.get(end) {
        match digits::split(&text[end + 1..]).0.len() {
            0 => break,
            length => end += 1 + length,
        }
    }
    Some(text.split_at(end))
}

fn without_separator(text: &[u8]) -> &[u8] {
    match text {
        [b'.' | b'-' | b'_', rest @ ..] => rest,
        text => text,
    }
}

fn take_word<'a>(rest: &mut &'a [u8], words: &[(&str, u8)]) -> Option<Numbered<'a>> {
    let text = without_separator(rest);
    let (place, after) = words
        .iter()
        .find_map(|(word, place)| Some((*place, text.strip_prefix(word.as_bytes())?)))?;
    let (number, after) = digits::split(without_separator(after));
    *rest = after;
    Some((place, number))
}

/// `1.0-1` is `1.0.post1`.
fn take_implicit_post<'a>(rest: &mut &'a [u8]) -> Option<Numbered<'a>> {
    let (number, after) = digits::split(rest.strip_prefix(b"-")?);
    if number.is_empty() {
        return None;
    }
    *rest = after;
    Some((0, number))
}

fn take_local<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let local = rest.strip_prefix(b"+")?;
    let is_part = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_alphanumeric);
    if !local_parts(local).all(is_part) {
        return None;
    }
    *rest = &[];
    Some(local)
}

fn local_parts(local: &[u8]) -> impl Iterator<Item = &[u8]> {
    local.split(|byte| matches!(byte, b'.' | b'-' | b'_'))
}

fn compare_numbered(left: Option<Numbered<'_>>, right: Option<Numbered<'_>>) -> Ordering {
    let [left, right] = [left, right].map(Option::unwrap_or_default);
    left.0
        .cmp(&right.0)
        .then_with(|| digits::compare(left.1, right.1))
}

/// None, then words before numbers, the shorter one before the longer.
fn compare_locals(left: Option<&[u8]>, right: Option<&[u8]>) -> Ordering {
    let (Some(left), Some(right)) = (left, right) else {
        return left.is_some().cmp(&right.is_some());
    };
    let [mut left, mut right] = [local_parts(left), local_parts(right)];
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(left), Some(right)) => compare_local_parts(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn compare_local_parts(left: &[u8], right: &[u8]) -> Ordering {
    match (digits::is_number(left), digits::is_number(right)) {
        (true, true) => digits::compare(left, right),
        (false, false) => left.cmp(right),
        (left, right) => left.cmp(&right),
    }
}
