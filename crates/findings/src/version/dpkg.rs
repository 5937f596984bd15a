//! Debian's rule (deb-version(7)): `[epoch:]upstream[-revision]`.

use std::cmp::Ordering;

use super::digits;

struct Version<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if digits::is_number(epoch.as_bytes()) => (epoch, rest),
            _ => ("", text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self {
            epoch: epoch.as_bytes(),
            upstream: upstream.as_bytes(),
            revision: revision.as_bytes(),
        }
    }
}

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [Version::parse(left), Version::parse(right)];
    digits::compare(left.epoch, right.epoch)
        .then_with(|| compare_part(left.upstream, right.upstream))
        .then_with(|| compare_part(left.revision, right.revision))
}

/// What `dpkg --validate-version` takes.
pub(super) fn is_valid(text: &str) -> bool {
    let Version {
        epoch,
        upstream,
        revision,
    } = Version::parse(text);
    let is_upstream = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-~:".contains(byte);
    let is_revision = |byte: &u8| byte.is_ascii_alphanumeric() || b".+~".contains(byte);
    upstream.first().is_some_and(u8::is_ascii_digit)
        && upstream.iter().all(is_upstream)
        && revision.iter().all(is_revision)
        && !text.ends_with('-')
        && (!upstream.contains(&b':') || !epoch.is_empty())
}

/// Alternates between what is no digit and what is one.
fn compare_part<'a>(mut left: &'a [u8], mut right: &'a [u8]) -> Ordering {
    while !(left.is_empty() && right.is_empty()) {
        let [(left_word, left_rest), (right_word, right_rest)] =
            [left, right].map(|part| digits::split_while(part, |byte| !byte.is_ascii_digit()));
        let [(left_number, left_next), (right_number, right_next)] =
            [left_rest, right_rest].map(digits::split);
        let ordering =
            compare_word(left_word, right_word).then_with(|| digits::compare(left_number, right_number));
        if ordering.is_ne() {
            return ordering;
        }
        (left, right) = (left_next, right_next);
    }
    Ordering::Equal
}

/// `~` before the end, the end before letters, letters before everything else.
fn compare_word(left: &[u8], right: &[u8]) -> Ordering {
    let weights = |word: &[u8], at: usize| word.get(at).map_or((1, 0), |byte| weight(*byte));
    (0..left.len().max(right.len()))
        .map(|at| weights(left, at).cmp(&weights(right, at)))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

const fn weight(byte: u8) -> (u8, u8) {
    match byte {
        b'~' => (0, 0),
        byte if byte.is_ascii_alphabetic() => (2, byte),
        byte => (3, byte),
    }
}
