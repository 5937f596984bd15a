//! Referrers: end-12.

use std::collections::BTreeMap;

use access::permit::Pull;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use oci::{Digest, RepoName, media_type};
use serde::Serialize;
use store::ReferrerDescriptor;

use crate::{
    error::ApiError,
    paging::{link_next, page_request},
    percent,
    service::{Exchange, Registry},
};

static FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// The answer is an index and must be as small as one.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl Registry {
    pub(crate) async fn referrers(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        subject: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        if !matches!(*exchange.method, Method::GET | Method::HEAD) {
            return Err(ApiError::method_not_allowed("GET, HEAD"));
        }
        let permit = self.authenticator().permit::<Pull>(exchange.caller, repo)?;
        let page = page_request(exchange.query, self.config().page_items)?;
        let after = page.after.map(str::parse::<Digest>).transpose();
        let after =
            after.map_err(|error| ApiError::digest_invalid(format!("`last` is no digest: {error}")))?;
        let filter = exchange
            .query
            .get("artifactType")
            .filter(|wanted| !wanted.is_empty());
        let found = self
            .store()
            .referrers(&permit, subject, filter, after.as_ref(), page.limit)
            .await?;
        let (body, taken) = write_index(&found.items);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(media_type::OCI_IMAGE_INDEX),
        );
        if filter.is_some() {
            headers.insert(FILTERS_APPLIED.clone(), HeaderValue::from_static("artifactType"));
        }
        let more = found.more || taken < found.items.len();
        if let Some(last) = found.items[..taken].last().filter(|_| more && page.limit > 0) {
            let rest = filter
                .map(|wanted| format!("&artifactType={}", percent::encode(wanted)))
                .unwrap_or_default();
            link_next(headers, exchange, page.limit, &last.digest.to_string(), &rest);
        }
        Ok(response)
    }
}

/// Writes as many entries as fit the bound, and tells how many.
fn write_index(referrers: &[ReferrerDescriptor]) -> (Vec<u8>, usize) {
    let mut taken = referrers.len();
    loop {
        let body = serde_json::to_vec(&index_of(&referrers[..taken])).unwrap_or_default();
        if body.len() <= MAX_ANSWER_BYTES || taken <= 1 {
            return (body, taken);
        }
        taken /= 2;
    }
}

fn index_of(referrers: &[ReferrerDescriptor]) -> Index<'_> {
    let manifests = referrers.iter().map(|referrer| Entry {
        media_type: referrer.media_type.as_str(),
        digest: referrer.digest,
        size: referrer.size,
        artifact_type: referrer.artifact_type.as_deref(),
        annotations: &referrer.annotations,
    });
    Index {
        schema_version: 2,
        media_type: media_type::OCI_IMAGE_INDEX,
        manifests: manifests.collect(),
    }
}
