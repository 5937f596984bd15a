//! YAML of people: bounded, with the line of what is wrong and the nearest right key.
//!
//! The one reader for everything that people write for Roadbed: policies and waivers here, catalogues of applications and
//! bases in `road`.

use serde::de::DeserializeOwned;

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
                struct Key(usize);

                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        let text = String::deserialize(deserializer)?;
                        let keys: &[&str] = &[$($key),*];
                        keys.iter().position(|key| *key == text).map(Self).ok_or_else(|| {
                            let hint = $crate::yaml::did_you_mean(&text, keys.iter().copied());
                            let text = $crate::yaml::one_line(&text, 64);
                            serde::de::Error::custom(format!("{} has no key `{text}`{hint}", $what))
                        })
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
