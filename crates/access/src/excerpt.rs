//! What an error message may repeat of a stranger's input.

/// Most characters of foreign text that an error message repeats.
const EXCERPT_CHARS: usize = 64;

/// The start of `text` with control characters escaped, so that a message stays one short line whatever was sent.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_binary_text_becomes_one_short_line() {
        assert_eq!(excerpt("plain"), "plain");
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(
            excerpt(&"x".repeat(1_000)),
            format!("{}…", "x".repeat(EXCERPT_CHARS))
        );
    }
}
