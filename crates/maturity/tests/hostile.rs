//! Documents that nobody meant: whatever they say, they are read or refused, and never more than that.

use std::sync::OnceLock;

use maturity::evidence::{EvidenceLimits, Sender, read_pushed};
use maturity::model::{CNCF_PLATFORM, CONTROLS, Library, Model};
use proptest::prelude::*;
use time::OffsetDateTime;

/// Text with a few pieces cut out, doubled or put elsewhere.
fn torn(text: &'static str) -> impl Strategy<Value = String> {
    let lines: Vec<&str> = text.lines().collect();
    let count = lines.len();
    let cut = (0..count, 0..count, 0_usize..8, 0_usize..3);
    proptest::collection::vec(cut, 1..6).prop_map(move |cuts| {
        let mut lines = lines.clone();
        for (from, to, length, how) in cuts {
            let (from, to) = (from % lines.len().max(1), to % lines.len().max(1));
            let piece: Vec<&str> = lines.iter().skip(from).take(length).copied().collect();
            if how != 0 {
                lines.splice(to..to, piece);
            }
            if how != 1 {
                lines.drain(from..(from + length).min(lines.len()));
            }
        }
        lines.join("\n")
    })
}

/// Words that mean something, in an order that means nothing.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("apiVersion: maturity/v1\n"),
        Just("kind: Model\n"),
        Just("kind: Extension\n"),
        Just("id: a\n"),
        Just("extends: a\n"),
        Just("criteria:\n"),
        Just("  - "),
        Just("{fact: owner-known}"),
        Just("signal: [{any: []}]\n"),
        Just("level: -1\n"),
        Just("&a [*a]\n"),
        Just("enable_from: 2027-13-01\n"),
        Just("? "),
        Just("\u{202e}"),
        Just("!!binary x\n"),
    ];
    proptest::collection::vec(word, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn torn_models_are_read_or_refused_with_a_line(text in torn(CNCF_PLATFORM)) {
        if let Err(errors) = Model::parse("torn.yaml", &text) {
            prop_assert!(!errors.errors.is_empty());
            let lines = text.lines().count() as u64 + 1;
            for error in errors.errors {
                prop_assert!((1..=lines).contains(&error.line), "{error}");
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn torn_extensions_are_read_or_refused(text in torn(CONTROLS)) {
        static CNMM: OnceLock<Model> = OnceLock::new();
        let model = CNMM.get_or_init(|| Model::cnmm().expect("it is shipped"));
        let _ = model.extend("torn.yaml", &text);
    }

    #[test]
    fn words_are_read_or_refused(first in words(), second in words()) {
        let mut library = Library::default();
        let ids = [("a", first), ("b", second)].map(|(file, text)| library.add(file, &text).ok());
        for id in ids.into_iter().flatten() {
            let _ = library.model(&id);
        }
    }

    #[test]
    fn whatever_is_pushed_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9]{0,80}") {
        let model = Model::parse("platform", CNCF_PLATFORM).expect("it is shipped");
        let sender = Sender { name: "robot".parse().expect("a name"), subjects: Vec::new() };
        let limits = EvidenceLimits::default();
        for push in [bytes, text.into_bytes()] {
            let read = read_pushed(&push, &sender, &model, OffsetDateTime::UNIX_EPOCH, &limits);
            prop_assert!(read.unwrap_or_default().is_empty(), "it may speak for nobody");
        }
    }
}
