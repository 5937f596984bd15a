//! Who is asking, and the permits that they get.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use access::permit::Act;
use access::token::Audience;
use access::{AccessBook, Authorization, Caller, PatternPermit, Permit, PrincipalName, SystemPermit};
use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use oci::{RepoName, RepoPattern};
use store::Measure;

use crate::body::check_content_type;
use crate::problem::{ApiError, Kind};
use crate::state::WebState;

/// Where a request comes from; behind a trusted proxy, the forwarded address. Inserted by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// Whose request it was, for the access log. The server inserts an empty one into the extensions of each request and
/// reads it when the answer is there.
///
/// It is filled in once somebody has proved who they are. A name that was only tried stays out, also that of a principal
/// who exists: a line that names somebody says that they did it. (Whatever was typed into the field for the name may be a
/// password, too.) Names that somebody failed to sign in with are in the audit log, `login.failed`.
#[derive(Debug, Clone, Default)]
pub struct WhoAsked(Arc<OnceLock<PrincipalName>>);

impl WhoAsked {
    /// The one who asked; `None`: nobody who proved to be anybody.
    pub fn name(&self) -> Option<&PrincipalName> {
        self.0.get()
    }

    pub(crate) fn note(&self, caller: &Caller) {
        if let Some(principal) = caller.principal() {
            // One request brings one credential.
            let _ = self.0.set(principal.name.clone());
        }
    }
}

/// A caller and the access book of this moment. Every handler takes one, or [`Administrator`], which contains one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) caller: Caller,
    pub(crate) book: Arc<AccessBook>,
}

/// A session of somebody who administers the registry.
#[derive(Debug)]
pub(crate) struct Administrator(pub(crate) SystemPermit);

/// Where the request comes from and who turns out to have sent it, for what signs in.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    pub(crate) who: WhoAsked,
}

impl Session {
    /// The session, unless nobody is signed in.
    pub(crate) fn signed_in(self) -> Result<Self, ApiError> {
        if self.caller.is_anonymous() {
            return Err(ApiError::new(
                Kind::Unauthorized,
                "this is only for somebody who is signed in",
            ));
        }
        Ok(self)
    }

    /// A permit for one act on one repository.
    pub(crate) fn permit<A: Act>(&self, repo: &RepoName) -> Result<Permit<A>, ApiError> {
        Ok(self.book.authorize(&self.caller, repo)?)
    }

    /// A permit for grants and rules of one pattern.
    pub(crate) fn administers(&self, pattern: &RepoPattern) -> Result<PatternPermit, ApiError> {
        Ok(self.book.may_administer_pattern(&self.caller, pattern)?)
    }

    /// Whether grants and rules of the pattern may be shown.
    pub(crate) fn may_see(&self, pattern: &RepoPattern) -> bool {
        self.book.may_administer_pattern(&self.caller, pattern).is_ok()
    }

    /// A permit for what only administrators may.
    pub(crate) fn system(&self) -> Result<SystemPermit, ApiError> {
        Ok(self.book.authorize_system(&self.caller)?)
    }
}

impl FromRequestParts<WebState> for Session {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, ApiError> {
        check_content_type(&parts.method, &parts.headers)?;
        let origin = Origin::of(parts);
        let caller = match parts.headers.get(header::AUTHORIZATION) {
            None => Caller::anonymous(),
            Some(value) => {
                let unreadable =
                    |_| ApiError::new(Kind::Unauthorized, "the Authorization header is not ASCII text");
                let authorization = Authorization::parse(value.to_str().map_err(unreadable)?)?;
                caller_of(state, authorization, origin.address).await?
            }
        };
        origin.who.note(&caller);
        check_ban(state, &caller)?;
        Ok(Self {
            caller,
            book: state.store.access(),
        })
    }
}

impl FromRequestParts<WebState> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, ApiError> {
        let session = Session::from_request_parts(parts, state).await?;
        session.system().map(Self)
    }
}

impl Origin {
    /// The unspecified address stands for a server that did not say: failures are then counted by name alone.
    fn of(parts: &Parts) -> Self {
        let unknown = IpAddr::from([0, 0, 0, 0]);
        let peer = parts.extensions.get::<PeerAddress>();
        Self {
            address: peer.map_or(unknown, |peer| peer.0),
            who: parts.extensions.get().cloned().unwrap_or_default(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        check_content_type(&parts.method, &parts.headers)?;
        Ok(Self::of(parts))
    }
}

/// Who is banned is told until when; not an administrator, who may have become one meanwhile and must be able to lift it.
fn check_ban(state: &WebState, caller: &Caller) -> Result<(), ApiError> {
    let Some(principal) = caller.principal().filter(|principal| !principal.administrator) else {
        return Ok(());
    };
    match state.store.measure_of_principal(&principal.name) {
        Some(held) if held.measure == Measure::Ban => {
            let left = held.until.seconds().saturating_sub(state.store.now().seconds());
            let detail = format!("{} is banned until {}", principal.name, held.until);
            let seconds = u64::try_from(left).unwrap_or(0);
            Err(ApiError::retry_after(Kind::TooMany, detail, seconds))
        }
        _ => Ok(()),
    }
}

async fn caller_of(
    state: &WebState,
    authorization: Authorization,
    address: IpAddr,
) -> Result<Caller, ApiError> {
    match authorization {
        Authorization::Basic { user, secret } => {
            Ok(state.store.authenticate(&user, &secret, address).await?)
        }
        Authorization::Bearer(token) => {
            let now = state.store.now().seconds();
            let claims = state.store.signer().verify(token.expose(), Audience::Api, now)?;
            Ok(state.store.caller_of(&claims).await?)
        }
    }
}
