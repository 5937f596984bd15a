//! Text of strangers, written so that it stays text: one function per format. All of them put it on one line first, without
//! characters that control a terminal, hide or reorder.

mod markdown;

use policy::yaml::one_line;

pub use markdown::markdown;

/// Longest text that is written in one place, in bytes; longer ones are cut, and say so.
pub const MAX_TEXT_BYTES: usize = 2_000;

/// What parts an `@` from the word behind it, so that it calls nobody.
const PART: char = '\u{200b}';

/// On one line and within bounds.
pub fn line(text: &str) -> String {
    one_line(text, MAX_TEXT_BYTES)
}

/// For text and attributes of HTML.
pub fn html(text: &str) -> String {
    replaced(text, |character| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    })
}

/// A cell of CSV (RFC 4180), always quoted. What a spreadsheet would take for a formula gets an apostrophe in front (OWASP, "CSV
/// Injection").
pub fn csv(text: &str) -> String {
    let text = line(text);
    let is_formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let front = if is_formula { "'" } else { "" };
    format!("\"{front}{}\"", text.replace('"', "\"\""))
}

/// A row of CSV with its end.
pub fn csv_row<'t>(cells: impl IntoIterator<Item = &'t str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(csv).collect();
    format!("{}\r\n", cells.join(","))
}

/// For Slack and what is compatible with it: its three control characters (Slack, "Formatting text for app surfaces"), and no `@`
/// calls anybody where names are linked.
pub fn slack(text: &str) -> String {
    let mut written = String::new();
    for character in line(text).chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '@' => written.extend(['@', PART]),
            // Markup of a single character has no escape: what it marks is parted from it.
            '*' | '_' | '~' | '`' => written.extend([PART, character, PART]),
            other => written.push(other),
        }
    }
    written
}

/// For Jira's wiki markup: everything that begins markup has a backslash in front ("Text Formatting Notation Help").
pub fn jira(text: &str) -> String {
    let mut written = String::new();
    for character in line(text).chars() {
        match character {
            '\\' => written.push_str("&#92;"),
            '*' | '_' | '?' | '-' | '+' | '^' | '~' | '{' | '}' | '[' | ']' | '|' | '!' | '#' | ':' | '('
            | ')' | '<' | '>' => {
                written.extend(['\\', character]);
            }
            '@' => written.extend(['@', PART]),
            other => written.push(other),
        }
    }
    written
}

fn replaced(text: &str, with: impl Fn(char) -> Option<&'static str>) -> String {
    let mut written = String::new();
    for character in line(text).chars() {
        match with(character) {
            Some(other) => written.push_str(other),
            None => written.push(character),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_format_has_its_own_dangers() {
        assert_eq!(
            html("<img src=x onerror='a'>&\""),
            "&lt;img src=x onerror=&#39;a&#39;&gt;&amp;&quot;"
        );
        assert_eq!(markdown("[a](b)|<i>"), "\\[a\\]\\(b)\\|\\<i>");
        assert_eq!(markdown("a\n# b"), "a?# b");
        assert_eq!(csv("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(csv("\t@SUM(A1)"), "\"?@SUM(A1)\"");
        assert_eq!(csv(" -1"), "\"' -1\"");
        assert_eq!(csv_row(["a", "b\r\n,c"]), "\"a\",\"b??,c\"\r\n");
        assert_eq!(slack("<!here> @channel"), "&lt;!here&gt; @\u{200b}channel");
        assert_eq!(jira("{code}[x|http://y]"), "\\{code\\}\\[x\\|http\\://y\\]");
        assert_eq!(line(&"x".repeat(MAX_TEXT_BYTES + 1)).len(), MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn nothing_gets_out(text in "(?s).{0,60}") {
            prop_assert!(!html(&text).contains(['<', '>', '"', '\'', '\n']));
            prop_assert!(!slack(&text).contains(['<', '>', '\n', '\r']));
            let cell = csv(&text);
            let inner = &cell[1..cell.len() - 1];
            prop_assert!(!inner.trim_start().starts_with(['=', '+', '-', '@']) && !inner.contains('\n'));
            prop_assert!(!inner.replace("\"\"", "").contains('"'));
            for written in [markdown(&text), slack(&text), jira(&text)] {
                prop_assert!(!written.contains('\n'));
                for name in ["@channel", "@here", "@everyone", "@all"] {
                    prop_assert!(!written.contains(name));
                }
            }
        }
    }
}
