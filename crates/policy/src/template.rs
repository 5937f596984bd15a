//! Messages with places that are filled in: `{finding.id}: upgrade {finding.package}`.

use thiserror::Error;

use crate::condition::fields::Field;
use crate::condition::{Facts, Record};
use crate::limits::MAX_MESSAGE_BYTES;
use crate::nearest::did_you_mean;
use crate::text::one_line;

/// Longest value that is put into one place, in bytes.
const MAX_VALUE_BYTES: usize = 128;

/// A message that was checked.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Field(&'static Field),
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// Longer than [`PolicyLimits::message_bytes`](crate::PolicyLimits::message_bytes).
    #[error("a message has {bytes} bytes: at most {limit} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A bracket that is never closed, or closed without being opened.
    #[error("a message has a single `{{` or `}}`; write it twice to mean itself")]
    Bracket,
    /// Not the name of a field.
    #[error("a message has no place `{{{name}}}`{hint}")]
    UnknownPlace {
        /// As written.
        name: String,
        /// The nearest right name.
        hint: String,
    },
    /// `{finding.…}` in a rule whose condition is about the image.
    #[error("the message names the finding `{{{0}}}`, but the condition is about no finding")]
    NoFinding(String),
}

impl Template {
    /// Checks a message.
    ///
    /// # Errors
    /// It is too long, or a place in it cannot be filled.
    pub fn parse(source: &str, limit: usize, about_findings: bool) -> Result<Self, TemplateError> {
        if source.len() > limit {
            return Err(TemplateError::TooLong {
                bytes: source.len(),
                limit,
            });
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, bracket) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = bracket.strip_prefix("{{").or_else(|| bracket.strip_prefix("}}")) {
                text.push_str(&bracket[..1]);
                rest = after;
                continue;
            }
            let inside = bracket.strip_prefix('{').ok_or(TemplateError::Bracket)?;
            let (name, after) = inside.split_once('}').ok_or(TemplateError::Bracket)?;
            let field = place(name.trim())?;
            if field.record == Record::Finding && !about_findings {
                return Err(TemplateError::NoFinding(one_line(name, 64)));
            }
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Field(field));
            rest = after;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether this field is put into it.
    pub(crate) fn reads(&self, record: Record, name: &str) -> bool {
        let is_it = |field: &Field| field.record == record && field.name == name;
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Field(field) if is_it(field)))
    }

    /// The message on one line, filled in; at most [`MAX_MESSAGE_BYTES`].
    pub fn fill(&self, facts: &Facts<'_>) -> String {
        let mut message = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Field(field) => message.push_str(&one_line(&field.shown(facts), MAX_VALUE_BYTES)),
            }
        }
        one_line(message.trim(), MAX_MESSAGE_BYTES)
    }
}

fn place(name: &str) -> Result<&'static Field, TemplateError> {
    let found = name
        .split_once('.')
        .and_then(|(record, field)| Record::named(record)?.field(field));
    found.ok_or_else(|| {
        let places: Vec<String> = Record::ALL
            .into_iter()
            .flat_map(Record::fields)
            .map(|field| format!("{}.{}", field.record.as_str(), field.name))
            .collect();
        let hint = did_you_mean(name, places.iter().map(String::as_str));
        TemplateError::UnknownPlace {
            name: one_line(name, 64),
            hint,
        }
    })
}

#[cfg(test)]
mod tests {
    use findings::{FindingKind, Severity};
    use time::OffsetDateTime;

    use super::*;
    use crate::{JudgedFinding, Subject};

    #[test]
    fn places_are_filled_on_one_line() {
        let subject = Subject::default();
        let mut finding = JudgedFinding::new(FindingKind::Vulnerability, "CVE-1\n\x1b[2J", Severity::High);
        finding.package = "a".repeat(1_000);
        let facts = Facts {
            subject: &subject,
            finding: Some(&finding),
            now: OffsetDateTime::UNIX_EPOCH,
            unknowns: &[],
        };
        let fill = |text: &str| Template::parse(text, 512, true).unwrap().fill(&facts);
        assert_eq!(
            fill("{finding.id} is { finding.severity } in {repo.name}"),
            "CVE-1??[2J is high in example"
        );
        assert_eq!(fill("{{literal}} 100%"), "{literal} 100%");
        assert_eq!(fill("{finding.epss} {finding.fixed}"), "unknown false");
        assert!(fill(&"{finding.package}".repeat(20)).len() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn places_that_are_not_there_are_refused() {
        let parse = |text: &str| Template::parse(text, 64, false).unwrap_err();
        assert_eq!(
            parse("{image.ueser}").to_string(),
            "a message has no place `{image.ueser}`, did you mean `image.user`?"
        );
        assert!(matches!(parse("{finding.id}"), TemplateError::NoFinding(_)));
        for text in ["{", "}", "a {image.user", "a } b"] {
            assert_eq!(parse(text), TemplateError::Bracket, "{text}");
        }
        assert!(matches!(
            parse(&"x".repeat(65)),
            TemplateError::TooLong { bytes: 65, limit: 64 }
        ));
    }
}
