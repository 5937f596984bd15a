//! The fields of each kind of document.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, de};
use store::{DeclaredInUse, DeclaredRobot, DeclaredUser, End, ImmutableTags, Rule, Rules};

use crate::config::Size;
use crate::moment;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: access::PrincipalName,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    administrator: Option<bool>,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "end")]
    not_after: Option<End>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RobotDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: access::PrincipalName,
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "end")]
    not_after: Option<End>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    subject: access::Subject,
    pattern: oci::RepoPattern,
    roles: access::RoleSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    pattern: oci::RepoPattern,
    #[serde(default)]
    immutable_tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "size")]
    quota_bytes: Option<u64>,
    #[serde(default)]
    quota_tags: Option<u64>,
    #[serde(default = "allowed")]
    deletion: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InUseDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    repository: oci::RepoName,
    reference: oci::Reference,
    #[serde(deserialize_with = "last_moment")]
    until: End,
    reason: String,
}

/// A date or a moment.
fn last_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<End, D::Error> {
    moment::end(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

impl From<InUseDocument> for DeclaredInUse {
    fn from(document: InUseDocument) -> Self {
        let InUseDocument {
            _kind,
            repository,
            reference,
            until,
            reason,
        } = document;
        Self {
            repository,
            reference,
            until,
            reason,
        }
    }
}

fn allowed() -> bool {
    true
}

/// `50GiB`, as everywhere in the configuration.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse::<Size>().map(|size| size.0))
        .transpose()
        .map_err(de::Error::custom)
}

/// A date or a moment, as on the command line, or `never`. A field that is there and empty is refused: it could mean
/// that there is no end, or that the end is left as it is.
pub(super) fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<End>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    moment::end(&text).map(Some).map_err(de::Error::custom)
}

impl From<UserDocument> for DeclaredUser {
    fn from(document: UserDocument) -> Self {
        let UserDocument {
            _kind,
            name,
            password_hash,
            administrator,
            disabled,
            not_after,
        } = document;
        Self {
            name,
            password_hash,
            administrator,
            disabled,
            not_after,
        }
    }
}

impl From<RobotDocument> for DeclaredRobot {
    fn from(document: RobotDocument) -> Self {
        let RobotDocument {
            _kind,
            name,
            disabled,
            not_after,
        } = document;
        Self {
            name,
            disabled,
            not_after,
        }
    }
}

impl From<GrantDocument> for access::Grant {
    fn from(document: GrantDocument) -> Self {
        let GrantDocument {
            _kind,
            subject,
            pattern,
            roles,
        } = document;
        Self {
            subject,
            pattern,
            roles,
        }
    }
}

impl From<RuleDocument> for Rule {
    fn from(document: RuleDocument) -> Self {
        let RuleDocument {
            _kind,
            pattern,
            immutable_tags,
            quota_bytes,
            quota_tags,
            deletion,
        } = document;
        let immutable_tags = immutable_tags.map(ImmutableTags);
        Self {
            pattern,
            rules: Rules {
                immutable_tags,
                quota_bytes,
                quota_tags,
                deletion,
            },
        }
    }
}
