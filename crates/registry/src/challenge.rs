//! The challenge of a 401: where to fetch a token, and with which scopes.

use http::{HeaderMap, Method, StatusCode, header};
use oci::RepoName;

use crate::{
    auth::{self, Failure},
    error::ApiError,
    query::Query,
    route::Route,
    service::Registry,
    traffic::listener::Peer,
};

impl Registry {
    /// Adds the challenge to a 401: where to fetch a token and with which scopes.
    pub(crate) fn challenged(
        &self,
        error: ApiError,
        peer: Peer,
        parts: &http::request::Parts,
        route: &Route,
        query: &Query<'_>,
        failure: Option<Failure>,
    ) -> ApiError {
        if error.status() != StatusCode::UNAUTHORIZED {
            return error;
        }
        if matches!(route, Route::ChartIndex(_) | Route::ChartArchive(..)) {
            // What fetches charts knows no tokens.
            return error.header(header::WWW_AUTHENTICATE, "Basic realm=\"roadbed charts\"");
        }
        let (scheme, host) = self.own_address(peer, &parts.headers);
        let realm = format!("{scheme}://{host}/v2/token");
        let scopes = required_scopes(route, &parts.method, query);
        match auth::challenge(&realm, &host, &scopes, failure) {
            Some(value) => error.header(header::WWW_AUTHENTICATE, value),
            None => error,
        }
    }

    /// Scheme and host by which the client reached us.
    fn own_address(&self, peer: Peer, headers: &HeaderMap) -> (&str, String) {
        if let Some((scheme, host)) = self
            .config()
            .public_url
            .as_deref()
            .and_then(|url| url.split_once("://"))
        {
            return (scheme, host.trim_end_matches('/').to_owned());
        }
        let scheme = if peer.tls { "https" } else { "http" };
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .filter(|host| is_host(host));
        (scheme, host.unwrap_or("localhost").to_owned())
    }
}

/// Host names, IPv4 and bracketed IPv6 addresses with a port: nothing that could end a quoted string.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.len() <= 261
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

/// What a token must allow so that the request would pass.
fn required_scopes(route: &Route, method: &Method, query: &Query<'_>) -> Vec<String> {
    if matches!(route, Route::Catalog) {
        return vec!["registry:catalog:*".to_owned()];
    }
    let Some(repo) = route.repo() else {
        return Vec::new();
    };
    let is_upload = matches!(route, Route::Uploads(_) | Route::Upload(..));
    let actions = match *method {
        _ if is_upload => "pull,push",
        Method::GET | Method::HEAD => "pull",
        Method::DELETE => "delete",
        _ => "pull,push",
    };
    let mut scopes = vec![format!("repository:{repo}:{actions}")];
    if is_upload && let Some(Ok(from)) = query.get("from").map(str::parse::<RepoName>) {
        scopes.push(format!("repository:{from}:pull"));
    }
    scopes
}
