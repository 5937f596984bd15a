//! Texts out of images made harmless for whoever reads them: names, paths and titles are a stranger's words.
//!
//! A terminal obeys escape sequences, and characters that turn the direction of writing or show nothing make one name look
//! like another. Forms for machines keep such characters, escaped; forms for people show their numbers.

use std::borrow::Cow;

/// Whether a character acts on what shows it, or cannot be seen.
pub(crate) const fn is_harmful(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// On one line, with the numbers of harmful characters in their place (`\u{1b}`); ends of lines and tabs become spaces.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            character if is_harmful(character) => shown.extend(character.escape_unicode()),
            character => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// The same JSON, with harmful characters escaped: what is read from it is unchanged. `json` is as `serde_json` writes it, so
/// that a raw control character is either an end of line between values or inside a text.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !is_harmful(character) {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            use std::fmt::Write as _;
            // A `String` takes everything.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_numbers() {
        assert_eq!(harmless("libc6"), "libc6");
        assert_eq!(
            harmless("a\u{1b}[31mb\nc\u{202e}d\u{9b}e"),
            "a\\u{1b}[31mb c\\u{202e}d\\u{9b}e"
        );
    }

    #[test]
    fn machines_read_what_was_there() {
        let text = "a\u{1b}\u{7f}\u{9b}\u{202e}\n\t\u{e0041}é\u{feff}\"\\";
        let json = harmless_json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert!(!json.replace('\n', "").contains(is_harmful));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }
}
