//! What is written to hurt.

use proptest::prelude::*;

use super::{look, look_spooled, own, with};
use crate::processor_time;

/// The time of a file must grow with its size, not with its square: eight times the size may take forty times as long.
fn assert_linear(rules: &str, make: impl Fn(usize) -> Vec<u8>) {
    let time = |size| {
        let text = make(size);
        let mut secrets = with(rules);
        let _ = look(&mut secrets, "f", b"warm tok_ key");
        processor_time::of(|| drop(look(&mut secrets, "f", &text)))
    };
    let small = time(100_000);
    let large = time(800_000);
    assert!(large < small * 40, "{small:?} for a part, {large:?} for all");
}

#[test]
fn one_line_of_keywords_takes_linear_time() {
    let rule = "[[rules]]\nid = \"r\"\nregex = '(?i)[\\w.-]{0,50}?(?:key)[\\w \\t.-]{0,20}=([a-z0-9]{32})'\nkeywords = ['key']";
    assert_linear(rule, |size| b"key".repeat(size / 3));
    assert_linear(rule, |size| b"key=".repeat(size / 4));
}

#[test]
fn an_expression_that_looks_far_takes_linear_time() {
    let rule = "[[rules]]\nid = \"r\"\nregex = 'tok_(?:[\\s\\S]*end|a)'\nkeywords = ['tok_']";
    assert_linear(rule, |size| b"tok_a".repeat(size / 5));
}

#[test]
fn candidates_and_findings_of_a_file_are_capped() {
    let rule = "[[rules]]\nid = \"r\"\nregex = 'tok_\\d'\nkeywords = ['tok_']\nentropy = 9";
    let (found, done) = look(&mut with(rule), "f", &b"tok_1 ".repeat(20_000));
    assert!(found.is_empty());
    assert!(done.unwrap_err().to_string().contains("secrets.candidates"));

    let rule = "[[rules]]\nid = \"r\"\nregex = 'tok_\\d'\nkeywords = ['tok_']";
    for (found, done) in [
        look(&mut with(rule), "f", &b"tok_1 ".repeat(20_000)),
        look_spooled(&mut with(rule), "f", &b"tok_1 ".repeat(400_000)),
    ] {
        assert_eq!(found.len(), 200);
        assert!(done.unwrap_err().to_string().contains("secrets.findings"));
    }
}

#[test]
fn what_one_file_left_is_not_seen_in_the_next() {
    let rule = "[[rules]]\nid = \"r\"\nregex = 'tok_\\d+'\nkeywords = ['tok_']";
    let mut secrets = with(rule);
    for text in [&b"          tok_123"[..], b"tok_123", b"", b"tok_1 tok_2"] {
        let (found, _) = look(&mut secrets, "f", text);
        assert_eq!(
            found.len(),
            text.windows(4).filter(|part| part == b"tok_").count()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = own().scan_text("image:env", &String::from_utf8_lossy(&bytes));
        let (_, done) = look(&mut own(), "etc/shadow", &bytes);
        prop_assert!(done.is_ok());
    }

    #[test]
    fn pieces_of_secrets_never_panic(parts in proptest::collection::vec(0..12_usize, 0..40)) {
        const PIECES: [&str; 12] = [
            "-----BEGIN ", "RSA PRIVATE KEY-----", "-----END", "ghp_", "eyJ", ".", "AKIA", "A2345678", "\n", "password=", "é\u{1F511}", "://a:b@c",
        ];
        let text: String = parts.iter().map(|&part| PIECES[part]).collect();
        let _ = own().scan_text("image:env", &text);
    }
}
