//! Where a subject stands and stood, why, and what is worth doing next.

use ::maturity::history::Snapshot;
use ::maturity::next::{self, Action};
use ::maturity::scorecard::{CriterionResult, Scorecard};
use ::maturity::words::{CriterionId, Subject};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Sight, asked};
use crate::body::Body;
use crate::incidents::Placed;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::state::WebState;

/// Whose scorecard.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScorecardQuery {
    /// `app:shop/checkout`, `team:payments`, `platform:default` or `org:organisation`.
    #[param(value_type = String)]
    subject: Subject,
    /// As of which moment; by default now.
    as_of: Option<Moment>,
}

/// Where a subject stands: `scorecard`. Or where it stood: `then`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownScorecard {
    /// Who.
    #[schema(value_type = String)]
    pub subject: Subject,
    /// As of when.
    pub as_of: Moment,
    /// Categories, topics with level, target, what blocks and when it drops, and of each criterion the state with its chain of proof.
    /// Only of the present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub scorecard: Option<Scorecard>,
    /// `states` by criterion and `levels` by topic, by what was known at that moment. What is missing was unknown, and of level 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub then: Option<Snapshot>,
}

/// Names a subject.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubjectKey {
    /// `app:shop/checkout`, `team:payments`, `platform:default` or `org:organisation`.
    #[param(value_type = String)]
    subject: Subject,
}

/// Names a criterion of a subject.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyQuery {
    /// `app:shop/checkout`, `team:payments`, `platform:default` or `org:organisation`.
    #[param(value_type = String)]
    subject: Subject,
    /// `TE-CON-2`.
    #[param(value_type = String)]
    criterion: CriterionId,
}

/// A criterion with its state and the chain of proof: what was asked, what was found, in which evidence, by which events of the audit
/// log, and by which version of the model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct CriterionEntry(pub CriterionResult);

/// What is worth doing, by what it gains towards the targets, with the command or page that does it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct ActionEntry(pub Action);

/// Which changes.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaturityHistoryQuery {
    /// `app:shop/checkout`, `team:payments`, `platform:default` or `org:organisation`.
    #[param(value_type = String)]
    subject: Subject,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Changes on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// Something that became otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangeEntry {
    /// Its number; the cursor.
    pub seq: i64,
    /// When, why (`cause`, `of`, `event` of the audit log), what (`change`: `state` or `level`, `from`, `to`), and by which model.
    #[schema(value_type = Object)]
    pub change: serde_json::Value,
}

/// Where a subject stands, or stood at a moment by what was known then.
#[utoipa::path(get, path = "/maturity/scorecard", tag = "maturity", params(ScorecardQuery), responses(
    (status = OK, description = "The scorecard", body = ShownScorecard),
    (status = NOT_FOUND, description = "No such subject, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_scorecard(
    State(state): State<WebState>,
    placed: Placed,
    Query(query): Query<ScorecardQuery>,
) -> Result<Body<ShownScorecard>, ApiError> {
    super::keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let subject = query.subject;
    sight.demand(&subject)?;
    let Some(as_of) = query.as_of else {
        let wanted = subject.clone();
        let found = asked(&state, move |assessment| assessment.scorecard(&wanted)).await?;
        let scorecard = found.ok_or_else(|| ApiError::not_found("subject", &subject))?;
        return Ok(Body(ShownScorecard {
            subject,
            as_of: Moment(scorecard.as_of.into()),
            scorecard: Some(scorecard),
            then: None,
        }));
    };
    if as_of.0 > state.store.now() {
        return Err(ApiError::malformed(
            "as_of lies in the future: name a moment that has been",
        ));
    }
    let (wanted, at) = (subject.clone(), as_of.0.to_utc());
    let then = asked(&state, move |assessment| assessment.history().as_of(&wanted, at)).await?;
    Ok(Body(ShownScorecard {
        subject,
        as_of,
        scorecard: None,
        then: Some(then),
    }))
}

/// Why a criterion of a subject is in its state.
#[utoipa::path(get, path = "/maturity/why", tag = "maturity", params(WhyQuery), responses(
    (status = OK, description = "The chain of proof", body = CriterionEntry),
    (status = NOT_FOUND, description = "No such subject or criterion, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_why(
    State(state): State<WebState>,
    placed: Placed,
    Query(WhyQuery { subject, criterion }): Query<WhyQuery>,
) -> Result<Body<CriterionEntry>, ApiError> {
    super::keeper(&state)?;
    Sight::of(&state, placed.session).await?.demand(&subject)?;
    let found = asked(&state, move |assessment| {
        let hint = assessment.model().nearest_criterion(criterion.as_str());
        let found = assessment.why(&subject, &criterion);
        found.ok_or_else(|| ApiError::not_found("criterion", format!("{criterion} of {subject}{hint}")))
    });
    Ok(Body(CriterionEntry(found.await??)))
}

/// What is worth doing next for a subject: at most three actions, those with the largest gain towards its targets.
#[utoipa::path(get, path = "/maturity/next", tag = "maturity", params(SubjectKey), responses(
    (status = OK, description = "The actions", body = Vec<ActionEntry>),
    (status = NOT_FOUND, description = "No such subject, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_next(
    State(state): State<WebState>,
    placed: Placed,
    Query(SubjectKey { subject }): Query<SubjectKey>,
) -> Result<Body<Vec<ActionEntry>>, ApiError> {
    super::keeper(&state)?;
    Sight::of(&state, placed.session).await?.demand(&subject)?;
    let now = state.store.now().to_utc();
    let actions = asked(&state, move |assessment| {
        let actions = next::actions(assessment.model(), assessment.facts(), &subject, now);
        actions.into_iter().map(ActionEntry).collect()
    });
    Ok(Body(actions.await?))
}

/// What became otherwise for a subject, the newest first, each change with its cause. An application keeps its history wherever it
/// belongs.
#[utoipa::path(get, path = "/maturity/history", tag = "maturity", params(MaturityHistoryQuery), responses(
    (status = OK, description = "A page of changes", body = Page<ChangeEntry>),
    (status = NOT_FOUND, description = "No such subject, or none of the caller's", body = Problem),
))]
pub(crate) async fn get_maturity_history(
    State(state): State<WebState>,
    placed: Placed,
    Query(query): Query<MaturityHistoryQuery>,
) -> Result<Body<Page<ChangeEntry>>, ApiError> {
    super::keeper(&state)?;
    let (before, limit) = (
        page::numeric_cursor(query.after.as_deref())?,
        page::limit(query.limit)?,
    );
    Sight::of(&state, placed.session).await?.demand(&query.subject)?;
    let subject = query.subject.to_string();
    let page = state.store.maturity_history(&subject, before, limit).await?;
    Ok(Body(Page::of(
        page,
        |(seq, _)| seq.to_string(),
        |(seq, change)| ChangeEntry {
            seq,
            change: serde_json::from_str(&change.body).unwrap_or_default(),
        },
    )))
}
