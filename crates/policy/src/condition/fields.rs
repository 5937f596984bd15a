//! The variables of conditions and message templates, in one table each: `finding`, `image`, `repo`, `workload`.

use std::borrow::Cow;

use findings::{Confidence, FindingKind, Severity};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::value::{Type, Value, Words};
use crate::{JudgedFinding, Subject};

/// What a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// One finding.
    Finding,
    /// The image.
    Image,
    /// Its repository.
    Repo,
    /// What runs it.
    Workload,
}

/// What a condition is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The image.
    pub subject: &'a Subject,
    /// The finding, for conditions that are about findings.
    pub finding: Option<&'a JudgedFinding>,
    /// The moment of judgement.
    pub now: OffsetDateTime,
    /// Kinds of what could not be found out about the image, each once.
    pub unknowns: &'a [&'static str],
}

/// One field of a record.
#[derive(Debug)]
pub struct Field {
    /// Whose.
    pub record: Record,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What it says, in a line.
    pub about: &'static str,
    pub(crate) read: for<'a> fn(&Facts<'a>) -> Option<Value<'a>>,
}

/// What a finding may be.
pub static KINDS: Words = Words {
    name: "kind",
    words: &["vulnerability", "secret", "malware", "configuration"],
    ordered: false,
    unordered: None,
};

/// How bad it is.
pub static SEVERITIES: Words = Words {
    name: "severity",
    words: &["unknown", "negligible", "low", "medium", "high", "critical"],
    ordered: true,
    unordered: Some(0),
};

/// How sure it is.
pub static CONFIDENCES: Words = Words {
    name: "confidence",
    words: &["low", "medium", "high"],
    ordered: true,
    unordered: None,
};

impl Record {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Finding, Self::Image, Self::Repo, Self::Workload];

    /// The name of the variable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Image => "image",
            Self::Repo => "repo",
            Self::Workload => "workload",
        }
    }

    /// The record of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.as_str() == name)
    }

    /// Its fields.
    pub fn fields(self) -> impl Iterator<Item = &'static Field> {
        FIELDS.iter().filter(move |field| field.record == self)
    }

    /// Its field of that name.
    pub fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }
}

impl Field {
    /// Its value, the zero of its type if it is not known.
    pub(crate) fn value<'a>(&self, facts: &Facts<'a>) -> Value<'a> {
        (self.read)(facts).unwrap_or_else(|| self.kind.zero())
    }

    /// Whether it is known.
    pub(crate) fn is_known(&self, facts: &Facts<'_>) -> bool {
        (self.read)(facts).is_some()
    }

    /// Its value for people.
    pub(crate) fn shown(&self, facts: &Facts<'_>) -> String {
        match (self.read)(facts) {
            None => "unknown".to_owned(),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Int(value)) => value.to_string(),
            Some(Value::Double(value)) => value.to_string(),
            Some(Value::Text(value)) => value.into_owned(),
            Some(Value::Time(value)) => value.date().to_string(),
            Some(Value::Word(place)) => match self.kind {
                Type::Word(words) => words.words.get(place).copied().unwrap_or_default().to_owned(),
                _ => String::new(),
            },
            Some(Value::Texts(values)) => values.join(", "),
            Some(Value::TextMap(map)) => map.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}

/// A field that reads from the finding; outside of one it is not known.
macro_rules! finding {
    ($name:literal, $kind:expr, $about:literal, |$finding:ident| $value:expr) => {
        Field {
            record: Record::Finding,
            name: $name,
            kind: $kind,
            about: $about,
            read: |facts| facts.finding.and_then(|$finding| $value),
        }
    };
}

macro_rules! field {
    ($record:ident . $name:literal, $kind:expr, $about:literal, |$facts:ident| $value:expr) => {
        Field {
            record: Record::$record,
            name: $name,
            kind: $kind,
            about: $about,
            read: |$facts| $value,
        }
    };
}

/// Every field that there is.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    finding!("kind", Type::Word(&KINDS), "vulnerability, secret, malware or configuration", |f| Some(Value::Word(kind(f.kind)))),
    finding!("id", Type::Text, "the CVE if there is one, else the advisory's or rule's id", |f| Some(Value::text(&f.id))),
    finding!("aliases", Type::Texts, "the same problem by other sources' words", |f| Some(Value::texts(f.aliases.iter().map(String::as_str)))),
    finding!("severity", Type::Word(&SEVERITIES), "unknown, or negligible up to critical", |f| Some(Value::Word(severity(f.severity)))),
    finding!("fixed", Type::Bool, "a fix is known for the line that runs", |f| Some(Value::Bool(f.fix.is_some()))),
    finding!("fix", Type::Text, "what fixes it, in words", |f| f.fix.as_deref().map(Value::text)),
    finding!("package", Type::Text, "name of the package", |f| Some(Value::text(&f.package))),
    finding!("version", Type::Text, "version that is installed", |f| Some(Value::text(&f.version))),
    finding!("ecosystem", Type::Text, "as OSV names it, such as Maven or Debian:12", |f| Some(Value::text(&f.ecosystem))),
    finding!("path", Type::Text, "where the evidence lies", |f| Some(Value::text(&f.path))),
    finding!("layer", Type::Int, "layer of the evidence, from 0 at the bottom", |f| f.layer.map(|layer| Value::Int(layer.into()))),
    finding!("kev", Type::Bool, "CISA knows that it is exploited", |f| Some(Value::Bool(f.kev))),
    finding!("epss", Type::Double, "probability of being exploited within 30 days", |f| f.epss.map(Value::Double)),
    finding!("confidence", Type::Word(&CONFIDENCES), "how sure the package's name and version are", |f| Some(Value::Word(confidence(f.confidence)))),
    finding!("source", Type::Text, "whose advisory or which analyser", |f| Some(Value::text(&f.source))),
    finding!("published", Type::Time, "when the advisory was published", |f| f.published.map(Value::Time)),
    finding!("fix_known_at", Type::Time, "when a fix was first known here", |f| f.fix_known_at.map(Value::Time)),
    finding!("rule", Type::Text, "rule of the analyser: secrets, malware, configuration", |f| Some(Value::text(&f.rule))),
    finding!("pack", Type::Text, "pack of that rule; ours is roadbed", |f| Some(Value::text(&f.pack))),
    finding!("suppressed", Type::Bool, "a trusted VEX statement says that it does not apply", |f| Some(Value::Bool(f.suppressed.is_some()))),
    finding!("mitigated", Type::Bool, "something in the image takes the edge off", |f| Some(Value::Bool(f.mitigated))),
    finding!("is_example", Type::Bool, "known to be test data; never refused", |f| Some(Value::Bool(f.is_example))),
    finding!("from_base", Type::Bool, "comes from the approved base", |f| Some(Value::Bool(f.from_base))),

    field!(Image."digest", Type::Text, "digest of the manifest", |x| Some(Value::Text(Cow::Owned(x.subject.image.digest.to_string())))),
    field!(Image."media_type", Type::Text, "media type of the manifest", |x| x.subject.image.media_type.as_ref().map(|kind| Value::text(kind.as_str()))),
    field!(Image."size", Type::Int, "compressed bytes of its layers", |x| Some(Value::Int(x.subject.image.size.try_into().unwrap_or(i64::MAX)))),
    field!(Image."created", Type::Time, "when it says it was built", |x| x.subject.image.created.map(Value::Time)),
    field!(Image."os", Type::Text, "operating system and release, such as debian 12", |x| x.subject.image.os.as_deref().map(Value::text)),
    field!(Image."os_eol", Type::Bool, "that release gets no more fixes", |x| x.subject.image.os_ends.map(|last| Value::Bool(x.now.date() > last))),
    field!(Image."labels", Type::TextMap, "labels of its configuration", |x| Some(Value::TextMap(&x.subject.image.labels))),
    field!(Image."annotations", Type::TextMap, "annotations of its manifest", |x| Some(Value::TextMap(&x.subject.image.annotations))),
    field!(Image."user", Type::Text, "whom it runs as; empty is root", |x| Some(Value::text(&x.subject.image.user))),
    field!(Image."signed", Type::Bool, "has a signature of a trusted signer", |x| Some(Value::Bool(!x.subject.image.signed_by.is_empty()))),
    field!(Image."signed_by", Type::Texts, "trusted signers whose signatures it has", |x| Some(Value::texts(x.subject.image.signed_by.iter().map(String::as_str)))),
    field!(Image."attestations", Type::Texts, "what trusted signers attest: signer, space, predicate type", |x| Some(Value::texts(x.subject.image.attestations.iter().map(String::as_str)))),
    field!(Image."signatures", Type::Int, "signatures and attestations that are attached, whether they count or not", |x| Some(Value::Int(count(&x.subject.image.signatures, |_| true)))),
    field!(Image."unverified_signatures", Type::Int, "those of them that do not count", |x| Some(Value::Int(count(&x.subject.image.signatures, |attached| attached.signers.is_empty())))),
    field!(Image."scanned", Type::Bool, "was looked into", |x| Some(Value::Bool(x.subject.image.scanned))),
    field!(Image."unknowns", Type::Texts, "what could not be found out", |x| Some(Value::texts(x.unknowns.iter().copied()))),
    field!(Image."base", Type::Text, "the approved base that it stands on", |x| x.subject.image.base.as_deref().map(Value::text)),

    field!(Repo."name", Type::Text, "its full name", |x| Some(Value::text(x.subject.repo.name.as_str()))),
    field!(Repo."team", Type::Text, "whose it is", |x| x.subject.repo.team.as_deref().map(Value::text)),

    field!(Workload."namespace", Type::Text, "namespace, at admission", |x| x.subject.workload.as_ref().map(|w| Value::text(&w.namespace))),
    field!(Workload."cluster", Type::Text, "cluster, at admission", |x| x.subject.workload.as_ref().map(|w| Value::text(&w.cluster))),
    field!(Workload."in_use", Type::Bool, "pulled within 30 days, imported as such, or seen in a cluster", |x| Some(Value::Bool(x.subject.in_use))),
];

fn count<T>(list: &[T], is_counted: impl Fn(&T) -> bool) -> i64 {
    let counted = list.iter().filter(|item| is_counted(item)).count();
    counted.try_into().unwrap_or(i64::MAX)
}

fn kind(kind: FindingKind) -> usize {
    match kind {
        FindingKind::Vulnerability => 0,
        FindingKind::Secret => 1,
        FindingKind::Malware => 2,
        FindingKind::Configuration => 3,
    }
}

fn severity(severity: Severity) -> usize {
    match severity {
        Severity::Unknown => 0,
        Severity::Negligible => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

fn confidence(confidence: Confidence) -> usize {
    match confidence {
        Confidence::Low => 0,
        Confidence::Medium => 1,
        Confidence::High => 2,
    }
}

/// A moment as `timestamp("…")` takes it.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}
