//! Who may vouch in which role.
//!
//! Administrators have every role. Who administers all repositories of an application has, for it and for its team, the roles of those
//! who build and run it ([`OWNERS`]). Other roles are held by whom an administrator names.

use std::collections::BTreeSet;

use ::maturity::attestation::Roles;
use ::maturity::model::Model;
use ::maturity::words::{Role as Attester, Subject, SubjectKind};
use access::{PrincipalName, Role};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Actor, EventKind, MaturityRecord, RecordKind, Timestamp};
use utoipa::ToSchema;

use super::{CAUSE, Said, Sight, keeper};
use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Path;
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Roles of those who administer all repositories of an application, for it and its team.
pub(crate) const OWNERS: [&str; 5] = [
    "service-owner",
    "product-owner",
    "team-lead",
    "engineering-manager",
    "ml-lead",
];

/// Holders of one role. Default: the only value.
const MAX_HOLDERS: usize = 100;

/// Who may vouch in a role.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleEntry {
    /// The role, as criteria name it: `platform-lead`.
    #[schema(value_type = String)]
    pub role: Attester,
    /// Who holds it, for everybody.
    #[schema(value_type = Vec<String>)]
    pub holders: BTreeSet<PrincipalName>,
    /// When that was last said; missing where nobody has said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Moment>,
    /// Whether also those hold it, for their own, who administer all repositories of an application.
    #[serde(default)]
    pub owners: bool,
}

/// Who is to hold a role.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Their names; nobody takes it from everybody.
    #[schema(value_type = Vec<String>)]
    pub holders: BTreeSet<PrincipalName>,
}

/// The roles that a model names.
fn named(model: &Model) -> BTreeSet<Attester> {
    let attesters = model
        .criteria()
        .iter()
        .filter_map(|criterion| criterion.attester.as_ref());
    attesters.map(|attester| attester.role.clone()).collect()
}

fn entry(record: &MaturityRecord) -> Option<RoleEntry> {
    let role: Attester = record.name.parse().ok()?;
    let NewRole { holders } = serde_json::from_str(&record.body).ok()?;
    Some(RoleEntry {
        owners: OWNERS.contains(&role.as_str()),
        set_at: Some(Moment(record.set_at)),
        role,
        holders,
    })
}

async fn declared(state: &WebState) -> Result<Vec<RoleEntry>, ApiError> {
    let records = state.store.maturity_records(RecordKind::Role).await?;
    Ok(records.iter().filter_map(entry).collect())
}

/// What a caller may vouch as, for any subject: what an administrator has said, and who they are.
pub(crate) struct Voice {
    declared: BTreeSet<Attester>,
    all: Option<BTreeSet<Attester>>,
}

impl Voice {
    pub(crate) async fn of(state: &WebState, sight: &Sight) -> Result<Self, ApiError> {
        let caller = sight.session.caller.principal().map(|principal| &principal.name);
        let holds = |entry: &RoleEntry| caller.is_some_and(|name| entry.holders.contains(name));
        let declared = declared(state).await?.into_iter().filter(holds);
        let all = super::asked(state, |assessment| named(assessment.model())).await?;
        Ok(Self {
            declared: declared.map(|entry| entry.role).collect(),
            all: sight.is_administrator.then_some(all),
        })
    }

    /// The roles in which they may vouch for one subject.
    pub(crate) fn roles(&self, sight: &Sight, subject: &Subject) -> Roles {
        if let Some(all) = &self.all {
            return Roles(all.clone());
        }
        let mut roles = self.declared.clone();
        let is_owned = matches!(subject.kind, SubjectKind::App | SubjectKind::Team);
        if is_owned && sight.speaks_for(Role::Admin, subject) {
            roles.extend(OWNERS.iter().filter_map(|role| role.parse().ok()));
        }
        Roles(roles)
    }
}

/// List the roles in which somebody may vouch for criteria, with who holds them.
#[utoipa::path(get, path = "/maturity/roles", tag = "maturity", responses(
    (status = OK, description = "By name", body = Vec<RoleEntry>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn list_roles(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<Vec<RoleEntry>>, ApiError> {
    session.system()?;
    let mut entries = declared(&state).await?;
    for role in super::asked(&state, |assessment| named(assessment.model())).await? {
        if entries.iter().all(|entry| entry.role != role) {
            entries.push(RoleEntry {
                owners: OWNERS.contains(&role.as_str()),
                role,
                holders: BTreeSet::new(),
                set_at: None,
            });
        }
    }
    entries.sort_by(|a, b| a.role.cmp(&b.role));
    Ok(Body(entries))
}

/// Say who may vouch in a role, in place of what was said before.
#[utoipa::path(put, path = "/maturity/roles/{role}", tag = "maturity",
    params(("role" = String, Path, description = "As criteria name it")), request_body = NewRole, responses(
    (status = OK, description = "Said", body = RoleEntry),
    (status = BAD_REQUEST, description = "Too many", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn set_role(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(role): Path<Attester>,
    Body(new): Body<NewRole>,
) -> Result<Body<RoleEntry>, ApiError> {
    if new.holders.len() > MAX_HOLDERS {
        let detail = format!(
            "{} holders are too many: name at most {MAX_HOLDERS}",
            new.holders.len()
        );
        return Err(ApiError::malformed(detail));
    }
    let said = Said {
        kind: EventKind::MaturityRoleSet,
        subject: role.to_string(),
        about: json!({ "holders": new.holders }),
        entries: Vec::new(),
        record: Some(MaturityRecord {
            kind: RecordKind::Role,
            name: role.to_string(),
            body: json!({ "holders": new.holders }).to_string(),
            set_at: Timestamp(0),
            set_by: String::new(),
        }),
    };
    keeper(&state)?
        .say(Actor::administrator(&permit, CAUSE), said)
        .await?;
    Ok(Body(RoleEntry {
        owners: OWNERS.contains(&role.as_str()),
        set_at: Some(Moment(state.store.now())),
        role,
        holders: new.holders,
    }))
}
