use std::fmt::Write as _;

use super::*;

fn parse(text: &str) -> Result<List, ListError> {
    List::parse(text.as_bytes(), &FeedLimits::default())
}

fn ids(list: &[Box<str>]) -> Vec<&str> {
    list.iter().map(|id| &**id).collect()
}

#[test]
fn a_list_is_read_and_stored() {
    let text = "modified,id\r\n2022-03-25T20:56:18Z,GHSA-1\r\n2022-03-25T20:56:18.123456Z,ALSA-2021:1\n\n0001-01-01T00:00:00Z,GO-1\n";
    let list = parse(text).unwrap();
    assert_eq!((list.len(), list.skipped), (3, 0));
    assert_eq!(list.get("GHSA-1").unwrap().modified, 1_648_241_778_000_000);
    assert_eq!(list.get("ALSA-2021:1").unwrap().modified, 1_648_241_778_123_456);
    let again = List::decode(&list.encode(), &FeedLimits::default()).unwrap();
    assert_eq!(again, list);
    assert!(List::decode(b"", &FeedLimits::default()).unwrap().is_empty());
    assert_eq!(
        List::decode(b"rubbish", &FeedLimits::default()),
        Err(ListError::Damaged)
    );
}

#[test]
fn ids_that_would_be_paths_are_passed_over() {
    for id in [
        "../../etc/passwd",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "a%2fb",
        "a..b",
        "a b",
        "a\u{1b}[31m",
        "ä",
        "a#b",
        "",
    ] {
        assert!(!is_id(id), "{id:?}");
        let mut text = format!("2022-03-25T20:56:18Z,{id}\n");
        for number in 0..200 {
            let _ = writeln!(text, "2022-03-25T20:56:18Z,GHSA-{number}");
        }
        let list = parse(&text).unwrap();
        assert_eq!((list.len(), list.skipped), (200, 1), "{id:?}");
    }
    assert!(!is_id(&"x".repeat(ID_BYTES + 1)));
    for id in [
        "GHSA-jfh8-c2jp-5v3q",
        "ALSA-2021:1234",
        "openSUSE-SU-2020:1-1",
        "A@b",
        "A?b",
        "A_b+c.d",
    ] {
        assert!(is_id(id), "{id:?}");
    }
}

#[test]
fn what_is_no_list_is_not_taken() {
    assert_eq!(parse(""), Err(ListError::Empty));
    assert_eq!(parse("\n\n"), Err(ListError::Empty));
    let page = "<!DOCTYPE html>\n<html><body>Sign in to the network</body></html>\n";
    let rubbish = ListError::Rubbish {
        wrong: 2,
        lines: 2,
        first: 1,
    };
    assert_eq!(parse(page), Err(rubbish));
    assert!(matches!(
        parse("yesterday,GHSA-1\n"),
        Err(ListError::Rubbish { .. })
    ));
    assert_eq!(
        List::parse(b"\xff\xfe", &FeedLimits::default()),
        Err(ListError::Encoding)
    );
    let short = FeedLimits {
        list_lines: 2,
        ..FeedLimits::default()
    };
    let lines = "2022-03-25T20:56:18Z,A\n".repeat(3);
    assert_eq!(List::parse(lines.as_bytes(), &short), Err(ListError::Lines(2)));
}

#[test]
fn a_million_lines_of_rubbish_are_one_error() {
    let text = "x".repeat(30) + "\n";
    let error = parse(&text.repeat(1_000_000)).unwrap_err();
    assert!(matches!(error, ListError::Rubbish { wrong: 1_000_000, .. }));
}

#[test]
fn only_what_is_another_is_fetched() {
    let before = parse("2022-01-01T00:00:00Z,A\n2022-01-01T00:00:00Z,B\n2022-01-01T00:00:00Z,C\n").unwrap();
    let mut now = parse("2023-01-01T00:00:00Z,D\n2023-01-01T00:00:00Z,B\n2022-01-01T00:00:00Z,A\n").unwrap();
    let difference = now.difference(&before, i64::MAX);
    assert_eq!(ids(&difference.changed), ["B", "D"]);
    assert_eq!(ids(&difference.gone), ["C"]);
    assert_eq!(
        now.clone().difference(&now.clone(), i64::MAX),
        Difference::default()
    );
}

#[test]
fn a_document_that_lags_behind_is_tried_again_but_not_for_ever() {
    let text = "2022-01-01T00:00:00Z,A\n2022-01-01T00:00:00Z,B\n";
    let mut list = parse(text).unwrap();
    list.try_again("A");
    for _ in 0..TRIES {
        assert!(list.has_untried());
        let stored = List::decode(&list.encode(), &FeedLimits::default()).unwrap();
        list = parse(text).unwrap();
        let difference = list.difference(&stored, i64::MAX);
        assert_eq!(ids(&difference.changed), ["A"]);
        list.try_again("A");
    }
    assert!(!list.has_untried());
    let mut again = parse(text).unwrap();
    assert_eq!(again.difference(&list, i64::MAX), Difference::default());
    // Once it changes, it is tried again.
    let mut newer = parse("2023-01-01T00:00:00Z,A\n2022-01-01T00:00:00Z,B\n").unwrap();
    assert_eq!(ids(&newer.difference(&list, i64::MAX).changed), ["A"]);
    newer.settle("A");
    assert!(!newer.has_untried());
}

/// A mirror that hands out last year's list.
#[test]
fn a_list_that_went_back_changes_nothing() {
    let of = |text: &str| List::parse(text.as_bytes(), &FeedLimits::default()).unwrap();
    let before = of("2024-01-01T00:00:00Z,A\n2999-01-01T00:00:00Z,B\n");
    let mut now = of("2023-01-01T00:00:00Z,A\n2023-01-01T00:00:00Z,B\n");
    let horizon = moment_of("2026-01-01T00:00:00Z").unwrap();
    let difference = now.difference(&before, horizon);
    // A moment that has not come yet says nothing.
    assert_eq!((difference.older, ids(&difference.changed)), (1, vec!["B"]));
    assert_eq!(now.get("A"), before.get("A"));
}
