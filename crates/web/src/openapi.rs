//! The description of the API in `OpenAPI` 3.1, made from the routes themselves.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Info, License, OpenApi, OpenApiBuilder};

use crate::problem::Problem;
use crate::state::WebState;

/// The path of the document, below the prefix.
pub(crate) const PATH: &str = "/openapi.json";

/// What the document says before its paths.
pub(crate) fn head(version: &str) -> OpenApi {
    let mut info = Info::new("Roadbed", version);
    info.description = Some("Administration of a Roadbed registry. Problems are RFC 9457.".to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut components = Components::new();
    components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.schemas.insert(
        <Problem as utoipa::ToSchema>::name().into_owned(),
        <Problem as utoipa::PartialSchema>::schema(),
    );
    let either = [
        SecurityRequirement::new("basic", Vec::<String>::new()),
        SecurityRequirement::new("token", Vec::<String>::new()),
    ];
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some(either))
        .build()
}

/// A route that answers the document; it is public, because it says nothing about this registry but its version.
pub(crate) fn route(document: &OpenApi) -> Router<WebState> {
    let mut document = document.clone();
    document.paths.paths = std::mem::take(&mut document.paths.paths)
        .into_iter()
        .map(|(path, item)| (format!("{}{path}", crate::PREFIX), item))
        .collect();
    // Cannot fail: maps with text keys only. An empty document would be seen by the test that reads it.
    let json = Bytes::from(document.to_json().unwrap_or_default());
    Router::new().route(
        PATH,
        get(move || async move { ([(header::CONTENT_TYPE, "application/json")], json) }),
    )
}
