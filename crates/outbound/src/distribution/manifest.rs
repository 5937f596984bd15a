//! Manifests of an upstream.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use oci::{Algorithm, Digest, MediaType, Reference, RepoName};
use reqwest::Method;
use serde::de::IgnoredAny;

use super::ask::Asked;
use super::pause::Kind;
use super::tokens::Scope;
use super::{Upstream, UpstreamError};

/// What is taken, as docker and containerd ask for it: every kind of image, index and artifact.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.artifact.manifest.v1+json, */*";

/// Which digest a registry says that a manifest has.
const DIGEST_HEADER: &str = "docker-content-digest";

/// What an upstream says of a manifest without sending it. All of it is its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Its digest, if it is said and well formed.
    pub digest: Option<Digest>,
    /// Its media type, if it is said and well formed; without parameters.
    pub media_type: Option<String>,
    /// Its bytes.
    pub size: Option<u64>,
    /// Whether something is said against it (`Warning`).
    pub warned: bool,
}

/// A manifest as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamManifest {
    /// Its bytes: a JSON object, of which nothing more is known.
    pub bytes: Bytes,
    /// Its media type, if it is said and well formed; without parameters.
    pub media_type: Option<String>,
    /// The digest of these bytes: the one that was asked for, else the one that the upstream says, else of SHA-256.
    pub digest: Digest,
}

impl Upstream {
    /// What a tag or digest stands for now. Docker Hub does not count this as a pull.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn head_manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
    ) -> Result<ManifestHead, UpstreamError> {
        let asked = asked(Kind::Head, Method::HEAD, repo, reference);
        let response = self.in_time(self.ask(&asked)).await?;
        let headers = response.headers();
        // What the client makes of a body that is not sent is no length.
        let size = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        self.check_type(headers)?;
        Ok(ManifestHead {
            digest: digest_of(headers),
            media_type: media_type_of(headers),
            size,
            warned: headers.contains_key(header::WARNING),
        })
    }

    /// Whether a manifest that is held may still be had. Where the upstream compares entity tags, nothing is sent.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn check_manifest(&self, repo: &RepoName, digest: &Digest) -> Result<(), UpstreamError> {
        let mut asked = asked(Kind::Manifest, Method::GET, repo, &Reference::Digest(*digest));
        asked.known = HeaderValue::try_from(format!("\"{digest}\"")).ok();
        self.in_time(self.ask(&asked)).await.map(drop)
    }

    /// Whether it answers at all, whatever it says.
    ///
    /// # Errors
    /// [`UpstreamError`], all but `TooLarge`.
    pub async fn ping(&self) -> Result<(), UpstreamError> {
        let anything: RepoName = "ping".parse().map_err(|_| self.broken("no name"))?;
        let asked = Asked::new(Kind::Head, Method::GET, "/v2/".to_owned(), Scope::pull(&anything));
        self.in_time(async {
            let response = self.follow(&asked, None).await?;
            // Whom nobody has told who asks is alive as well.
            if response.status() == reqwest::StatusCode::UNAUTHORIZED {
                return Ok(());
            }
            self.sort(&asked, response).await.map(drop)
        })
        .await
    }

    /// A manifest of at most `most` bytes, which are those of its digest.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn manifest(
        &self,
        repo: &RepoName,
        reference: &Reference,
        most: usize,
    ) -> Result<UpstreamManifest, UpstreamError> {
        let asked = asked(Kind::Manifest, Method::GET, repo, reference);
        self.in_time(async {
            let response = self.ask(&asked).await?;
            self.check_type(response.headers())?;
            let said = digest_of(response.headers());
            let media_type = media_type_of(response.headers());
            let bytes = self.read(response, most).await?;
            let digest = self.check_digest(&bytes, reference.digest(), said)?;
            if !is_json_object(&bytes) {
                return Err(self.broken("it sends what is no JSON where a manifest should be"));
            }
            Ok(UpstreamManifest {
                bytes,
                media_type,
                digest,
            })
        })
        .await
    }

    /// Login pages and error pages of whatever stands in between come with 200, too.
    fn check_type(&self, headers: &HeaderMap) -> Result<(), UpstreamError> {
        let is_html = media_type_of(headers).is_some_and(|media_type| {
            ["text/html", "application/xhtml+xml"]
                .iter()
                .any(|html| media_type.eq_ignore_ascii_case(html))
        });
        if is_html {
            return Err(self.broken(
                "it answers HTML where a manifest should be: is a proxy or a login page in between?",
            ));
        }
        Ok(())
    }

    fn check_digest(
        &self,
        bytes: &[u8],
        wanted: Option<Digest>,
        said: Option<Digest>,
    ) -> Result<Digest, UpstreamError> {
        let algorithm = wanted
            .or(said)
            .map_or(Algorithm::Sha256, |digest| digest.algorithm());
        let found = Digest::of(algorithm, bytes);
        match (wanted, said) {
            (Some(wanted), _) if wanted != found => Err(self.broken(format!(
                "asked for the manifest {wanted} it sends one whose digest is {found}"
            ))),
            (None, Some(said)) if said != found => Err(self.broken(format!(
                "it says that the manifest is {said}, and the digest of what it sends is {found}"
            ))),
            _ => Ok(found),
        }
    }
}

fn asked(kind: Kind, method: Method, repo: &RepoName, reference: &Reference) -> Asked {
    let path = format!("/v2/{repo}/manifests/{reference}");
    Asked {
        accept: ACCEPT,
        ..Asked::new(kind, method, path, Scope::pull(repo))
    }
}

fn digest_of(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DIGEST_HEADER)?.to_str().ok()?.trim().parse().ok()
}

fn media_type_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.parse::<MediaType>()
        .ok()
        .map(|media_type| media_type.to_string())
}

fn is_json_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_that_the_registry_takes_is_asked_for() {
        let asked: Vec<&str> = ACCEPT.split(", ").map(str::trim).collect();
        for wanted in oci::media_type::MANIFESTS {
            assert!(asked.contains(&wanted), "{wanted}");
        }
        assert_eq!(asked.len(), 6);
    }

    #[test]
    fn only_an_object_is_one() {
        assert!(is_json_object(b" \n{\"a\": [1]}\n"));
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        for wrong in ["", "[]", "1", "<html>", "{", "{}{}", "{\"a\":}", &deep] {
            assert!(!is_json_object(wrong.as_bytes()));
        }
    }
}
