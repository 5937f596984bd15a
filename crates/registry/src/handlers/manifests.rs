//! Manifests: end-3, end-7, end-9.

use std::sync::Arc;

use access::{
    PrincipalKind,
    permit::{Delete, Pull, Push},
};
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use oci::{Algorithm, Digest, ErrorCode, Manifest, MediaType, Reference, RepoName, Tag};
use serde_json::json;
use store::{PullClass, PullNote, PutError, PutManifest, PutOutcome, StoredManifest};

use super::{empty, is_not_modified, not_modified, set, set_digest};
use crate::{
    body::RequestBody,
    classes::has_agent_of_node,
    error::{ApiError, delete_failed},
    gate,
    service::{Exchange, Registry},
};

static SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
static TAG: HeaderName = HeaderName::from_static("oci-tag");

impl Registry {
    pub(crate) async fn manifest(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        reference: &Reference,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        match *exchange.method {
            Method::GET | Method::HEAD => self.get_manifest(exchange, repo, reference).await,
            Method::PUT => self.put_manifest(exchange, repo, reference, body).await,
            Method::DELETE => self.delete_manifest(exchange, repo, reference).await,
            _ => Err(ApiError::method_not_allowed("GET, HEAD, PUT, DELETE")),
        }
    }

    async fn get_manifest(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Response<Body>, ApiError> {
        let permit = self.authenticator().permit::<Pull>(exchange.caller, repo)?;
        if let Some((proxy, ask)) = self.pulled_through(&permit) {
            return self.get_proxied_manifest(exchange, proxy, &ask, reference).await;
        }
        let mut found = self.store().remembered_manifest(&permit, reference).await;
        if found.is_none() {
            // A cold image that a whole cluster pulls is one question.
            let _place = if self.store().is_asking_for(&permit, reference) {
                None
            } else {
                Some(self.lookup_place(exchange).await?)
            };
            found = self.store().manifest(&permit, reference).await?;
        }
        let manifest = found.ok_or_else(|| ApiError::manifest_unknown(reference))?;
        let pull = exchange.pull(repo);
        let passed = gate::pass(exchange.method, self.gate().manifest(pull, &manifest).await)?;
        Ok(self.manifest_answer(exchange, repo, &manifest, passed))
    }

    /// The answer with a manifest that may be pulled.
    pub(super) fn manifest_answer(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        manifest: &Arc<StoredManifest>,
        passed: gate::Passed,
    ) -> Response<Body> {
        let digest = manifest.digest.to_string();
        let etag = format!("\"{digest}\"");
        if is_not_modified(exchange.headers, &etag) {
            return not_modified(&etag);
        }
        let body = if *exchange.method == Method::GET {
            self.note_pull(exchange, repo, manifest, passed.is_use);
            Body::from(manifest.bytes.clone())
        } else {
            Body::empty()
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        set(headers, header::CONTENT_TYPE, manifest.media_type.as_str());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(manifest.bytes.len()));
        set(headers, super::CONTENT_DIGEST.clone(), digest);
        set(headers, header::ETAG, etag);
        passed.tell(&mut response);
        response
    }

    pub(super) fn note_pull(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        manifest: &Arc<StoredManifest>,
        is_use: bool,
    ) {
        let principal = exchange.caller.principal();
        self.store().note_pull(PullNote {
            repo: repo.clone(),
            digest: manifest.digest,
            principal: principal.map(|principal| principal.name.clone()),
            class: if is_use {
                self.pull_class(exchange, repo)
            } else {
                PullClass::Inspection
            },
            at: self.store().now(),
        });
    }

    fn pull_class(&self, exchange: &Exchange<'_>, repo: &RepoName) -> PullClass {
        let kind = exchange.caller.principal().map(|principal| principal.kind);
        match kind {
            // It decides nothing but how the pull is listed.
            _ if has_agent_of_node(exchange.headers) => PullClass::Node,
            _ if self.store().access().may_inspect(exchange.caller, repo) => PullClass::Inspection,
            Some(PrincipalKind::Robot) => PullClass::Ci,
            _ => PullClass::Other,
        }
    }

    async fn put_manifest(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        reference: &Reference,
        body: RequestBody,
    ) -> Result<Response<Body>, ApiError> {
        let permit = self.authenticator().permit::<Push>(exchange.caller, repo)?;
        self.refuse_push_to_upstream(repo)?;
        let tags = requested_tags(exchange, reference)?;
        let content_type = content_type(exchange)?;
        let limits = &self.config().manifest_limits;
        let body = self
            .inbound(body)
            .collect(limits.bytes, self.config().manifest_timeout, self.manifest_room())
            .await?;
        let bytes = body.bytes.clone();
        let digest = match reference {
            Reference::Digest(expected) => verified(expected, &bytes)?,
            Reference::Tag(_) => Digest::of(Algorithm::Sha256, &bytes),
        };
        let manifest = Manifest::parse(&bytes, content_type.as_ref(), &self.config().manifest_limits)
            .map_err(|error| ApiError::manifest_refused(&error))?;
        let (passed, refusal) = gate::take(
            self.gate()
                .push(gate::Push {
                    caller: exchange.caller,
                    repo,
                    digest: &digest,
                    manifest: &manifest,
                })
                .await,
        );
        let book = self.store().access();
        let may_pull = |other: &RepoName| book.may::<Pull>(exchange.caller, other);
        let put = PutManifest {
            digest,
            bytes,
            manifest,
            tags: tags.clone(),
            is_refused: refusal.is_some(),
        };
        let outcome = match (self.store().put_manifest(&permit, put, &may_pull).await, refusal) {
            (Err(PutError::Refused), Some(refusal)) => return Err(refusal),
            (outcome, _) => outcome?,
        };
        let mut response = manifest_created(repo, reference, &digest, &tags, &outcome);
        passed.tell(&mut response);
        Ok(response)
    }

    async fn delete_manifest(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<Response<Body>, ApiError> {
        let permit = self.authenticator().permit::<Delete>(exchange.caller, repo)?;
        let deleted = match reference {
            Reference::Tag(tag) => self.store().delete_tag(&permit, tag).await,
            Reference::Digest(digest) => self.store().delete_manifest(&permit, digest).await,
        };
        deleted.map_err(|error| delete_failed(error, || ApiError::manifest_unknown(reference)))?;
        if let Some(proxy) = self.proxy() {
            proxy.forget(repo, reference);
        }
        Ok(empty(StatusCode::ACCEPTED))
    }
}

fn manifest_created(
    repo: &RepoName,
    reference: &Reference,
    digest: &Digest,
    tags: &[Tag],
    outcome: &PutOutcome,
) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    set(
        headers,
        header::LOCATION,
        format!("/v2/{repo}/manifests/{digest}"),
    );
    set_digest(headers, digest);
    if let Some(subject) = &outcome.subject {
        set(headers, SUBJECT.clone(), subject.to_string());
    }
    if matches!(reference, Reference::Digest(_)) {
        for tag in tags {
            if let Ok(value) = HeaderValue::try_from(tag.as_str()) {
                headers.append(TAG.clone(), value);
            }
        }
    }
    response
}

/// The tags of a PUT: the one in the path, or those of `?tag=` beside a digest (end-7b).
fn requested_tags(exchange: &Exchange<'_>, reference: &Reference) -> Result<Vec<Tag>, ApiError> {
    let mut tags = exchange
        .query
        .all("tag")
        .map(parse_tag)
        .collect::<Result<Vec<_>, _>>()?;
    match reference {
        Reference::Tag(_) if !tags.is_empty() => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Unsupported,
            "`tag=` goes with a digest in the path, not with a tag",
        )),
        Reference::Tag(tag) => Ok(vec![tag.clone()]),
        Reference::Digest(_) => {
            let mut seen = std::collections::HashSet::new();
            tags.retain(|tag| seen.insert(tag.clone()));
            Ok(tags)
        }
    }
}

fn parse_tag(text: &str) -> Result<Tag, ApiError> {
    text.parse().map_err(|error: oci::TagError| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::ManifestInvalid,
            error.to_string(),
        )
    })
}

fn content_type(exchange: &Exchange<'_>) -> Result<Option<MediaType>, ApiError> {
    let Some(value) = exchange.headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed
        .map(Some)
        .ok_or_else(|| ApiError::manifest_invalid("the Content-Type header is not a media type"))
}

fn verified(expected: &Digest, bytes: &[u8]) -> Result<Digest, ApiError> {
    let actual = Digest::of(expected.algorithm(), bytes);
    if actual == *expected {
        return Ok(actual);
    }
    let message = format!(
        "the manifest has digest {actual}, not {expected}: push the bytes that the digest was made of"
    );
    Err(ApiError::digest_invalid(message).detail(json!({ "expected": expected, "actual": actual })))
}
