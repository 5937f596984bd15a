//! Go's rule (go.dev/ref/mod, "Versions"): semantic versions with a `v`, and the names of toolchains for `stdlib`.
//!
//! A pseudo-version (`v0.0.0-20180116102854-5a71ef0e047d`) is a pre-release like any other; `+incompatible` is build metadata.
//! A toolchain's name (`go1.21rc2`) is ordered as the Go vulnerability database writes it: `1.21.0-rc.2`.

use std::cmp::Ordering;

use super::{digits, semantic};

pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(semantic_form);
    semantic::compare(&left, &right)
}

pub(super) fn is_valid(text: &str) -> bool {
    semantic::is_valid(text.strip_prefix("go").unwrap_or(text))
}

/// A toolchain's name may be followed by what it was built with (`go1.20.5 X:boringcrypto`).
fn semantic_form(text: &str) -> String {
    let text = text.strip_prefix("go").unwrap_or(text);
    let text = text.split_ascii_whitespace().next().unwrap_or_default();
    let (numbers, rest) = digits::split_while(text.as_bytes(), |byte| byte.is_ascii_digit() || *byte == b'.');
    let (word, number) = digits::split_while(rest, u8::is_ascii_lowercase);
    let [numbers, word, number] = [numbers, word, number].map(String::from_utf8_lossy);
    if word.is_empty() || numbers.is_empty() || !number.starts_with(|first: char| first.is_ascii_digit()) {
        text.to_owned()
    } else {
        format!("{numbers}-{word}.{number}")
    }
}
