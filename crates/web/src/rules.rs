//! Rules per pattern: immutable tags, quota, deletion.

use axum::extract::State;
use http::StatusCode;
use oci::RepoPattern;
use serde::{Deserialize, Serialize};
use store::{Actor, ImmutableTags, Rule, Rules};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::page::{Page, PageQuery};
use crate::patterns;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// What holds for the repositories of a pattern. The most specific pattern applies alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// `team/app`, `team/*` (one level), `team/**` (everything below), `**`.
    #[schema(value_type = String)]
    pub pattern: RepoPattern,
    /// Globs of tags that can be set once and then neither moved nor deleted; `!` in front excepts, the last match
    /// decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable_tags: Option<Vec<String>>,
    /// Bytes of distinct blobs and manifests per repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Tags per repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_tags: Option<u64>,
    /// Whether anything may be deleted.
    #[serde(default = "allowed")]
    pub deletion: bool,
}

fn allowed() -> bool {
    true
}

/// A rule that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetRule {
    /// What holds now.
    #[serde(flatten)]
    pub rule: RuleEntry,
    /// The rule that the pattern had; missing if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<RuleEntry>,
}

/// Names a rule.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleKey {
    /// The pattern exactly as it was set.
    #[param(value_type = String)]
    pattern: RepoPattern,
}

impl From<Rule> for RuleEntry {
    fn from(rule: Rule) -> Self {
        let Rules {
            immutable_tags,
            quota_bytes,
            quota_tags,
            deletion,
        } = rule.rules;
        let immutable_tags = immutable_tags.map(|ImmutableTags(patterns)| patterns);
        Self {
            pattern: rule.pattern,
            immutable_tags,
            quota_bytes,
            quota_tags,
            deletion,
        }
    }
}

impl From<RuleEntry> for Rule {
    fn from(entry: RuleEntry) -> Self {
        let RuleEntry {
            pattern,
            immutable_tags,
            quota_bytes,
            quota_tags,
            deletion,
        } = entry;
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

/// List the rules of patterns that the caller administers; all of them for an administrator.
#[utoipa::path(get, path = "/rules", tag = "rules", params(PageQuery), responses(
    (status = OK, description = "A page of rules, by pattern", body = Page<RuleEntry>),
    (status = FORBIDDEN, description = "The caller administers no pattern", body = Problem),
))]
pub(crate) async fn list_rules(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<RuleEntry>>, ApiError> {
    let session = session.signed_in()?;
    patterns::demand_any(&session, &state.store.grants().await?)?;
    let all = state.store.all_rules().await?;
    let cursor = |rule: &Rule| rule.pattern.to_string();
    patterns::page(&session, &query, all, |rule| &rule.pattern, cursor).map(Body)
}

/// Set the rule of a pattern; the one that it has is replaced as a whole.
#[utoipa::path(put, path = "/rules", tag = "rules", request_body = RuleEntry, responses(
    (status = OK, description = "Set", body = SetRule),
    (status = BAD_REQUEST, description = "Another pattern is as specific", body = Problem),
))]
pub(crate) async fn set_rule(
    State(state): State<WebState>,
    session: Session,
    Body(rule): Body<RuleEntry>,
) -> Result<Body<SetRule>, ApiError> {
    let permit = session.administers(&rule.pattern)?;
    let actor = Actor::pattern_administrator(&permit, CAUSE);
    let was = state.store.set_rule(&actor, &rule.clone().into()).await?;
    let was = was.map(RuleEntry::from);
    Ok(Body(SetRule { rule, was }))
}

/// Remove the rule of a pattern.
#[utoipa::path(delete, path = "/rules", tag = "rules", params(RuleKey), responses(
    (status = NO_CONTENT, description = "Removed"),
    (status = NOT_FOUND, description = "No such rule", body = Problem),
))]
pub(crate) async fn remove_rule(
    State(state): State<WebState>,
    session: Session,
    Query(key): Query<RuleKey>,
) -> Result<StatusCode, ApiError> {
    let permit = session.administers(&key.pattern)?;
    state
        .store
        .remove_rule(&Actor::pattern_administrator(&permit, CAUSE), &key.pattern)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
