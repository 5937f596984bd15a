//! What is wrong with a model.

use std::fmt;

use thiserror::Error;

use super::{MAX_CRITERIA, MAX_DOCUMENT_BYTES, MAX_LINKS, MAX_OBLIGATIONS, MAX_TOPICS};

/// Errors of one document that are told; more are only counted.
pub const MAX_ERRORS: usize = 100;

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Not YAML, or not of the form.
    #[error("{0}")]
    Written(String),
    /// [`MAX_DOCUMENT_BYTES`].
    #[error("the document has {0} bytes: at most {MAX_DOCUMENT_BYTES} are read")]
    Bytes(usize),
    /// [`MAX_CRITERIA`].
    #[error("the model has {0} criteria: at most {MAX_CRITERIA} are allowed")]
    Criteria(usize),
    /// [`MAX_TOPICS`].
    #[error("the model has {0} topics: at most {MAX_TOPICS} are allowed")]
    Topics(usize),
    /// [`MAX_LINKS`].
    #[error("`{of}` lists {count} under `{key}`: at most {MAX_LINKS} are allowed")]
    Links {
        /// Of which criterion.
        of: String,
        /// Which list.
        key: &'static str,
        /// How many.
        count: usize,
    },
    /// [`MAX_OBLIGATIONS`].
    #[error("the model has {0} obligations: at most {MAX_OBLIGATIONS} are allowed")]
    Obligations(usize),
    /// One id, two entries.
    #[error("{what} `{id}` is there already: give one of them another id")]
    Twice {
        /// What kind of entry.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// A name of nothing.
    #[error("there is no {what} `{id}`{hint}")]
    NoSuch {
        /// What it should be.
        what: &'static str,
        /// The name.
        id: String,
        /// The nearest one.
        hint: String,
    },
    /// Something that needs itself.
    #[error("`{of}` {verb} itself, through {through}: break the circle")]
    Cycle {
        /// Which.
        of: String,
        /// In which way.
        verb: &'static str,
        /// By which way.
        through: String,
    },
    /// A level that the model does not have.
    #[error("`{of}` is of level {level}: the levels are 1 to {top}")]
    Level {
        /// Which criterion.
        of: String,
        /// Its level.
        level: u8,
        /// The highest one.
        top: u8,
    },
    /// Levels that are not 1, 2, 3 and so on.
    #[error("levels count from 1 without a gap: write level {0} here")]
    LevelOrder(usize),
    /// Nobody may vouch for what a person must vouch for, or for how long is not said.
    #[error("`{0}` is vouched for by a person: say `attester` with `role` and `expires_days`")]
    NoAttester(String),
    /// A person beside evidence that needs none.
    #[error("`{0}` is proven by evidence alone: leave out `attester`, or write `evidence: hybrid`")]
    NeedlessAttester(String),
    /// Nothing could prove it.
    #[error("`{0}` is proven by evidence: say by which under `signal`")]
    NoSignal(String),
    /// Evidence beside a person who needs none.
    #[error("`{0}` is proven by a person alone: leave out `signal`, or write `evidence: hybrid`")]
    NeedlessSignal(String),
    /// It requires something of a smaller subject.
    #[error("`{of}` requires `{required}`, which is about something smaller: which one is not said")]
    Narrower {
        /// Which.
        of: String,
        /// What it requires.
        required: String,
    },
    /// An obligation about something other than applications or what they stand on.
    #[error("obligation `{0}` names no criterion")]
    EmptyObligation(String),
    /// An extension where a model is wanted.
    #[error("this is an extension: read it together with what it extends")]
    NotAModel,
    /// A model where an extension is wanted.
    #[error("this is a model of its own and extends nothing: write `kind: Extension`")]
    NotAnExtension,
    /// An extension of something else.
    #[error("this extends `{wanted}`, not `{given}`")]
    OfAnother {
        /// What it names.
        wanted: String,
        /// What it was given.
        given: String,
    },
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct ModelError {
    /// In which file; on one line.
    pub file: String,
    /// In which line, counted from 1.
    pub line: u64,
    /// What.
    #[source]
    pub problem: Problem,
}

/// All that is wrong, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ModelErrors {
    /// The first ones, at most [`MAX_ERRORS`].
    pub errors: Vec<ModelError>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for ModelErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.errors.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}
