//! What one source says about one vulnerability.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::rating::Rating;

/// The database that an advisory comes from: `GHSA`, `DSA`, `ALSA`, `RUSTSEC`, `GO`, …
///
/// It follows from the prefix of the id. Ids that many databases share (`CVE-…`) take the name of the feed that they
/// came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Database(Box<str>);

/// Prefixes of ids that many databases hand out.
const SHARED_PREFIXES: [&str; 2] = ["CVE", "OSV"];

impl Database {
    /// The database of an id that came in the feed `home` (the directory of OSV's export, or what the operator calls it).
    pub fn of(id: &str, home: &str) -> Self {
        let prefix = id.split('-').next().unwrap_or_default();
        let is_own = !prefix.is_empty() && prefix.len() < id.len() && !SHARED_PREFIXES.contains(&prefix);
        Self(
            if is_own || home.is_empty() { prefix } else { home }
                .to_ascii_uppercase()
                .into(),
        )
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its entries name the vulnerabilities that they fix under `related`, as those of the rpm distributions do.
    pub(crate) fn names_fixed_under_related(&self) -> bool {
        matches!(
            self.as_str(),
            "ALSA" | "RHSA" | "RLSA" | "RXSA" | "ELSA" | "SUSE" | "ALBA" | "ALEA" | "RHBA" | "RHEA"
        )
    }

    /// Whether its entries were derived from something that was not written as an advisory (changelogs, say).
    pub(crate) fn is_derived(&self) -> bool {
        self.as_str() == "LOCAL"
    }

    /// Whether its entries are updates that need not be about security.
    pub(crate) fn lists_ordinary_updates(&self) -> bool {
        matches!(self.as_str(), "ALBA" | "ALEA" | "RHBA" | "RHEA" | "RLBA" | "RLEA")
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One document of one source. Another source's word about the same vulnerability is another `Advisory`: neither is ever
/// changed by the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// As the source calls it.
    pub id: String,
    /// Whose it is.
    pub database: Database,
    /// When it last changed. `None` where the source writes a placeholder.
    #[serde(
        with = "time::serde::rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub modified: Option<OffsetDateTime>,
    /// When it came out.
    #[serde(
        with = "time::serde::rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub published: Option<OffsetDateTime>,
    /// When it was taken back. It is not matched then.
    #[serde(
        with = "time::serde::rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub withdrawn: Option<OffsetDateTime>,
    /// Other ids of the same vulnerability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Vulnerabilities that it is about, of which there may be many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// What is related but not the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<String>,
    /// A line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Markdown, cut off at [`DETAILS_BYTES`](super::limits::DETAILS_BYTES).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// How bad the source finds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// Which packages. Each is judged by itself; one that is affected is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
}

impl Advisory {
    /// The vulnerabilities that an update fixes, each of which is another one. Empty for an advisory that is about one.
    pub(crate) fn vulnerabilities_fixed(&self) -> Vec<&str> {
        if !self.aliases.is_empty() {
            return Vec::new();
        }
        if !self.upstream.is_empty() {
            return self.upstream.iter().map(String::as_str).collect();
        }
        if !self.database.names_fixed_under_related() {
            return Vec::new();
        }
        let related = self.related.iter().map(String::as_str);
        related.filter(|id| id.starts_with("CVE-")).collect()
    }

    /// Every name of the vulnerabilities that it speaks of, its own id first. What is merely related is none, except where its source
    /// names there what it fixes.
    pub fn names(&self) -> Vec<&str> {
        let own = std::iter::once(self.id.as_str());
        let others = self.aliases.iter().chain(&self.upstream).map(String::as_str);
        let mut names: Vec<&str> = own.chain(others).collect();
        if self.aliases.is_empty() && self.upstream.is_empty() {
            names.extend(self.vulnerabilities_fixed());
        }
        names
    }
}

/// What an advisory says of one package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Affected {
    /// As OSV spells it, with its release (`Debian:12`). Empty where only commits are named.
    pub ecosystem: String,
    /// As the source spells it.
    pub name: String,
    /// Which builds of an rpm distribution.
    #[serde(default, skip_serializing_if = "Modularity::is_none")]
    pub modularity: Modularity,
    /// How bad it is here, where that differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// Each is judged by itself; one that contains the version is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Affected by name, whatever the ranges say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// Known not to be affected, by name; from these a fix is chosen where the source has no ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unaffected_versions: Vec<String>,
    /// Why there is no fix, in the source's words (`no-dsa`, `end-of-life`, `ignored`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix_state: Option<String>,
}

/// Which builds of an rpm distribution an entry is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Modularity {
    /// Those outside of modules.
    #[default]
    None,
    /// Those of one of these streams (`nodejs:16`).
    Streams(Vec<String>),
    /// Those of a module, but it does not say which.
    Unnamed,
}

impl Modularity {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// What a range's versions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangeKind {
    /// Semantic versions.
    Semver,
    /// Versions of the ecosystem.
    Ecosystem,
    /// Commits, which cannot be ordered without the repository.
    Git,
}

/// One range, as the source wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// What its versions are.
    pub kind: RangeKind,
    /// In the source's order. None for commits: nothing is done with them.
    pub events: Vec<Event>,
}

/// What begins or ends with a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Affected from here on. `0` is before everything.
    Introduced(String),
    /// Not affected from here on.
    Fixed(String),
    /// Not affected after this one.
    LastAffected(String),
    /// Nothing is said from here on. `*` is after everything.
    Limit(String),
}

impl Event {
    /// Its version.
    pub fn version(&self) -> &str {
        match self {
            Self::Introduced(version)
            | Self::Fixed(version)
            | Self::LastAffected(version)
            | Self::Limit(version) => version,
        }
    }
}
