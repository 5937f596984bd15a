//! One handler for everything that comes in: the protocol under `/v2`, the rest by a router.

use std::time::Instant;

use axum::{Router, body::Body};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use registry::{
    Registry,
    traffic::listener::{Handler, Peer},
};
use tower::ServiceExt as _;
use web::{PeerAddress, WhoAsked};

use super::proxies::TrustedProxies;

/// What answers requests.
pub(super) struct App {
    pub(super) registry: Registry,
    /// The front page, health, metrics and the JSON API.
    pub(super) other: Router,
    pub(super) proxies: TrustedProxies,
    /// By which a trusted proxy names the class of a request.
    pub(super) class_header: Option<HeaderName>,
}

impl Handler for App {
    fn computes(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        path.starts_with("/api/")
            || path.ends_with("/tags/list")
            || path.contains("/referrers/")
            || path == "/v2/_catalog"
            || path.ends_with("/index.yaml")
            || path == "/metrics"
    }

    async fn handle(&self, peer: Peer, mut request: Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = refuse_ambiguous(&request) {
            return refusal;
        }
        let client = self.proxies.client(peer, request.headers());
        // Anybody's word otherwise.
        if let Some(name) = self.class_header.as_ref().filter(|_| !client.is_proxied) {
            request.headers_mut().remove(name);
        }
        let path = request.uri().path();
        let is_protocol = Registry::is_own_path(path);
        if (is_protocol || path.starts_with("/api/"))
            && let Some(refusal) = self.registry.refusal_of(client.address).await
        {
            return refusal;
        }
        // The protocol is most of all traffic and reads its paths from the right: it has no use for a router.
        if is_protocol {
            let peer = Peer {
                tls: client.tls,
                ..peer
            };
            return self.registry.handle(peer, client.address, request).await;
        }
        let started = Instant::now();
        let is_probe = matches!(path, "/healthz" | "/readyz");
        if let Some(refusal) = self.registry.wait_for_turn(client.address, is_probe).await {
            return refusal;
        }
        let (parts, body) = request.into_parts();
        let head = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
        let (body, waiting) = self.registry.guard_body(body, &parts.headers);
        let mut request = Request::from_parts(parts, body);
        let asked = WhoAsked::default();
        request.extensions_mut().insert(PeerAddress(client.address));
        request.extensions_mut().insert(asked.clone());
        let mut response = match self.other.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        waiting.end(&mut response);
        // Probes come every few seconds and say nothing; they are neither counted nor logged.
        if !head.1.path().starts_with("/api/") {
            return response;
        }
        let head = (&head.0, &head.1, &head.2);
        self.registry.record(
            "api",
            client.address,
            head,
            asked.name().cloned(),
            started,
            response,
        )
    }
}

/// Requests that two parsers read differently: whoever stands in front of us may have seen another host or another body
/// (RFC 9112, sections 3.2 and 6.1).
pub(crate) fn refuse_ambiguous(request: &Request<Incoming>) -> Option<Response<Body>> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let hostless =
        hosts.next().is_none() && request.version() == Version::HTTP_11 && request.uri().host().is_none();
    if hostless || hosts.next().is_some() {
        return Some(refusal(
            StatusCode::BAD_REQUEST,
            "a request names one host, in one Host header\n",
        ));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Some(refusal(
            StatusCode::NOT_IMPLEMENTED,
            "the only transfer coding is `chunked`\n",
        ));
    }
    None
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
