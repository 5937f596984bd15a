//! Lists of a document of which only what matters is kept, so that many short elements do not become a multiple of their
//! bytes in memory.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};

use super::limits::{ITEMS, TEXT_BYTES};

/// An element as it is read, and what of it is kept.
pub(super) trait Wire: for<'de> Deserialize<'de> {
    /// What is kept.
    type Kept;
    /// `None`: nothing that matters.
    fn keep(self) -> Option<Self::Kept>;
}

/// At most [`ITEMS`] elements; `null` is the empty list.
pub(super) struct Kept<W: Wire>(pub(super) Vec<W::Kept>);

impl<W: Wire> Default for Kept<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, W: Wire> Deserialize<'de> for Kept<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeptVisitor(PhantomData))
    }
}

struct KeptVisitor<W>(PhantomData<W>);

impl<'de, W: Wire> Visitor<'de> for KeptVisitor<W> {
    type Value = Kept<W>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {ITEMS} elements")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Kept(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        let mut seen = 0_usize;
        while let Some(element) = list.next_element::<W>()? {
            seen += 1;
            if seen > ITEMS {
                return Err(A::Error::custom(format_args!(
                    "the list has more than {ITEMS} elements"
                )));
            }
            kept.extend(element.keep());
        }
        Ok(Kept(kept))
    }
}

/// A text that is dropped where it is no text, and where it is longer than any that is understood.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text((text.len() <= TEXT_BYTES).then(|| text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}
