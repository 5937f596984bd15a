//! Waivers: findings that one person asks to bear and another one approves.
//!
//! Whoever may pull from a repository can ask; whoever administers all of its patterns can approve, but not their own
//! request, and no program can. What is approved is not changed any more: it is withdrawn, and another one asked for.

use access::PrincipalKind;
use access::permit::Pull;
use axum::extract::{Extension, State};
use http::StatusCode;
use oci::RepoPattern;
use policy::KeptWaiver;
use store::{Actor, StoredWaiver, WaiverPut, WaiverStep};
use time::OffsetDateTime;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::{PeerAddress, Session};
use crate::state::WebState;

mod entry;
mod facts;

pub(crate) use entry::{date_of, moment_of};

pub use entry::{NewWaiver, WaiverEntry, WaiverImage};

/// Requests that one person can have open.
const MAX_OPEN_REQUESTS: usize = 100;

/// Longest name of a waiver, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// List the waivers and requests that the caller asked for, or of whose patterns they administer one.
#[utoipa::path(get, path = "/waivers", tag = "policy", params(PageQuery), responses(
    (status = OK, description = "A page of waivers, by name", body = Page<WaiverEntry>),
))]
pub(crate) async fn list_waivers(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<WaiverEntry>>, ApiError> {
    let session = session.signed_in()?;
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let now = now(&state)?;
    let stored = state.store.waivers().await?;
    let seen = stored.iter().filter_map(|stored| {
        let kept = read(stored).ok()?;
        may_see(&session, &kept).then(|| WaiverEntry::of(&kept, now))
    });
    Ok(Body(Page::cut(
        seen,
        after,
        limit,
        |entry| entry.id.clone(),
        |entry| entry,
    )))
}

/// Ask for a waiver. It has no effect until somebody else approves it; until then the requester may ask anew.
#[utoipa::path(put, path = "/waivers/{id}", tag = "policy",
    params(("id" = String, Path, description = "Its name, chosen by whoever asks")), request_body = NewWaiver, responses(
    (status = OK, description = "Asked for", body = WaiverEntry),
    (status = BAD_REQUEST, description = "It could never be approved", body = Problem),
    (status = FORBIDDEN, description = "The caller may not ask for these repositories", body = Problem),
    (status = CONFLICT, description = "The name is taken", body = Problem),
    (status = TOO_MANY_REQUESTS, description = "Too many images are being reported about", body = Problem),
))]
pub(crate) async fn request_waiver(
    State(state): State<WebState>,
    session: Session,
    from: Option<Extension<PeerAddress>>,
    Path(id): Path<String>,
    Body(wanted): Body<NewWaiver>,
) -> Result<Body<WaiverEntry>, ApiError> {
    let session = session.signed_in()?;
    check_name(&id)?;
    let actor = may_ask(&session, &wanted.repositories)?;
    let requested_at = now(&state)?;
    let mut request = wanted.clone().into_request(id, my_name(&session), requested_at)?;
    if let Some(image) = wanted.image.as_ref().filter(|_| wanted.facts.is_none()) {
        request.facts = Some(
            facts::of(
                &state,
                &session,
                from.map(|Extension(from)| from),
                image,
                &request,
            )
            .await?,
        );
    }
    request.check().map_err(ApiError::malformed)?;
    let was = replaced(&state, &session, &request.id).await?;
    let kept = KeptWaiver::Requested(request);
    put(&state, &kept, was.as_deref(), WaiverStep::Request, &actor).await?;
    Ok(Body(WaiverEntry::of(&kept, requested_at)))
}

/// Approve a waiver that somebody else asked for. It is in force at once.
#[utoipa::path(post, path = "/waivers/{id}/approve", tag = "policy",
    params(("id" = String, Path, description = "Its name")), request_body = Object, responses(
    (status = OK, description = "In force", body = WaiverEntry),
    (status = FORBIDDEN, description = "The caller asked for it, is no person, or does not administer all its patterns",
        body = Problem),
    (status = NOT_FOUND, description = "No such waiver", body = Problem),
    (status = CONFLICT, description = "It is approved already, or has changed meanwhile", body = Problem),
))]
pub(crate) async fn approve_waiver(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Body<WaiverEntry>, ApiError> {
    let session = session.signed_in()?;
    let (stored, kept) = find(&state, &session, &id).await?;
    let actor = administers(&session, kept.repositories())?;
    let is_person = session
        .caller
        .principal()
        .is_some_and(|principal| principal.kind == PrincipalKind::User);
    if !is_person {
        return Err(ApiError::new(Kind::Denied, "only a person approves a waiver"));
    }
    let KeptWaiver::Requested(request) = kept else {
        return Err(ApiError::new(Kind::Conflict, format!("{id} is approved already")));
    };
    let now = now(&state)?;
    let waiver = request
        .approve(&my_name(&session), now)
        .map_err(|error| match error {
            policy::WaiverError::SamePerson(_) => ApiError::new(Kind::Denied, error),
            error => ApiError::new(Kind::Conflict, error),
        })?;
    let kept = KeptWaiver::Approved(waiver);
    put(&state, &kept, Some(&stored.body), WaiverStep::Approve, &actor).await?;
    Ok(Body(WaiverEntry::of(&kept, now)))
}

/// Withdraw a waiver or a request: whoever asked for it, or administers all its patterns.
#[utoipa::path(delete, path = "/waivers/{id}", tag = "policy",
    params(("id" = String, Path, description = "Its name")), responses(
    (status = NO_CONTENT, description = "Withdrawn"),
    (status = NOT_FOUND, description = "No such waiver", body = Problem),
))]
pub(crate) async fn remove_waiver(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let session = session.signed_in()?;
    let (stored, kept) = find(&state, &session, &id).await?;
    let actor = if kept.requester() == my_name(&session) {
        may_ask(&session, kept.repositories())?
    } else {
        administers(&session, kept.repositories())?
    };
    let step = match kept {
        KeptWaiver::Requested(_) => WaiverStep::Request,
        KeptWaiver::Approved(_) => WaiverStep::Approve,
    };
    if state.store.remove_waiver(&id, &stored.body, step, &actor).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(changed(&id))
    }
}

/// What a request of this name replaces: nothing, or the caller's own that nobody has approved.
async fn replaced(state: &WebState, session: &Session, id: &str) -> Result<Option<String>, ApiError> {
    let me = my_name(session);
    let all = state.store.waivers().await?;
    let mut open = 0;
    let mut replaced = None;
    for stored in &all {
        match read(stored) {
            Ok(KeptWaiver::Requested(request)) if request.requester == me => {
                if stored.id == id {
                    replaced = Some(stored.body.clone());
                } else {
                    open += 1;
                }
            }
            _ if stored.id == id => {
                let detail = format!("the name {id} is taken: choose another one");
                return Err(ApiError::new(Kind::Conflict, detail));
            }
            _ => {}
        }
    }
    if open >= MAX_OPEN_REQUESTS {
        let detail =
            format!("{MAX_OPEN_REQUESTS} of your requests are open: withdraw one, or have one approved");
        return Err(ApiError::new(Kind::Conflict, detail));
    }
    Ok(replaced)
}

async fn put(
    state: &WebState,
    kept: &KeptWaiver,
    was: Option<&str>,
    step: WaiverStep,
    actor: &Actor,
) -> Result<(), ApiError> {
    let (id, until) = match kept {
        KeptWaiver::Requested(request) => (&request.id, request.until),
        KeptWaiver::Approved(waiver) => (&waiver.id, waiver.until),
    };
    let waiver = StoredWaiver {
        id: id.clone(),
        body: kept.to_json().map_err(ApiError::malformed)?,
        until: entry::moment_of(until).0,
    };
    match state.store.set_waiver(waiver, was, step, actor).await? {
        WaiverPut::Done => Ok(()),
        WaiverPut::Changed => Err(changed(id)),
        WaiverPut::Full => Err(ApiError::new(
            Kind::Conflict,
            format!(
                "there are {} waivers: remove those that are over",
                store::MAX_WAIVERS
            ),
        )),
    }
}

/// The waiver of a name, unless the caller may not know of it.
async fn find(state: &WebState, session: &Session, id: &str) -> Result<(StoredWaiver, KeptWaiver), ApiError> {
    let unknown = || ApiError::not_found("waiver", id);
    let stored = state.store.waiver(id).await?.ok_or_else(unknown)?;
    let kept = read(&stored)?;
    if may_see(session, &kept) {
        Ok((stored, kept))
    } else {
        Err(unknown())
    }
}

fn read(stored: &StoredWaiver) -> Result<KeptWaiver, ApiError> {
    KeptWaiver::from_json(&stored.body).map_err(|error| {
        tracing::error!(waiver = stored.id, %error, "a waiver that was stored cannot be read");
        ApiError::new(Kind::Internal, format!("the waiver {} cannot be read", stored.id))
    })
}

fn may_see(session: &Session, kept: &KeptWaiver) -> bool {
    kept.requester() == my_name(session) || kept.repositories().iter().any(|pattern| session.may_see(pattern))
}

/// One repository for whoever may pull from it, a pattern of more for whoever administers that.
fn may_ask(session: &Session, patterns: &[RepoPattern]) -> Result<Actor, ApiError> {
    let mut actor = None;
    for pattern in patterns {
        actor = Some(match pattern.exact() {
            Some(repo) => Actor::holder(&session.permit::<Pull>(&repo)?, CAUSE),
            None => Actor::pattern_administrator(&session.administers(pattern)?, CAUSE),
        });
    }
    actor.ok_or_else(nowhere)
}

fn administers(session: &Session, patterns: &[RepoPattern]) -> Result<Actor, ApiError> {
    let mut actor = None;
    for pattern in patterns {
        actor = Some(Actor::pattern_administrator(
            &session.administers(pattern)?,
            CAUSE,
        ));
    }
    actor.ok_or_else(nowhere)
}

fn nowhere() -> ApiError {
    ApiError::malformed("a waiver needs `repositories`")
}

fn changed(id: &str) -> ApiError {
    ApiError::new(
        Kind::Conflict,
        format!("{id} has changed meanwhile: look at it again"),
    )
}

fn my_name(session: &Session) -> String {
    let principal = session.caller.principal();
    principal
        .map(|principal| principal.name.to_string())
        .unwrap_or_default()
}

fn check_name(id: &str) -> Result<(), ApiError> {
    let is_good = !id.is_empty()
        && id.len() <= MAX_NAME_BYTES
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_good {
        Ok(())
    } else {
        Err(ApiError::malformed(format!(
            "the name of a waiver has 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, -, . and _"
        )))
    }
}

fn now(state: &WebState) -> Result<OffsetDateTime, ApiError> {
    entry::date_of(Moment(state.store.now()))
}
