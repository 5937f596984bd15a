//! Values inside the objects, each bounded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Context;
use crate::manifest::ManifestError;
use crate::text::excerpt;
use crate::{Digest, MediaType};

/// Takes `null` for nothing, as clients written in Go send and read it.
pub(super) struct Nullable<S>(pub(super) S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// Makes a seed that reads a JSON string with its own `read`.
macro_rules! string_seed {
    ($name:ident, $value:ty, $expecting:literal) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_str(self)
            }
        }

        impl Visitor<'_> for $name<'_> {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<$value, E> {
                self.read(text)
            }
        }
    };
}

/// A short text without control characters.
#[derive(Clone, Copy)]
pub(super) struct Text<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) field: &'static str,
    /// In bytes.
    pub(super) limit: usize,
}

string_seed!(Text, String, "a string");

impl Text<'_> {
    fn read<E: Error>(self, text: &str) -> Result<String, E> {
        let Text {
            context,
            field,
            limit,
        } = self;
        if text.len() > limit {
            return Err(context.refuse(ManifestError::TooLong {
                field,
                bytes: text.len(),
                limit,
            }));
        }
        if text.chars().any(char::is_control) {
            return Err(context.refuse(ManifestError::ControlCharacter { field }));
        }
        Ok(text.to_owned())
    }
}

pub(super) struct MediaTypeText<'c>(pub(super) &'c Context<'c>);

string_seed!(MediaTypeText, MediaType, "a media type");

impl MediaTypeText<'_> {
    fn read<E: Error>(self, text: &str) -> Result<MediaType, E> {
        text.parse()
            .map_err(|source| self.0.refuse(ManifestError::MediaType { source }))
    }
}

pub(super) struct DigestText<'c>(pub(super) &'c Context<'c>);

string_seed!(DigestText, Digest, "a digest");

impl DigestText<'_> {
    fn read<E: Error>(self, text: &str) -> Result<Digest, E> {
        text.parse()
            .map_err(|source| self.0.refuse(ManifestError::Digest { source }))
    }
}

/// A string whose content does not matter.
#[derive(Clone, Copy)]
pub(super) struct Present;

impl<'de> DeserializeSeed<'de> for Present {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Present {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 text")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// A whole number.
pub(super) struct Unsigned;

impl<'de> DeserializeSeed<'de> for Unsigned {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

/// A length in bytes that Go's `int64` can hold.
pub(super) struct Size<'c>(pub(super) &'c Context<'c>);

impl<'de> DeserializeSeed<'de> for Size<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for Size<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in bytes")
    }

    fn visit_u64<E: Error>(self, size: u64) -> Result<u64, E> {
        if i64::try_from(size).is_ok() {
            Ok(size)
        } else {
            Err(self.0.refuse(ManifestError::Size))
        }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<u64, E> {
        Err(self.0.refuse(ManifestError::Size))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<u64, E> {
        Err(self.0.refuse(ManifestError::Size))
    }
}

/// An array that is refused at its first entry too many, which is not even read.
pub(super) struct List<'c, S> {
    pub(super) context: &'c Context<'c>,
    pub(super) what: &'static str,
    pub(super) limit: usize,
    pub(super) item: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for List<'_, S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for List<'_, S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.limit {
            match seq.next_element_seed(self.item)? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        let why = ManifestError::TooMany {
            what: self.what,
            limit: self.limit,
        };
        seq.next_element_seed(Trip(self.context, why))?;
        Ok(items)
    }
}

/// Refuses whatever comes.
struct Trip<'c>(&'c Context<'c>, ManifestError);

impl<'de> DeserializeSeed<'de> for Trip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(self.0.refuse(self.1))
    }
}

/// Annotations: any text to any text.
pub(super) struct Annotations<'c>(pub(super) &'c Context<'c>);

impl<'de> DeserializeSeed<'de> for Annotations<'_> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Annotations<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations, which are an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut annotations = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            context.count(&context.annotations, context.limits.annotations, "annotations")?;
            match annotations.entry(key) {
                Entry::Vacant(place) => place.insert(map.next_value::<String>()?),
                Entry::Occupied(place) => {
                    return Err(context.refuse(ManifestError::DuplicateKey {
                        key: excerpt(place.key()),
                    }));
                }
            };
        }
        Ok(annotations)
    }
}

/// A value that no specification defines: checked for depth, duplicate keys and number of fields, then
/// dropped.
pub(super) struct Custom<'c> {
    pub(super) context: &'c Context<'c>,
    /// Nesting that this value would have as an object or array.
    pub(super) depth: usize,
}

impl Custom<'_> {
    fn enter<E: Error>(&self) -> Result<(), E> {
        let limit = self.context.limits.depth;
        if self.depth > limit {
            return Err(self.context.refuse(ManifestError::TooDeep { limit }));
        }
        Ok(())
    }

    fn inner(&self) -> Self {
        Custom {
            context: self.context,
            depth: self.depth + 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Custom<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Custom<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.enter()?;
        while seq.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.enter()?;
        let context = self.context;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            context.count(
                &context.custom_fields,
                context.limits.custom_fields,
                "custom fields",
            )?;
            if let Some(twice) = seen.replace(key) {
                return Err(context.refuse(ManifestError::DuplicateKey { key: excerpt(&twice) }));
            }
            map.next_value_seed(self.inner())?;
        }
        Ok(())
    }
}
