//! What a document says of itself, read before anything else of it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::feeds::list::{Entry, is_id, moment_of};

/// A document may be older than the list says by less than this, in microseconds: one of the two cuts fractions of a second.
const SLACK: i64 = 1_000_000;

/// Before this moment lie placeholders (the year 1), in microseconds since the Unix epoch.
const PLACEHOLDER: i64 = -60_000_000_000_000_000;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    modified: Cow<'a, str>,
}

/// What a document says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: Box<str>,
    /// `None` where it does not say.
    pub(crate) modified: Option<i64>,
}

impl Head {
    /// `None`: it is no document of OSV's form.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_slice(bytes).ok()?;
        // Archives have many of them, and all are kept while one is read.
        if !is_id(&wire.id) {
            return None;
        }
        Some(Self {
            id: wire.id.into(),
            modified: moment_of(&wire.modified).filter(|moment| *moment > PLACEHOLDER),
        })
    }

    /// Whether it is older than its list says.
    pub(super) fn lags_behind(&self, listed: &Entry) -> bool {
        self.modified
            .is_some_and(|modified| modified.saturating_add(SLACK) <= listed.modified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::{FeedLimits, list::List};

    /// An id becomes part of a path and a key: a document that calls itself otherwise is none.
    #[test]
    fn documents_with_impossible_ids_are_none() {
        let long = "A".repeat(10_000);
        for id in [
            "",
            ".",
            "..",
            "../etc/passwd",
            "a/b",
            "a\\\\b",
            "A%2fB",
            "A,B",
            "a b",
            "\\u0000",
            "\\u0009",
            "ä",
            &long,
        ] {
            let document = format!(r#"{{"id":"{id}"}}"#);
            assert!(
                serde_json::from_str::<serde_json::Value>(&document).is_ok(),
                "{document}"
            );
            assert_eq!(Head::of(document.as_bytes()), None, "{id}");
        }
        for id in ["GHSA-jfh8-c2jp-5v3q", "RUSTSEC-2021-0001", "DSA-1:2", "A"] {
            let document = format!(r#"{{"id":"{id}"}}"#);
            assert_eq!(&*Head::of(document.as_bytes()).unwrap().id, id);
        }
    }

    #[test]
    fn documents_say_who_and_how_old_they_are() {
        let list = List::parse(b"2022-03-25T20:56:18.9Z,A\n", &FeedLimits::default()).unwrap();
        let listed = list.get("A").unwrap();
        for (modified, lags_behind) in [
            ("2022-03-25T20:56:18Z", false),
            ("2022-03-25T20:56:17Z", true),
            ("2023-03-25T20:56:17Z", false),
            ("0001-01-01T00:00:00Z", false),
            ("1-01-01T00:00:00Z", false),
            ("", false),
        ] {
            let head = Head::of(format!(r#"{{"id":"A","modified":"{modified}"}}"#).as_bytes()).unwrap();
            assert_eq!(head.lags_behind(listed), lags_behind, "{modified}");
        }
        for other in ["<html>", "[]", "{}", r#"{"id":7}"#, r#"{"id":"A"} trailing"#] {
            assert_eq!(Head::of(other.as_bytes()), None, "{other}");
        }
    }
}
