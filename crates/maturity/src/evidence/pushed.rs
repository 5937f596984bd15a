//! Evidence that robots push.

use std::fmt;
use std::str::FromStr;

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use super::{Evidence, EvidenceError, EvidenceLimits, Observation, Source, Trust, Value};
use crate::model::Model;
use crate::signal::{Origin, UnknownFact};
use crate::words::{EvidenceId, ItemKey, MAX_ID_BYTES, Person, Subject, SubjectKind, WordError, one_line};

/// Most patterns of subjects that one sender may speak for.
pub const MAX_PATTERNS: usize = 1000;

/// Subjects that a robot may speak for: `app:shop/checkout`, `app:shop/*`, `team:*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern {
    kind: SubjectKind,
    /// In front of the star, or the whole name.
    name: String,
    is_open: bool,
}

impl SubjectPattern {
    /// Whether it takes a subject.
    pub fn takes(&self, subject: &Subject) -> bool {
        let name = subject.name.as_str();
        let is_named = if self.is_open {
            name.starts_with(&self.name)
        } else {
            name == self.name
        };
        subject.kind == self.kind && is_named
    }
}

impl FromStr for SubjectPattern {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError {
            what: "pattern of subjects",
            text: one_line(text, 80),
            rule: "write app:NAME, app:NAMESPACE/* or app:*, or the same with team, platform or org",
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let kind = SubjectKind::ALL.into_iter().find(|known| known.as_str() == kind);
        let (name, is_open) = match name.strip_suffix('*') {
            // A star behind half a word would take neighbours whose names begin alike.
            Some(front) if front.is_empty() || front.ends_with('/') => (front, true),
            Some(_) => return Err(wrong()),
            None => (text.parse::<Subject>().map(|_| name)?, false),
        };
        Ok(Self {
            kind: kind.ok_or_else(wrong)?,
            name: name.to_owned(),
            is_open,
        })
    }
}

impl TryFrom<String> for SubjectPattern {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse()
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_open { "*" } else { "" };
        write!(f, "{}:{}{star}", self.kind, self.name)
    }
}

/// Who pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The robot.
    pub name: Person,
    /// For whom it may speak, at most [`MAX_PATTERNS`].
    pub subjects: Vec<SubjectPattern>,
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PushFault {
    /// Not JSON, or not of the form.
    #[error("{0}")]
    Form(String),
    /// [`EvidenceLimits::push_bytes`].
    #[error("the push has {bytes} bytes: at most {limit} are read, push it in parts")]
    Bytes {
        /// Its size.
        bytes: usize,
        /// Its largest size.
        limit: usize,
    },
    /// [`EvidenceLimits::push_entries`].
    #[error("the push has {count} entries: at most {limit} are read, push it in parts")]
    Entries {
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Not a subject, an item or an id.
    #[error(transparent)]
    Word(#[from] WordError),
    /// Not a fact.
    #[error(transparent)]
    Fact(#[from] UnknownFact),
    /// Something that nobody may tell.
    #[error("`{fact}` is known by {by}: it is not taken from others")]
    NotToTell {
        /// Which fact.
        fact: String,
        /// Who knows it.
        by: &'static str,
    },
    /// Somebody else's.
    #[error("{sender} may not speak for {subject}: let an administrator grant it")]
    NotTheirs {
        /// Who pushed.
        sender: Person,
        /// For whom.
        subject: Subject,
    },
    /// It counts for too long.
    #[error("it counts for {days} days: at most {limit} are allowed, push it again before")]
    TooLong {
        /// How long.
        days: i64,
        /// How long is allowed.
        limit: i64,
    },
    /// What is wrong with any evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// What is wrong, and with which entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("entry {entry}: {fault}")]
pub struct PushError {
    /// Counted from 1; 0: the whole push.
    pub entry: usize,
    /// What.
    #[source]
    pub fault: PushFault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    #[serde(default, rename = "$schema")]
    _schema: Option<String>,
    evidence: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    subject: String,
    fact: String,
    item: Option<String>,
    value: Value,
    #[serde(with = "time::serde::rfc3339")]
    observed_at: OffsetDateTime,
    #[serde(default, with = "time::serde::rfc3339::option")]
    valid_until: Option<OffsetDateTime>,
    id: Option<String>,
}

/// Reads a push as of the moment at which it comes. An error anywhere takes nothing, so that half a push never stands for a whole one.
pub fn read_pushed(
    json: &[u8],
    sender: &Sender,
    model: &Model,
    at: OffsetDateTime,
    limits: &EvidenceLimits,
) -> Result<Vec<Evidence>, Vec<PushError>> {
    let whole = |fault| vec![PushError { entry: 0, fault }];
    let (bytes, limit) = (json.len(), limits.push_bytes);
    if bytes > limit {
        return Err(whole(PushFault::Bytes { bytes, limit }));
    }
    let push: Push = serde_json::from_slice(json).map_err(|error| whole(form(&error)))?;
    let (count, limit) = (push.evidence.len(), limits.push_entries);
    if count > limit {
        return Err(whole(PushFault::Entries { count, limit }));
    }
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for (place, entry) in push.evidence.into_iter().enumerate() {
        match read_entry(entry, sender, model, at, limits) {
            Ok(evidence) => read.push(evidence),
            Err(fault) => errors.push(PushError {
                entry: place + 1,
                fault,
            }),
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

fn form(error: &serde_json::Error) -> PushFault {
    PushFault::Form(one_line(&error.to_string(), 400))
}

fn read_entry(
    entry: serde_json::Value,
    sender: &Sender,
    model: &Model,
    at: OffsetDateTime,
    limits: &EvidenceLimits,
) -> Result<Evidence, PushFault> {
    let entry: Entry = serde_json::from_value(entry).map_err(|error| form(&error))?;
    let subject: Subject = entry.subject.parse()?;
    let (fact, info) = model.fact(&entry.fact)?;
    let by = match info.origin {
        Origin::Elsewhere => None,
        Origin::Registry => Some("the registry itself"),
        Origin::Cluster => Some("connected clusters"),
    };
    if let Some(by) = by {
        let fact = fact.to_string();
        return Err(PushFault::NotToTell { fact, by });
    }
    if !sender
        .subjects
        .iter()
        .take(MAX_PATTERNS)
        .any(|pattern| pattern.takes(&subject))
    {
        let sender = sender.name.clone();
        return Err(PushFault::NotTheirs { sender, subject });
    }
    let usual = || entry.observed_at.checked_add(limits.usual_validity);
    let valid_until = entry.valid_until.or_else(usual);
    let validity = valid_until.map(|until| until - entry.observed_at);
    if let Some(validity) = validity.filter(|validity| *validity > limits.longest_validity) {
        let (days, limit) = (validity.whole_days(), limits.longest_validity.whole_days());
        return Err(PushFault::TooLong { days, limit });
    }
    let item = entry.item.map(|item| item.parse::<ItemKey>()).transpose()?;
    let evidence = Evidence {
        seen: Observation {
            id: id(
                sender,
                entry.id.as_deref(),
                &subject,
                &entry.fact,
                item.as_ref(),
                entry.observed_at,
            )?,
            value: entry.value,
            observed_at: entry.observed_at,
            valid_until,
            source: Source {
                name: sender.name.as_str().into(),
                trust: Trust::Told,
            },
            events: Vec::new(),
        },
        subject,
        fact,
        item,
    };
    evidence.check(model, at, limits)?;
    Ok(evidence)
}

/// Begins with the sender, so that nobody's evidence can take the id of somebody else's.
fn id(
    sender: &Sender,
    given: Option<&str>,
    subject: &Subject,
    fact: &str,
    item: Option<&ItemKey>,
    observed_at: OffsetDateTime,
) -> Result<EvidenceId, WordError> {
    let made = || {
        let item = item.map_or("", ItemKey::as_str);
        let text = format!("{subject}\n{fact}\n{item}\n{observed_at}");
        Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
    };
    let own = given.map_or_else(made, str::to_owned);
    let id = format!("{}/{own}", sender.name);
    if id.len() <= MAX_ID_BYTES {
        return id.parse();
    }
    Digest::of(Algorithm::Sha256, id.as_bytes()).to_string().parse()
}
