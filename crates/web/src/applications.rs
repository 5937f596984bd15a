//! Applications: whose repositories are.

use std::sync::Arc;

use access::AccessBook;
use axum::extract::State;
use http::StatusCode;
use oci::RepoPattern;
use road::application::{Application, Source, Statement};
use road::names::{ApplicationName, Contact, Environment, Owner};
use serde::{Deserialize, Serialize};
use store::Actor;
use utoipa::{IntoParams, ToSchema};

use crate::affected::may_pull;
use crate::body::Body;
use crate::incidents::{Placed, computed, keeper};
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{Administrator, Session};
use crate::state::WebState;

/// Where an entry stands that came by the API or the command line.
const ORIGIN: &str = "entry";

/// What is believed of an application: each field with the source that is believed, and what other sources say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct ApplicationEntry(pub Application);

/// Incidents that are compared, the last ones.
const MAX_COMPARED: usize = 50;

/// What the road would have saved in an incident: `incident`, `title`; `there_seconds` until an image on the road was fixed, in the middle
/// of `there_images`, rounded up (`there_is_rounded`) where it is about few others; `here_seconds` that the last of `here_images` was
/// affected, of which so many are `open`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct SavedEntry(pub road::saved::Saved);

/// An application as it is declared. What is left out is believed of the next trusted source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    /// Its name: `checkout`, or `shop/checkout` in a namespace.
    #[schema(value_type = String)]
    pub name: ApplicationName,
    /// Its repositories.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub repositories: Vec<RepoPattern>,
    /// Its owner: `team-checkout`, `group:team-checkout`, `user:ann`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Owner>,
    /// How important it is: 0 is the most, 9 the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u8>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub environments: Vec<Environment>,
    /// How its owner is reached, the best way first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub contacts: Vec<Contact>,
    /// Which system it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// An application that was declared.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetApplication {
    /// Which one.
    #[schema(value_type = String)]
    pub name: ApplicationName,
    /// Whether one of its name was declared before.
    pub replaced: bool,
}

/// Names an application.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationKey {
    /// Its name.
    #[param(value_type = String)]
    name: ApplicationName,
}

impl NewApplication {
    fn into_statement(self) -> Statement {
        Statement {
            repositories: self.repositories,
            owner: self.owner,
            tier: self.tier,
            environments: self.environments,
            contacts: self.contacts,
            system: self.system,
            ..Statement::new(self.name, Source::Declared, ORIGIN)
        }
    }
}

/// What of the entries a caller may see: what concerns repositories that they may pull.
pub(crate) struct Sight {
    /// `None`: everything.
    within: Option<Vec<RepoPattern>>,
}

impl Sight {
    pub(crate) fn of(session: &Session) -> Self {
        let listable = |book: &AccessBook| book.listable(&session.caller);
        let is_administrator = session.system().is_ok();
        Self {
            within: (!is_administrator).then(|| listable(&session.book)),
        }
    }

    fn sees(&self, pattern: &RepoPattern) -> bool {
        let Some(within) = &self.within else { return true };
        within.iter().any(|seen| overlaps(seen, pattern))
    }

    /// Whether anything of an application is seen.
    pub(crate) fn sees_any(&self, application: &Application) -> bool {
        let mut patterns = application.repositories.iter();
        self.within.is_none() || patterns.any(|stated| self.sees(&stated.value))
    }

    /// The application without the repositories that are not to be seen. `None`: nothing is left.
    fn cut(&self, application: &Application) -> Option<Application> {
        let mut seen = application.clone();
        seen.repositories.retain(|stated| self.sees(&stated.value));
        (self.within.is_none() || !seen.repositories.is_empty()).then_some(seen)
    }
}

/// Most pairs differ in their first letters.
fn overlaps(one: &RepoPattern, other: &RepoPattern) -> bool {
    let (a, b) = (one.literal_prefix(), other.literal_prefix());
    (a.starts_with(b) || b.starts_with(a)) && one.overlaps(other)
}

/// List the applications that have repositories which the caller may pull, with what is believed of each.
#[utoipa::path(get, path = "/applications", tag = "fleet", params(PageQuery), responses(
    (status = OK, description = "A page of applications, by name", body = Page<ApplicationEntry>),
))]
pub(crate) async fn list_applications(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<ApplicationEntry>>, ApiError> {
    let session = session.signed_in()?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let (road, sight) = (state.store.road().await?, Sight::of(&session));
    let behind = |entry: &&Application| after.is_none_or(|after| entry.name.as_str() > after);
    let seen = road.applications.iter().filter(behind);
    Ok(Body(Page::cut(
        seen.filter_map(|entry| sight.cut(entry)),
        after,
        limit,
        |entry| entry.name.to_string(),
        ApplicationEntry,
    )))
}

/// What is believed of one application.
#[utoipa::path(get, path = "/application", tag = "fleet", params(ApplicationKey), responses(
    (status = OK, description = "The application", body = ApplicationEntry),
    (status = NOT_FOUND, description = "No such application, or none of the caller's", body = Problem),
))]
pub(crate) async fn get_application(
    State(state): State<WebState>,
    session: Session,
    Query(ApplicationKey { name }): Query<ApplicationKey>,
) -> Result<Body<ApplicationEntry>, ApiError> {
    let session = session.signed_in()?;
    let (road, sight) = (state.store.road().await?, Sight::of(&session));
    let found = road.applications.get(&name).and_then(|entry| sight.cut(entry));
    let found = found.ok_or_else(|| ApiError::not_found("application", &name))?;
    Ok(Body(ApplicationEntry(found)))
}

/// What the road would have saved an application, by its own incidents, those opened last first: how long its images that are not on
/// the road were affected, and how long those on the road were in the same incident. Of the latter a figure of all is told, and none by
/// its name.
#[utoipa::path(get, path = "/application/saved", tag = "fleet", params(ApplicationKey), responses(
    (status = OK, description = "Its incidents, where there is something to compare", body = Vec<SavedEntry>),
    (status = NOT_FOUND, description = "No such application, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many questions are being answered", body = Problem),
))]
pub(crate) async fn get_saved(
    State(state): State<WebState>,
    placed: Placed,
    Query(ApplicationKey { name }): Query<ApplicationKey>,
) -> Result<Body<Vec<SavedEntry>>, ApiError> {
    let (road, sight) = (state.store.road().await?, Sight::of(&placed.session));
    let application = road.applications.get(&name).and_then(|entry| sight.cut(entry));
    application.ok_or_else(|| ApiError::not_found("application", &name))?;
    let may_pull = may_pull(&placed.session);
    let now = state.store.now().to_utc();
    let keeper = keeper(&state)?;
    let mut saved = Vec::new();
    for stored in state.store.incidents().await?.iter().take(MAX_COMPARED) {
        let Some(incident) = keeper.at(stored.id.clone(), None, None).await? else {
            continue;
        };
        let (application, may_pull) = (name.clone(), Arc::clone(&may_pull));
        let compared =
            computed(move || road::saved::saved(&incident, &application, |repo| may_pull(repo), now));
        saved.extend(compared.await?.map(SavedEntry));
    }
    Ok(Body(saved))
}

/// Declare an application, in place of what was declared under its name.
#[utoipa::path(put, path = "/applications", tag = "fleet", request_body = NewApplication, responses(
    (status = OK, description = "Declared", body = SetApplication),
    (status = BAD_REQUEST, description = "It does not go together with what others declare", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn set_application(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(entry): Body<NewApplication>,
) -> Result<Body<SetApplication>, ApiError> {
    let name = entry.name.clone();
    let actor = Actor::administrator(&permit, CAUSE);
    let was = state
        .store
        .set_application(&actor, &entry.into_statement())
        .await?;
    let replaced = was.is_some();
    Ok(Body(SetApplication { name, replaced }))
}

/// Take back what was declared of an application; where nothing was, what catalogues say of it.
#[utoipa::path(delete, path = "/application", tag = "fleet", params(ApplicationKey), responses(
    (status = NO_CONTENT, description = "Taken back"),
    (status = NOT_FOUND, description = "No such application", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn remove_application(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Query(ApplicationKey { name }): Query<ApplicationKey>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.remove_application(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
