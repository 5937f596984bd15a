//! The token endpoint: credentials in, a bearer token out (the flow of Docker's registry clients).
//!
//! `GET /v2/token?service=…&scope=…` with Basic credentials, or `POST` with a form (OAuth 2, what containerd tries
//! first). Without credentials an anonymous token is given where anonymous pull is granted at all. A token only narrows:
//! what its owner may do is looked up on every request, so a revoked grant does not wait for the token to end.

use std::{net::IpAddr, time::Duration};

use access::{
    Caller, MAX_SCOPES, Scope, SecretString,
    token::{Audience, Claims, TokenSubject},
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use oci::ErrorCode;
use serde_json::json;
use uuid::Uuid;

use crate::{auth::unauthorized, error::ApiError, query::Query, service::Registry};

/// Largest form that is read, in bytes.
pub(crate) const MAX_FORM_BYTES: usize = 16 * 1024;

/// Bounds of the forms that ask for tokens. Strangers send them, so they have room of their own.
#[derive(Debug, Clone)]
pub struct FormLimits {
    /// Bytes that are held while forms are read, over all token requests; one more is answered 429. Default 16 MiB.
    pub memory: u64,
    /// A form must be here after this time. Default 5 seconds.
    pub timeout: Duration,
}

impl Default for FormLimits {
    fn default() -> Self {
        Self {
            memory: 16 * 1024 * 1024,
            timeout: Duration::from_secs(5),
        }
    }
}

/// A request for a token, however it came.
struct TokenRequest {
    scopes: Vec<Scope>,
    /// Credentials in a form; the header's come as the caller.
    credentials: Option<(String, SecretString)>,
}

impl Registry {
    pub(crate) async fn token(
        &self,
        method: &Method,
        caller: &Caller,
        address: IpAddr,
        query: &Query<'_>,
        form: Option<Bytes>,
    ) -> Result<Response<Body>, ApiError> {
        let request = match (method, form) {
            (&Method::POST, Some(form)) => read_form(&form)?,
            _ => TokenRequest {
                scopes: read_scopes(query.all("scope"))?,
                credentials: None,
            },
        };
        if caller.scopes().is_some() {
            // Trading a token for another would widen it and outlive it.
            return Err(unauthorized(
                "a token is given for a password or a robot's secret, not for another token",
            ));
        }
        let caller = match &request.credentials {
            Some((user, secret)) => &self.store().authenticate(user, secret, address).await?,
            None => caller,
        };
        if caller.is_anonymous() && !self.store().access().has_any_grant_for_anonymous() {
            return Err(unauthorized(
                "log in: this registry grants nothing to anonymous clients",
            ));
        }
        self.issue(caller, request.scopes)
    }

    fn issue(&self, caller: &Caller, scopes: Vec<Scope>) -> Result<Response<Body>, ApiError> {
        let now = self.store().now();
        let lifetime = i64::try_from(self.config().token_lifetime.as_secs()).unwrap_or(i64::MAX);
        let subject = caller
            .principal()
            .zip(caller.secret())
            .map(|(principal, secret)| TokenSubject {
                name: principal.name.clone(),
                principal: principal.id,
                secret,
            });
        let claims = Claims {
            id: Uuid::now_v7().into_bytes(),
            audience: Audience::Registry,
            subject,
            // What is not granted today is left in: the grant may come while the token lives, and is asked each time.
            scopes: self.under_both_names(scopes),
            issued_at: now.seconds(),
            expires_at: now.seconds().saturating_add(lifetime),
        };
        let token = self.store().signer().issue(&claims).map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                ErrorCode::Unsupported,
                format!("cannot issue this token: {error}"),
            )
        })?;
        let body = json!({
            "token": token,
            "access_token": token,
            "expires_in": lifetime,
            "issued_at": now.to_rfc3339(),
        });
        let mut response = Response::new(Body::from(body.to_string()));
        if let Some(principal) = caller.principal() {
            response.extensions_mut().insert(principal.name.clone());
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

impl Registry {
    /// Clients ask for a token by the name that they know; what an upstream calls two ways is pulled under its one name here.
    fn under_both_names(&self, mut scopes: Vec<Scope>) -> Vec<Scope> {
        let Some(proxy) = self.proxy() else {
            return scopes;
        };
        let canonical = |scope: &Scope| match scope {
            Scope::Repository { repo, actions } => Some(Scope::repository(proxy.canonical(repo)?, *actions)),
            Scope::Catalog => None,
        };
        let more: Vec<Scope> = scopes.iter().filter_map(canonical).collect();
        let room = MAX_SCOPES.saturating_sub(scopes.len());
        scopes.extend(more.into_iter().take(room));
        scopes
    }
}

fn read_form(form: &[u8]) -> Result<TokenRequest, ApiError> {
    let text = std::str::from_utf8(form).map_err(|_| bad_form("it is not UTF-8"))?;
    let spaced = text.replace('+', "%20");
    let form = Query::parse(Some(&spaced))?;
    if form.get("grant_type") != Some("password") {
        // A refresh token is never given out, so clients that follow the flow send a password.
        return Err(bad_form("`grant_type` must be `password`"));
    }
    let (Some(user), Some(password)) = (form.get("username"), form.get("password")) else {
        return Err(bad_form("`username` and `password` must be there"));
    };
    Ok(TokenRequest {
        scopes: read_scopes(form.all("scope"))?,
        credentials: Some((user.to_owned(), SecretString::from(password))),
    })
}

/// Scopes come as several parameters, or as several words in one, their spaces written as `+` or `%20`; a scope holds no
/// `+` of its own.
fn read_scopes<'q>(values: impl Iterator<Item = &'q str>) -> Result<Vec<Scope>, ApiError> {
    let values: Vec<String> = values.map(|value| value.replace('+', " ")).collect();
    Scope::parse_list(values.iter().map(String::as_str)).map_err(|error| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Unsupported,
            format!("cannot read the scope: {error}"),
        )
    })
}

fn bad_form(why: &str) -> ApiError {
    let message = format!("cannot read the token request: {why}");
    ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
}
