//! What must hold for any request, one function per parser on its way.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/generated.rs`.

use access::{Authorization, Scope};
use registry::{ChartName, ChartPart, Query, Route};

/// Path and query, split as HTTP does.
pub(crate) fn request_target(data: &[u8]) {
    let Ok(target) = std::str::from_utf8(data) else {
        return;
    };
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    if let Ok(route) = Route::parse(path) {
        assert!(path.starts_with("/v2"), "{path:?}");
        if let Some(repo) = route.repo() {
            assert_eq!(repo.as_str().parse().as_ref(), Ok(repo));
            assert!(
                !repo
                    .as_str()
                    .split('/')
                    .any(|part| part.is_empty() || part.starts_with('.')),
                "{repo}"
            );
        }
        if !path.contains('%') {
            assert_eq!(spelled(&route).trim_end_matches('/'), path.trim_end_matches('/'));
        }
    }
    if let Ok(query) = Query::parse(query) {
        assert!(query.all("tag").count() <= 128);
        assert_eq!(query.get("n"), query.all("n").next());
    }
}

/// The path that a route stands for.
fn spelled(route: &Route) -> String {
    match route {
        Route::Ping => "/v2".to_owned(),
        Route::Token => "/v2/token".to_owned(),
        Route::Catalog => "/v2/_catalog".to_owned(),
        Route::Blob(repo, digest) => format!("/v2/{repo}/blobs/{digest}"),
        Route::Uploads(repo) => format!("/v2/{repo}/blobs/uploads"),
        Route::Upload(repo, id) => format!("/v2/{repo}/blobs/uploads/{id}"),
        Route::Manifest(repo, reference) => format!("/v2/{repo}/manifests/{reference}"),
        Route::Tags(repo) => format!("/v2/{repo}/tags/list"),
        Route::Referrers(repo, digest) => format!("/v2/{repo}/referrers/{digest}"),
        Route::ChartIndex(prefix) => format!("/helm/{prefix}/index.yaml"),
        Route::ChartArchive(repo, ChartName { version, part }) => {
            let (prefix, chart) = repo.as_str().rsplit_once('/').unwrap_or_default();
            let behind = match part {
                ChartPart::Archive => "",
                ChartPart::Provenance => ".prov",
            };
            format!("/helm/{prefix}/charts/{chart}/{chart}-{version}.tgz{behind}")
        }
    }
}

/// The `Authorization` header and the `scope` of a token request.
pub(crate) fn credentials(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(Authorization::Basic { user, secret }) = Authorization::parse(text) {
        assert!(!user.contains(':') && !user.chars().any(char::is_control));
        assert!(!format!("{secret:?}").contains(secret.expose()) || secret.expose().len() < 4);
    }
    if let Ok(scopes) = Scope::parse_list([text]) {
        assert_eq!(
            Scope::parse_list([Scope::format_list(&scopes).as_str()]).as_ref(),
            Ok(&scopes)
        );
    }
}
