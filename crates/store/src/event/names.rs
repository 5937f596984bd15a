//! What kinds of events there are, by their names.

use std::cell::Cell;

use road::sink::EventPattern;
use serde::de::{self, Deserialize, Deserializer, Visitor, value};
use serde::forward_to_deserialize_any;

use super::EventKind;

/// Hears which names a kind can have, and answers none of them.
struct Listening<'l>(&'l Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Listening<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(de::Error::custom("only names are asked for"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        self.0.set(names);
        Err(de::Error::custom("only names are asked for"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl EventKind {
    /// The names of all kinds.
    pub fn names() -> &'static [&'static str] {
        let names = Cell::new(&[][..]);
        // It fails by design: what is asked for is heard on the way.
        let _ = Self::deserialize(Listening(&names));
        names.get()
    }

    /// The first of these patterns that means no kind at all.
    pub fn meant_by_none(patterns: &[EventPattern]) -> Option<&EventPattern> {
        let means_one = |pattern: &&EventPattern| Self::names().iter().any(|name| pattern.matches(name));
        patterns.iter().find(|pattern| !means_one(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_kind_and_the_other_way_round() {
        let names = EventKind::names();
        assert!(names.len() > 50, "{names:?}");
        for name in names {
            let kind = EventKind::from_name(name);
            assert_eq!(kind.map(EventKind::name).as_deref(), Some(*name));
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_found() {
        let patterns = |texts: &[&str]| -> Vec<EventPattern> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let known = patterns(&["*", "tag.*", "image.decide", "delivery.retry"]);
        assert_eq!(EventKind::meant_by_none(&known), None);
        let wrong = patterns(&["tag.*", "image.decided", "tags.*"]);
        let found = EventKind::meant_by_none(&wrong).map(EventPattern::as_str);
        assert_eq!(found, Some("image.decided"));
    }
}
