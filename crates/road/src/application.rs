//! Applications: repositories with a team, a tier, environments and contacts.
//!
//! Several sources speak of them, and are trusted in the order of [`Source`]. What a more trusted source says stands; what a
//! less trusted one says otherwise is kept beside it and shown, never dropped silently.

mod annotation;
mod merge;
mod resolve;

use std::collections::BTreeMap;

use oci::{PatternMap, PatternTie, RepoName, RepoPattern};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::{ApplicationName, Contact, Environment, Owner};

pub use annotation::{ANNOTATION_PREFIX, AnnotationProblem, ImageWords, MAX_ANNOTATION_BYTES};
pub use resolve::{Ownership, OwnershipCounts};

/// Most applications.
pub const MAX_APPLICATIONS: usize = 50_000;

/// Most repository patterns of one application by one source.
pub const MAX_PATTERNS: usize = 100;

/// Most environments, and most contacts, of one application by one source.
pub const MAX_LISTED: usize = 20;

/// Most differing words of less trusted sources that one field keeps.
pub const MAX_OTHERS: usize = 16;

/// Lowest tier; 0 is the most important.
pub const MAX_TIER: u8 = 9;

/// Who says something, the most trusted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Somebody who may, by command line, API or file.
    Declared,
    /// A `catalog-info.yaml`.
    Catalog,
    /// An annotation of an image: whoever pushes can write one.
    Annotation,
}

impl Source {
    /// All, the most trusted first.
    pub const ALL: [Self; 3] = [Self::Declared, Self::Catalog, Self::Annotation];

    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Catalog => "catalog",
            Self::Annotation => "annotation",
        }
    }
}

/// A value with who said it and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated<T> {
    /// What was said.
    pub value: T,
    /// By which kind of source.
    pub source: Source,
    /// Where: `file:line`, an image, a person.
    pub origin: String,
}

/// What is believed of a field, and what others say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field<T> {
    /// The word of the most trusted source that says anything.
    #[serde(flatten)]
    pub stated: Stated<T>,
    /// What the others say where it differs, at most [`MAX_OTHERS`]: a conflict that is shown.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Stated<T>>,
}

impl<T> Field<T> {
    /// What is believed.
    pub fn value(&self) -> &T {
        &self.stated.value
    }
}

/// What one source says about one application. Everything but the name may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Which application.
    pub application: ApplicationName,
    /// Who says it.
    pub source: Source,
    /// Where it is said.
    pub origin: String,
    /// Its repositories.
    #[serde(default)]
    pub repositories: Vec<RepoPattern>,
    /// Its owner.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// How important it is: 0 is the most, [`MAX_TIER`] the least.
    #[serde(default)]
    pub tier: Option<u8>,
    /// Where it runs.
    #[serde(default)]
    pub environments: Vec<Environment>,
    /// How its owner can be reached, the best way first.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Which system it is part of.
    #[serde(default)]
    pub system: Option<String>,
    /// `spec.type` of Backstage.
    #[serde(default)]
    pub kind: Option<String>,
    /// `spec.lifecycle` of Backstage.
    #[serde(default)]
    pub lifecycle: Option<String>,
}

impl Statement {
    /// One that says nothing yet.
    pub fn new(application: ApplicationName, source: Source, origin: impl Into<String>) -> Self {
        Self {
            application,
            source,
            origin: origin.into(),
            repositories: Vec::new(),
            owner: None,
            tier: None,
            environments: Vec::new(),
            contacts: Vec::new(),
            system: None,
            kind: None,
            lifecycle: None,
        }
    }
}

/// What is believed of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its name.
    pub name: ApplicationName,
    /// Its repositories, by all sources that count.
    pub repositories: Vec<Stated<RepoPattern>>,
    /// Its owner.
    pub owner: Option<Field<Owner>>,
    /// How important it is.
    pub tier: Option<Field<u8>>,
    /// Where it runs.
    pub environments: Option<Field<Vec<Environment>>>,
    /// How its owner can be reached.
    pub contacts: Option<Field<Vec<Contact>>>,
    /// Which system it is part of.
    pub system: Option<Field<String>>,
    /// Its type.
    pub kind: Option<Field<String>>,
    /// Its lifecycle.
    pub lifecycle: Option<Field<String>>,
}

/// Two sources that do not agree, or one that claims what it may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "conflict", rename_all = "kebab-case")]
pub enum Conflict {
    /// About a field of an application.
    Field {
        /// Of which application.
        application: ApplicationName,
        /// Which field.
        field: &'static str,
        /// What stands, as text with its source.
        believed: String,
        /// What does not.
        other: String,
    },
    /// About which application a pattern belongs to.
    Repository {
        /// Which repositories.
        pattern: RepoPattern,
        /// Whose they are.
        believed: ApplicationName,
        /// By whom.
        source: Source,
        /// Who else is named.
        other: ApplicationName,
        /// By whom.
        other_source: Source,
    },
    /// An image says that it belongs to an application which a more trusted source knows without it. Not believed: whoever
    /// pushes could move into an application with an exemption.
    Claim {
        /// Which application.
        application: ApplicationName,
        /// By which repositories.
        pattern: RepoPattern,
        /// Where it says so.
        origin: String,
    },
}

/// Why statements make no applications.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplicationError {
    /// [`MAX_APPLICATIONS`].
    #[error(
        "there are {0} applications: at most {MAX_APPLICATIONS} are allowed, name fewer with wider patterns"
    )]
    TooMany(usize),
    /// A list without end.
    #[error("`{application}` has {count} {what} by {origin}: at most {limit} are allowed")]
    Long {
        /// Of which application.
        application: ApplicationName,
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
        /// Who says so.
        origin: String,
    },
    /// [`MAX_TIER`].
    #[error("`{application}` has tier {tier} by {origin}: tiers are 0 (most important) to {MAX_TIER}")]
    Tier {
        /// Of which application.
        application: ApplicationName,
        /// Which.
        tier: u8,
        /// Who says so.
        origin: String,
    },
    /// One source says two things about one application.
    #[error("`{application}` is described twice, by {first} and by {second}: remove one of them")]
    Twice {
        /// Which application.
        application: ApplicationName,
        /// Where first.
        first: String,
        /// Where again.
        second: String,
    },
    /// Two patterns of one source, neither of which wins.
    #[error("{tie} (of `{first}` and `{second}`)")]
    Tie {
        /// The patterns.
        tie: PatternTie,
        /// Whose one is.
        first: ApplicationName,
        /// Whose the other is.
        second: ApplicationName,
    },
}

/// All applications, and which repositories are theirs.
#[derive(Debug, Clone, Default)]
pub struct Applications {
    by_name: BTreeMap<ApplicationName, Application>,
    /// By the order of [`Source::ALL`].
    maps: [PatternMap<ApplicationName>; 3],
    conflicts: Vec<Conflict>,
}

impl Applications {
    /// From the words of all sources; those of annotations the oldest first, of which the last one counts.
    pub fn build(statements: Vec<Statement>) -> Result<Self, ApplicationError> {
        merge::build(statements)
    }

    /// What is believed of the application.
    pub fn get(&self, name: &ApplicationName) -> Option<&Application> {
        self.by_name.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Application> {
        self.by_name.values()
    }

    /// Where sources do not agree.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Whose repository it is: by the most trusted source that has a pattern for it, and of that source's patterns by the most
    /// specific one.
    pub fn owner_of(&self, repository: &RepoName) -> Ownership<'_> {
        resolve::owner_of(self, repository)
    }

    /// How many of the repositories have an owner.
    pub fn count<'r>(&self, repositories: impl IntoIterator<Item = &'r RepoName>) -> OwnershipCounts {
        resolve::count(self, repositories)
    }
}

#[cfg(test)]
mod tests;
