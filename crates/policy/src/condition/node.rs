//! The tree that is evaluated.

use std::cmp::Ordering;
use std::sync::Arc;

use regex_automata::dfa::dense::DFA;
use time::OffsetDateTime;

use super::fields::Field;

/// One step. Types were checked when it was made.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A value that was written down.
    Literal(Literal),
    /// A field, the zero of its type if it is not known.
    Field(&'static Field),
    /// Whether a field is known.
    Known(&'static Field),
    /// The element that an enclosing quantifier is at; 0 is the outermost.
    Element(usize),
    /// The value of a key in a map.
    Entry(Box<Node>, Box<Node>),
    /// One element of a list, counted from 0.
    Item(Box<Node>, Box<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Negate(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// Order of words; the place that is neither above nor below another.
    Rank(Comparison, Option<usize>, Box<Node>, Box<Node>),
    /// Whether a value is one of those written down.
    OneOf(Box<Node>, Vec<Literal>),
    /// Whether a text is in a list, or a key in a map.
    Holds(Box<Node>, Box<Node>),
    Size(Box<Node>),
    Texts(TextTest, Box<Node>, Box<Node>),
    /// One step per byte, whatever the expression: that is why it is a whole automaton.
    Matches(Box<Node>, Arc<DFA<Vec<u32>>>),
    Quantifier(Quantifier, Box<Node>, Box<Node>),
}

#[derive(Debug, Clone)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Time(OffsetDateTime),
    Word(usize),
    Texts(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Exists,
    All,
    ExistsOne,
}

impl Comparison {
    pub(super) const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    /// Whether it holds; values that do not compare (a number that is none) are unequal and nothing else.
    pub(super) const fn accepts(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else {
            return matches!(self, Self::Unequal);
        };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}
