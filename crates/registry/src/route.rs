//! Which endpoint a path names.
//!
//! Repository names contain slashes, so a path is read from its right end: the last segments say which endpoint it is
//! and everything before them is the name (distribution specification, "Endpoints"). Nothing here looks at the method:
//! a known path with a wrong method must answer 405, not 404.
//!
//! Below `/helm` are charts as classic repositories have them: names there are the paths of upstreams.

use oci::{Digest, DigestError, ErrorCode, Reference, RepoName};
use store::UploadId;

/// Longest path that is looked at, in bytes: a name of 255, an endpoint and a digest fit several times.
pub(crate) const MAX_PATH_BYTES: usize = 2048;

/// Below which charts are.
pub(crate) const HELM: &str = "/helm/";

/// An endpoint of the registry with what its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`: end-1.
    Ping,
    /// `/v2/token`: where a client trades credentials for a bearer token.
    Token,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/NAME/blobs/DIGEST`: end-2, end-10.
    Blob(RepoName, Digest),
    /// `/v2/NAME/blobs/uploads/`: end-4, end-11.
    Uploads(RepoName),
    /// `/v2/NAME/blobs/uploads/ID`: end-5, end-6, end-13, end-14.
    Upload(RepoName, UploadId),
    /// `/v2/NAME/manifests/REFERENCE`: end-3, end-7, end-9.
    Manifest(RepoName, Reference),
    /// `/v2/NAME/tags/list`: end-8.
    Tags(RepoName),
    /// `/v2/NAME/referrers/DIGEST`: end-12.
    Referrers(RepoName, Digest),
    /// `/helm/PREFIX/index.yaml`: the charts below a prefix.
    ChartIndex(RepoName),
    /// `/helm/PREFIX/charts/CHART/CHART-VERSION.tgz`, perhaps with `.prov`: the archive of a chart or what is signed of it, by its
    /// repository and version.
    ChartArchive(RepoName, ChartName),
}

/// A file of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartName {
    /// Its version, as the index has it.
    pub version: String,
    /// Which file.
    pub part: ChartPart,
}

/// The files that there are of a version of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartPart {
    /// The archive.
    Archive,
    /// What is signed of it.
    Provenance,
}

/// Why a path names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No endpoint has this shape.
    #[error("no endpoint has this path; see the OCI distribution specification")]
    NoSuchEndpoint,
    /// Longer than 2,048 bytes.
    #[error("path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// The path is not percent-encoded UTF-8, or hides a slash in an encoded segment.
    #[error("path holds an invalid percent-encoding or an encoded slash")]
    Encoding,
    /// The name is out of grammar.
    #[error(
        "repository name is not valid: lower-case letters, digits, single separators (., _, __, -) and slashes, at most 255 bytes"
    )]
    Name,
    /// The tag or digest of a manifest is out of grammar.
    #[error(
        "reference is neither a tag ([a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}) nor a digest (sha256:<64 hex> or sha512:<128 hex>)"
    )]
    Reference,
    /// The digest of a blob or subject is out of grammar or of an unknown algorithm.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The upload id is not a UUID.
    #[error("upload id is not one that this registry gave")]
    UploadId,
}

impl RouteError {
    /// The specification's code for this offence.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchEndpoint => ErrorCode::Unsupported,
            Self::TooLong | Self::Encoding | Self::Name => ErrorCode::NameInvalid,
            Self::Reference => ErrorCode::ManifestInvalid,
            Self::Digest(_) => ErrorCode::DigestInvalid,
            Self::UploadId => ErrorCode::BlobUploadUnknown,
        }
    }

    /// The HTTP status for this offence.
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::NoSuchEndpoint | Self::UploadId => http::StatusCode::NOT_FOUND,
            Self::TooLong => http::StatusCode::URI_TOO_LONG,
            _ => http::StatusCode::BAD_REQUEST,
        }
    }
}

impl Route {
    /// Reads the path of a request (without its query). It must start with `/v2` or `/helm/`.
    pub fn parse(path: &str) -> Result<Self, RouteError> {
        if path.len() > MAX_PATH_BYTES {
            return Err(RouteError::TooLong);
        }
        if let Some(rest) = path.strip_prefix(HELM) {
            return if rest.contains('%') {
                Self::parse_charts(&decode_segments(rest)?)
            } else {
                Self::parse_charts(rest)
            };
        }
        let rest = path.strip_prefix("/v2").ok_or(RouteError::NoSuchEndpoint)?;
        match rest {
            "" | "/" => return Ok(Self::Ping),
            "/token" => return Ok(Self::Token),
            "/_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let rest = rest.strip_prefix('/').ok_or(RouteError::NoSuchEndpoint)?;
        if rest.contains('%') {
            Self::parse_named(&decode_segments(rest)?)
        } else {
            Self::parse_named(rest)
        }
    }

    fn parse_charts(rest: &str) -> Result<Self, RouteError> {
        if let Some(prefix) = rest.strip_suffix("/index.yaml") {
            return Ok(Self::ChartIndex(parse_name(prefix)?));
        }
        let (file, part) = match rest.strip_suffix(".prov") {
            Some(file) => (file, ChartPart::Provenance),
            None => (rest, ChartPart::Archive),
        };
        let file = file.strip_suffix(".tgz").ok_or(RouteError::NoSuchEndpoint)?;
        let (head, file) = file.rsplit_once('/').ok_or(RouteError::NoSuchEndpoint)?;
        let (head, chart) = head.rsplit_once('/').ok_or(RouteError::NoSuchEndpoint)?;
        let prefix = head.strip_suffix("/charts").ok_or(RouteError::NoSuchEndpoint)?;
        // Both may have dashes: only with the name beside it is it known where the version begins.
        let version = file.strip_prefix(chart).and_then(|rest| rest.strip_prefix('-'));
        let version = version.ok_or(RouteError::NoSuchEndpoint)?;
        let name = parse_name(&format!("{prefix}/{chart}"))?;
        let version = version.to_owned();
        Ok(Self::ChartArchive(name, ChartName { version, part }))
    }

    fn parse_named(rest: &str) -> Result<Self, RouteError> {
        if let Some(name) = rest
            .strip_suffix("/blobs/uploads/")
            .or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return Ok(Self::Uploads(parse_name(name)?));
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(parse_name(name)?));
        }
        let (head, last) = rest.rsplit_once('/').ok_or(RouteError::NoSuchEndpoint)?;
        if let Some(name) = head.strip_suffix("/manifests") {
            return Ok(Self::Manifest(parse_name(name)?, parse_reference(last)?));
        }
        if let Some(name) = head.strip_suffix("/blobs/uploads") {
            let id = last.parse().map_err(|_| RouteError::UploadId)?;
            return Ok(Self::Upload(parse_name(name)?, id));
        }
        if let Some(name) = head.strip_suffix("/blobs") {
            return Ok(Self::Blob(parse_name(name)?, last.parse()?));
        }
        if let Some(name) = head.strip_suffix("/referrers") {
            return Ok(Self::Referrers(parse_name(name)?, last.parse()?));
        }
        Err(RouteError::NoSuchEndpoint)
    }

    /// The repository that the path names, if any.
    pub fn repo(&self) -> Option<&RepoName> {
        match self {
            Self::Ping | Self::Token | Self::Catalog | Self::ChartIndex(_) => None,
            Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _)
            | Self::ChartArchive(name, _) => Some(name),
        }
    }

    /// The same endpoint of another repository (namespace mapping, `ns=`).
    #[must_use]
    pub fn in_repo(self, repo: RepoName) -> Self {
        match self {
            Self::Blob(_, digest) => Self::Blob(repo, digest),
            Self::Uploads(_) => Self::Uploads(repo),
            Self::Upload(_, id) => Self::Upload(repo, id),
            Self::Manifest(_, reference) => Self::Manifest(repo, reference),
            Self::Tags(_) => Self::Tags(repo),
            Self::Referrers(_, digest) => Self::Referrers(repo, digest),
            Self::ChartArchive(_, chart) => Self::ChartArchive(repo, chart),
            other @ (Self::Ping | Self::Token | Self::Catalog | Self::ChartIndex(_)) => other,
        }
    }

    /// A short constant name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Blob(..) => "blob",
            Self::Uploads(_) | Self::Upload(..) => "upload",
            Self::Manifest(..) => "manifest",
            Self::Tags(_) => "tags",
            Self::Referrers(..) => "referrers",
            Self::ChartIndex(_) => "chart-index",
            Self::ChartArchive(..) => "chart",
        }
    }
}

fn parse_name(name: &str) -> Result<RepoName, RouteError> {
    name.parse().map_err(|_| RouteError::Name)
}

fn parse_reference(text: &str) -> Result<Reference, RouteError> {
    text.parse().map_err(|_| RouteError::Reference)
}

/// Decodes each segment once. An encoded slash would move a name's borders after they were drawn, so it is refused.
fn decode_segments(path: &str) -> Result<String, RouteError> {
    let segments: Option<Vec<Vec<u8>>> = path.split('/').map(crate::percent::decode).collect();
    let segments = segments.ok_or(RouteError::Encoding)?;
    if segments
        .iter()
        .flatten()
        .any(|byte| matches!(byte, b'/' | b'%' | 0))
    {
        return Err(RouteError::Encoding);
    }
    String::from_utf8(segments.join(&b'/')).map_err(|_| RouteError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_read_from_the_right() {
        let label = |path: &str| {
            Route::parse(path).map(|route| (route.label(), route.repo().map(ToString::to_string)))
        };
        let named = |label, name: &str| Ok((label, Some(name.to_owned())));
        assert_eq!(label("/v2"), Ok(("ping", None)));
        assert_eq!(label("/v2/"), Ok(("ping", None)));
        assert_eq!(label("/v2/token"), Ok(("token", None)));
        assert_eq!(label("/v2/_catalog"), Ok(("catalog", None)));
        assert_eq!(label("/v2/a/tags/list"), named("tags", "a"));
        assert_eq!(label("/v2/a/b/c/manifests/latest"), named("manifest", "a/b/c"));
        assert_eq!(
            label("/v2/manifests/blobs/manifests/tags"),
            named("manifest", "manifests/blobs")
        );
        assert_eq!(label("/v2/a/tags/list/tags/list"), named("tags", "a/tags/list"));
        assert_eq!(label("/v2/a/blobs/uploads/"), named("upload", "a"));
        assert_eq!(label("/v2/a/blobs/uploads"), named("upload", "a"));
        assert_eq!(label(&format!("/v2/a/blobs/sha256:{HEX}")), named("blob", "a"));
        assert_eq!(label(&format!("/v2/a/blobs/sha256%3A{HEX}")), named("blob", "a"));
        assert_eq!(
            label(&format!("/v2/a/b/referrers/sha256:{HEX}")),
            named("referrers", "a/b")
        );
        assert_eq!(
            label("/v2/a/blobs/uploads/0190a6c4-7f5e-7000-8000-000000000000"),
            named("upload", "a")
        );
    }

    #[test]
    fn charts_are_named_by_their_prefix_and_version() {
        let parse = |path: &str| Route::parse(path);
        let name = |text: &str| text.parse::<RepoName>().unwrap();
        assert_eq!(
            parse("/helm/charts/index.yaml"),
            Ok(Route::ChartIndex(name("charts")))
        );
        assert_eq!(parse("/helm/a/b/index.yaml"), Ok(Route::ChartIndex(name("a/b"))));
        for (path, repo, version) in [
            (
                "/helm/jetstack/charts/cert-manager/cert-manager-v1.2.3.tgz",
                "jetstack/cert-manager",
                "v1.2.3",
            ),
            (
                "/helm/a/charts/app/app-1.0.0-rc.1+build.5.tgz",
                "a/app",
                "1.0.0-rc.1+build.5",
            ),
            ("/helm/a/charts/app/app-1.0.0%2Bbuild.tgz", "a/app", "1.0.0+build"),
            ("/helm/charts/charts/app/app-1.tgz", "charts/app", "1"),
        ] {
            let wanted = |part| {
                let version = version.to_owned();
                Ok(Route::ChartArchive(name(repo), ChartName { version, part }))
            };
            assert_eq!(parse(path), wanted(ChartPart::Archive), "{path}");
            let signed = format!("{path}.prov");
            assert_eq!(parse(&signed), wanted(ChartPart::Provenance), "{signed}");
        }
        for path in [
            "/helm/",
            "/helm/index.yaml",
            "/helm/a/charts/app/other-1.0.0.tgz",
            "/helm/a/charts/app/app-1.0.0.prov",
            "/helm/a/charts/app/app-1.0.0.tgz.prov.prov",
            "/helm/a/app/app-1.0.0.tgz",
            "/helm/a/../b/index.yaml",
            "/helm/a/charts/app%2Fb/app-1.tgz",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn tricks_with_paths_lead_nowhere() {
        for (path, expected) in [
            ("/v2/../etc/passwd/tags/list", RouteError::Name),
            ("/v2/a/../b/tags/list", RouteError::Name),
            ("/v2/a//b/tags/list", RouteError::Name),
            ("/v2//tags/list", RouteError::Name),
            ("/v2/a%2fb/tags/list", RouteError::Encoding),
            ("/v2/a%00/tags/list", RouteError::Encoding),
            ("/v2/a%252f/tags/list", RouteError::Encoding),
            ("/v2/%2e%2e/tags/list", RouteError::Name),
            ("/v2/%zz/tags/list", RouteError::Encoding),
            ("/v2/%ff/tags/list", RouteError::Encoding),
            ("/v2/A/tags/list", RouteError::Name),
            ("/v2/a/manifests/../../x", RouteError::NoSuchEndpoint),
            ("/v2/a/manifests/.hidden", RouteError::Reference),
            ("/v2/a/manifests/sha256:short", RouteError::Reference),
            ("/v2/a/blobs/uploads/not-a-uuid", RouteError::UploadId),
            ("/v2x/a/tags/list", RouteError::NoSuchEndpoint),
            ("/v1/a", RouteError::NoSuchEndpoint),
            ("/v2/a", RouteError::NoSuchEndpoint),
            ("/v2/a/unknown/b", RouteError::NoSuchEndpoint),
        ] {
            assert_eq!(Route::parse(path), Err(expected), "{path}");
        }
        let long = format!("/v2/{}/tags/list", "a".repeat(MAX_PATH_BYTES));
        assert_eq!(Route::parse(&long), Err(RouteError::TooLong));
        assert!(matches!(
            Route::parse("/v2/a/blobs/md5:abc"),
            Err(RouteError::Digest(_))
        ));
    }

    proptest! {
        #[test]
        fn no_path_is_too_strange(path in "/v2[ -~\\PC]{0,200}") {
            if let Ok(route) = Route::parse(&path)
                && let Some(repo) = route.repo()
            {
                prop_assert!(!repo.as_str().contains(".."));
                prop_assert!(!repo.as_str().starts_with('/'));
                prop_assert!(repo.as_str().len() <= 255);
            }
        }

        #[test]
        fn every_good_name_is_found_again(name in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,8}){0,4}", tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}") {
            let route = Route::parse(&format!("/v2/{name}/manifests/{tag}")).unwrap();
            prop_assert_eq!(route.repo().unwrap().as_str(), &name);
        }
    }
}
