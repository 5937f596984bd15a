//! YAML of people: bounded, with the line of what is wrong and the nearest right key.

use serde::de::DeserializeOwned;

use crate::text::one_line;

/// What is wrong with a document, and in which line.
pub(crate) struct Fault {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// Reads one document. Aliases are allowed, and bounded.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
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

/// Declares the keys of a mapping, all of which may be left out, and reads it: a key that is not among them is an error that
/// names the nearest one, at its line.
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
                            let hint = $crate::nearest::did_you_mean(&text, keys.iter().copied());
                            let text = $crate::text::one_line(&text, 64);
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

pub(crate) use mapping;

/// One value, or a list of them.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}
