//! What lies across the borders of windows, pieces and buffers is found, and found once.

use super::{look, look_spooled, with};

const RULE: &str =
    "[[rules]]\nid = \"r\"\nregex = '(?:^|\\s)(tok_[a-z0-9]{20})(?:\\s|$)'\nkeywords = ['tok_']";
const TOKEN: &str = " tok_0123456789abcdefghij ";

fn text_with_token_at(at: usize, len: usize) -> Vec<u8> {
    let mut text = b"words and\n".repeat(len / 10 + 1);
    text.truncate(len);
    text[at..at + TOKEN.len()].copy_from_slice(TOKEN.as_bytes());
    text
}

#[test]
fn at_every_offset_around_every_border() {
    let mut secrets = with(RULE);
    let buffer = 96 << 10;
    let overlap = 16 << 10;
    for border in [64 << 10, buffer - overlap, buffer] {
        for at in (border - 90)..(border + 70) {
            let text = text_with_token_at(at, border + 500);
            let line = 1 + text[..=at]
                .iter()
                .map(|byte| u64::from(*byte == b'\n'))
                .sum::<u64>();
            for (found, done) in [
                look(&mut secrets, "f", &text),
                look_spooled(&mut secrets, "f", &text),
            ] {
                done.unwrap();
                assert_eq!(found.len(), 1, "at {at} of border {border}");
                assert_eq!(found[0].line, Some(line), "at {at} of border {border}");
            }
        }
    }
}

#[test]
fn many_matches_of_a_large_file_are_each_found_once() {
    let mut text = Vec::new();
    let mut count = 0;
    while text.len() < 1 << 20 {
        text.extend_from_slice(&b"no words here\n".repeat(1 + count * 37 % 3_000));
        text.extend_from_slice(format!("\n tok_{count:020} \n").as_bytes());
        count += 1;
    }
    for (found, done) in [
        look(&mut with(RULE), "f", &text),
        look_spooled(&mut with(RULE), "f", &text),
    ] {
        done.unwrap();
        assert_eq!(found.len(), count);
        assert!(found.is_sorted_by_key(|finding| finding.line));
    }
}

#[test]
fn the_end_of_a_buffer_is_not_the_end_of_the_text() {
    let rule = "[[rules]]\nid = \"r\"\nregex = 'tok_[a-z]{4}$'\nkeywords = ['tok_']";
    let text = b"tok_abcd".repeat(300_000);
    let (found, done) = look_spooled(&mut with(rule), "f", &text);
    done.unwrap();
    assert_eq!(found.len(), 1);
}
