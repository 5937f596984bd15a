//! The policy: what is asked of images. It has versions; setting one never loses those before.

use axum::extract::State;
use policy::{DEFAULT_POLICY, Policy, PolicyErrors};
use serde::{Deserialize, Serialize};
use store::{Actor, StoredPolicy};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::Page;
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// What errors call a policy that came through the API.
const NAME: &str = "policy";

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyEntry {
    /// Counts up from 1; 0 for the default policy, which is in force until another one is set.
    pub version: u64,
    /// Digest of what it says: the same for the same rules, however they are written.
    pub digest: String,
    /// YAML, as it was given.
    pub body: String,
    /// When it was set; missing for the default policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Moment>,
    /// By whom; missing for the default policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
}

/// The text of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// YAML; `docs/policy.md` describes it.
    pub body: String,
}

/// A policy that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetPolicy {
    /// Whether anything is different now; the same text again makes no new version.
    pub changed: bool,
    /// What is in force.
    pub policy: PolicyEntry,
    /// The version that was in force before.
    pub was: u64,
}

impl From<StoredPolicy> for PolicyEntry {
    fn from(stored: StoredPolicy) -> Self {
        Self {
            version: stored.version,
            digest: stored.digest,
            body: stored.body,
            set_at: Some(stored.set_at.into()),
            set_by: Some(stored.set_by),
        }
    }
}

impl PolicyEntry {
    /// The policy that is in force until another one is set.
    fn default_policy() -> Self {
        Self {
            version: 0,
            digest: Policy::default_policy().digest().to_string(),
            body: DEFAULT_POLICY.to_owned(),
            set_at: None,
            set_by: None,
        }
    }
}

/// Checks a policy that was sent.
pub(crate) fn parse(body: &str) -> Result<Policy, ApiError> {
    Policy::parse(NAME, body).map_err(|PolicyErrors(errors)| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        ApiError::malformed(lines.join("\n")).with_errors(lines)
    })
}

async fn in_force(state: &WebState) -> Result<PolicyEntry, ApiError> {
    let stored = state.store.policy().await?;
    Ok(stored.map_or_else(PolicyEntry::default_policy, PolicyEntry::from))
}

/// The policy in force. Whoever is signed in may read it: it says why images are refused.
#[utoipa::path(get, path = "/policy", tag = "policy", responses(
    (status = OK, description = "The policy in force", body = PolicyEntry),
))]
pub(crate) async fn get_policy(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<PolicyEntry>, ApiError> {
    session.signed_in()?;
    in_force(&state).await.map(Body)
}

/// Set the policy. All images are judged by it at once; what is wrong with it is told all together, with line numbers.
#[utoipa::path(put, path = "/policy", tag = "policy", request_body = PolicyText, responses(
    (status = OK, description = "It is in force", body = SetPolicy),
    (status = BAD_REQUEST, description = "It is no policy", body = Problem),
))]
pub(crate) async fn set_policy(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(given): Body<PolicyText>,
) -> Result<Body<SetPolicy>, ApiError> {
    let digest = parse(&given.body)?.digest().to_string();
    let present = in_force(&state).await?;
    if present.version > 0 && present.body == given.body {
        let was = present.version;
        return Ok(Body(SetPolicy {
            changed: false,
            policy: present,
            was,
        }));
    }
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.set_policy(&given.body, &digest, &actor).await?;
    Ok(Body(SetPolicy {
        changed: true,
        policy: in_force(&state).await?,
        was: present.version,
    }))
}

/// The policies that were set, the one in force first; the latest 100.
#[utoipa::path(get, path = "/policies", tag = "policy", responses(
    (status = OK, description = "One page; there is never another one", body = Page<PolicyEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_policies(
    State(state): State<WebState>,
    Administrator(_): Administrator,
) -> Result<Body<Page<PolicyEntry>>, ApiError> {
    let stored = state.store.policies().await?;
    Ok(Body(Page {
        items: stored.into_iter().map(PolicyEntry::from).collect(),
        next: None,
    }))
}
