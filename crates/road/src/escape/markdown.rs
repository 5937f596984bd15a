//! For Markdown as GitHub and GitLab read it.

use super::{PART, line};

/// Text that stays text in a paragraph, heading, item or cell of Markdown (`CommonMark` 0.31, GFM 0.29 with tables, strikethrough and
/// autolinks), and no more backslashes than that takes: `log4j-core 2.14.1 (x_y)` is written as it is. No address becomes a link,
/// and no `@` calls anybody.
pub fn markdown(text: &str) -> String {
    let text = line(text);
    let letters: Vec<char> = text.trim().chars().collect();
    let mut written = String::with_capacity(text.len() + 8);
    for (place, letter) in letters.iter().enumerate() {
        let around = Around {
            before: &letters[..place],
            behind: &letters[place + 1..],
        };
        if around.needs_escape(*letter) {
            written.push('\\');
        }
        written.push(*letter);
        if *letter == '@' && !around.is_digest() {
            written.push(PART);
        }
    }
    written
}

/// What stands beside a character.
struct Around<'t> {
    before: &'t [char],
    behind: &'t [char],
}

impl Around<'_> {
    fn needs_escape(&self, letter: char) -> bool {
        match letter {
            // Always: escapes, code, emphasis, links, HTML, cells, strikethrough, formulas.
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '$' => true,
            // Between letters it marks nothing (CommonMark, 6.2).
            '_' => !(is_word(self.before.last()) && is_word(self.behind.first())),
            // Headings; also the end of one.
            '#' => self
                .before
                .last()
                .is_none_or(|before| *before == ' ' || *before == '#'),
            // Lists, lines, quotes, underlines.
            '-' | '+' | '=' | '>' => self.before.is_empty(),
            '.' | ')' if self.is_number_of_item() => true,
            // What stands behind brackets is the target of a link.
            '(' => self.before.last() == Some(&']'),
            '.' => self.is_behind_www(),
            ':' => self.behind.starts_with(&['/', '/']),
            '&' => self.is_entity(),
            _ => false,
        }
    }

    /// `1. ` at the start.
    fn is_number_of_item(&self) -> bool {
        let is_number = !self.before.is_empty() && self.before.iter().all(char::is_ascii_digit);
        is_number && self.behind.first().is_none_or(|behind| *behind == ' ')
    }

    fn is_behind_www(&self) -> bool {
        let Some(from) = self.before.len().checked_sub(3) else {
            return false;
        };
        self.before[from..]
            .iter()
            .all(|letter| letter.eq_ignore_ascii_case(&'w'))
    }

    /// `&lt;` would be read as `<`, and shown as one.
    fn is_entity(&self) -> bool {
        let mut behind = self
            .behind
            .iter()
            .skip_while(|letter| letter.is_ascii_alphanumeric() || **letter == '#');
        behind.next() == Some(&';')
    }

    /// In `repository@sha256:…`, which is to be copied.
    fn is_digest(&self) -> bool {
        let is_algorithm = |name: &str| {
            let mut behind = self.behind.iter();
            name.chars().all(|letter| behind.next() == Some(&letter))
        };
        is_word(self.before.last()) && (is_algorithm("sha256:") || is_algorithm("sha512:"))
    }
}

fn is_word(letter: Option<&char>) -> bool {
    letter.is_some_and(|letter| letter.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{self, Block};
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    /// What a reader sees, if it is nothing but text in what it was written in.
    fn seen(markdown: &str) -> Result<String, String> {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_MATH;
        let mut text = String::new();
        for event in Parser::new_ext(markdown, options) {
            match event {
                Event::Text(part) => text.push_str(&part),
                Event::Start(
                    Tag::Paragraph
                    | Tag::Heading { .. }
                    | Tag::List(None)
                    | Tag::Item
                    | Tag::Table(_)
                    | Tag::TableHead
                    | Tag::TableRow
                    | Tag::TableCell,
                )
                | Event::End(_) => {}
                other => return Err(format!("{other:?} in {markdown:?}")),
            }
        }
        Ok(text)
    }

    /// The text in each kind of block, with how often it must be seen.
    fn pages(text: &str) -> [(String, usize); 4] {
        let cell = || vec![text.to_owned(), "end".to_owned()];
        let of = |block| page::markdown(&[Block::Heading("x".to_owned()), block]);
        [
            (of(Block::Heading(text.to_owned())), 1),
            (of(Block::Paragraph(text.to_owned())), 1),
            (of(Block::List(vec![text.to_owned()])), 1),
            (of(Block::table(&["a", "b"], vec![cell(), cell()])), 2),
        ]
    }

    fn check(text: &str) -> Result<(), String> {
        let wanted: String = line(text).trim().to_owned();
        for (page, times) in pages(text) {
            let seen = seen(&page)?.replace(PART, "");
            let expected = match times {
                1 => format!("x{wanted}"),
                _ => format!("xab{wanted}end{wanted}end"),
            };
            // Several spaces in a row are shown as they are, or as one.
            let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("");
            if spaces(&seen) != spaces(&expected) {
                return Err(format!("{seen:?} is not {expected:?}: {page:?}"));
            }
        }
        Ok(())
    }

    #[test]
    fn what_needs_no_escape_has_none() {
        let digest = format!("shop/cart@sha256:{}", "ab".repeat(32));
        for plain in [
            "log4j-core 2.14.1 (x_y)",
            "org.apache.logging.log4j:log4j-core",
            "shop/cart:1.4.2-alpine",
            "update openssl to 3.0.2-0ubuntu1.10 and rebuild; due 2021-12-13",
            "group:team-shop, 6 % of images, it's \"done\" {now}! = 1 + 1?",
            "critical part (CVE-2021-44228) open: at least 4 affected",
            "2.4 and 2.12.2 > 2.12.1",
            "AT&T & co",
            digest.as_str(),
        ] {
            assert_eq!(markdown(plain), plain);
        }
        assert_eq!(markdown("1.2~rc1"), "1.2\\~rc1");
        assert_eq!(markdown("_private_"), "\\_private\\_");
        assert_eq!(markdown("1. item"), "1\\. item");
        assert_eq!(markdown("- item"), "\\- item");
        assert_eq!(markdown("&lt;b&gt;"), "\\&lt;b\\&gt;");
        assert_eq!(markdown("http://evil.example"), "http\\://evil.example");
        assert_eq!(markdown("www.evil.example"), "www\\.evil.example");
        assert_eq!(markdown("ask @channel"), "ask @\u{200b}channel");
    }

    #[test]
    fn a_name_of_a_stranger_stays_a_name() {
        for hostile in [
            "[x](http://evil.example)",
            "![x](http://evil.example/p.png)",
            "<script>alert(1)</script>",
            "<http://evil.example>",
            "**bold** __bold__ *a* _a_ ~~gone~~ `code` ``code``",
            "a|b | c \\| d",
            "# heading ## end #",
            "---",
            "***",
            "===",
            "> quote",
            "+ item",
            "1) item",
            "10. item",
            "[ ] task",
            "[^1]: note",
            "[x]: http://evil.example",
            "$x$ and $$y$$",
            "&lt; &#60; &amp;lt;",
            "    code",
            "\\",
            "a\\",
            "| - | - |",
            "a_b_c _d",
            "@channel team@here",
            "x\n# y\r\n- z",
            "\u{202e}evil",
        ] {
            check(hostile).unwrap_or_else(|error| panic!("{hostile:?}: {error}"));
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_stays_text(text in "[-\\\\`*_{}\\[\\]()#+.!|<>~$&;:=@a1 /w]{0,24}") {
            prop_assert_eq!(check(&text), Ok(()));
            let written = markdown(&text);
            prop_assert!(!written.replace("\\://", "").contains("://"), "{}", written);
        }
    }
}
