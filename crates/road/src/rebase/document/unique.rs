//! Whether no object of a JSON text has a member twice.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Whether that is so; also not of what is no JSON.
pub(super) fn is_unique(json: &[u8]) -> bool {
    serde_json::from_slice::<Unique>(json).is_ok()
}

struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Each)
    }
}

struct Each;

macro_rules! plain {
    ($($name:ident: $type:ty),*) => {$(
        fn $name<E: Error>(self, _: $type) -> Result<Unique, E> {
            Ok(Unique)
        }
    )*};
}

impl<'de> Visitor<'de> for Each {
    type Value = Unique;

    plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a member twice")
    }

    fn visit_unit<E: Error>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut names: HashSet<String> = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            members.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::is_unique;

    #[test]
    fn a_member_that_is_there_twice_is_seen_at_any_depth() {
        for json in [
            r#"{"a": [1, null, true, "x", -2, 0.5, {"b": {}}], "c": 1}"#,
            "[]",
            "1",
        ] {
            assert!(is_unique(json.as_bytes()), "{json}");
        }
        for json in [r#"{"a": 1, "a": 2}"#, r#"{"a": [{"b": 1, "\u0062": 2}]}"#, "{"] {
            assert!(!is_unique(json.as_bytes()), "{json}");
        }
    }
}
