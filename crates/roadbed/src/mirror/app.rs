//! What a mirror answers: who asks for what, whether they may, and then as any registry that pulls through.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use oci::{ErrorCode, RepoName};
use registry::traffic::listener::{Handler, Peer};
use registry::{Query, Registry, Route};

use super::admit::{Admission, Wanted, What};
use super::answer::{Refusal, json};
use super::centre::{Centre, MARK};
use super::health::MirrorHealth;
use super::lists;
use super::spaces::{Meant, Space, Spaces};
use super::who::{Brought, Keyring, Who};
use crate::serve::app::refuse_ambiguous;

static NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// What answers the mirror's clients.
pub(super) struct MirrorApp {
    pub(super) registry: Registry,
    pub(super) spaces: Arc<Spaces>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) admission: Admission,
    pub(super) centre: Arc<Centre>,
    pub(super) health: MirrorHealth,
}

/// A request that was read: what it wants, and under which path that is here.
struct Understood {
    wanted: Wanted,
    route: Route,
}

impl Handler for MirrorApp {
    fn computes(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        path.ends_with("/tags/list") || path.contains("/referrers/") || path == "/metrics"
    }

    async fn handle(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = refuse_ambiguous(&request) {
            return refusal;
        }
        let address = peer.address.ip().to_canonical();
        let path = request.uri().path().to_owned();
        let is_protocol = path
            .strip_prefix("/v2")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !is_protocol {
            return self.health.answer(&path, address).await;
        }
        let started = Instant::now();
        let (method, uri, headers) = (
            request.method().clone(),
            request.uri().clone(),
            request.headers().clone(),
        );
        let response = match self.answer(peer, address, request).await {
            // It was counted and logged by the registry.
            Ok(Answered::ByRegistry(response)) => return response,
            Ok(Answered::Here(response)) => response,
            Err(refusal) => refusal.into_response(),
        };
        let head = (&method, &uri, &headers);
        self.registry
            .record("mirror", address, head, None, started, response)
    }
}

enum Answered {
    Here(Response<Body>),
    ByRegistry(Response<Body>),
}

impl MirrorApp {
    async fn answer(
        &self,
        peer: Peer,
        address: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Answered, Refusal> {
        self.refuse_mirrors(&request)?;
        let route = Route::parse(request.uri().path())
            .map_err(|error| Refusal::new(error.status(), error.code(), error.to_string()))?;
        self.refuse_changes(request.method(), &route)?;
        let who = self
            .keyring
            .who(request.headers(), address)
            .map_err(|error| Refusal::log_in(format!("the Authorization header cannot be read: {error}")))?;
        if route == Route::Ping {
            return ping(&who).map(Answered::Here);
        }
        let uri = request.uri().clone();
        let query = Query::parse(uri.query()).map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, error.to_string())
        })?;
        let understood = self.understand(route, &query, &request)?;
        let wanted = &understood.wanted;
        self.admission.admit(&who, wanted).await?;
        let mut stale = None;
        match &wanted.what {
            What::Tags => match lists::tags(&self.centre, wanted, &query).await {
                Ok(response) => return Ok(Answered::Here(response)),
                Err(why) => stale = Some(why),
            },
            What::Referrers(digest) => match lists::referrers(&self.centre, wanted, digest).await {
                Ok(response) => return Ok(Answered::Here(response)),
                Err(why) => stale = Some(why),
            },
            What::Manifest(_) | What::Blob(_) => {}
        }
        let request = local_path(&understood.route, &wanted.local).and_then(|path| forwarded(request, &path));
        let request = request.ok_or_else(|| {
            let message = "the name is too long to be mirrored";
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, message)
        })?;
        let mut response = self.registry.handle(peer, address, request).await;
        Self::describe(&mut response, &wanted.space, stale.as_deref());
        Ok(Answered::ByRegistry(response))
    }

    fn describe(response: &mut Response<Body>, space: &Space, stale: Option<&str>) {
        if let Some(Ok(value)) = space.asked_as.as_deref().map(HeaderValue::try_from) {
            response.headers_mut().insert(NAMESPACE.clone(), value);
        }
        if let Some(value) = stale.and_then(registry::gate::warning) {
            response.headers_mut().append(header::WARNING, value);
            // It leads to what the list is called within.
            response.headers_mut().remove(header::LINK);
        }
    }

    /// A mirror stands before a registry. One before another mirror could be one before itself, and each pull a storm.
    fn refuse_mirrors(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        if !request.headers().contains_key(&MARK) {
            return Ok(());
        }
        let message = format!(
            "this is a mirror of {}, and a mirror asked it: name the registry in mirror.centre, and other mirrors as peers",
            self.centre.host()
        );
        Err(Refusal::new(
            StatusCode::LOOP_DETECTED,
            ErrorCode::Unsupported,
            message,
        ))
    }

    fn refuse_changes(&self, method: &Method, route: &Route) -> Result<(), Refusal> {
        let is_pull = matches!(*method, Method::GET | Method::HEAD)
            && !matches!(
                route,
                Route::Token
                    | Route::Catalog
                    | Route::Uploads(_)
                    | Route::Upload(..)
                    | Route::ChartIndex(_)
                    | Route::ChartArchive(..)
            );
        if is_pull {
            return Ok(());
        }
        let host = self.centre.host();
        let message =
            format!("this is a mirror, from which images are pulled: for everything else go to {host}");
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message);
        Err(refusal
            .header(header::ALLOW, "GET, HEAD")
            .header(header::CONNECTION, "close"))
    }

    fn understand(
        &self,
        route: Route,
        query: &Query<'_>,
        request: &Request<Incoming>,
    ) -> Result<Understood, Refusal> {
        let unknown = |message: String| Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message);
        let namespace = query.get("ns");
        let space = match self.spaces.meant(namespace, request.headers()) {
            Meant::Here(space) => space,
            Meant::Mirror => {
                return Err(unknown(format!(
                    "this is a mirror of {}, which has no images of its own: leave `ns` out, or name a registry that is mirrored",
                    self.centre.host()
                )));
            }
            Meant::Unknown => {
                return Err(unknown(
                    "that registry (`ns`) is not mirrored here: its operator can name it in mirror.namespaces".to_owned(),
                ));
            }
        };
        let what = match &route {
            Route::Manifest(_, reference) => What::Manifest(reference.clone()),
            Route::Blob(_, digest) => What::Blob(*digest),
            Route::Referrers(_, digest) => What::Referrers(*digest),
            _ => What::Tags,
        };
        let there = route.repo().cloned();
        let local = there.as_ref().and_then(|there| space.local(there));
        let (Some(there), Some(local)) = (there, local) else {
            return Err(unknown("the name is too long to be mirrored".to_owned()));
        };
        let wanted = Wanted {
            space,
            local,
            there,
            what,
        };
        Ok(Understood { wanted, route })
    }
}

/// Whoever brings nothing and is nobody in particular is asked to log in: that is how clients find out how.
fn ping(who: &Who) -> Result<Response<Body>, Refusal> {
    if who.brought == Brought::Nothing {
        return Err(Refusal::log_in(
            "log in as at the registry that this is a mirror of, or pull what is public",
        ));
    }
    Ok(json(StatusCode::OK, "{}"))
}

/// The path of the same thing in a repository here; what has no repository has none.
pub(super) fn local_path(route: &Route, local: &RepoName) -> Option<String> {
    Some(match route {
        Route::Manifest(_, reference) => format!("/v2/{local}/manifests/{reference}"),
        Route::Blob(_, digest) => format!("/v2/{local}/blobs/{digest}"),
        Route::Tags(_) => format!("/v2/{local}/tags/list"),
        Route::Referrers(_, digest) => format!("/v2/{local}/referrers/{digest}"),
        Route::Ping
        | Route::Token
        | Route::Catalog
        | Route::Uploads(_)
        | Route::Upload(..)
        | Route::ChartIndex(_)
        | Route::ChartArchive(..) => return None,
    })
}

/// The request as the registry within is asked: under a path of its own, as nobody in particular.
pub(super) fn forwarded(mut request: Request<Incoming>, path: &str) -> Option<Request<Incoming>> {
    let mut parts = Uri::default().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    request.headers_mut().remove(header::AUTHORIZATION);
    Some(request)
}
