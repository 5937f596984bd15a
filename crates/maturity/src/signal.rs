//! When evidence proves a criterion: conditions on facts, with thresholds that are data.
//!
//! A [`Signal`] is a list of clauses that must all hold; a clause is a list of conditions of which one must. Conditions on images
//! and happenings ask for use, not for existence: a share of the last so many, or of those of the last so many days.

mod fact;
mod read;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use fact::{Fact, FactInfo, Nature, OWN_PREFIX, Origin, Unit, UnknownFact};
pub(crate) use read::read_signal;

/// Longest window of a condition, in days.
pub const MAX_WINDOW_DAYS: u32 = 730;

/// Most images or happenings that a condition looks back at.
pub const MAX_WINDOW_ITEMS: u32 = 1000;

/// Most clauses of a signal, and most conditions of a clause.
pub const MAX_CONDITIONS: usize = 8;

/// All clauses must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(pub Vec<Clause>);

/// One condition must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Clause(pub Vec<Condition>);

impl Signal {
    /// Its conditions, in the order in which they were written.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter().flat_map(|clause| &clause.0)
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is asked of one fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Of which.
    pub fact: Fact,
    /// The form of the fact.
    pub info: FactInfo,
    /// What a value must be.
    pub test: Test,
    /// Which values count.
    pub window: Window,
    /// How many of them must be so.
    pub wanted: Wanted,
    /// With fewer in the window it is unknown.
    pub least: u32,
    /// What it means if there are none in the window.
    pub none: WhenNone,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// True.
    Yes,
    /// False.
    No,
    /// A number, or more.
    AtLeast(i64),
    /// A number, or less.
    AtMost(i64),
}

impl Test {
    /// Whether a value is so; one of the wrong form never is.
    pub fn holds(self, value: crate::evidence::Value) -> bool {
        use crate::evidence::Value;
        match (self, value) {
            (Self::Yes, Value::Flag(flag)) => flag,
            (Self::No, Value::Flag(flag)) => !flag,
            (Self::AtLeast(bound), Value::Number(number)) => number >= bound,
            (Self::AtMost(bound), Value::Number(number)) => number <= bound,
            _ => false,
        }
    }
}

/// Which values count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// The newest ones, so many. Of a state: the one that there is, however old.
    Newest(u32),
    /// Those of so many days. Of a state: one that is no older.
    Days(u32),
}

/// How many must be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Of a hundred.
    Share(u8),
    /// So many.
    Hits(u32),
}

/// What it means that nothing came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenNone {
    /// Nothing is known.
    #[default]
    Unknown,
    /// There was no occasion to fail.
    Holds,
    /// It should have happened.
    Fails,
}

impl Condition {
    /// Whether `hits` of `all` are enough.
    pub(crate) fn is_enough(&self, hits: usize, all: usize) -> bool {
        match self.wanted {
            Wanted::Share(percent) => hits * 100 >= all * usize::from(percent),
            Wanted::Hits(wanted) => hits >= wanted as usize,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.info.unit {
            Unit::Flag | Unit::Count => "",
            Unit::Percent => " %",
            Unit::Minutes => " minutes",
            Unit::Days => " days",
        };
        write!(f, "{}", self.fact)?;
        match self.test {
            Test::Yes => {}
            Test::No => f.write_str(" is false")?,
            Test::AtLeast(bound) => write!(f, " is at least {bound}{unit}")?,
            Test::AtMost(bound) => write!(f, " is at most {bound}{unit}")?,
        }
        if self.info.nature == Nature::State {
            return match self.window {
                Window::Days(days) => write!(f, ", seen within {days} days"),
                Window::Newest(_) => Ok(()),
            };
        }
        match self.wanted {
            Wanted::Share(percent) => write!(f, " for {percent} %")?,
            Wanted::Hits(hits) => write!(f, " at least {hits} times")?,
        }
        match self.window {
            Window::Newest(1) => f.write_str(" of the newest"),
            Window::Newest(count) => write!(f, " of the last {count}"),
            Window::Days(days) => write!(f, " of the last {days} days"),
        }
    }
}
