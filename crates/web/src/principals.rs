//! What users and robots have in common.

use access::{PrincipalKind, PrincipalName, SystemPermit};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Actor, PrincipalInfo, SecretInfo};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::problem::ApiError;
use crate::state::WebState;

/// Why an event was written: the request came through the API.
pub(crate) const CAUSE: &str = "api";

/// A user or robot as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PrincipalEntry {
    /// Name, unique among users and robots.
    #[schema(value_type = String)]
    pub name: PrincipalName,
    /// `user` or `robot`.
    #[schema(value_type = String)]
    pub kind: PrincipalKind,
    /// Whether it may do everything.
    pub administrator: bool,
    /// Whether it may do nothing.
    pub disabled: bool,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
    /// Secrets of a robot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretEntry>,
}

/// What is shown of a robot's secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SecretEntry {
    /// What to call it when it is revoked.
    pub id: i64,
    /// When it was made.
    pub created_at: Moment,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
}

/// What to change; what is missing stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalChange {
    /// Switches the account off (`true`) or on again (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Gives or takes the right to do everything; users only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// When the account ends; `null` for never.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<Option<Moment>>,
}

/// Tells `null` apart from a field that is missing.
mod present {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Moment;

    #[expect(
        clippy::option_option,
        clippy::ref_option,
        reason = "the signatures are serde's, both options have a meaning"
    )]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Option<Moment>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.flatten().serialize(serializer)
    }

    #[expect(clippy::option_option, reason = "both options have a meaning")]
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<Moment>>, D::Error> {
        Option::deserialize(deserializer).map(Some)
    }
}

impl From<SecretInfo> for SecretEntry {
    fn from(secret: SecretInfo) -> Self {
        Self {
            id: secret.id,
            created_at: secret.created_at.into(),
            not_after: secret.not_after.map(Moment),
        }
    }
}

impl From<PrincipalInfo> for PrincipalEntry {
    fn from(principal: PrincipalInfo) -> Self {
        let secrets = match principal.kind {
            PrincipalKind::User => Vec::new(),
            PrincipalKind::Robot => principal.secrets.into_iter().map(SecretEntry::from).collect(),
        };
        Self {
            name: principal.name,
            kind: principal.kind,
            administrator: principal.administrator,
            disabled: principal.disabled,
            not_after: principal.not_after.map(Moment),
            created_at: principal.created_at.into(),
            secrets,
        }
    }
}

/// One page of users or robots.
pub(crate) async fn list(
    state: &WebState,
    kind: PrincipalKind,
    query: &PageQuery,
) -> Result<Body<Page<PrincipalEntry>>, ApiError> {
    let after = page::cursor(query.after.as_deref())?;
    let page = state
        .store
        .principals(Some(kind), after, page::limit(query.limit)?)
        .await?;
    Ok(Body(Page::of(
        page,
        |principal| principal.name.to_string(),
        PrincipalEntry::from,
    )))
}

/// The user or robot of this name; one of the other kind does not exist here.
pub(crate) async fn find(
    state: &WebState,
    kind: PrincipalKind,
    name: &str,
) -> Result<PrincipalInfo, ApiError> {
    let missing = || ApiError::not_found(kind.as_str(), name);
    // What is not a name is a user that does not exist.
    let name: PrincipalName = name.parse().map_err(|_| missing())?;
    let found = state.store.principal(&name).await?;
    found
        .filter(|principal| principal.kind == kind)
        .ok_or_else(missing)
}

/// The user or robot as it is shown.
pub(crate) async fn show(
    state: &WebState,
    kind: PrincipalKind,
    name: &str,
) -> Result<Body<PrincipalEntry>, ApiError> {
    let found = find(state, kind, name).await?;
    Ok(Body(found.into()))
}

/// Deletes the user or robot, with its secrets and the grants to its name.
pub(crate) async fn delete(
    state: &WebState,
    permit: &SystemPermit,
    kind: PrincipalKind,
    name: &str,
) -> Result<StatusCode, ApiError> {
    let name = find(state, kind, name).await?.name;
    let actor = Actor::administrator(permit, CAUSE);
    state.store.delete_principal(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Carries out a change and answers how it stands then.
pub(crate) async fn change(
    state: &WebState,
    permit: &SystemPermit,
    kind: PrincipalKind,
    name: &str,
    change: &PrincipalChange,
) -> Result<Body<PrincipalEntry>, ApiError> {
    let actor = &Actor::administrator(permit, CAUSE);
    let name = find(state, kind, name).await?.name;
    if kind == PrincipalKind::Robot && change.administrator.is_some() {
        return Err(ApiError::malformed(
            "a robot cannot be an administrator: give it grants",
        ));
    }
    if let Some(administrator) = change.administrator {
        state.store.set_administrator(actor, &name, administrator).await?;
    }
    if let Some(not_after) = change.not_after {
        state
            .store
            .set_not_after(actor, &name, not_after.map(|moment| moment.0))
            .await?;
    }
    if let Some(disabled) = change.disabled {
        state.store.set_disabled(actor, &name, disabled).await?;
    }
    show(state, kind, name.as_str()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_missing_are_two_things() {
        let read = |json: &str| serde_json::from_str::<PrincipalChange>(json).unwrap().not_after;
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"not_after":null}"#), Some(None));
        assert!(matches!(
            read(r#"{"not_after":"2030-01-01T00:00:00Z"}"#),
            Some(Some(_))
        ));
        let never = PrincipalChange {
            not_after: Some(None),
            ..PrincipalChange::default()
        };
        assert_eq!(serde_json::to_string(&never).unwrap(), r#"{"not_after":null}"#);
        assert!(serde_json::from_str::<PrincipalChange>(r#"{"disable":true}"#).is_err());
    }
}
