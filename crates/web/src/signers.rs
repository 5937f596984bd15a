//! Trusted signers: whose signatures of images count, and whose VEX.

use axum::extract::State;
use http::StatusCode;
use oci::RepoPattern;
use serde::{Deserialize, Serialize};
use signatures::{Identity, SignerSpec};
use store::Actor;
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::page::{self, Page, PageQuery};
use crate::principals::CAUSE;
use crate::problem::{ApiError, Problem};
use crate::query::{Path, Query};
use crate::session::{Administrator, Session};
use crate::state::WebState;
use crate::waivers::{date_of, moment_of};

/// A signer: exactly one of `key`, `identity` and `author` says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignerEntry {
    /// Its name in rules (`image.signed_by`) and reports.
    pub name: String,
    /// The repositories for which it is trusted.
    #[schema(value_type = Vec<String>)]
    pub repositories: Vec<RepoPattern>,
    /// A public key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `issuer` and `subject` of the certificate; `*` in the subject stands for any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub identity: Option<Identity>,
    /// The author of VEX documents that administrators import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Sigstore's `trusted_root.json`; an identity needs it, and with a key it means that the log must know the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots: Option<String>,
    /// Whether a signature must name the repository that it lies in.
    #[serde(default)]
    pub match_reference: bool,
    /// Its last moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Whether its VEX statements count.
    #[serde(default)]
    pub vex: bool,
    /// Products that they may be about, as package URLs or digests with `*`; none: everything in its repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<String>,
    /// Whether repositories and products are left out because whoever asks may not see them. Only in answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// A signer that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetSigner {
    /// Who is trusted now.
    pub signer: SignerEntry,
    /// The signer of this name before; missing if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<SignerEntry>,
}

impl From<SignerSpec> for SignerEntry {
    fn from(spec: SignerSpec) -> Self {
        Self {
            name: spec.name,
            repositories: spec.repositories,
            key: spec.key,
            identity: spec.identity,
            author: spec.author,
            roots: spec.roots,
            match_reference: spec.match_reference,
            until: spec.until.map(moment_of),
            vex: spec.vex,
            products: spec.products,
            partial: false,
        }
    }
}

/// What somebody may see of signers: patterns that may match repositories that they may list. What else there is, is nobody's
/// business who has no part in it.
struct Sight {
    is_administrator: bool,
    patterns: Vec<RepoPattern>,
}

impl Sight {
    fn of(session: &Session) -> Self {
        Self {
            is_administrator: session.system().is_ok(),
            patterns: session.book.listable(&session.caller),
        }
    }

    /// What of a signer is seen; `None`: nothing.
    fn entry(&self, spec: SignerSpec) -> Option<SignerEntry> {
        let mut entry = SignerEntry::from(spec);
        if self.is_administrator {
            return Some(entry);
        }
        let before = entry.repositories.len();
        let is_seen = |pattern: &RepoPattern| self.patterns.iter().any(|seen| seen.overlaps(pattern));
        entry.repositories.retain(is_seen);
        if entry.repositories.len() < before {
            entry.partial = true;
            // They are called after what they are products of.
            entry.products.clear();
        }
        (!entry.repositories.is_empty()).then_some(entry)
    }
}

impl SignerEntry {
    fn into_spec(self) -> Result<SignerSpec, ApiError> {
        Ok(SignerSpec {
            name: self.name,
            repositories: self.repositories,
            key: self.key,
            identity: self.identity,
            author: self.author,
            roots: self.roots,
            match_reference: self.match_reference,
            until: self.until.map(date_of).transpose()?,
            vex: self.vex,
            products: self.products,
        })
    }
}

/// List the trusted signers. Whoever is signed in may read those of repositories that they may pull from: they say why an image counts
/// as signed.
#[utoipa::path(get, path = "/signers", tag = "policy", params(PageQuery), responses(
    (status = OK, description = "A page of signers, by name", body = Page<SignerEntry>),
))]
pub(crate) async fn list_signers(
    State(state): State<WebState>,
    session: Session,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<SignerEntry>>, ApiError> {
    let sight = Sight::of(&session.signed_in()?);
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let all = state.store.trusted_signers().await?.into_iter();
    let all = all.filter_map(|spec| sight.entry(spec));
    Ok(Body(Page::cut(
        all,
        after,
        limit,
        |signer| signer.name.clone(),
        |signer| signer,
    )))
}

/// Who the signer of this name is.
#[utoipa::path(get, path = "/signers/{name}", tag = "policy",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = OK, description = "The signer", body = SignerEntry),
    (status = NOT_FOUND, description = "No such signer", body = Problem),
))]
pub(crate) async fn get_signer(
    State(state): State<WebState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Body<SignerEntry>, ApiError> {
    let sight = Sight::of(&session.signed_in()?);
    let found = state.store.trusted_signer(&name).await?;
    let seen = found.and_then(|spec| sight.entry(spec));
    Ok(Body(seen.ok_or_else(|| ApiError::not_found("signer", &name))?))
}

/// Trust a signer, in place of the one of its name. All images are judged by it at once.
#[utoipa::path(put, path = "/signers", tag = "policy", request_body = SignerEntry, responses(
    (status = OK, description = "Trusted", body = SetSigner),
    (status = BAD_REQUEST, description = "It could never verify anything", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn set_signer(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Body(entry): Body<SignerEntry>,
) -> Result<Body<SetSigner>, ApiError> {
    let spec = entry.into_spec()?;
    let actor = Actor::administrator(&permit, CAUSE);
    let was = state.store.set_signer(&actor, &spec).await?;
    Ok(Body(SetSigner {
        signer: spec.into(),
        was: was.map(SignerEntry::from),
    }))
}

/// Trust a signer no more. All images are judged without it at once.
#[utoipa::path(delete, path = "/signers/{name}", tag = "policy",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = NO_CONTENT, description = "Not trusted any more"),
    (status = NOT_FOUND, description = "No such signer", body = Problem),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn remove_signer(
    State(state): State<WebState>,
    Administrator(permit): Administrator,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::administrator(&permit, CAUSE);
    state.store.remove_signer(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
