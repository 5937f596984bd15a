//! Types for serde that take what strangers write: a field of another type counts as absent, and nothing grows without bound.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Items that are read of one list or map; the limit of packages of a whole layer is as high.
const MAX_ITEMS: usize = 500_000;

/// A text; anything else is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::packages) struct Text(pub Option<String>);

impl Text {
    /// The text, empty where there is none.
    pub(in crate::packages) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Entries of a map, in order, repeated keys included; anything else is none.
#[derive(Debug)]
pub(in crate::packages) struct Pairs<V>(pub Vec<(String, V)>);

/// Items of a list; anything else is none.
#[derive(Debug)]
pub(in crate::packages) struct Items<V>(pub Vec<V>);

/// Licences as package managers of JavaScript and PHP write them: a text, an object with `type` or `name`, a list of them.
#[derive(Debug, Default)]
pub(in crate::packages) struct Licences(pub Vec<String>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Default for Items<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What a value turned out to be.
enum Value<V> {
    Text(String),
    Pairs(Vec<(String, V)>),
    Items(Vec<V>),
    Other,
}

struct ValueVisitor<V>(PhantomData<V>);

impl<'de, V: DeserializeOwned> Visitor<'de> for ValueVisitor<V> {
    type Value = Value<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
            bounded(pairs.len())?;
        }
        Ok(Value::Pairs(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
            bounded(items.len())?;
        }
        Ok(Value::Items(items))
    }
}

fn bounded<E: Error>(items: usize) -> Result<(), E> {
    if items <= MAX_ITEMS {
        return Ok(());
    }
    Err(E::custom(format_args!("a list has more than {MAX_ITEMS} items")))
}

fn value<'de, V: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Value<V>, D::Error> {
    deserializer.deserialize_any(ValueVisitor(PhantomData))
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match value::<IgnoredAny, D>(deserializer)? {
            Value::Text(text) => Self(Some(text)),
            _ => Self(None),
        })
    }
}

impl<'de, V: DeserializeOwned> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match value(deserializer)? {
            Value::Pairs(pairs) => Self(pairs),
            _ => Self::default(),
        })
    }
}

impl<'de, V: DeserializeOwned> Deserialize<'de> for Items<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match value(deserializer)? {
            Value::Items(items) => Self(items),
            _ => Self::default(),
        })
    }
}

/// An item of a list of licences.
struct Licence(Option<String>);

impl<'de> Deserialize<'de> for Licence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match value::<Text, D>(deserializer)? {
            Value::Text(text) => Some(text),
            Value::Pairs(pairs) => named(pairs),
            _ => None,
        }))
    }
}

impl<'de> Deserialize<'de> for Licences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match value::<Licence, D>(deserializer)? {
            Value::Text(text) => Self(vec![text]),
            Value::Items(items) => Self(items.into_iter().filter_map(|licence| licence.0).collect()),
            Value::Pairs(pairs) => {
                let texts = pairs
                    .into_iter()
                    .map(|(key, licence)| (key, Text(licence.0)))
                    .collect();
                Self(named(texts).into_iter().collect())
            }
            Value::Other => Self::default(),
        })
    }
}

fn named(pairs: Vec<(String, Text)>) -> Option<String> {
    pairs
        .into_iter()
        .find(|(key, _)| key == "type" || key == "name")
        .and_then(|(_, text)| text.0)
}
