//! YAML of people: bounded, with the line of what is wrong and the nearest right key.
//!
//! The one reader for everything that people write for Roadbed: policies and waivers here, catalogues of applications and
//! bases in `road`.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
pub use serde_saphyr::Spanned;

pub use crate::nearest::did_you_mean;
pub use crate::text::one_line;

/// What is wrong with a document, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1 within the text that was given.
    pub line: u64,
    /// What is wrong, on one line.
    pub reason: String,
}

/// Reads one document. Aliases are allowed, and bounded: at most 32 levels, 100,000 nodes, 1,000 anchors, 1,000 aliases that
/// stand for 10,000 events together.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_events: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| fault(&error))
}

/// Keys that no mapping has and that one reading tells; behind so many it ends. Default: the only value.
pub const MAX_UNKNOWN_KEYS: usize = 100;

thread_local! {
    /// Keys that no mapping has, of the text that [`parse_all`] reads on this thread.
    static UNKNOWN_KEYS: RefCell<Option<Vec<Fault>>> = const { RefCell::new(None) };
}

/// Notes keys that no mapping has until it is dropped, however reading ends.
struct Noting;

impl Noting {
    fn begin() -> Self {
        UNKNOWN_KEYS.set(Some(Vec::new()));
        Self
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        UNKNOWN_KEYS.set(None);
    }
}

/// Reads one document as [`parse`] does, and goes on behind a key that no mapping has: all of them are told, in the order of their lines,
/// with what is wrong besides, at most [`MAX_UNKNOWN_KEYS`] and one.
pub fn parse_all<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Fault>> {
    let noting = Noting::begin();
    let read = parse(text);
    let mut faults = UNKNOWN_KEYS.take().unwrap_or_default();
    drop(noting);
    match read {
        Ok(read) if faults.is_empty() => return Ok(read),
        Ok(_) => {}
        Err(fault) => faults.push(fault),
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

/// Notes a key that no mapping has, for whoever wants to be told of all of them. Answers whether reading goes on. For [`mapping!`].
#[doc(hidden)]
pub fn note_unknown_key(line: u64, reason: &str) -> bool {
    UNKNOWN_KEYS.with_borrow_mut(|noted| match noted {
        Some(noted) if noted.len() < MAX_UNKNOWN_KEYS => {
            noted.push(Fault {
                line: line.max(1),
                reason: one_line(reason, 400),
            });
            true
        }
        _ => false,
    })
}

/// The documents of a file that are not empty, each with the number of lines before it. A line that starts with `---`
/// begins a document wherever it stands (YAML 1.2, section 9.1.2), so the text can be split without parsing it.
pub fn documents(text: &str) -> Vec<(u64, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (line, content) in text.split_inclusive('\n').enumerate() {
        if is_marker(content) {
            documents.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + content.len(), line as u64 + 1);
        }
        offset += content.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(says_something));
    documents
}

/// The first line of a document that is neither empty nor a comment, counted from 1.
pub fn first_line(document: &str) -> u64 {
    document.lines().take_while(|line| !says_something(line)).count() as u64 + 1
}

fn says_something(line: &str) -> bool {
    !matches!(line.trim_start().chars().next(), None | Some('#'))
}

fn is_marker(line: &str) -> bool {
    let line = line.trim_end();
    line == "---" || line == "..." || line.starts_with("--- #")
}

fn fault(error: &serde_saphyr::Error) -> Fault {
    let text = error.without_snippet().to_string();
    // The library writes the place behind the reason, here it stands in front of it; and advice for programmers.
    let reason = [" at line ", ", set DuplicateKeyPolicy"]
        .into_iter()
        .fold(text.as_str(), |text, end| text.split(end).next().unwrap_or(text));
    Fault {
        line: error.location().map_or(1, |location| location.line()),
        reason: one_line(reason, 400),
    }
}

/// Declares a type of the calling crate, to which serde must be known: the keys of a mapping, all of which may be left out, and reads it: a key that is not among them is an error that
/// names the nearest one, at its line.
#[macro_export]
macro_rules! mapping {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($key:literal => $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: Option<$kind>,)*
        }

        impl $name {
            #[cfg_attr(not(test), expect(dead_code, reason = "for the test that compares it with the schema"))]
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),*];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                /// The place of a key; none of one that is noted as unknown.
                struct Key(Option<usize>);

                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        let written = $crate::yaml::Spanned::<String>::deserialize(deserializer)?;
                        let text = &written.value;
                        let keys: &[&str] = &[$($key),*];
                        let place = keys.iter().position(|key| key == text);
                        if place.is_some() {
                            return Ok(Self(place));
                        }
                        let hint = $crate::yaml::did_you_mean(text, keys.iter().copied());
                        let text = $crate::yaml::one_line(text, 64);
                        let reason = format!("{} has no key `{text}`{hint}", $what);
                        if $crate::yaml::note_unknown_key(written.defined.line(), &reason) {
                            return Ok(Self(None));
                        }
                        Err(serde::de::Error::custom(reason))
                    }
                }

                struct Visitor;

                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut read = $name::default();
                        while let Some(Key(place)) = map.next_key::<Key>()? {
                            let Some(place) = place else {
                                map.next_value::<serde::de::IgnoredAny>()?;
                                continue;
                            };
                            let mut next = 0_usize;
                            $(
                                if place == next {
                                    read.$field = Some(map.next_value()?);
                                    continue;
                                }
                                next += 1;
                            )*
                            let _ = next;
                        }
                        Ok(read)
                    }
                }

                deserializer.deserialize_map(Visitor)
            }
        }
    };
}

pub use crate::mapping;

/// One value, or a list of them.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// As a list.
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}
