//! Who acts: users and robots, their names, and the secrets that they hold.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;
use crate::password::{self, PasswordHash};
use crate::robot_secret::{RobotSecret, SecretDigest};

/// Longest name of a principal, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Most secrets of a robot that may be valid at one time: the one in use and the one that replaces it.
pub const MAX_ROBOT_SECRETS: usize = 2;

/// How the caller without credentials is called in logs and events. No principal can have this name.
pub const ANONYMOUS: &str = "anonymous";

/// How the subject "everybody who signed in" is written. No principal can have this name.
pub const AUTHENTICATED: &str = "authenticated";

/// Words that mean somebody else in grants and in the audit log, and so are no names.
pub const RESERVED_NAMES: [&str; 4] = [ANONYMOUS, AUTHENTICATED, "operator", "system"];

/// The name of a user or robot: `[a-z0-9][a-z0-9._@+-]{0,63}`, except [`RESERVED_NAMES`].
///
/// Users and robots share one namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalName(Arc<str>);

impl PrincipalName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PrincipalName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts_well || !text.bytes().all(may_be_in_a_name) {
            return Err(NameError::Malformed { name: excerpt(text) });
        }
        if RESERVED_NAMES.contains(&text) {
            return Err(NameError::Reserved {
                name: text.to_owned(),
            });
        }
        Ok(PrincipalName(text.into()))
    }
}

fn may_be_in_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._@+-".contains(&byte)
}

impl TryFrom<String> for PrincipalName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<PrincipalName> for String {
    fn from(name: PrincipalName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for PrincipalName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Why a text is no name of a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("name is empty")]
    Empty,
    /// Over [`MAX_NAME_BYTES`].
    #[error("name has {bytes} bytes: at most {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character that is not allowed.
    #[error(
        "name `{name}` is not allowed: use a-z, 0-9, `.`, `_`, `@`, `+`, `-`, and start with a letter or digit"
    )]
    Malformed {
        /// The start of the text.
        name: String,
    },
    /// A word with a meaning of its own.
    #[error("name `{name}` is reserved: choose another")]
    Reserved {
        /// The word.
        name: String,
    },
}

/// The row number of a principal. Never used again after the principal is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(pub i64);

/// The row number of a password or of a robot's secret. Never used again; a changed password is a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretId(pub i64);

/// Whether a principal is a person or a program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person with a password.
    User,
    /// A program with up to [`MAX_ROBOT_SECRETS`] generated secrets.
    Robot,
}

impl PrincipalKind {
    /// The spelling in files, in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            PrincipalKind::User => "user",
            PrincipalKind::Robot => "robot",
        }
    }
}

/// A user or robot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// Row number.
    pub id: PrincipalId,
    /// Unique among users and robots together.
    pub name: PrincipalName,
    /// Person or program.
    pub kind: PrincipalKind,
    /// Holds every role on every repository and may use the administrators' API.
    pub administrator: bool,
    /// Switched off: can neither sign in nor go on with what it signed in with.
    pub disabled: bool,
    /// Last instant at which it is valid, in microseconds since the Unix epoch; `None`: without end.
    pub not_after: Option<i64>,
}

impl Principal {
    /// Whether it is neither disabled nor past its end. `now` is in microseconds since the Unix epoch.
    pub fn is_valid_at(&self, now: i64) -> bool {
        !self.disabled && self.not_after.is_none_or(|end| now <= end)
    }
}

/// What a presented secret is checked against.
#[derive(Clone, Debug)]
pub enum SecretVerifier {
    /// A person's password.
    Password(PasswordHash),
    /// A robot's generated secret.
    Robot(SecretDigest),
}

impl SecretVerifier {
    /// Whether `presented` is the secret.
    ///
    /// Costs tens of milliseconds and 19 MiB for a password (so: on a bounded pool), microseconds for a robot.
    pub fn matches(&self, presented: &str) -> bool {
        match self {
            SecretVerifier::Password(hash) => password::verify(hash, presented),
            SecretVerifier::Robot(digest) => {
                RobotSecret::parse(presented).is_ok_and(|secret| digest.matches(&secret.digest()))
            }
        }
    }

    /// Whether [`SecretVerifier::matches`] is slow and needs memory.
    pub fn is_expensive(&self) -> bool {
        matches!(self, SecretVerifier::Password(_))
    }
}

/// A secret that is in force (a revoked one is not given to the book).
#[derive(Clone, Debug)]
pub struct SecretRecord {
    /// Row number.
    pub id: SecretId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// How to recognise it.
    pub verifier: SecretVerifier,
    /// Last instant at which it is valid, in microseconds since the Unix epoch; `None`: without end.
    pub not_after: Option<i64>,
}

impl SecretRecord {
    /// Whether it is not past its end. `now` is in microseconds since the Unix epoch.
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.not_after.is_none_or(|end| now <= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in [
            "a",
            "0",
            "admin",
            "ci.build-1",
            "ann@example.org",
            "x+y_z",
            &"n".repeat(MAX_NAME_BYTES),
        ] {
            assert_eq!(good.parse::<PrincipalName>().unwrap().as_str(), good);
        }
        for bad in [
            "Admin", "-a", ".a", "@a", "a b", "a/b", "a:b", "é", "a\n", "robot$x",
        ] {
            assert!(
                matches!(bad.parse::<PrincipalName>(), Err(NameError::Malformed { .. })),
                "{bad}"
            );
        }
        assert_eq!("".parse::<PrincipalName>(), Err(NameError::Empty));
        let long = "n".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(
            long.parse::<PrincipalName>(),
            Err(NameError::TooLong { bytes: 65 })
        );
        for reserved in RESERVED_NAMES {
            assert!(matches!(
                reserved.parse::<PrincipalName>(),
                Err(NameError::Reserved { .. })
            ));
        }
    }

    #[test]
    fn json_goes_through_the_same_parser() {
        let name: PrincipalName = serde_json::from_str(r#""ann""#).unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""ann""#);
        assert!(serde_json::from_str::<PrincipalName>(r#""ANN""#).is_err());
    }

    #[test]
    fn the_last_instant_is_inclusive() {
        let mut principal = Principal {
            id: PrincipalId(1),
            name: "ann".parse().unwrap(),
            kind: PrincipalKind::User,
            administrator: false,
            disabled: false,
            not_after: Some(10),
        };
        assert!(principal.is_valid_at(10));
        assert!(!principal.is_valid_at(11));
        principal.not_after = None;
        assert!(principal.is_valid_at(i64::MAX));
        principal.disabled = true;
        assert!(!principal.is_valid_at(0));
    }
}
