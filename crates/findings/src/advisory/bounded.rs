//! Parts of wire structs that stop reading when there is too much.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

use super::limits::ID_BYTES;

/// A list of at most `MOST` elements; `null` is the empty one. A longer list is an error at its place, before it is held in memory:
/// a few bytes of JSON make a struct of hundreds.
#[derive(Debug, Clone)]
pub(crate) struct Bounded<T, const MOST: usize>(pub(crate) Vec<T>);

impl<T, const MOST: usize> Default for Bounded<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
    type Value = Bounded<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST} elements")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Bounded(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            if elements.len() == MOST {
                return Err(A::Error::custom(format_args!(
                    "the list has more than {MOST} elements"
                )));
            }
            elements.push(element);
        }
        Ok(Bounded(elements))
    }
}

/// What may be the id of an advisory: it becomes a part of URLs, lines of logs and pages. No escape, nothing that is not seen or
/// that turns the text around it, and no path.
pub(crate) fn is_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\%#,\"'<>|".contains(&byte);
    (1..=ID_BYTES).contains(&id.len())
        && !id.starts_with('.')
        && !id.contains("..")
        && id.bytes().all(is_plain)
}

/// What may name another advisory: nothing that is not seen or that turns the text around it. Sources write more here than ids
/// (addresses, a comma behind one).
pub(crate) fn is_reference(id: &str) -> bool {
    (1..=ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What may stand in a name, a version or an identifier: no control characters, and none of those that turn the direction of the text
/// or are not seen (Unicode TR 36, "Bidirectional Text Spoofing").
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(|letter| {
        letter.is_control()
            || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

/// The first `most` bytes of a text, cut at a character, with an ellipsis where something is gone.
pub(crate) fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
