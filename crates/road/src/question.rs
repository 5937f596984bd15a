//! What people type when they ask who is affected.
//!
//! | text | asks about |
//! |---|---|
//! | `CVE-2021-44228`, `GHSA-jfh8-c2jp-5v3q`, `DSA-5020-1` | a vulnerability, by any of its ids |
//! | `pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1` | a package, by its package URL |
//! | `log4j-core`, `maven:org.apache.logging.log4j:log4j-core`, `deb:openssl` | a package |
//! | `log4j-core@2.14.1`, `…@<2.15.0`, `…@>=2.4,<2.12.2`, `…@2.0-beta9..2.14.1` | versions of it, in the order of its ecosystem |
//! | `sha256:…` | a file, by its digest |
//! | `org.apache.logging.log4j.core.lookup.JndiLookup`, `class:a.B` | a Java class |

mod class;
mod package;
mod range;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use findings::PurlError;
use oci::{Algorithm, Digest, DigestError};
use thiserror::Error;

pub use class::JavaClass;
pub use package::{OsQuestion, PackageQuestion};
pub use range::{Bound, Comparison, Membership, VersionRange};

/// Longest question, in bytes.
pub const QUESTION_BYTES: usize = 8 * 1024;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// About a vulnerability, by an id in its usual spelling.
    Vulnerability(String),
    /// About a package.
    Package(PackageQuestion),
    /// About a file with this SHA-256.
    File(Digest),
    /// About a Java class.
    Class(JavaClass),
}

/// Why a text is no question. Each says what to write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuestionError {
    /// Nothing was asked.
    #[error("nothing is asked: name a CVE, a package, a file's digest or a Java class")]
    Empty,
    /// Longer than [`QUESTION_BYTES`].
    #[error("a question of {bytes} bytes: the longest has {QUESTION_BYTES}")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// It goes into pages and logs.
    #[error("a question must not hold control characters: take out line breaks and tabs")]
    ControlCharacter,
    /// An id that is cut off or mistyped.
    #[error("`{id}` is no id of {database}: write it like {example}")]
    Id {
        /// What was written.
        id: String,
        /// Whose id it would be.
        database: &'static str,
        /// One that is well-formed.
        example: &'static str,
    },
    /// It begins like a package URL.
    #[error("write a package URL like pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1")]
    Purl(#[source] PurlError),
    /// Its type is not looked for in images.
    #[error("packages of the type `{0}` are not looked for in images: the types are {KINDS}")]
    PurlType(String),
    /// It begins like a digest.
    #[error("a file is asked about by its SHA-256, as `sha256sum` prints it: sha256: and 64 digits")]
    Digest(#[source] DigestError),
    /// Layers keep another algorithm's digests of files.
    #[error("files are known by their SHA-256 only: write sha256: and what `sha256sum` prints")]
    Algorithm,
    /// Digits without the algorithm.
    #[error("write sha256:{0} to ask about the file with this digest")]
    BareDigest(String),
    /// What stands before the first colon.
    #[error(
        "`{0}` is no kind of package: the kinds are {KINDS}; for Java's group and artifact write maven:GROUP:ARTIFACT"
    )]
    Kind(String),
    /// There is no name of a package.
    #[error("`{0}` names no package: write NAME or NAME@RANGE, like log4j-core@<2.15.0")]
    Name(String),
    /// Versions are not behind an `@`.
    #[error("write the versions behind an @, like {0}")]
    NoAt(String),
    /// The range is none.
    #[error(
        "`{0}` is no range of versions: write 2.14.1, <2.15.0, >=2.4,<2.12.2 or 2.0-beta9..2.14.1 behind the @"
    )]
    Range(String),
    /// One version is no version of the ecosystem.
    #[error(
        "`{version}` is no version of {kind} packages, which have an order of their own: write one that they use"
    )]
    Version {
        /// What was written.
        version: String,
        /// Type of package.
        kind: &'static str,
    },
    /// It is no class.
    #[error("`{0}` is no Java class: write it with its package, like org.example.Name")]
    Class(String),
}

/// For messages.
const KINDS: &str = "deb, apk, rpm, maven, npm, pypi, golang, cargo, gem, composer, nuget";

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(QuestionError::Empty);
        }
        if text.len() > QUESTION_BYTES {
            return Err(QuestionError::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(QuestionError::ControlCharacter);
        }
        if has_prefix(text, "pkg:") {
            return package::by_purl(text).map(Self::Package);
        }
        if has_prefix(text, "sha256:") || has_prefix(text, "sha512:") {
            return file(text).map(Self::File);
        }
        if text.len() == Algorithm::Sha256.hex_len() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(QuestionError::BareDigest(text.to_ascii_lowercase()));
        }
        if has_prefix(text, "class:") {
            return text[6..].parse().map(Self::Class);
        }
        if let Some(id) = advisory_id(text)? {
            return Ok(Self::Vulnerability(id));
        }
        if class::looks_like_one(text) {
            return text.parse().map(Self::Class);
        }
        package::by_name(text).map(Self::Package)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vulnerability(id) => f.write_str(id),
            Self::Package(package) => package.fmt(f),
            Self::File(digest) => digest.fmt(f),
            Self::Class(class) => write!(f, "class:{class}"),
        }
    }
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn file(text: &str) -> Result<Digest, QuestionError> {
    let digest: Digest = text.to_ascii_lowercase().parse().map_err(QuestionError::Digest)?;
    if digest.algorithm() == Algorithm::Sha256 {
        Ok(digest)
    } else {
        Err(QuestionError::Algorithm)
    }
}

/// Databases whose ids begin with their name and a hyphen (osv-schema, "ID format"), besides CVE and GHSA.
const DATABASES: [&str; 42] = [
    "A",
    "ALBA",
    "ALEA",
    "ALPINE",
    "ALSA",
    "ASB",
    "AZL",
    "BELL",
    "BIT",
    "CGA",
    "CLEANSTART",
    "CURL",
    "DEBIAN",
    "DHI",
    "DLA",
    "DRUPAL",
    "DSA",
    "DTSA",
    "ECHO",
    "EEF",
    "ELSA",
    "GO",
    "GSD",
    "HSEC",
    "JLSEC",
    "LBSEC",
    "MAL",
    "MGASA",
    "MINI",
    "OSV",
    "OESA",
    "OSEC",
    "PHSA",
    "PSF",
    "PYSEC",
    "RHBA",
    "RHEA",
    "RHSA",
    "RLSA",
    "RUSTSEC",
    "RXSA",
    "USN",
];

/// Of distributions that write more than one word before the number.
const LONG: [&str; 4] = ["UBUNTU-CVE-", "SUSE-", "OPENSUSE-", "MINIOS-"];

/// The usual spelling of an id, if the text is meant as one: a year or a number follows the database's name.
fn advisory_id(text: &str) -> Result<Option<String>, QuestionError> {
    if has_prefix(text, "CVE-") {
        return cve(text).map(Some);
    }
    if has_prefix(text, "GHSA-") {
        return ghsa(text).map(Some);
    }
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte);
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    if !has_digit || !text.bytes().all(is_id) {
        return Ok(None);
    }
    // In capitals, as databases write them: `go-1.2` and `a-1` may be packages.
    if let Some(prefix) = LONG.iter().find(|prefix| has_prefix(text, prefix)) {
        let has_capital = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_uppercase());
        let is_opensuse = text.starts_with("openSUSE-");
        return Ok((has_capital || is_opensuse || *prefix == "UBUNTU-CVE-").then(|| text.to_owned()));
    }
    let database = text.split_once('-').map(|(database, _)| database);
    Ok(database
        .filter(|database| DATABASES.contains(database))
        .map(|_| text.to_owned()))
}

fn cve(text: &str) -> Result<String, QuestionError> {
    let mut parts = text.split('-').skip(1);
    let [year, number] = [parts.next(), parts.next()].map(Option::unwrap_or_default);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = year.len() == 4 && digits(year) && (4..=19).contains(&number.len()) && digits(number);
    if is_good && parts.next().is_none() {
        return Ok(text.to_ascii_uppercase());
    }
    Err(QuestionError::Id {
        id: text.to_owned(),
        database: "CVE",
        example: "CVE-2021-44228",
    })
}

fn ghsa(text: &str) -> Result<String, QuestionError> {
    let groups: Vec<&str> = text.split('-').skip(1).collect();
    let is_group = |group: &&str| group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if groups.len() == 3 && groups.iter().all(is_group) {
        return Ok(format!("GHSA-{}", groups.join("-").to_ascii_lowercase()));
    }
    Err(QuestionError::Id {
        id: text.to_owned(),
        database: "GitHub's advisories",
        example: "GHSA-jfh8-c2jp-5v3q",
    })
}
