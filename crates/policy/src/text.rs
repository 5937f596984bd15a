//! Text of strangers, made fit for one line.

/// `text` on one line and within `max` bytes: what controls a terminal, breaks a line, hides or reorders characters is
/// replaced, so that the name of a file can neither forge a log line nor a header.
pub fn one_line(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "...";
    // Nearly all of them.
    if text.len() <= max && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut line = String::new();
    for character in text.chars().map(|c| if is_unfit(c) { '?' } else { c }) {
        if line.len() + character.len_utf8() > max {
            let keep = line.floor_char_boundary(max.saturating_sub(ELLIPSIS.len()));
            line.truncate(keep);
            if max >= ELLIPSIS.len() {
                line.push_str(ELLIPSIS);
            }
            break;
        }
        line.push(character);
    }
    line
}

/// Controls, line and paragraph separators, zero-width and bidirectional formatting.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// `text` as the quoted string of a header (RFC 9110, 5.6.4): ASCII, with quotes and backslashes escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        assert_eq!(one_line("a\r\nb\x1b[31m\u{202e}c", 100), "a??b?[31m?c");
        assert_eq!(one_line("äöü", 100), "äöü");
        for max in 0..12 {
            let line = one_line("äöüäöü", max);
            assert!(line.len() <= max, "{max}: {line}");
        }
        assert_eq!(one_line("abcdefgh", 6), "abc...");
    }

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(quoted("a \"b\" \\ ä\n"), r#""a \"b\" \\ ??""#);
    }
}
