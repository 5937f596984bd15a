//! The rule of `RubyGems` (the documentation of `Gem::Version`): numbers and words, words before numbers.

use std::cmp::Ordering;

use super::digits;

/// A segment; in their order, a word is older than any number.
#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Word(&'a [u8]),
    Number(&'a [u8]),
}

impl Segment<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Word(left), Self::Word(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => digits::compare(left, right),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
        }
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::Number(number) if digits::is_zero(number))
    }
}

/// Words with which the platform of a gem that was built for one begins (`-x86_64-linux`, `-java`).
const PLATFORMS: [&str; 27] = [
    "aarch64",
    "amd64",
    "arm",
    "arm64",
    "armv6",
    "armv6l",
    "armv7",
    "armv7l",
    "dalvik",
    "darwin",
    "i386",
    "i686",
    "java",
    "jruby",
    "linux",
    "mingw",
    "mingw32",
    "mswin32",
    "mswin64",
    "powerpc",
    "ppc64le",
    "ruby",
    "s390x",
    "universal",
    "x64",
    "x86",
    "x86_64",
];

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(canonical_segments);
    let zero = Segment::Number(b"");
    (0..left.len().max(right.len()))
        .map(|at| {
            left.get(at)
                .unwrap_or(&zero)
                .compare(right.get(at).unwrap_or(&zero))
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// What `Gem::Version.correct?` takes, with or without a platform.
pub(super) fn is_valid(text: &str) -> bool {
    let (release, pre_release) = match without_platform(text).split_once('-') {
        Some((release, pre_release)) => (release, Some(pre_release)),
        None => (without_platform(text), None),
    };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    digits::is_number(release.split('.').next().unwrap_or_default().as_bytes())
        && release.split('.').all(is_word)
        && pre_release.is_none_or(|text| text.split('.').all(|part| is_word(&part.replace('-', ""))))
}

fn without_platform(text: &str) -> &str {
    let is_platform = |words: &str| {
        let first = words.split(['-', '.']).next().unwrap_or_default();
        PLATFORMS.contains(&first)
    };
    match text.split_once('-') {
        Some((version, words)) if is_platform(words) => version,
        _ => text,
    }
}

/// Zeros at the end of the numbers in front, and at the end of everything, say nothing. A hyphen stands for `pre`.
fn canonical_segments(text: &str) -> Vec<Segment<'_>> {
    let mut segments = Vec::new();
    let mut is_behind_numbers = false;
    let mut rest = without_platform(text).as_bytes();
    while let [first, after @ ..] = rest {
        let segment = if first.is_ascii_digit() {
            let (number, after) = digits::split(rest);
            rest = after;
            Segment::Number(number)
        } else if first.is_ascii_alphabetic() {
            let (word, after) = digits::split_while(rest, u8::is_ascii_alphabetic);
            rest = after;
            Segment::Word(word)
        } else {
            rest = after;
            if *first != b'-' {
                continue;
            }
            Segment::Word(b"pre")
        };
        if !is_behind_numbers && matches!(segment, Segment::Word(_)) {
            trim_zeros(&mut segments);
            is_behind_numbers = true;
        }
        segments.push(segment);
    }
    trim_zeros(&mut segments);
    segments
}

fn trim_zeros(segments: &mut Vec<Segment<'_>>) {
    while segments.last().is_some_and(Segment::is_zero) {
        segments.pop();
    }
}
