//! What an image says about itself. Whoever pushes can write it, so it counts least.

use oci::{Digest, RepoName, RepoPattern};
use policy::yaml::one_line;
use thiserror::Error;

use super::{MAX_LISTED, MAX_TIER, Source, Statement};
use crate::names::{ApplicationName, Contact, Environment, NameError, Owner};

/// What our own annotations begin with: `application`, `owner`, `tier`, `environments` and `contacts` come behind it.
pub const ANNOTATION_PREFIX: &str = "roadbed.dev/";

/// Longest annotation that is looked at, in bytes.
pub const MAX_ANNOTATION_BYTES: usize = 1_024;

const OCI_PREFIX: &str = "org.opencontainers.image.";

/// The annotations and labels of an image that matter here; what is malformed is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageWords {
    /// `roadbed.dev/application`.
    pub application: Option<ApplicationName>,
    /// `roadbed.dev/owner`.
    pub owner: Option<Owner>,
    /// `roadbed.dev/tier`.
    pub tier: Option<u8>,
    /// `roadbed.dev/environments`, with commas between them.
    pub environments: Vec<Environment>,
    /// `roadbed.dev/contacts`, with commas between them; else `org.opencontainers.image.authors`.
    pub contacts: Vec<Contact>,
    /// `org.opencontainers.image.source`, on one line.
    pub source: Option<String>,
    /// `org.opencontainers.image.revision`, on one line.
    pub revision: Option<String>,
    /// `org.opencontainers.image.version`, on one line.
    pub version: Option<String>,
    /// `org.opencontainers.image.created`, on one line.
    pub created: Option<String>,
    /// `org.opencontainers.image.vendor`, on one line.
    pub vendor: Option<String>,
    /// `org.opencontainers.image.base.name`, on one line.
    pub base_name: Option<String>,
    /// `org.opencontainers.image.base.digest`.
    pub base_digest: Option<Digest>,
}

/// An annotation that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnnotationProblem {
    /// [`MAX_ANNOTATION_BYTES`].
    #[error("annotation `{key}` has {bytes} bytes: at most {MAX_ANNOTATION_BYTES} are looked at")]
    Long {
        /// Which.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// Not the word that it should be.
    #[error("annotation `{key}`: {error}")]
    Name {
        /// Which.
        key: String,
        /// What is wrong.
        #[source]
        error: NameError,
    },
    /// Neither tier nor digest.
    #[error("annotation `{key}`: `{text}` is {wanted}")]
    Malformed {
        /// Which.
        key: String,
        /// Its text, clipped and on one line.
        text: String,
        /// What it is not, and what is expected.
        wanted: &'static str,
    },
    /// [`MAX_LISTED`].
    #[error("annotation `{key}` lists {count}: at most {MAX_LISTED} are allowed")]
    Many {
        /// Which.
        key: String,
        /// How many.
        count: usize,
    },
}

impl ImageWords {
    /// Reads pairs of key and value, in any order; keys of others are passed over.
    pub fn read<'t>(
        annotations: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> (Self, Vec<AnnotationProblem>) {
        let mut words = Self::default();
        let mut authors = None;
        let mut problems = Vec::new();
        for (key, value) in annotations {
            let is_ours = key.starts_with(ANNOTATION_PREFIX) || key.starts_with(OCI_PREFIX);
            if is_ours && value.len() > MAX_ANNOTATION_BYTES {
                let (key, bytes) = (one_line(key, 80), value.len());
                problems.push(AnnotationProblem::Long { key, bytes });
            } else if let Some(name) = key.strip_prefix(ANNOTATION_PREFIX) {
                problems.extend(words.take_own(key, name, value).err());
            } else if let Some(name) = key.strip_prefix(OCI_PREFIX) {
                if name == "authors" {
                    authors = value.parse().ok();
                } else {
                    problems.extend(words.take_standard(key, name, value).err());
                }
            }
        }
        if words.contacts.is_empty() {
            words.contacts.extend(authors);
        }
        (words, problems)
    }

    fn take_own(&mut self, key: &str, name: &str, value: &str) -> Result<(), AnnotationProblem> {
        let named = |error| AnnotationProblem::Name {
            key: one_line(key, 80),
            error,
        };
        match name {
            "application" => self.application = Some(value.parse().map_err(named)?),
            "owner" => self.owner = Some(value.parse().map_err(named)?),
            "tier" => {
                let tier = value.parse().ok().filter(|tier| *tier <= MAX_TIER);
                self.tier = Some(tier.ok_or_else(|| malformed(key, value, "no tier: write 0 to 9"))?);
            }
            "environments" => self.environments = list(key, value)?,
            "contacts" => self.contacts = list(key, value)?,
            _ => {}
        }
        Ok(())
    }

    fn take_standard(&mut self, key: &str, name: &str, value: &str) -> Result<(), AnnotationProblem> {
        let line = || Some(one_line(value, MAX_ANNOTATION_BYTES));
        match name {
            "source" => self.source = line(),
            "revision" => self.revision = line(),
            "version" => self.version = line(),
            "created" => self.created = line(),
            "vendor" => self.vendor = line(),
            "base.name" => self.base_name = line(),
            "base.digest" => {
                let digest = value.parse();
                let digest = digest
                    .map_err(|_| malformed(key, value, "no digest: write sha256: and 64 hex digits"))?;
                self.base_digest = Some(digest);
            }
            _ => {}
        }
        Ok(())
    }

    /// What they say about the application of `repository`; nothing where they say nothing of it. An image that names an owner
    /// and no application speaks for its repository alone.
    pub fn statement(&self, repository: &RepoName, origin: &str) -> Option<Statement> {
        let is_silent = self.application.is_none()
            && self.owner.is_none()
            && self.tier.is_none()
            && self.environments.is_empty();
        if is_silent {
            return None;
        }
        let name = match &self.application {
            Some(name) => name.clone(),
            None => repository.as_str().replace('/', ".").parse().ok()?,
        };
        let mut statement = Statement::new(name, Source::Annotation, origin);
        statement.repositories = vec![RepoPattern::from(repository)];
        statement.owner.clone_from(&self.owner);
        statement.tier = self.tier;
        statement.environments.clone_from(&self.environments);
        statement.contacts.clone_from(&self.contacts);
        Some(statement)
    }
}

fn malformed(key: &str, value: &str, wanted: &'static str) -> AnnotationProblem {
    AnnotationProblem::Malformed {
        key: one_line(key, 80),
        text: one_line(value, 80),
        wanted,
    }
}

fn list<T: std::str::FromStr<Err = NameError>>(key: &str, value: &str) -> Result<Vec<T>, AnnotationProblem> {
    let parts: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > MAX_LISTED {
        return Err(AnnotationProblem::Many {
            key: one_line(key, 80),
            count: parts.len(),
        });
    }
    let parse = |part: &&str| {
        part.parse().map_err(|error| AnnotationProblem::Name {
            key: one_line(key, 80),
            error,
        })
    };
    parts.iter().map(parse).collect()
}
