//! The rule of rpm (rpm-version(7)): `[epoch:]version[-release]`, each part by segments.

use std::cmp::Ordering;

use super::digits;

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [(left_epoch, left), (right_epoch, right)] = [left, right].map(split_epoch);
    let [(left, left_release), (right, right_release)] =
        [left, right].map(|text| text.rsplit_once('-').unwrap_or((text, "")));
    digits::compare(left_epoch.as_bytes(), right_epoch.as_bytes())
        .then_with(|| compare_part(left, right))
        .then_with(|| compare_part(left_release, right_release))
}

/// The characters that rpm lets into versions (`rpmCharCheck`), and one `-` before the release.
pub(super) fn is_valid(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~^-%{}".contains(&byte);
    let (_, rest) = split_epoch(text);
    !rest.is_empty() && rest.bytes().all(is_allowed) && rest.bytes().filter(|byte| *byte == b'-').count() < 2
}

/// A missing epoch is 0.
fn split_epoch(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
        _ => ("", text),
    }
}

/// In their order: what sorts before the end, the end, and what makes a version later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    Number(Number<'a>),
}

#[derive(Debug, Clone, Copy)]
struct Number<'a>(&'a [u8]);

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        digits::compare(self.0, other.0)
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number<'_> {}

fn compare_part(left: &str, right: &str) -> Ordering {
    let [mut left, mut right] = [left, right].map(str::as_bytes);
    loop {
        let segments = [next_segment(&mut left), next_segment(&mut right)];
        match segments[0].cmp(&segments[1]) {
            Ordering::Equal if segments[0] == Segment::End => return Ordering::Equal,
            Ordering::Equal => {}
            ordering => return ordering,
        }
    }
}

/// Everything that is neither a letter, a digit, `~` nor `^` only separates.
fn next_segment<'a>(text: &mut &'a [u8]) -> Segment<'a> {
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'~' && *byte != b'^';
    let (_, rest) = digits::split_while(text, is_separator);
    let (segment, rest) = match rest.first() {
        None => (Segment::End, rest),
        Some(b'~') => (Segment::Tilde, &rest[1..]),
        Some(b'^') => (Segment::Caret, &rest[1..]),
        Some(byte) if byte.is_ascii_digit() => {
            let (number, rest) = digits::split(rest);
            (Segment::Number(Number(number)), rest)
        }
        Some(_) => {
            let (letters, rest) = digits::split_while(rest, u8::is_ascii_alphabetic);
            (Segment::Letters(letters), rest)
        }
    };
    *text = rest;
    segment
}
