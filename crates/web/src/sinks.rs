//! Sinks: who is told what happens, and what owners must do about incidents. Who tells them is put in by the program that serves the
//! API, as [`Telling`].

use std::time::Duration;

use access::SecretString;
use axum::extract::State;
use http::StatusCode;
use road::sink::{SinkKind, SinkSpec};
use serde::{Deserialize, Serialize};
use store::{Actor, EventKind, SecretChange, StoredSink};
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::Administrator;
use crate::state::WebState;

/// Longest time for which the secret before signs as well, in seconds: 30 days.
pub const MAX_KEEP_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Tells sinks.
pub trait Telling: Send + Sync {
    /// Tells a sink something that says that it is a test, at once and once.
    fn test<'a>(&'a self, sink: &'a str) -> TestAsked<'a>;

    /// Looks for something to tell, without waiting for the next look.
    fn wake(&self);

    /// A secret that a sink of this spec can have, and the target that goes with it; why not, if it cannot. Without a secret one is
    /// made, where that makes sense.
    fn secret(&self, spec: &SinkSpec, given: Option<SecretString>) -> Result<NewSecretOfSink, String>;
}

/// What came of a test, on its way. `None`: there is no such sink.
pub type TestAsked<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<Option<SinkTest>, store::StoreError>> + Send + 'a>>;

/// A secret for a sink.
#[derive(Debug)]
pub struct NewSecretOfSink {
    /// What the target is, where it is a part of the secret.
    pub target: Option<String>,
    /// The secret; `None`: the one that there is stays.
    pub secret: Option<SecretString>,
    /// Whether it was made here, and is to be shown once.
    pub is_made: bool,
}

/// A sink as it is declared: `name`, `kind`, `target`, `user`, `tickets`, `from`, `to`, `events`, `incidents`, `owners`, `at_least`,
/// `schedule`, `enabled`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct SinkEntry(pub SinkSpec);

/// A sink to set.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSink {
    /// What it is.
    pub sink: SinkEntry,
    /// Its secret: what webhooks are signed with (`whsec_…`), the whole URL of a Slack webhook, the token or password of what else
    /// there is. Without one the present one stays; a new webhook gets one that is made, and shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Make a new secret for a webhook.
    #[serde(default)]
    pub rotate: bool,
    /// How long the secret before signs as well, in seconds; at most 30 days.
    #[serde(default)]
    pub keep_old_seconds: u64,
}

impl std::fmt::Debug for NewSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSink")
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

/// A sink that was set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetSink {
    /// Its name.
    pub name: String,
    /// Whether there was one of its name before.
    pub replaced: bool,
    /// The secret that was made for it; shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A sink, and how it stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownSink {
    /// What it is.
    pub sink: SinkEntry,
    /// Whether it has a secret. It is never shown again.
    pub has_secret: bool,
    /// Until when the secret before signs as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<Moment>,
    /// What it is still to be told.
    pub pending: u64,
    /// What it was told, as far as that is kept.
    pub sent: u64,
    /// What it could not be told.
    pub dead: u64,
    /// What found no room because too much was pending.
    pub dropped: u64,
    /// When it was last set.
    pub set_at: Moment,
    /// By whom.
    pub set_by: String,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkTest {
    /// Whether it was taken.
    pub taken: bool,
    /// What was answered (HTTP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not taken and what to do, or what else should be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The problem of a registry that tells nobody.
pub(crate) fn switched_off() -> ApiError {
    ApiError::new(
        Kind::Conflict,
        "this registry tells nobody anything: telling.enabled is false in its configuration",
    )
}

async fn shown(state: &WebState, stored: StoredSink) -> Result<ShownSink, ApiError> {
    let counts = state
        .store
        .delivery_counts(Some(stored.spec.name.as_str()))
        .await?;
    Ok(ShownSink {
        sink: SinkEntry(stored.spec),
        has_secret: stored.has_secret,
        old_secret_until: stored
            .old_secret_until
            .filter(|until| *until > state.store.now())
            .map(Moment),
        pending: counts.pending,
        sent: counts.sent,
        dead: counts.dead,
        dropped: stored.dropped,
        set_at: Moment(stored.set_at),
        set_by: stored.set_by,
    })
}

/// List the sinks and how they stand.
#[utoipa::path(get, path = "/sinks", tag = "telling", params(PageQuery), responses(
    (status = OK, description = "A page of sinks, by name", body = Page<ShownSink>),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn list_sinks(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<ShownSink>>, ApiError> {
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let all = state.store.sinks().await?;
    let name = |sink: &StoredSink| sink.spec.name.to_string();
    let page = Page::cut(all, after, limit, name, |sink| sink);
    let mut items = Vec::new();
    for sink in page.items {
        items.push(shown(&state, sink).await?);
    }
    Ok(Body(Page {
        items,
        next: page.next,
    }))
}

/// Set a sink, in place of the one of its name. It is told what happens from now on.
#[utoipa::path(put, path = "/sinks", tag = "telling", request_body = NewSink, responses(
    (status = OK, description = "Set; a secret that was made is shown this once", body = SetSink),
    (status = BAD_REQUEST, description = "It could not be told", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn set_sink(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(new): Body<NewSink>,
) -> Result<Body<SetSink>, ApiError> {
    let telling = state.telling.as_ref().ok_or_else(switched_off)?;
    let keep = Duration::from_secs(new.keep_old_seconds);
    if new.keep_old_seconds > MAX_KEEP_SECONDS {
        let detail = format!("keep_old_seconds is at most {MAX_KEEP_SECONDS}");
        return Err(ApiError::malformed(detail));
    }
    let SinkEntry(mut spec) = new.sink;
    check_events(&spec).map_err(ApiError::malformed)?;
    let was = state.store.sink(spec.name.as_str()).await?;
    let same = was.filter(|was| was.spec.kind == spec.kind && was.has_secret);
    let kept = same.filter(|_| !new.rotate && new.secret.is_none());
    let made = if let Some(kept) = kept {
        // A part of the secret, which nobody writes down again.
        let is_of_secret = spec.kind == SinkKind::Slack && spec.target.is_empty();
        NewSecretOfSink {
            target: is_of_secret.then_some(kept.spec.target),
            secret: None,
            is_made: false,
        }
    } else {
        let given = new.secret.map(SecretString::from);
        telling.secret(&spec, given).map_err(ApiError::malformed)?
    };
    if let Some(target) = made.target {
        spec.target = target;
    }
    let shown = made.secret.as_ref().filter(|_| made.is_made);
    let shown = shown.map(|secret| secret.expose().to_owned());
    let change = made
        .secret
        .map_or(SecretChange::Keep, |secret| SecretChange::Set(secret, keep));
    let actor = Actor::administrator(&permit, CAUSE);
    let was = state.store.set_sink(&actor, &spec, change).await?;
    telling.wake();
    Ok(Body(SetSink {
        name: spec.name.to_string(),
        replaced: was.is_some(),
        secret: shown,
    }))
}

/// Whether each kind of event that a sink names is one: who misspells one would wait for it for ever.
pub fn check_events(spec: &SinkSpec) -> Result<(), String> {
    match EventKind::meant_by_none(&spec.events) {
        None => Ok(()),
        Some(unknown) => Err(format!(
            "no kind of event is called {unknown}: there are *, and {}, and groups of them such as tag.*",
            EventKind::names().join(", ")
        )),
    }
}

/// The sink of this name, and how it stands.
#[utoipa::path(get, path = "/sinks/{name}", tag = "telling",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = OK, description = "The sink", body = ShownSink),
    (status = NOT_FOUND, description = "No such sink", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_sink(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(name): Path<String>,
) -> Result<Body<ShownSink>, ApiError> {
    let found = state.store.sink(&name).await?;
    let found = found.ok_or_else(|| ApiError::not_found("sink", &name))?;
    Ok(Body(shown(&state, found).await?))
}

/// Remove a sink, with all that it was and is to be told.
#[utoipa::path(delete, path = "/sinks/{name}", tag = "telling",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = NO_CONTENT, description = "Nobody is told there any more"),
    (status = NOT_FOUND, description = "No such sink", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn remove_sink(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.remove_sink(&actor, &name).await?;
    if let Some(telling) = &state.telling {
        telling.wake();
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Tell a sink something that says that it is a test, at once and once; also one that is switched off.
#[utoipa::path(post, path = "/sinks/{name}/test", tag = "telling",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = OK, description = "What came of it", body = SinkTest),
    (status = NOT_FOUND, description = "No such sink", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn test_sink(
    State(state): State<WebState>,
    Administrator(_): Administrator,
    Path(name): Path<String>,
) -> Result<Body<SinkTest>, ApiError> {
    let telling = state.telling.as_ref().ok_or_else(switched_off)?;
    let tested = telling.test(&name).await?;
    Ok(Body(tested.ok_or_else(|| ApiError::not_found("sink", &name))?))
}
