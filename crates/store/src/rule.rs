//! Rules per repository pattern: quota, immutable tags, deletion.

use std::sync::Arc;

use oci::{RepoName, RepoPattern, Tag};
use serde::{Deserialize, Serialize};

use crate::{Actor, AdminError, Store, StoreError};

/// What holds for the repositories of a pattern. The most specific pattern applies alone; rules do not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Tags that can be set once and then neither moved nor deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable_tags: Option<ImmutableTags>,
    /// Bytes of distinct blobs and manifests per repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Tags per repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_tags: Option<u64>,
    /// Whether anything may be deleted. Default true.
    pub deletion: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { immutable_tags: None, quota_bytes: None, quota_tags: None, deletion: true }
    }
}

/// Which tags are immutable: globs over tag names, in which `*` stands for any characters. A pattern with `!` in
/// front excepts what it matches; the last pattern that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImmutableTags(pub Vec<String>);

/// Patterns in one [`ImmutableTags`].
pub const IMMUTABLE_TAG_PATTERNS: usize = 32;

impl ImmutableTags {
    /// All tags.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether `tag` is immutable.
    pub fn covers(&self, tag: &Tag) -> bool {
        let _ = tag;
        todo!()
    }
}

/// A rule as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where it applies.
    pub pattern: RepoPattern,
    /// What it says.
    #[serde(flatten)]
    pub rules: Rules,
}

impl Store {
    /// What holds for a repository; the defaults if no pattern matches. No database call.
    pub fn rules(&self, repo: &RepoName) -> Arc<Rules> {
        let _ = repo;
        todo!()
    }

    /// Sets the rule of a pattern. A pattern that ties with another one is refused ([`AdminError::Invalid`]).
    pub async fn set_rule(&self, actor: &Actor, rule: &Rule) -> Result<(), AdminError> {
        let _ = (actor, rule);
        todo!()
    }

    /// Removes the rule of a pattern.
    pub async fn remove_rule(&self, actor: &Actor, pattern: &RepoPattern) -> Result<(), AdminError> {
        let _ = (actor, pattern);
        todo!()
    }

    /// All rules (at most [`crate::StoreLimits::rules`]), ordered by pattern.
    pub async fn all_rules(&self) -> Result<Vec<Rule>, StoreError> {
        todo!()
    }
}
