//! Types and values of conditions.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use time::OffsetDateTime;

use crate::limits::{MAX_FACT_LIST, MAX_FACT_TEXT_BYTES};

/// A closed list of words, such as the severities.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// What they are called together.
    pub name: &'static str,
    /// All of them, lowest first where they have an order.
    pub words: &'static [&'static str],
    /// Whether `<` and its kin compare them.
    pub ordered: bool,
    /// The word that is neither above nor below another.
    pub unordered: Option<usize>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// Whole number.
    Int,
    /// Number.
    Double,
    /// Text.
    Text,
    /// Moment.
    Time,
    /// One of a closed list of words.
    Word(&'static Words),
    /// List of texts.
    Texts,
    /// Map from text to text.
    TextMap,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
            Self::Time => "timestamp",
            Self::Word(words) => words.name,
            Self::Texts => "list(string)",
            Self::TextMap => "map(string, string)",
        })
    }
}

impl Type {
    /// What a field reads as when it is not known.
    pub(crate) fn zero(self) -> Value<'static> {
        match self {
            Self::Bool => Value::Bool(false),
            Self::Int => Value::Int(0),
            Self::Double => Value::Double(0.0),
            Self::Text => Value::text(""),
            Self::Time => Value::Time(OffsetDateTime::UNIX_EPOCH),
            Self::Word(words) => Value::Word(words.unordered.unwrap_or(0)),
            Self::Texts => Value::Texts(Vec::new()),
            Self::TextMap => Value::TextMap(&EMPTY),
        }
    }
}

static EMPTY: BTreeMap<String, String> = BTreeMap::new();

/// A value while a condition is evaluated; borrows from the facts and the condition.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number.
    Double(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Moment.
    Time(OffsetDateTime),
    /// Place in the list of words.
    Word(usize),
    /// List of texts.
    Texts(Vec<&'a str>),
    /// Map from text to text.
    TextMap(&'a BTreeMap<String, String>),
}

impl<'a> Value<'a> {
    /// At most [`MAX_FACT_TEXT_BYTES`] of `text`.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(clipped(text)))
    }

    /// At most [`MAX_FACT_LIST`] of `texts`.
    pub(crate) fn texts(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Texts(texts.into_iter().take(MAX_FACT_LIST).map(clipped).collect())
    }

    /// How two values of one type, or two numbers, compare. `None`: they do not.
    pub(crate) fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Self::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Self::Double(left), Value::Double(right)) => left.partial_cmp(right),
            (Self::Int(left), Value::Double(right)) => as_double(*left).partial_cmp(right),
            (Self::Double(left), Value::Int(right)) => left.partial_cmp(&as_double(*right)),
            (Self::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Self::Time(left), Value::Time(right)) => Some(left.cmp(right)),
            (Self::Word(left), Value::Word(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "how CEL compares an int with a double")]
pub(crate) fn as_double(int: i64) -> f64 {
    int as f64
}

pub(crate) fn clipped(text: &str) -> &str {
    if text.len() <= MAX_FACT_TEXT_BYTES {
        return text;
    }
    &text[..text.floor_char_boundary(MAX_FACT_TEXT_BYTES)]
}
