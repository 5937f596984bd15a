//! What people have to look at: what is due, what waits for a second person, what ends soon and what ended.

use std::collections::BTreeMap;

use ::maturity::attestation::{InboxItem, Roles, inbox};
use ::maturity::words::Subject;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::Duration;
use utoipa::{IntoParams, ToSchema};

use super::{Sight, Voice, asked, keeper};
use crate::body::Body;
use crate::incidents::Placed;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::state::WebState;

/// How long before its end something is in the inbox, if nothing else is asked for, in days.
const SOON_DAYS: u16 = 30;

/// Items that are told at most; more are counted.
const MAX_TOLD: usize = 1_000;

/// Which items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InboxQuery {
    /// Only those for which the caller may vouch.
    mine: bool,
    /// How long before its end something is told of, in days; by default 30.
    soon: Option<u16>,
}

/// The inbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct InboxReport {
    /// What ended first, then what ends soon, what waits for a second person, and what nobody vouched for yet: `kind` (`expired`,
    /// `expiring`, `unconfirmed`, `due`), `subject`, `criterion`, `role`, `attestation`, `until`. At most 1,000.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<InboxItem>,
    /// How many more.
    pub more_items: u64,
}

/// List what people have to look at, of subjects that the caller sees.
#[utoipa::path(get, path = "/maturity/inbox", tag = "maturity", params(InboxQuery), responses(
    (status = OK, description = "The inbox", body = InboxReport),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn get_inbox(
    State(state): State<WebState>,
    placed: Placed,
    Query(query): Query<InboxQuery>,
) -> Result<Body<InboxReport>, ApiError> {
    keeper(&state)?;
    let sight = Sight::of(&state, placed.session).await?;
    let voice = Voice::of(&state, &sight).await?;
    let soon = Duration::days(i64::from(query.soon.unwrap_or(SOON_DAYS)));
    let now = state.store.now().to_utc();
    let items = asked(&state, move |assessment| {
        let all = inbox(assessment.facts(), assessment.model(), now, soon).into_iter();
        let seen = all.filter(|item| sight.sees(&item.subject));
        let mut roles: BTreeMap<Subject, Roles> = BTreeMap::new();
        let mut is_theirs = |item: &InboxItem| {
            let of_subject = || voice.roles(&sight, &item.subject);
            roles
                .entry(item.subject.clone())
                .or_insert_with(of_subject)
                .0
                .contains(&item.role)
        };
        seen.filter(|item| !query.mine || is_theirs(item))
            .collect::<Vec<_>>()
    });
    let mut items = items.await?;
    let more_items = items.len().saturating_sub(MAX_TOLD) as u64;
    items.truncate(MAX_TOLD);
    Ok(Body(InboxReport { items, more_items }))
}
