//! Files of teams: Backstage's `catalog-info.yaml`, and our own `pavedroad.yaml`.
//!
//! Both are YAML of several documents, read by the bounded reader that policies use. All that is wrong is collected, with file and
//! line; a set of files with an error gives nothing, so that half an import never replaces a whole one.

mod annotations;
mod backstage;
mod entity;
mod graph;
mod paved_document;
mod paved_road;

use std::collections::BTreeSet;
use std::fmt;

use policy::yaml::{self, one_line};
use thiserror::Error;

use crate::app_road::FreezeError;
use crate::base::BaseError;
use crate::names::NameError;
use crate::paving::{PavingError, RoadEntry};

pub use backstage::{Catalog, Hint, REPOSITORIES_ANNOTATION, read};
pub use paved_road::{PavedRoad, read_part_of_paved_road, read_paved_road};

/// JSON schema of one document of `pavedroad.yaml`, for editors.
pub const SCHEMA: &str = include_str!("../pavedroad.schema.json");

/// A file as it was found.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// Bounds on one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogLimits {
    /// Files.
    pub files: usize,
    /// One file, in bytes.
    pub file_bytes: usize,
    /// All files together, in bytes.
    pub bytes: usize,
    /// Documents of all files together.
    pub documents: usize,
    /// Errors that are collected; more are only counted.
    pub errors: usize,
}

impl Default for CatalogLimits {
    fn default() -> Self {
        Self {
            files: 20_000,
            file_bytes: 1 << 20,
            bytes: 64 << 20,
            documents: 100_000,
            errors: 100,
        }
    }
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// [`CatalogLimits::files`].
    #[error("there are {count} files: at most {limit} are read at once")]
    Files {
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// [`CatalogLimits::file_bytes`].
    #[error("the file has {bytes} bytes: at most {limit} are read, split it")]
    FileBytes {
        /// Its size.
        bytes: usize,
        /// Its largest size.
        limit: usize,
    },
    /// [`CatalogLimits::bytes`].
    #[error("the files have {bytes} bytes: at most {limit} are read at once")]
    Bytes {
        /// Their size.
        bytes: usize,
        /// Their largest size.
        limit: usize,
    },
    /// [`CatalogLimits::documents`].
    #[error("there are more than {limit} documents: read fewer files at once")]
    Documents {
        /// How many are allowed.
        limit: usize,
    },
    /// Not YAML, or not of the form, or beyond the bounds of the reader.
    #[error("{0}")]
    Yaml(String),
    /// A key that must be there.
    #[error("{what} needs `{key}`")]
    Missing {
        /// What needs it.
        what: &'static str,
        /// Which.
        key: &'static str,
    },
    /// A word outside its grammar.
    #[error("`{key}`: {error}")]
    Name {
        /// Of which key.
        key: &'static str,
        /// What is wrong.
        #[source]
        error: NameError,
    },
    /// A value outside its grammar.
    #[error("`{key}`: `{text}` is {wanted}")]
    Value {
        /// Of which key.
        key: &'static str,
        /// The value, clipped and on one line.
        text: String,
        /// What it is not, and what is expected.
        wanted: &'static str,
    },
    /// Not a freeze window.
    #[error("`spec.freeze`: `{text}` is {error}")]
    Freeze {
        /// The text, clipped and on one line.
        text: String,
        /// What is wrong.
        #[source]
        error: FreezeError,
    },
    /// A list without end.
    #[error("`{key}` lists {count}: at most {limit} are allowed")]
    Long {
        /// Which.
        key: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A pattern that takes repositories of everybody.
    #[error(
        "`{REPOSITORIES_ANNOTATION}`: `{0}` takes repositories of everybody: begin it with a whole component, as in team/**"
    )]
    TooWide(String),
    /// Not a pattern.
    #[error("`{REPOSITORIES_ANNOTATION}`: {0}")]
    Pattern(#[from] oci::PatternError),
    /// One name, two entries.
    #[error("`{what}` is there already, at {place}: remove one of them")]
    Twice {
        /// Which.
        what: String,
        /// Where first.
        place: String,
    },
    /// Something that is part of itself.
    #[error("`{what}` is part of itself, through {through}: break the circle")]
    Cycle {
        /// Which.
        what: String,
        /// By which way.
        through: String,
    },
    /// A kind that nobody knows.
    #[error("`{kind}` is no kind of the paved road{hint}")]
    Kind {
        /// Which.
        kind: String,
        /// The nearest one.
        hint: String,
    },
    /// Another version of the format.
    #[error("`apiVersion` is `{0}`: write `road/v1`")]
    Version(String),
    /// Bases that do not fit together.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Entries that do not fit together, or one that makes no sense.
    #[error(transparent)]
    Paving(#[from] PavingError),
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct CatalogError {
    /// In which file; on one line.
    pub file: String,
    /// In which line, counted from 1.
    pub line: u64,
    /// What.
    #[source]
    pub problem: Problem,
}

/// All that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct CatalogErrors {
    /// The first ones.
    pub errors: Vec<CatalogError>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for CatalogErrors {
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

/// Collects what is wrong, up to a bound.
struct Errors {
    first: Vec<CatalogError>,
    more: usize,
    limit: usize,
}

impl Errors {
    fn new(limits: &CatalogLimits) -> Self {
        Self {
            first: Vec::new(),
            more: 0,
            limit: limits.errors,
        }
    }

    fn add(&mut self, file: &str, line: u64, problem: Problem) {
        if self.first.len() >= self.limit {
            self.more += 1;
            return;
        }
        self.first.push(CatalogError {
            file: one_line(file, 200),
            line: line.max(1),
            problem,
        });
    }

    fn into_result<T>(self, value: T) -> Result<T, CatalogErrors> {
        if self.first.is_empty() {
            return Ok(value);
        }
        Err(CatalogErrors {
            errors: self.first,
            more: self.more,
        })
    }
}

/// A document with its place.
struct Document<'a> {
    file: &'a str,
    /// Lines of the file before it.
    before: u64,
    text: &'a str,
}

impl Document<'_> {
    /// The line of the file, from one of the document.
    fn line(&self, line: u64) -> u64 {
        self.before + line.max(1)
    }

    /// The line of the key that something is wrong with, else the first one.
    fn line_of_fault(&self, error: &PavingError) -> u64 {
        let key = match error {
            PavingError::Entry { fault, .. } => fault.key(),
            PavingError::TooMany { .. } | PavingError::Twice { .. } => None,
        };
        let is_key = |line: &str, key: &str| {
            line.match_indices(key)
                .any(|(at, _)| line[at + key.len()..].starts_with(':'))
        };
        let found = key.and_then(|key| self.text.lines().position(|line| is_key(line, key)));
        found.map_or_else(|| self.first_line(), |place| self.line(place as u64 + 1))
    }

    /// Its first line that says something.
    fn first_line(&self) -> u64 {
        self.before + yaml::first_line(self.text)
    }
}

/// Takes the files apart, under all limits that can be kept before anything is parsed.
fn documents<'a>(files: &[SourceFile<'a>], limits: &CatalogLimits, errors: &mut Errors) -> Vec<Document<'a>> {
    let first = files.first().map_or("", |file| file.name);
    let (count, limit) = (files.len(), limits.files);
    if count > limit {
        errors.add(first, 1, Problem::Files { count, limit });
        return Vec::new();
    }
    let (bytes, limit) = (files.iter().map(|file| file.text.len()).sum(), limits.bytes);
    if bytes > limit {
        errors.add(first, 1, Problem::Bytes { bytes, limit });
        return Vec::new();
    }
    let mut documents = Vec::new();
    for file in files {
        let (bytes, limit) = (file.text.len(), limits.file_bytes);
        if bytes > limit {
            errors.add(file.name, 1, Problem::FileBytes { bytes, limit });
            continue;
        }
        for (before, text) in yaml::documents(file.text) {
            if documents.len() >= limits.documents {
                let limit = limits.documents;
                errors.add(file.name, before + 1, Problem::Documents { limit });
                return Vec::new();
            }
            let file = file.name;
            documents.push(Document { file, before, text });
        }
    }
    documents
}

/// What files of both kinds say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Those of Backstage.
    pub catalog: Catalog,
    /// Ours.
    pub road: PavedRoad,
}

/// Reads files of both kinds, each as what it is. Bases may go together with others: whoever knows all of them checks that.
///
/// # Errors
/// All that is wrong with the files of one kind, Backstage's first.
pub fn read_files(files: &[SourceFile<'_>], limits: &CatalogLimits) -> Result<Files, CatalogErrors> {
    let (paved, backstage): (Vec<_>, Vec<_>) = files.iter().copied().partition(is_paved_road);
    let mut files = Files {
        catalog: read(&backstage, limits)?,
        road: read_part_of_paved_road(&paved, limits)?,
    };
    // What our own file says of an application counts more than annotations.
    let key = |entry: &RoadEntry| (entry.kind(), entry.name());
    let said: BTreeSet<_> = files.road.entries.iter().map(key).collect();
    let annotated = std::mem::take(&mut files.catalog.roads).into_iter();
    files
        .road
        .entries
        .extend(annotated.filter(|entry| !said.contains(&key(entry))));
    Ok(files)
}

/// Ours says so in its first lines.
fn is_paved_road(file: &SourceFile<'_>) -> bool {
    let mut lines = file.text.lines();
    lines.any(|line| line.starts_with("apiVersion:") && line.contains("road/"))
}

#[cfg(test)]
mod tests;
