//! The model that judges: what it says, and what another one would move before it is applied.

use ::maturity::model::{Comparison, Parts, compare};
use ::maturity::words::Slug;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{Actor, NewMaturityModel};
use utoipa::{IntoParams, ToSchema};

use super::{CAUSE, asked, keeper};
use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Longest reason, in bytes.
const REASON_BYTES: usize = 2_000;

/// The model that judges.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownModel {
    /// Changes whenever anything of it does.
    pub fingerprint: String,
    /// Levels, categories, topics, criteria with their signals, references and controls, obligations, and what extensions changed.
    #[schema(value_type = Object)]
    pub model: Parts,
    /// What was applied, in its order.
    pub applied: Vec<AppliedModel>,
}

/// A model that was applied.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AppliedModel {
    /// Its number.
    pub id: i64,
    /// Which model counts from then on.
    pub model: String,
    /// By whom; only for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    pub reason: String,
    /// From when on.
    pub enable_from: Moment,
    /// When it was applied.
    pub at: Moment,
}

/// A document of a model or of an extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDocument {
    /// Where it stands, for messages.
    pub file: String,
    /// The YAML.
    pub text: String,
}

/// A model to apply.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModel {
    /// Models and extensions, in place of those of the same ids.
    #[serde(default)]
    pub documents: Vec<ModelDocument>,
    /// Which model counts from then on, with all that it extends; by default the last document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model: Option<Slug>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// From when on; by default at once. Criteria may begin later each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_from: Option<Moment>,
}

/// How to apply it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelQuery {
    /// Only say what would move.
    preview: bool,
}

/// What a model moves.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelOutcome {
    /// Which model with which extensions, each with its version.
    pub rule_version: String,
    /// Whether it was applied; otherwise it is a preview.
    pub applied: bool,
    /// The event of the audit log with which it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// Criteria that come, go or are otherwise, and whose levels move from where to where.
    #[schema(value_type = Object)]
    pub comparison: Comparison,
}

/// Show the model that judges, and what was applied.
#[utoipa::path(get, path = "/maturity/model", tag = "maturity", responses(
    (status = OK, description = "The model", body = ShownModel),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_model(
    State(state): State<WebState>,
    session: Session,
) -> Result<Body<ShownModel>, ApiError> {
    let session = session.signed_in()?;
    let is_administrator = session.system().is_ok();
    let (fingerprint, model) = asked(&state, |assessment| {
        let model = assessment.model();
        (model.fingerprint().to_string(), model.parts().clone())
    })
    .await?;
    let applied = state.store.maturity_models().await?.into_iter();
    let applied = applied.map(|one| AppliedModel {
        id: one.id,
        model: one.name,
        author: is_administrator.then_some(one.author),
        reason: one.reason,
        enable_from: Moment(one.enable_from),
        at: Moment(one.at),
    });
    Ok(Body(ShownModel {
        fingerprint,
        model,
        applied: applied.collect(),
    }))
}

/// Apply a model or an extension of one, or, with `preview=true`, only say what it would move: which criteria are otherwise, and whose
/// levels would rise or fall.
#[utoipa::path(post, path = "/maturity/models", tag = "maturity", params(ModelQuery), request_body = NewModel, responses(
    (status = OK, description = "What moves, or would", body = ModelOutcome),
    (status = BAD_REQUEST, description = "It cannot be read: `errors` has each place", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn apply_model(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(query): Query<ModelQuery>,
    Body(new): Body<NewModel>,
) -> Result<Body<ModelOutcome>, ApiError> {
    if new.documents.is_empty() && new.model.is_none() {
        return Err(ApiError::malformed(
            "send documents, or name the model that is to count",
        ));
    }
    if new.reason.len() > REASON_BYTES {
        let detail = format!("the reason is longer than {REASON_BYTES} bytes: say it shorter");
        return Err(ApiError::malformed(detail));
    }
    let keeper = keeper(&state)?;
    let model = keeper.model(new.documents.clone(), new.model).await?;
    let now = state.store.now();
    let (rule_version, name) = (model.rule_version().to_string(), model.id().to_string());
    let comparison = {
        let model = model.clone();
        let at = new.enable_from.map_or(now, |from| from.0.max(now)).to_utc();
        asked(&state, move |assessment| {
            compare(assessment.model(), &model, assessment.facts(), at)
        })
        .await?
    };
    let mut outcome = ModelOutcome {
        rule_version: rule_version.clone(),
        applied: false,
        event: None,
        comparison,
    };
    if query.preview {
        return Ok(Body(outcome));
    }
    let kept = NewMaturityModel {
        name,
        rule_version,
        documents: serde_json::to_string(&new.documents).map_err(|error| ApiError::internal(&error))?,
        reason: new.reason,
        enable_from: new.enable_from.map_or(now, |from| from.0),
        said: Vec::new(),
    };
    let actor = Actor::administrator(&permit, CAUSE);
    outcome.event = Some(keeper.apply_model(actor, kept, model).await?.0);
    outcome.applied = true;
    Ok(Body(outcome))
}
