//! Which tags of a repository are meant by a pattern and a number.

use std::cmp::Ordering;

use oci::Tag;

/// The newest of the tags that match, the newest first.
pub(super) fn newest(tags: Vec<Tag>, pattern: &str, count: usize) -> Vec<Tag> {
    let mut tags: Vec<Tag> = tags
        .into_iter()
        .filter(|tag| matches(pattern, tag.as_str()))
        .collect();
    tags.sort_by(|one, other| compare(other.as_str(), one.as_str()));
    tags.dedup();
    tags.truncate(count);
    tags
}

/// Whether a text is what a pattern means, in which `*` stands for any characters, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The order of versions as far as any tags have one: numbers by their value, everything else by its bytes. What begins a version that
/// goes on with a dash comes before it (`1.2-rc1` before `1.2`), what goes on otherwise behind it.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        match (left.is_empty(), right.is_empty()) {
            (true, true) => return one.cmp(other),
            (true, false) => {
                return if right.starts_with('-') {
                    Ordering::Greater
                } else {
                    Ordering::Less
                };
            }
            (false, true) => {
                return if left.starts_with('-') {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
            }
            (false, false) => {}
        }
        let (number, other_number) = (digits(left), digits(right));
        let order = match (number.is_empty(), other_number.is_empty()) {
            (false, false) => by_value(number, other_number),
            // A number is newer than a word: `latest` is no version.
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (true, true) => words(left).cmp(words(right)),
        };
        if order != Ordering::Equal {
            return order;
        }
        let step = |text: &str, number: &str| {
            if number.is_empty() {
                words(text).len()
            } else {
                number.len()
            }
        };
        (left, right) = (&left[step(left, number)..], &right[step(right, other_number)..]);
    }
}

fn by_value(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Digits at the beginning.
fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

/// What stands before the next digit; tags are ASCII.
fn words(text: &str) -> &str {
    &text[..text.bytes().take_while(|byte| !byte.is_ascii_digit()).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &[&str], pattern: &str, count: usize) -> Vec<String> {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        newest(tags, pattern, count)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn patterns_mean_tags() {
        for (pattern, text, is_meant) in [
            ("*", "anything", true),
            ("3.*", "3.22", true),
            ("3.*", "3.", true),
            ("3.*", "13.1", false),
            ("3.22", "3.22", true),
            ("3.22", "3.22.1", false),
            ("*-slim", "13-slim", true),
            ("1.*-alpine*", "1.2-alpine3", true),
            ("1.*-alpine", "1.2-alpine3", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is_meant, "{pattern} {text}");
        }
    }

    #[test]
    fn the_newest_are_those_of_the_highest_versions() {
        let tags = [
            "3.9", "3.22", "3.22.1", "3.22-rc1", "latest", "3.10", "3.9.10", "3.9.9", "edge",
        ];
        assert_eq!(of(&tags, "3.*", 3), ["3.22.1", "3.22", "3.22-rc1"]);
        assert_eq!(of(&tags, "3.9*", 2), ["3.9.10", "3.9.9"]);
        assert_eq!(of(&tags, "*", 1), ["3.22.1"]);
        assert_eq!(
            of(
                &["v1.2.0", "v1.10.0", "v1.10.0-beta.2", "v1.10.0-beta.11"],
                "v*",
                4
            ),
            ["v1.10.0", "v1.10.0-beta.11", "v1.10.0-beta.2", "v1.2.0"]
        );
        assert_eq!(of(&tags, "9.*", 3), Vec::<String>::new());
        assert_eq!(of(&["20260101", "20251231", "00009"], "*", 1), ["20260101"]);
    }
}
