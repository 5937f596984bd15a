//! What is wrong with a condition.

use thiserror::Error;

use super::value::Type;
use crate::text::one_line;

/// What is wrong with a condition, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem} (column {column})")]
pub struct ConditionError {
    /// Character of the text, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: ConditionProblem,
}

/// The ways in which a condition can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConditionProblem {
    /// Nothing there.
    #[error("a condition is empty; write `true` for always")]
    Empty,
    /// Not CEL.
    #[error("this is no CEL: {0}")]
    Syntax(String),
    /// Longer, deeper or larger than is allowed.
    #[error("a condition has {what}: at most {limit} are allowed")]
    TooLarge {
        /// `… bytes`, with how many.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// More work than is allowed.
    #[error(
        "a condition may take {cost} steps: at most {limit} are allowed; say less inside of exists() and all()"
    )]
    TooCostly {
        /// Units.
        cost: u64,
        /// The limit.
        limit: u64,
    },
    /// No such variable.
    #[error("there is no variable `{name}`{hint}")]
    UnknownVariable {
        /// As written.
        name: String,
        /// The nearest right name.
        hint: String,
    },
    /// No such field.
    #[error("`{record}` has no field `{name}`{hint}")]
    UnknownField {
        /// Of which variable.
        record: &'static str,
        /// As written.
        name: String,
        /// The nearest right name.
        hint: String,
    },
    /// No such function.
    #[error("there is no function `{name}`{hint}")]
    UnknownFunction {
        /// As written.
        name: String,
        /// The nearest right name.
        hint: String,
    },
    /// No such word.
    #[error("`{word}` is no {list}{hint}")]
    UnknownWord {
        /// As written.
        word: String,
        /// What it would have to be.
        list: &'static str,
        /// The nearest right word.
        hint: String,
    },
    /// Types that do not go together.
    #[error("`{what}` does not work on {found}; {expected}")]
    Types {
        /// Operator or function.
        what: String,
        /// Types that are there.
        found: String,
        /// What would work.
        expected: &'static str,
    },
    /// Not true or false in the end.
    #[error("a condition is true or false, this one is {0}")]
    NotBool(Type),
    /// In CEL, but not here.
    #[error("{0}")]
    NotHere(&'static str),
    /// Not a regular expression, or one that takes too much memory.
    #[error("regular expression: {0}")]
    Regex(String),
    /// Not a moment.
    #[error("`{0}` is no moment; write timestamp(\"2026-01-31T00:00:00Z\")")]
    Time(String),
}

impl ConditionProblem {
    pub(super) fn at(self, column: usize) -> ConditionError {
        ConditionError {
            column,
            problem: self,
        }
    }
}

/// The first of what the parser says.
pub(super) fn syntax(errors: &cel::ParseErrors) -> ConditionError {
    let (column, message) = errors.errors.first().map_or((1, "it cannot be read"), |error| {
        (
            usize::try_from(error.pos.1).unwrap_or(1).max(1),
            error.msg.as_str(),
        )
    });
    let message = message.trim_start_matches("Syntax error: ");
    ConditionProblem::Syntax(one_line(message, 200)).at(column)
}
