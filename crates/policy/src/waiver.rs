//! Waivers: findings that a named person accepts until a date.

mod form;
mod request;

use std::fmt;

use oci::{Digest, PatternError, RepoPattern};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::limits::{MAX_WAIVER_DAYS, MAX_WAIVER_ENTRIES};
use crate::{JudgedFinding, Subject};
use form::WaiverForm;

pub use request::{KeptWaiver, KeptWaiverError, WaiverRequest};

/// Why a finding is waived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaiverKind {
    /// True, and borne for a while.
    Accepted,
    /// Not true. Ends when the facts change that it rests on.
    FalsePositive,
}

/// A waiver that was checked: somebody else approved it, it names something, and it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WaiverForm", into = "WaiverForm")]
pub struct Waiver {
    /// Its name.
    pub id: String,
    /// Accepted, or not true.
    pub kind: WaiverKind,
    /// Ids of findings, by any source's word. Empty: any finding of the rules.
    pub findings: Vec<String>,
    /// Ids of rules. Empty: whatever rule finds it.
    pub rules: Vec<String>,
    /// Where; never empty.
    pub repositories: Vec<RepoPattern>,
    /// This image only.
    pub digest: Option<Digest>,
    /// This package only.
    pub package: Option<String>,
    /// This path only.
    pub path: Option<String>,
    /// [`JudgedFinding::fingerprint`] of what is called a false positive.
    pub facts: Option<Digest>,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub requester: String,
    /// Who agreed; another person.
    pub approver: String,
    /// From when.
    pub from: OffsetDateTime,
    /// Until when, not included.
    pub until: OffsetDateTime,
}

/// Why something is no waiver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WaiverError {
    /// A text that cannot be left empty.
    #[error("a waiver needs `{0}`")]
    Missing(&'static str),
    /// One person in both places.
    #[error("a waiver needs another person as approver: `{0}` cannot approve what they ask for")]
    SamePerson(String),
    /// It names nothing that it waives.
    #[error("a waiver names `findings` or `rules`, or both")]
    Nothing,
    /// Lists without end.
    #[error("`{key}` has {count} entries: at most {MAX_WAIVER_ENTRIES} are allowed")]
    TooMany {
        /// Of which key.
        key: &'static str,
        /// How many.
        count: usize,
    },
    /// Ends before it begins.
    #[error("a waiver must end after it begins")]
    Backwards,
    /// [`MAX_WAIVER_DAYS`].
    #[error("a waiver is in force for at most {MAX_WAIVER_DAYS} days, this one for {days}")]
    TooLong {
        /// How many.
        days: i64,
    },
    /// A false positive that does not say of what.
    #[error("a false positive names the fingerprint of its facts (`facts`) and one finding")]
    NoFacts,
    /// Not a moment.
    #[error("`{0}` is no date: write 2026-01-31 or 2026-01-31T12:00:00Z")]
    Date(String),
    /// Text beyond any use.
    #[error("`{0}` is longer than {MAX_TEXT_BYTES} bytes")]
    Long(&'static str),
    /// Not a pattern of repositories.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

const MAX_TEXT_BYTES: usize = 2_000;

/// Where a waiver stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaiverState {
    /// Not yet.
    Coming,
    /// Now.
    InForce,
    /// No more.
    Expired,
}

impl Waiver {
    /// Where it stands.
    pub fn state(&self, now: OffsetDateTime) -> WaiverState {
        if now < self.from {
            WaiverState::Coming
        } else if now < self.until {
            WaiverState::InForce
        } else {
            WaiverState::Expired
        }
    }

    /// Whether its scope takes in the image; whatever the date. Who pushes cannot waive: it has no effect on what its
    /// approver pushed.
    pub fn is_for(&self, subject: &Subject) -> bool {
        let pushed = subject.pushed_by.as_deref();
        self.repositories
            .iter()
            .any(|pattern| pattern.matches(&subject.repo.name))
            && self.digest.is_none_or(|digest| digest == subject.image.digest)
            && pushed.is_none_or(|pusher| !is_same_person(pusher, &self.approver))
    }

    /// Whether it speaks of what `rule` says about `finding`, or about the image where there is none; whatever the date.
    pub fn speaks_of(&self, rule: &str, finding: Option<&JudgedFinding>) -> bool {
        (self.rules.is_empty() || self.rules.iter().any(|id| id == rule))
            && finding.map_or_else(|| self.is_about_images(), |finding| self.names(finding))
    }

    fn is_about_images(&self) -> bool {
        self.findings.is_empty() && self.package.is_none() && self.path.is_none() && self.facts.is_none()
    }

    fn names(&self, finding: &JudgedFinding) -> bool {
        (self.findings.is_empty() || self.findings.iter().any(|id| finding.is_called(id)))
            && self
                .package
                .as_ref()
                .is_none_or(|package| *package == finding.package)
            && self.path.as_ref().is_none_or(|path| *path == finding.path)
            && self.facts.is_none_or(|facts| facts == finding.fingerprint())
    }

    fn check(self) -> Result<Self, WaiverError> {
        self.check_texts()?;
        if is_same_person(&self.requester, &self.approver) {
            return Err(WaiverError::SamePerson(self.approver));
        }
        for (key, count) in [
            ("findings", self.findings.len()),
            ("rules", self.rules.len()),
            ("repositories", self.repositories.len()),
        ] {
            if count > MAX_WAIVER_ENTRIES {
                return Err(WaiverError::TooMany { key, count });
            }
        }
        if self.findings.is_empty() && self.rules.is_empty() {
            return Err(WaiverError::Nothing);
        }
        if self.kind == WaiverKind::FalsePositive && (self.facts.is_none() || self.findings.len() != 1) {
            return Err(WaiverError::NoFacts);
        }
        let span = self.until - self.from;
        if !span.is_positive() {
            return Err(WaiverError::Backwards);
        }
        if span > time::Duration::days(MAX_WAIVER_DAYS) {
            return Err(WaiverError::TooLong {
                days: span.whole_days(),
            });
        }
        Ok(self)
    }

    fn check_texts(&self) -> Result<(), WaiverError> {
        for (key, text) in [
            ("id", &self.id),
            ("reason", &self.reason),
            ("requester", &self.requester),
            ("approver", &self.approver),
        ] {
            if text.trim().is_empty() {
                return Err(WaiverError::Missing(key));
            }
            if text.len() > MAX_TEXT_BYTES {
                return Err(WaiverError::Long(key));
            }
        }
        if self.repositories.is_empty() {
            return Err(WaiverError::Missing("repositories"));
        }
        Ok(())
    }
}

impl fmt::Display for WaiverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::FalsePositive => "false positive",
        })
    }
}

/// Names of people as identity providers spell them: case and blanks around them do not tell two apart.
fn is_same_person(left: &str, right: &str) -> bool {
    left.trim().to_lowercase() == right.trim().to_lowercase()
}

#[cfg(test)]
mod tests;
