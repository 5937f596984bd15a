//! `bun.lock`: JSON with comments and commas before closing brackets.

use serde::Deserialize;

use super::add;
use crate::FileError;
use crate::packages::gather::{Gather, Items, Pairs, Text, check_tree, json, split_at_sign};

#[derive(Deserialize)]
struct Lock {
    /// By name: `["name@version", registry, details, checksum]`.
    #[serde(default)]
    packages: Pairs<Items<Text>>,
}

/// Reads a lockfile.
pub(super) fn read(text: &str, gather: &mut Gather<'_>) -> Result<(), FileError> {
    check_tree(text)?;
    let lock: Lock = json(&plain(text))?;
    for (_, package) in &lock.packages.0 {
        let resolved = package.0.first().map(Text::as_str).and_then(split_at_sign);
        if let Some((name, version)) = resolved {
            add(gather, name, version)?;
        }
    }
    Ok(())
}

/// The JSON without what JSON has not.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut comma = None;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (token, is_blank) = token(rest, next);
        rest = &rest[token.len()..];
        if is_blank {
            continue;
        }
        if let Some(place) = comma.take()
            && matches!(next, ']' | '}')
        {
            plain.truncate(place);
        }
        if next == ',' {
            comma = Some(plain.len());
        }
        plain.push_str(token);
    }
    plain
}

/// A string, a comment or one character, and whether it means nothing.
fn token(text: &str, next: char) -> (&str, bool) {
    if next == '"' {
        return (&text[..string_length(text)], false);
    }
    if text.starts_with("//") {
        return (&text[..text.find('\n').unwrap_or(text.len())], true);
    }
    if text.starts_with("/*") {
        return (&text[..text.find("*/").map_or(text.len(), |end| end + 2)], true);
    }
    (&text[..next.len_utf8()], next.is_ascii_whitespace())
}

fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}
