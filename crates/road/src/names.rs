//! Checked words: names of applications, bases, owners, contacts and vulnerabilities.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use policy::yaml::one_line;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest part of a name, in bytes: that of Backstage and of Kubernetes' labels.
pub const MAX_NAME_BYTES: usize = 63;

/// Longest contact, in bytes.
pub const MAX_CONTACT_BYTES: usize = 254;

/// Longest id of a vulnerability, in bytes.
pub const MAX_VULNERABILITY_BYTES: usize = 64;

/// Why a text is not the word that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is no {what}: {rule}")]
pub struct NameError {
    /// What it should be.
    pub what: &'static str,
    /// The text, clipped and on one line.
    pub text: String,
    /// What is allowed.
    pub rule: &'static str,
}

/// A text with a grammar: one way in, printed as it was parsed.
macro_rules! checked {
    ($(#[$meta:meta])* $name:ident, $what:literal, $rule:expr, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)
                    .map(|text| Self(text.as_str().into()))
                    .ok_or_else(|| NameError { what: $what, text: one_line(text, 80), rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

const NAME_RULE: &str =
    "write letters, digits and . _ - between them, at most 63, with at most one namespace/ in front";

checked! {
    /// An application: `checkout`, or `shop/checkout` in a namespace. Case does not tell two apart, as in Backstage: it is kept
    /// in lower case. The namespace `default` is left out.
    ApplicationName, "name of an application", NAME_RULE, qualified
}

checked! {
    /// An approved base: `java17`. In lower case.
    BaseName, "name of a base", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// What builds: `github-actions`. In lower case.
    ToolchainName, "name of a toolchain", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// A golden path in one version: `java-service@3`. In lower case.
    GoldenPathId, "golden path", "write name@version: letters, digits and . _ - between them, each at most 63", path
}

checked! {
    /// A rule that somebody is exempt from: `TE-CON-2`.
    RuleId, "id of a rule", "write letters, digits and . _ - between them, at most 63", rule
}

checked! {
    /// What a level is aimed at: `technology`. In lower case.
    Topic, "topic", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// Where an application runs: `production`. In lower case.
    Environment, "name of an environment", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// Where an owner can be reached: a channel, a mail address, a link.
    Contact, "contact", "write one line of at most 254 bytes", contact
}

checked! {
    /// What an incident is called in links and tickets: `log4shell`. In lower case.
    IncidentId, "id of an incident", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// What a sink is called: `security-chat`. In lower case.
    SinkName, "name of a sink", "write letters, digits and . _ - between them, at most 63", simple
}

checked! {
    /// What an advisory calls a problem: `CVE-2021-44228`.
    VulnerabilityId, "id of a vulnerability", "write letters, digits and : . _ - between them, at most 64", vulnerability
}

fn part(text: &str) -> Option<String> {
    let is_end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let fits = bytes.len() <= MAX_NAME_BYTES
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b));
    fits.then(|| text.to_ascii_lowercase())
}

fn simple(text: &str) -> Option<String> {
    part(text)
}

fn qualified(text: &str) -> Option<String> {
    let Some((namespace, name)) = text.split_once('/') else {
        return part(text);
    };
    let (namespace, name) = (part(namespace)?, part(name)?);
    Some(if namespace == "default" {
        name
    } else {
        format!("{namespace}/{name}")
    })
}

fn path(text: &str) -> Option<String> {
    let (name, version) = text.split_once('@')?;
    Some(format!("{}@{}", part(name)?, part(version)?))
}

fn rule(text: &str) -> Option<String> {
    part(text).map(|_| text.to_owned())
}

fn contact(text: &str) -> Option<String> {
    let text = text.trim();
    let fits =
        !text.is_empty() && text.len() <= MAX_CONTACT_BYTES && one_line(text, MAX_CONTACT_BYTES) == text;
    fits.then(|| text.to_owned())
}

fn vulnerability(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let fits = bytes.len() <= MAX_VULNERABILITY_BYTES
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b":._-".contains(b));
    fits.then(|| text.to_owned())
}

impl GoldenPathId {
    /// The path and its version.
    pub fn parts(&self) -> (&str, &str) {
        self.as_str().split_once('@').unwrap_or((self.as_str(), ""))
    }
}

impl Contact {
    /// The text, if it is a plain mail address (the usual part of RFC 5321: no quotes, no comments, no literals).
    pub fn email(&self) -> Option<&str> {
        let text = self.as_str();
        let text = text.strip_prefix("mailto:").unwrap_or(text);
        let (local, domain) = text.split_once('@')?;
        let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        let dots = |part: &str| {
            part.split('.')
                .all(|label| !label.is_empty() && !label.starts_with('-'))
        };
        let fits = local.bytes().all(is_atom) && domain.bytes().all(is_host) && dots(local) && dots(domain);
        (fits && domain.contains('.') && local.len() <= 64).then_some(text)
    }
}

/// What an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A team.
    Group,
    /// A person.
    User,
}

/// Who answers for something: `group:platform-java`, `user:shop/jane`, or `platform-java`, which is a group. As Backstage's
/// entity references: case does not tell two apart, the namespace `default` is left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Owner {
    kind: OwnerKind,
    name: Arc<str>,
}

impl Owner {
    /// Group or user.
    pub fn kind(&self) -> OwnerKind {
        self.kind
    }

    /// The name without its kind, `platform-java` or `shop/jane`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Owner {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError {
            what: "owner",
            text: one_line(text, 80),
            rule: "write a team, group:team or user:person, with at most one namespace/ before the name",
        };
        let (kind, name) = match text.split_once(':') {
            Some((kind, name)) if kind.eq_ignore_ascii_case("group") => (OwnerKind::Group, name),
            Some((kind, name)) if kind.eq_ignore_ascii_case("user") => (OwnerKind::User, name),
            Some(_) => return Err(error()),
            None => (OwnerKind::Group, text),
        };
        let name = qualified(name).ok_or_else(error)?;
        Ok(Self {
            kind,
            name: name.into(),
        })
    }
}

impl TryFrom<String> for Owner {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OwnerKind::Group => "group",
            OwnerKind::User => "user",
        };
        write!(f, "{kind}:{}", self.name)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_like_references() {
        for (text, wanted) in [
            ("platform-java", "group:platform-java"),
            ("Group:default/Platform-Java", "group:platform-java"),
            ("user:shop/jane", "user:shop/jane"),
        ] {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), wanted);
            assert_eq!(wanted.parse::<Owner>().unwrap(), text.parse().unwrap());
        }
        for text in [
            "",
            "group:",
            "robot:x",
            "a/b/c",
            "-a",
            "a b",
            "a\nb",
            "a\u{202e}b",
            &"x".repeat(64),
        ] {
            assert!(text.parse::<Owner>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_beyond_their_length_are_refused() {
        let name = |length| "x".repeat(length);
        assert!(name(MAX_NAME_BYTES).parse::<ApplicationName>().is_ok());
        assert!(name(MAX_NAME_BYTES + 1).parse::<ApplicationName>().is_err());
        assert!(name(MAX_CONTACT_BYTES).parse::<Contact>().is_ok());
        assert!(name(MAX_CONTACT_BYTES + 1).parse::<Contact>().is_err());
        assert!(
            name(MAX_VULNERABILITY_BYTES + 1)
                .parse::<VulnerabilityId>()
                .is_err()
        );
        assert_eq!(
            "Default/Checkout".parse::<ApplicationName>().unwrap().as_str(),
            "checkout"
        );
    }

    #[test]
    fn only_plain_addresses_become_mail() {
        let email = |text: &str| {
            text.parse::<Contact>()
                .ok()
                .and_then(|c| c.email().map(str::to_owned))
        };
        assert_eq!(email("jane@shop.example").as_deref(), Some("jane@shop.example"));
        assert_eq!(
            email("mailto:jane@shop.example").as_deref(),
            Some("jane@shop.example")
        );
        for text in [
            "#java",
            "a@b",
            "a@b.c,d@e.f",
            "a@b.c\r\nBcc: x@y.z",
            "\"a\"@b.c",
            "a@-b.c",
            "a@b..c",
            "<a@b.c>",
        ] {
            assert_eq!(email(text), None, "{text:?}");
        }
    }
}
