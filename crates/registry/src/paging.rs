//! `n`, `last` and `Link`: how long lists are read page by page (specification, end-8).

use http::{HeaderMap, HeaderValue, StatusCode, header};
use oci::ErrorCode;

use crate::{error::ApiError, percent, query::Query, service::Exchange};

/// The page that a request asks for.
#[derive(Debug)]
pub(crate) struct PageRequest<'q> {
    /// At most so many items.
    pub limit: usize,
    /// Only what comes behind this item.
    pub after: Option<&'q str>,
}

/// Longest `last` that is looked at, in bytes.
const MAX_LAST_BYTES: usize = 512;

/// Reads `n` and `last`. `n` over the cap is cut to it: the `Link` header then leads on.
pub(crate) fn page_request<'q>(query: &'q Query<'_>, cap: usize) -> Result<PageRequest<'q>, ApiError> {
    let limit = match query.get("n") {
        None => cap,
        Some(text) => parse_count(text).ok_or_else(bad_count)?.min(cap),
    };
    let after = query.get("last").filter(|last| !last.is_empty());
    if after.is_some_and(|last| last.len() > MAX_LAST_BYTES) {
        let message = format!("`last` is longer than {MAX_LAST_BYTES} bytes");
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Unsupported,
            message,
        ));
    }
    Ok(PageRequest { limit, after })
}

/// Digits only, of any length: what does not fit a `usize` is over every cap anyway.
fn parse_count(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(usize::MAX))
}

fn bad_count() -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        ErrorCode::Unsupported,
        "`n` must be a whole number, zero or more",
    )
}

/// Adds the `Link` to the next page. `rest` is appended to the query as it is. A page that was asked for in another
/// registry's namespace goes on there, not in a local repository of the same name.
pub(crate) fn link_next(
    headers: &mut HeaderMap,
    exchange: &Exchange<'_>,
    limit: usize,
    last: &str,
    rest: &str,
) {
    let (path, last) = (exchange.path, percent::encode(last));
    let namespace = exchange
        .query
        .get("ns")
        .map(|namespace| format!("&ns={}", percent::encode(namespace)));
    let namespace = namespace.unwrap_or_default();
    let link = format!("<{path}?n={limit}&last={last}{rest}{namespace}>; rel=\"next\"");
    if let Ok(value) = HeaderValue::try_from(link) {
        headers.insert(header::LINK, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of(query: &str) -> Option<usize> {
        let query = Query::parse(Some(query)).unwrap();
        page_request(&query, 100).ok().map(|page| page.limit)
    }

    #[test]
    fn n_is_cut_to_the_cap_and_nonsense_is_refused() {
        assert_eq!(limit_of("n=5"), Some(5));
        assert_eq!(limit_of("n=0"), Some(0));
        assert_eq!(limit_of("last=x"), Some(100));
        assert_eq!(limit_of("n=101"), Some(100));
        assert_eq!(limit_of("n=99999999999999999999999999999"), Some(100));
        for bad in ["n=", "n=-1", "n=+1", "n=1e3", "n=abc", "n=%31x"] {
            assert_eq!(limit_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn last_is_bounded() {
        let long = format!("last={}", "a".repeat(MAX_LAST_BYTES + 1));
        let query = Query::parse(Some(&long)).unwrap();
        assert!(page_request(&query, 100).is_err());
    }
}
