//! Grants: who holds which roles on which repositories.

use std::fmt;
use std::str::FromStr;

use oci::RepoPattern;
use serde::{Deserialize, Serialize};

use crate::principal::{ANONYMOUS, AUTHENTICATED, NameError, PrincipalName};
use crate::role::RoleSet;

/// Whom a grant is for. As text: `anonymous`, `authenticated` or a principal's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// Everybody, with or without credentials.
    Anonymous,
    /// Every user and robot that signed in.
    Authenticated,
    /// One user or robot.
    Principal(PrincipalName),
}

impl FromStr for Subject {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            ANONYMOUS => Ok(Subject::Anonymous),
            AUTHENTICATED => Ok(Subject::Authenticated),
            name => Ok(Subject::Principal(name.parse()?)),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
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
        f.pad(match self {
            Subject::Anonymous => ANONYMOUS,
            Subject::Authenticated => AUTHENTICATED,
            Subject::Principal(name) => name.as_str(),
        })
    }
}

/// `roles` for `subject` on every repository that `pattern` matches. Grants add up; none takes away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// For whom.
    pub subject: Subject,
    /// Where.
    pub pattern: RepoPattern,
    /// What.
    pub roles: RoleSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_round_trip_as_text() {
        for text in ["anonymous", "authenticated", "ci.build"] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(subject.to_string(), text);
            assert_eq!(matches!(subject, Subject::Principal(_)), text == "ci.build");
        }
        assert!("Not A Name".parse::<Subject>().is_err());
    }

    #[test]
    fn a_grant_reads_from_json() {
        let json = r#"{"subject":"ann","pattern":"team/**","roles":["push"]}"#;
        let grant: Grant = serde_json::from_str(json).unwrap();
        assert_eq!(grant.roles.to_string(), "pull,push");
        let again: Grant = serde_json::from_str(&serde_json::to_string(&grant).unwrap()).unwrap();
        assert_eq!(again, grant);
        let typo = r#"{"subject":"ann","pattern":"team/**","roles":["push"],"rolls":[]}"#;
        assert!(serde_json::from_str::<Grant>(typo).is_err());
    }
}
