//! Tags (end-8) and the catalog.

use access::{Scope, permit::Pull};
use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use oci::RepoName;
use serde_json::json;

use crate::{
    auth::unauthorized,
    error::ApiError,
    paging::{link_next, page_request},
    service::{Exchange, Registry},
};

impl Registry {
    pub(crate) async fn tags(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
    ) -> Result<Response<Body>, ApiError> {
        only_get(exchange)?;
        let permit = self.authenticator().permit::<Pull>(exchange.caller, repo)?;
        let page = page_request(exchange.query, self.config().page_items)?;
        let found = self.store().tags(&permit, page.after, page.limit).await?;
        let tags = found.ok_or_else(|| ApiError::name_unknown(repo))?;
        let mut response = json_response(&json!({ "name": repo, "tags": &tags.items }));
        if let Some(last) = tags.items.last().filter(|_| tags.more && page.limit > 0) {
            link_next(response.headers_mut(), exchange, page.limit, last.as_str(), "");
        }
        Ok(response)
    }

    pub(crate) async fn catalog(&self, exchange: &Exchange<'_>) -> Result<Response<Body>, ApiError> {
        only_get(exchange)?;
        let book = self.store().access();
        if exchange.caller.is_anonymous() && !book.has_any_grant_for_anonymous() {
            return Err(unauthorized("log in to see the repositories that you may pull"));
        }
        if exchange
            .caller
            .scopes()
            .is_some_and(|scopes| !scopes.contains(&Scope::Catalog))
        {
            return Err(unauthorized("the token does not cover the catalog"));
        }
        let page = page_request(exchange.query, self.config().page_items)?;
        let within = book.listable(exchange.caller);
        let visible = |repo: &RepoName| book.may_list(exchange.caller, repo);
        let names = self
            .store()
            .repositories(&within, &visible, page.after, page.limit)
            .await?;
        let mut response = json_response(&json!({ "repositories": &names.items }));
        if let Some(last) = names.items.last().filter(|_| names.more && page.limit > 0) {
            link_next(response.headers_mut(), exchange, page.limit, last.as_str(), "");
        }
        Ok(response)
    }
}

fn only_get(exchange: &Exchange<'_>) -> Result<(), ApiError> {
    match *exchange.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(ApiError::method_not_allowed("GET, HEAD")),
    }
}

fn json_response(body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
