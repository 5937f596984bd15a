//! The routes that show one incident.

use std::sync::Arc;

use access::permit::Pull;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use road::incident::{Incident, Line, LineKey, Report};
use road::names::{ApplicationName, IncidentId, Owner};
use serde::Deserialize;
use store::Timestamp;
use utoipa::IntoParams;

use super::change::{computed, entry, keeper};
use super::place::Placed;
use super::{IncidentEntry, IncidentLine, IncidentReport, Sight, wire};
use crate::affected::MayPull;
use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Problem};
use crate::query::{Path, Query};
use crate::session::Session;
use crate::state::WebState;

/// As of when.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsOf {
    /// As it stood at this moment.
    as_of: Option<Moment>,
}

/// Which lines.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinesQuery {
    /// Only in this state: `open` (also what opened again), `mitigated`, `waived`, `fixed`, `gone`, `reopened`.
    #[param(value_type = Option<String>)]
    state: Option<LineState>,
    /// Only of this owner.
    #[param(value_type = Option<String>)]
    owner: Option<Owner>,
    /// Only of this application.
    #[param(value_type = Option<String>)]
    application: Option<ApplicationName>,
    /// As it stood at this moment.
    as_of: Option<Moment>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// A state that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LineState {
    Open,
    Mitigated,
    Waived,
    Fixed,
    Gone,
    Reopened,
}

/// In which form, and as of when.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    /// `json`, `markdown` or `html`; by default `json`.
    #[param(value_type = Option<String>)]
    format: Option<ReportFormat>,
    /// As it stood at this moment.
    as_of: Option<Moment>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReportFormat {
    #[default]
    Json,
    Markdown,
    Html,
}

/// What somebody may see; `None`: everything.
pub(super) async fn sight(state: &WebState, session: &Session) -> Result<Option<Sight>, ApiError> {
    if session.system().is_ok() {
        return Ok(None);
    }
    let (book, caller) = (Arc::clone(&session.book), session.caller.clone());
    let may_pull: MayPull = Arc::new(move |repo| book.may::<Pull>(&caller, repo));
    Ok(Some(keeper(state)?.sight(may_pull).await?))
}

/// An incident, for somebody who sees something of it.
async fn find(
    state: &WebState,
    placed: &Placed,
    id: IncidentId,
    as_of: Option<Moment>,
) -> Result<(Arc<Incident>, time::OffsetDateTime), ApiError> {
    let (now, as_of) = (state.store.now(), as_of.map(|moment| moment.0));
    check(as_of, now)?;
    let _place = as_of.map(|_| placed.place_for_then(state)).transpose()?;
    let sight = sight(state, &placed.session).await?;
    let sees_all = sight.is_none();
    let found = keeper(state)?.at(id.clone(), as_of, sight).await?;
    let found = found.filter(|incident| sees_all || incident.lines().len() > 0);
    let found = found.ok_or_else(|| ApiError::not_found("incident", id))?;
    Ok((found, wire::at(as_of.unwrap_or(now))))
}

fn check(as_of: Option<Timestamp>, now: Timestamp) -> Result<(), ApiError> {
    if as_of.is_some_and(|moment| moment > now) {
        return Err(ApiError::malformed(
            "as_of lies in the future: name a moment that has been",
        ));
    }
    Ok(())
}

/// Where an incident stands.
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents",
    params(("id" = String, Path, description = "What it is called"), AsOf), responses(
    (status = OK, description = "Where it stands", body = IncidentEntry),
    (status = NOT_FOUND, description = "No such incident, or none of it is the caller's", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn get_incident(
    State(state): State<WebState>,
    placed: Placed,
    Path(id): Path<IncidentId>,
    Query(query): Query<AsOf>,
) -> Result<Body<IncidentEntry>, ApiError> {
    let (incident, now) = find(&state, &placed, id, query.as_of).await?;
    entry(incident, now).await.map(Body)
}

/// The tags and images of an incident.
#[utoipa::path(get, path = "/incidents/{id}/lines", tag = "incidents",
    params(("id" = String, Path, description = "What it is called"), LinesQuery), responses(
    (status = OK, description = "A page of them, by repository and tag", body = Page<IncidentLine>),
    (status = NOT_FOUND, description = "No such incident, or none of it is the caller's", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn list_lines(
    State(state): State<WebState>,
    placed: Placed,
    Path(id): Path<IncidentId>,
    Query(query): Query<LinesQuery>,
) -> Result<Body<Page<IncidentLine>>, ApiError> {
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let (incident, now) = find(&state, &placed, id, query.as_of).await?;
    let after: Option<LineKey> = after
        .map(str::parse)
        .transpose()
        .map_err(|_| ApiError::malformed("the cursor is not one of ours: send `next` as it came"))?;
    let page = computed(move || {
        let behind = |line: &&Line| after.as_ref().is_none_or(|after| line.key > *after);
        let wanted = |line: &&Line| query.wants(line, now);
        let found = incident.lines().filter(behind).filter(wanted);
        let mut lines: Vec<&Line> = found.take(limit + 1).collect();
        let more = lines.len() > limit;
        lines.truncate(limit);
        let page = store::Page { items: lines, more };
        Page::of(
            page,
            |line| line.key.to_string(),
            |line| IncidentLine::of(&incident, line, now),
        )
    });
    page.await.map(Body)
}

impl LinesQuery {
    fn wants(&self, line: &Line, now: time::OffsetDateTime) -> bool {
        let state = line.state(now);
        let is_in = self.state.is_none_or(|wanted| match wanted {
            LineState::Open => state.is_open(),
            LineState::Mitigated => state.as_str() == "mitigated",
            LineState::Waived => state.as_str() == "waived",
            LineState::Fixed => state.as_str() == "fixed",
            LineState::Gone => state.as_str() == "gone",
            LineState::Reopened => state.as_str() == "reopened",
        });
        is_in
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| line.owner.as_ref() == Some(owner))
            && self
                .application
                .as_ref()
                .is_none_or(|application| line.key.application.as_ref() == Some(application))
    }
}

/// The report of an incident: figures by cohort and severity, what is open and what it waits for.
#[utoipa::path(get, path = "/incidents/{id}/report", tag = "incidents",
    params(("id" = String, Path, description = "What it is called"), ReportQuery), responses(
    (status = OK, description = "The report", body = IncidentReport),
    (status = NOT_FOUND, description = "No such incident, or none of it is the caller's", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn get_incident_report(
    State(state): State<WebState>,
    placed: Placed,
    Path(id): Path<IncidentId>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, ApiError> {
    let (incident, now) = find(&state, &placed, id, query.as_of).await?;
    let format = query.format.unwrap_or_default();
    let written = computed(move || {
        let report = incident.report(now);
        match format {
            ReportFormat::Json => Written::Json(Box::new(report)),
            ReportFormat::Markdown => Written::Text(report.to_markdown(), "text/markdown; charset=utf-8"),
            ReportFormat::Html => Written::Text(report.to_html(), "text/html; charset=utf-8"),
        }
    });
    Ok(match written.await? {
        Written::Json(report) => Body(IncidentReport(*report)).into_response(),
        Written::Text(text, kind) => {
            let kind = HeaderValue::from_static(kind);
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
    })
}

/// A report as it goes out.
enum Written {
    Json(Box<Report>),
    Text(String, &'static str),
}
