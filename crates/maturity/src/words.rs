//! Checked words: names of criteria, subjects, roles and pieces of evidence.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest name of a criterion, a role, a topic or a fact, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// Longest name of a subject, in bytes: a namespace, a slash and a name.
pub const MAX_SUBJECT_BYTES: usize = 127;

/// Longest id of a piece of evidence, of an attestation or of what it is about, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// Longest text that people write: a reason, a link, a note, in bytes.
pub const MAX_TEXT_BYTES: usize = 2000;

/// Why a text is not the word that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no {what}: {rule}")]
pub struct WordError {
    /// What it should be.
    pub what: &'static str,
    /// The text, clipped and on one line.
    pub text: String,
    /// What is allowed.
    pub rule: &'static str,
}

/// What all checked texts have in common: how they are had as text, and read from a document.
macro_rules! written_as_text {
    ($name:ident, $error:ty) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

pub(crate) use written_as_text;

/// A text with a grammar: one way in, printed as it was parsed.
macro_rules! checked {
    ($(#[$meta:meta])* $name:ident, $what:literal, $rule:literal, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                if $check(text) {
                    return Ok(Self(text.into()));
                }
                Err(WordError { what: $what, text: one_line(text, 80), rule: $rule })
            }
        }

        written_as_text!($name, WordError);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

checked! {
    /// A criterion: `TE-CON-2`.
    CriterionId, "id of a criterion", "write letters, digits and . _ - between them, at most 63", is_name
}

checked! {
    /// Part of a model: a model itself, a category or a topic: `technology`.
    Slug, "name", "write small letters, digits and - between them, at most 63", is_slug
}

checked! {
    /// What somebody may vouch for: `platform-lead`.
    Role, "role", "write small letters, digits and - between them, at most 63", is_slug
}

checked! {
    /// Who did something, for the audit trail: `alice@example.org`. No figure is ever made about one.
    Person, "name of a person", "write at most 255 visible characters", is_id
}

checked! {
    /// The name of an application, a team, a platform or the organisation: `shop/checkout`.
    SubjectName, "name of a subject",
    "write letters, digits and . _ - between them, at most 63, with at most one namespace/ in front", is_subject
}

checked! {
    /// A piece of evidence; the same one comes twice under the same id.
    EvidenceId, "id of evidence", "write at most 255 visible characters", is_id
}

checked! {
    /// What a fact is about besides its subject: the digest of an image, the id of a fix or of a drill.
    ItemKey, "key of an item", "write at most 255 visible characters", is_id
}

checked! {
    /// An attestation, an exemption or a campaign.
    RecordId, "id", "write at most 255 visible characters", is_id
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME_BYTES
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().copied().all(inner)
}

fn is_slug(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    is_name(text) && text.bytes().all(inner)
}

fn is_subject(text: &str) -> bool {
    match text.split_once('/') {
        Some((namespace, name)) => is_name(namespace) && is_name(name),
        None => is_name(text),
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_ID_BYTES
        && one_line(text, MAX_ID_BYTES) == text
        && text.trim() == text
}

impl SubjectName {
    /// A name that this crate itself gives; a test reads each of them.
    pub(crate) fn of_constant(text: &'static str) -> Self {
        Self(text.into())
    }
}

/// What a subject is, from the smallest to the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// An application.
    App,
    /// A team that owns applications.
    Team,
    /// What applications run on, and the registry itself.
    Platform,
    /// The organisation.
    Org,
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::App, Self::Team, Self::Platform, Self::Org];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Team => "team",
            Self::Platform => "platform",
            Self::Org => "org",
        }
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who or what a fact is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its name.
    pub name: SubjectName,
}

impl Subject {
    /// An application.
    pub fn app(name: SubjectName) -> Self {
        let kind = SubjectKind::App;
        Self { kind, name }
    }

    /// A team.
    pub fn team(name: SubjectName) -> Self {
        let kind = SubjectKind::Team;
        Self { kind, name }
    }
}

impl FromStr for Subject {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError {
            what: "subject",
            text: one_line(text, 80),
            rule: "write app:NAME, team:NAME, platform:NAME or org:NAME",
        };
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        let kind = SubjectKind::ALL.into_iter().find(|known| known.as_str() == kind);
        Ok(Self {
            kind: kind.ok_or_else(wrong)?,
            name: name.parse()?,
        })
    }
}

impl TryFrom<String> for Subject {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number of an event in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// Which model judged, in which version: `cnmm@4.0+acme@2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleVersion(pub Arc<str>);

impl fmt::Display for RuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `text` on one line and within `max` bytes: controls and what reorders characters are replaced, so that a name of a stranger
/// can neither forge a line nor hide one.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let character = if is_unfit(character) { '?' } else { character };
        if line.len() + character.len_utf8() > max {
            let keep = line.floor_char_boundary(max.saturating_sub(3));
            line.truncate(keep);
            line.push_str("...");
            break;
        }
        line.push(character);
    }
    line
}

/// Controls, line separators, zero-width and bidirectional formatting.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `, did you mean …?`, or nothing where there is no name to offer.
pub(crate) fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let wrong: String = wrong.chars().take(64).collect();
    let nearest = names
        .into_iter()
        .min_by_key(|name| strsim::damerau_levenshtein(&wrong, name));
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_printed_as_it_was_read() {
        let subject: Subject = "app:shop/checkout".parse().unwrap();
        assert_eq!(subject.kind, SubjectKind::App);
        assert_eq!(subject.to_string(), "app:shop/checkout");
        for wrong in [
            "checkout",
            "apps:checkout",
            "app:",
            "app:a/b/c",
            "app:-a",
            "app:a b",
        ] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_have_a_longest_length() {
        assert!("a".repeat(MAX_NAME_BYTES).parse::<CriterionId>().is_ok());
        assert!("a".repeat(MAX_NAME_BYTES + 1).parse::<CriterionId>().is_err());
        assert!("a".repeat(MAX_ID_BYTES).parse::<EvidenceId>().is_ok());
        assert!("a".repeat(MAX_ID_BYTES + 1).parse::<EvidenceId>().is_err());
        assert!("two\nlines".parse::<ItemKey>().is_err());
        let (part, long) = ("a".repeat(MAX_NAME_BYTES), "a".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(format!("{part}/{part}").len(), MAX_SUBJECT_BYTES);
        assert!(format!("{part}/{part}").parse::<SubjectName>().is_ok());
        assert!(format!("{part}/{long}").parse::<SubjectName>().is_err());
    }
}
