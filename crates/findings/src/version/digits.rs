//! Numbers of any length, as the digits that they are written with.

use std::cmp::Ordering;

/// Compares two runs of ASCII digits by their value. An empty run is zero.
pub(super) fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let [left, right] = [without_zeros(left), without_zeros(right)];
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Whether the value of a run of digits is zero.
pub(super) fn is_zero(run: &[u8]) -> bool {
    without_zeros(run).is_empty()
}

/// Splits off the digits in front.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    split_while(text, u8::is_ascii_digit)
}

/// Splits off what fulfils a condition in front.
pub(super) fn split_while(text: &[u8], condition: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !condition(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Whether it is a number and nothing else.
pub(super) fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn without_zeros(run: &[u8]) -> &[u8] {
    split_while(run, |byte| *byte == b'0').1
}
