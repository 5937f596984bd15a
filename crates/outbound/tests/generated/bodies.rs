//! What must hold for any answer of a mail server or a registry. Shared by the fuzz targets (`fuzz/` at the root of the repository)
//! and by `tests/generated.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[path = "../../src/mail/answer.rs"]
mod answer;
#[path = "../../src/distribution/challenge.rs"]
mod challenge;
#[path = "../../src/headers.rs"]
mod headers;
#[path = "../../src/distribution/issued.rs"]
mod issued;
#[path = "../../src/distribution/pages.rs"]
mod pages;

use answer::{Hearing, MAX_LINE_BYTES, MAX_LINES, ways};
use challenge::{Challenge, challenges};

/// All that a server says, in lines as they are read: each answer is bounded, and can be shown on one line of a terminal; what is
/// none ends it.
pub(crate) fn mail(data: &[u8]) {
    let longest = usize::try_from(MAX_LINE_BYTES).expect("it is small");
    let lines = data
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| &line[..line.len().min(longest)]);
    let (mut hearing, mut heard) = (Hearing::default(), 0);
    for line in lines {
        heard += 1;
        match hearing.hear(line) {
            Ok(None) => assert!(heard < MAX_LINES),
            Ok(Some(answer)) => {
                assert!(answer.lines.len() == heard && heard <= MAX_LINES);
                let shown = answer.shown();
                assert!(!shown.chars().any(char::is_control) && shown.chars().count() <= 200);
                assert!(answer.is_positive() == (answer.code / 100 == 2 || answer.code / 100 == 3));
                let offers = answer.offers();
                assert!(ways(&offers).iter().all(|way| !way.contains(' ')));
                heard = 0;
            }
            Err(reason) => {
                assert!(reason.len() < 100);
                return;
            }
        }
    }
}

/// `WWW-Authenticate` of a registry: few challenges, whose words are in the header, and what is said twice is said again.
pub(crate) fn challenge(data: &[u8]) {
    let Ok(header) = std::str::from_utf8(data) else {
        return;
    };
    let found = challenges(header);
    assert!(found.len() <= 8 && (header.len() <= 4_096 || found.is_empty()));
    for challenge in &found {
        let Challenge::Bearer(bearer) = challenge else {
            continue;
        };
        let words = [
            Some(&bearer.realm),
            bearer.service.as_ref(),
            bearer.scope.as_ref(),
        ];
        let length: usize = words.into_iter().flatten().map(String::len).sum();
        assert!(length <= header.len(), "{bearer:?} is more than was said");
        let quoted = |word: &str| word.replace('\\', "\\\\").replace('"', "\\\"");
        let mut again = format!("Bearer realm=\"{}\"", quoted(&bearer.realm));
        for (name, word) in [("service", &bearer.service), ("scope", &bearer.scope)] {
            if let Some(word) = word {
                let parameter = format!(", {name}=\"{}\"", quoted(word));
                again.push_str(&parameter);
            }
        }
        if again.len() <= 4_096 {
            assert_eq!(challenges(&again), std::slice::from_ref(challenge), "{again}");
        }
    }
}

/// The answer of a token service: a token that fits into a header, and an end.
pub(crate) fn token(data: &[u8]) {
    let Some(issued) = issued::issued(data) else {
        return;
    };
    assert!(!issued.token.is_empty() && issued.token.len() <= issued::TOKEN_BYTES);
    assert!(issued.token.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!issued.lasts.is_zero() && issued.lasts < issued::LONGEST_LIFETIME);
}

/// A page of a list: what is in it is there again in the index of all pages, as it was sent.
pub(crate) fn page(data: &[u8]) {
    if let Some(tags) = pages::tags_in(data) {
        assert!(tags.iter().map(String::len).sum::<usize>() <= data.len());
    }
    let Some(descriptors) = pages::referrers_in(data) else {
        return;
    };
    let twice: Vec<_> = [descriptors.clone(), descriptors.clone()].concat();
    let index = pages::together(&twice);
    let again = pages::referrers_in(index.as_bytes()).expect("an index of ours is one");
    let texts = |all: &[Box<serde_json::value::RawValue>]| -> Vec<String> {
        all.iter().map(|one| one.get().to_owned()).collect()
    };
    assert_eq!(texts(&again), texts(&twice));
    let empty = pages::together(&[]);
    assert_eq!(empty, pages::NOTHING);
}

/// `Retry-After`, `Content-Range` and `Link`.
pub(crate) fn header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    for now in [SystemTime::UNIX_EPOCH, now] {
        assert!(headers::retry_after(text, now).is_none_or(|wait| wait <= headers::LONGEST_PAUSE));
    }
    if let Some(range) = headers::Range::parse(text) {
        assert_eq!(headers::Range::total_in(text), Some(range.total));
        let again = format!("bytes {}-/{}", range.start, range.total);
        assert_eq!(headers::Range::parse(&again), Some(range));
    }
    if let Some(target) = headers::next_link(text) {
        assert!(!target.contains('>') && text.contains(&format!("<{target}>")));
        let again = format!("<{target}>; rel=\"next\"");
        assert_eq!(headers::next_link(&again), Some(target));
    }
}
