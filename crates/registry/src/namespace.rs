//! `ns=` of a pull: a node asks us first for what another registry holds.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use oci::RepoName;

use crate::{error::ApiError, query::Query, route::Route, service::Registry};

impl Registry {
    /// Maps `ns=` to the path prefix under which that registry's repositories are kept. A namespace that is not kept
    /// here is unknown: a local repository of the same name must never be served in its place.
    pub(crate) fn in_namespace(
        &self,
        route: Route,
        method: &Method,
        query: &Query<'_>,
        headers: &HeaderMap,
    ) -> Result<(Route, Option<HeaderValue>), ApiError> {
        let Some(namespace) = query
            .get("ns")
            .filter(|_| matches!(*method, Method::GET | Method::HEAD))
        else {
            return Ok((route, None));
        };
        let Some(repo) = route.repo() else {
            return Ok((route, None));
        };
        let answered = HeaderValue::try_from(namespace).ok();
        if self.is_own_host(namespace, headers) {
            return Ok((route, answered));
        }
        let mapped = self
            .config()
            .namespaces
            .get(namespace)
            .map(|prefix| format!("{prefix}/{repo}"));
        let mapped: Option<RepoName> = mapped.and_then(|name| name.parse().ok());
        let mapped = mapped.ok_or_else(|| {
            let message = "this registry keeps nothing for that namespace (`ns=`); its operator can map it under [registry.namespaces]";
            ApiError::new(StatusCode::NOT_FOUND, oci::ErrorCode::NameUnknown, message)
        })?;
        Ok((route.in_repo(mapped), answered))
    }

    /// What an upstream calls two ways has one name here.
    pub(crate) fn by_its_one_name(&self, route: Route) -> Route {
        let canonical = self.proxy().and_then(|proxy| proxy.canonical(route.repo()?));
        match canonical {
            None => route,
            Some(repo) => route.in_repo(repo),
        }
    }

    fn is_own_host(&self, namespace: &str, headers: &HeaderMap) -> bool {
        let own = self
            .config()
            .public_url
            .as_deref()
            .and_then(|url| url.split("://").nth(1));
        own == Some(namespace) || headers.get(header::HOST).is_some_and(|host| host == namespace)
    }
}
