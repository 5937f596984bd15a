//! Lines of a given width, with or without colours. Every text that goes through here is made harmless.

use crate::{Severity, harmless};

/// Columns of the severity.
const LABEL: usize = 12;
/// Columns before what belongs to a line above.
const INDENT: usize = 2;
/// Fewer columns than this are taken for this many.
const NARROWEST: usize = 40;

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    Blue,
}

impl Style {
    const fn of(severity: Severity) -> Self {
        match severity {
            Severity::Critical | Severity::High => Self::Red,
            Severity::Medium => Self::Yellow,
            Severity::Low | Severity::Negligible => Self::Blue,
            Severity::Unknown => Self::Dim,
        }
    }

    /// The number of "select graphic rendition" (ECMA-48, 8.3.117).
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Bold => Some(1),
            Self::Dim => Some(2),
            Self::Red => Some(31),
            Self::Yellow => Some(33),
            Self::Blue => Some(34),
        }
    }
}

/// A text that grows line by line.
pub(super) struct Page {
    width: usize,
    has_colour: bool,
    text: String,
}

impl Page {
    pub(super) fn new(width: usize, has_colour: bool) -> Self {
        Self {
            width: width.max(NARROWEST),
            has_colour,
            text: String::new(),
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// A heading after an empty line.
    pub(super) fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.line(Style::Bold, text);
    }

    /// A line, or as many as it takes.
    pub(super) fn line(&mut self, style: Style, text: &str) {
        for (number, part) in wrapped(&harmless(text), self.width - INDENT).iter().enumerate() {
            if number > 0 {
                self.spaces(INDENT);
            }
            self.styled(style, part);
            self.text.push('\n');
        }
    }

    /// A severity with what has it.
    pub(super) fn row(&mut self, severity: Severity, text: &str) {
        self.spaces(INDENT);
        let label = severity.as_str();
        self.styled(Style::of(severity), label);
        self.spaces(LABEL - label.len());
        self.hanging(Style::Plain, text);
    }

    /// What belongs to the row above.
    pub(super) fn detail(&mut self, text: &str) {
        self.spaces(INDENT + LABEL);
        self.hanging(Style::Dim, text);
    }

    fn hanging(&mut self, style: Style, text: &str) {
        let indent = INDENT + LABEL;
        for (number, part) in wrapped(&harmless(text), self.width - indent).iter().enumerate() {
            if number > 0 {
                self.spaces(indent);
            }
            self.styled(style, part);
            self.text.push('\n');
        }
    }

    fn spaces(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
    }

    fn styled(&mut self, style: Style, text: &str) {
        match style.code().filter(|_| self.has_colour) {
            Some(code) => {
                let number = code.to_string();
                self.text
                    .extend(["\u{1b}[", number.as_str(), "m", text, "\u{1b}[0m"]);
            }
            None => self.text.push_str(text),
        }
    }
}

/// Broken at spaces, and inside a word that is longer than a line. One line at least.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0_usize;
    for word in text.split(' ') {
        let length: usize = word.chars().map(columns).sum();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            push(&mut lines, ' ');
            used += 1;
        }
        for character in word.chars() {
            if used + columns(character) > width {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, character);
            used += columns(character);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

fn push(lines: &mut [String], character: char) {
    if let Some(line) = lines.last_mut() {
        line.push(character);
    }
}

/// The wide characters of East Asian writing and pictures take two columns (Unicode, annex 11), roughly.
const fn columns(character: char) -> usize {
    match character {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_inside_long_words() {
        assert_eq!(wrapped("", 5), [""]);
        assert_eq!(wrapped("ab cd ef", 5), ["ab cd", "ef"]);
        assert_eq!(wrapped("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrapped("字字字", 5), ["字字", "字"]);
    }
}
