//! The levels that an application aims at.

use std::collections::BTreeMap;

use ::maturity::facts::{EntryKind, Targets};
use ::maturity::model::TopicId;
use ::maturity::words::{Slug, Subject, SubjectName};
use access::Role;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Actor, EventKind};
use utoipa::ToSchema;

use super::{CAUSE, Said, Sight, asked, keeper};
use crate::body::Body;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Session;
use crate::state::WebState;

/// What an application aims at, in place of what it aimed at before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppTargets {
    /// Which application: `shop/checkout`.
    #[schema(value_type = String)]
    pub app: SubjectName,
    /// Levels by topic: `technology/testing`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub topics: BTreeMap<TopicId, u8>,
    /// Levels by category, for topics without one of their own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub categories: BTreeMap<Slug, u8>,
}

/// Set what an application aims at. Who may administers all of its repositories.
#[utoipa::path(put, path = "/maturity/targets", tag = "maturity", request_body = AppTargets, responses(
    (status = OK, description = "Set", body = AppTargets),
    (status = BAD_REQUEST, description = "The model has no such topic, category or level", body = Problem),
    (status = FORBIDDEN, description = "The caller does not administer its repositories", body = Problem),
    (status = NOT_FOUND, description = "No such application, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn set_targets(
    State(state): State<WebState>,
    session: Session,
    Body(new): Body<AppTargets>,
) -> Result<Body<AppTargets>, ApiError> {
    let session = session.signed_in()?;
    let keeper = keeper(&state)?;
    let sight = Sight::of(&state, session).await?;
    let subject = Subject::app(new.app.clone());
    sight.demand(&subject)?;
    if !sight.speaks_for(Role::Admin, &subject) {
        let detail = format!("targets of {subject} are set by who administers all of its repositories");
        return Err(ApiError::new(Kind::Denied, detail));
    }
    let wanted = new.clone();
    let placement = asked(&state, move |assessment| {
        let targets = Targets {
            topics: wanted.topics,
            categories: wanted.categories,
        };
        let unknown = targets.unknown(assessment.model());
        if !unknown.is_empty() {
            let detail = format!(
                "the model has no such topics, categories or levels: {}",
                unknown.join(", ")
            );
            return Err(ApiError::malformed(detail));
        }
        let known = assessment.facts().placement(&wanted.app).cloned();
        let mut placement = known.ok_or_else(|| ApiError::not_found("application", &wanted.app))?;
        placement.targets = targets;
        Ok(placement)
    });
    let placement = placement.await??;
    let said = Said {
        kind: EventKind::MaturityTarget,
        subject: subject.to_string(),
        about: json!({ "topics": new.topics, "categories": new.categories }),
        entries: vec![EntryKind::Placed(Box::new(placement))],
        record: None,
    };
    let actor = Actor::speaker(&sight.session.caller, CAUSE);
    keeper.say(actor, said).await?;
    Ok(Body(new))
}
