//! Conditions of rules: a typed part of CEL.
//!
//! The text is parsed by the `cel` crate. Its tree is checked against the [`fields`] that there are and lowered to a tree of
//! our own, in which every field, word, time and regular expression is already resolved. That tree is what is evaluated:
//! nothing in it can build a string or a list, so evaluation takes no memory to speak of, and its work is bounded by
//! [`Condition::cost`], which is known when the policy is loaded. (Evaluating as the specification allows, a 156-byte
//! expression is known to have taken 6 GB.)
//!
//! What differs from CEL as it is known elsewhere: `severity` and `confidence` are ordered by meaning and not by letters,
//! and an unknown severity is neither above nor below any other; what is not known of a field reads as the zero of its type,
//! and `has()` tells whether it is known; literals of words and regular expressions are checked when the policy is loaded.

mod check;
mod cost;
mod error;
mod eval;
pub mod fields;
mod guard;
mod node;
mod operators;
mod value;

pub use error::{ConditionError, ConditionProblem};
pub use eval::EvalError;
pub use fields::{Facts, Record};
pub use value::{Type, Words};

use std::fmt;

use crate::PolicyLimits;
use fields::Field;
use node::Node;

/// A condition that was checked and compiled.
#[derive(Clone)]
pub struct Condition {
    source: String,
    node: Node,
    cost: u64,
    reads: Vec<&'static Field>,
}

impl Condition {
    /// Checks and compiles `source`.
    ///
    /// # Errors
    /// It is no CEL, names what is not there, mixes types, is not true or false in the end, or costs too much.
    pub fn compile(source: &str, limits: &PolicyLimits) -> Result<Self, ConditionError> {
        guard::check(source, limits)?;
        let env = cel::Env::default().with_optional_support(false);
        let program = env.compile(source).map_err(|errors| error::syntax(&errors))?;
        let checked = check::check(&program, limits)?;
        Ok(Self {
            source: source.to_owned(),
            node: checked.node,
            cost: checked.cost,
            reads: checked.reads,
        })
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The most work that one evaluation takes, in units of comparing two small values.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether it is about single findings. Others are evaluated once for the image.
    pub fn is_about_findings(&self) -> bool {
        self.reads.iter().any(|field| field.record == Record::Finding)
    }

    /// Whether its answer may depend on this field.
    pub(crate) fn reads(&self, record: Record, name: &str) -> bool {
        let mut reads = self.reads.iter();
        reads.any(|field| field.record == record && field.name == name)
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// A label that is not there was read, a number overflowed, or the like, and the rest did not settle the answer.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvalError> {
        eval::holds(&self.node, facts)
    }
}

/// Without its automata, which are long.
impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.source)
    }
}

#[cfg(test)]
mod tests;
