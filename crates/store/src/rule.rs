//! Rules per repository pattern: quota, immutable tags, deletion.

use std::sync::Arc;

use oci::{PatternMap, RepoName, RepoPattern, Tag};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::{Tx, sql};
use crate::event::{self, EventKind};
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
        Self {
            immutable_tags: None,
            quota_bytes: None,
            quota_tags: None,
            deletion: true,
        }
    }
}

/// Which tags are immutable: globs over tag names, in which `*` stands for any characters. A pattern with `!` in
/// front excepts what it matches; the last pattern that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImmutableTags(pub Vec<String>);

/// Most patterns in one [`ImmutableTags`]: each is tried for each tag that is set.
pub const IMMUTABLE_TAG_PATTERNS: usize = 32;

impl ImmutableTags {
    /// All tags.
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether `tag` is immutable.
    pub fn covers(&self, tag: &Tag) -> bool {
        let decide = |covered, pattern: &String| match pattern.strip_prefix('!') {
            Some(exception) if access::glob(exception.as_bytes(), tag.as_str().as_bytes()) => false,
            None if access::glob(pattern.as_bytes(), tag.as_str().as_bytes()) => true,
            _ => covered,
        };
        self.0.iter().fold(false, decide)
    }

    /// What is wrong with the patterns, if anything is.
    fn problem(&self) -> Option<String> {
        if self.0.len() > IMMUTABLE_TAG_PATTERNS {
            let (count, limit) = (self.0.len(), IMMUTABLE_TAG_PATTERNS);
            return Some(format!(
                "{count} patterns of immutable tags are too many; use at most {limit}"
            ));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-*".contains(c);
        let bad = |pattern: &&String| {
            let glob = pattern.strip_prefix('!').unwrap_or(pattern);
            glob.is_empty() || glob.len() > oci::MAX_TAG_BYTES || !glob.chars().all(legal)
        };
        let pattern = self.0.iter().find(bad)?;
        Some(format!(
            "{pattern:?} matches no tag; use letters, digits, `.`, `_`, `-` and `*`, at most 128 of them"
        ))
    }
}

impl Rules {
    /// Why no repository can have these rules, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        self.immutable_tags.as_ref().and_then(ImmutableTags::problem)
    }

    /// Whether `tag` may neither be moved nor deleted.
    pub fn is_immutable(&self, tag: &Tag) -> bool {
        self.immutable_tags.as_ref().is_some_and(|tags| tags.covers(tag))
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

#[derive(FromQueryResult)]
struct Row {
    pattern: String,
    body: String,
}

/// All rules, by pattern.
pub(crate) async fn all(on: &impl ConnectionTrait) -> Result<Vec<Rule>, StoreError> {
    let rows: Vec<Row> = sql::all(on, "SELECT pattern, body FROM rule ORDER BY pattern", []).await?;
    let parse = |row: Row| {
        let damaged = || StoreError::damaged(format!("rule {:?} cannot be read", row.pattern));
        let pattern = row.pattern.parse().map_err(|_| damaged())?;
        Ok(Rule {
            pattern,
            rules: serde_json::from_str(&row.body).map_err(|_| damaged())?,
        })
    };
    rows.into_iter().map(parse).collect()
}

/// Sets a rule within a transaction; answers the one that it takes the place of.
pub(crate) async fn set(tx: &Tx, actor: &Actor, rule: &Rule, limit: u64) -> Result<Option<Rule>, AdminError> {
    if let Some(reason) = rule.rules.problem() {
        return Err(AdminError::Invalid { reason });
    }
    let mut rules = all(tx.sql()).await?;
    let place = rules.iter().position(|other| other.pattern == rule.pattern);
    let was = place.map(|place| rules.remove(place));
    if rules.len() as u64 >= limit {
        return Err(AdminError::TooMany { kind: "rule", limit });
    }
    rules.push(rule.clone());
    check_ties(rules)?;
    let body = serde_json::to_string(&rule.rules).unwrap_or_default();
    let sql = "INSERT INTO rule (pattern, body) VALUES ($1, $2) \
               ON CONFLICT (pattern) DO UPDATE SET body = excluded.body";
    sql::execute(tx.sql(), sql, [rule.pattern.to_string().into(), body.into()]).await?;
    event::record(
        tx,
        actor,
        EventKind::RuleSet,
        rule.pattern.as_str(),
        json!(rule.rules),
    )
    .await?;
    Ok(was)
}

/// Two patterns of the same specificity that match a common name: nobody could say which rule holds.
pub(crate) fn check_ties(rules: Vec<Rule>) -> Result<(), AdminError> {
    let entries = rules.into_iter().map(|rule| (rule.pattern, ())).collect();
    PatternMap::build(entries)
        .map(drop)
        .map_err(|tie| AdminError::Invalid {
            reason: tie.to_string(),
        })
}

/// Removes a rule within a transaction.
pub(crate) async fn remove(tx: &Tx, actor: &Actor, pattern: &RepoPattern) -> Result<(), AdminError> {
    let sql = "DELETE FROM rule WHERE pattern = $1";
    if sql::execute(tx.sql(), sql, [pattern.to_string().into()]).await? == 0 {
        return Err(AdminError::NotFound {
            kind: "rule",
            name: pattern.to_string(),
        });
    }
    event::record(tx, actor, EventKind::RuleRemove, pattern.as_str(), json!({})).await?;
    Ok(())
}

impl Store {
    /// What holds for a repository; the defaults if no pattern matches. No database call.
    pub fn rules(&self, repo: &RepoName) -> Arc<Rules> {
        let snapshot = self.inner.snapshot.load();
        Arc::clone(snapshot.rules.get(repo).unwrap_or(&snapshot.default_rules))
    }

    /// Sets the rule of a pattern and answers the one that was. A pattern that ties with another one is refused
    /// ([`AdminError::Invalid`]).
    pub async fn set_rule(&self, actor: &Actor, rule: &Rule) -> Result<Option<Rule>, AdminError> {
        let (actor, rule, limit) = (actor.clone(), rule.clone(), self.limits().rules);
        self.change_access(move |tx| Box::pin(async move { set(tx, &actor, &rule, limit).await }))
            .await
    }

    /// Removes the rule of a pattern.
    pub async fn remove_rule(&self, actor: &Actor, pattern: &RepoPattern) -> Result<(), AdminError> {
        let (actor, pattern) = (actor.clone(), pattern.clone());
        self.change_access(move |tx| Box::pin(async move { remove(tx, &actor, &pattern).await }))
            .await
    }

    /// All rules (at most [`crate::StoreLimits::rules`]), ordered by pattern.
    pub async fn all_rules(&self) -> Result<Vec<Rule>, StoreError> {
        all(self.inner.db.read()).await
    }
}

#[cfg(test)]
mod tests;
