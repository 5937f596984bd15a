//! What is wrong with a policy.

use std::fmt;

use oci::PatternError;
use thiserror::Error;

use crate::condition::ConditionError;
use crate::template::TemplateError;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct PolicyError {
    /// The name of the file.
    pub file: String,
    /// Its line, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: PolicyProblem,
}

/// The ways in which a policy can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyProblem {
    /// No YAML, an unknown key, a value of another kind.
    #[error("{0}")]
    Yaml(String),
    /// All files together.
    #[error("the policy has {bytes} bytes: at most {limit} are allowed")]
    TooLarge {
        /// How many.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// All files together.
    #[error("the policy has {rules} rules: at most {limit} are allowed")]
    TooManyRules {
        /// How many.
        rules: usize,
        /// The limit.
        limit: usize,
    },
    /// A key that cannot be left out.
    #[error("{what} needs the key `{key}`")]
    Missing {
        /// Of what.
        what: &'static str,
        /// Which.
        key: &'static str,
    },
    /// Written for another version.
    #[error("this is written in version {found} of the language of rules; known here is version {known}")]
    Version {
        /// As written.
        found: u32,
        /// [`LANGUAGE`](crate::LANGUAGE).
        known: u32,
    },
    /// Not fit for reports and messages.
    #[error("`{0}` is no id: write up to 64 of a-z, 0-9, - and ., and begin with a letter")]
    Id(String),
    /// Declared twice.
    #[error("rule `{id}` is declared already, at {file}:{line}")]
    Duplicate {
        /// Its id.
        id: String,
        /// Where the first is.
        file: String,
        /// Its line.
        line: u64,
    },
    /// Not one of the words of a key.
    #[error("`{word}` is nothing that `{key}` can be{hint}")]
    Word {
        /// The key.
        key: &'static str,
        /// As written.
        word: String,
        /// The nearest right word.
        hint: String,
    },
    /// A list that is empty or too long.
    #[error("`{key}` has {count} entries: from 1 to {limit} are allowed")]
    Count {
        /// The key.
        key: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A number of days.
    #[error("`after: {days}` is too long: at most {limit} days are allowed")]
    Grace {
        /// As written.
        days: u32,
        /// The limit.
        limit: u16,
    },
    /// `running` or `after` beside `decide: warn`.
    #[error("`{0}` has a meaning only for rules that refuse")]
    OnlyRefuse(&'static str),
    /// `after` beside a condition that is about no finding.
    #[error("`after` counts from the dates of a finding, but the condition is about no finding")]
    NoDates,
    /// The condition.
    #[error("rule `{rule}`: {error}")]
    Condition {
        /// The rule's id.
        rule: String,
        /// What is wrong with it.
        error: ConditionError,
    },
    /// The message.
    #[error("rule `{rule}`: {error}")]
    Message {
        /// The rule's id.
        rule: String,
        /// What is wrong with it.
        error: TemplateError,
    },
    /// A pattern of repositories.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// Everything that is wrong with a policy; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
