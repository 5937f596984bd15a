//! An upstream that listens on the loopback interface, and is waited for a little.

use std::time::{Duration, Instant};

use oci::{Algorithm, Digest, Reference, RepoName};
use outbound::distribution::{
    Budget, Upstream, UpstreamBody, UpstreamError, UpstreamLogin, UpstreamManifest, UpstreamSettings,
};
use outbound::{Settings, Url};

use super::super::world;
use crate::server::Server;

/// A manifest, as far as a client of registries is concerned.
pub(super) const MANIFEST: &str = r#"{"schemaVersion":2,"config":{}}"#;

/// Bytes that a manifest may have.
pub(super) const MOST: usize = 64 * 1024;

/// Longest silence within a body.
pub(super) const IDLE: Duration = Duration::from_secs(1);

pub(super) fn settings(url: &str) -> UpstreamSettings {
    UpstreamSettings {
        url: Url::parse(url).unwrap(),
        login: None,
        realm_hosts: Vec::new(),
        blob_hosts: Vec::new(),
        budget: Budget::default(),
        client: Settings {
            total_timeout: Duration::from_secs(20),
            ..world::settings()
        },
        first_byte: Duration::from_secs(5),
        idle: IDLE,
    }
}

/// The same with a login.
pub(super) fn signed_in(url: &str) -> UpstreamSettings {
    UpstreamSettings {
        login: Some(UpstreamLogin::new("ann", "secret")),
        ..settings(url)
    }
}

pub(super) fn made(settings: UpstreamSettings) -> Upstream {
    Upstream::new(settings, Instant::now).unwrap()
}

pub(super) fn upstream(server: &Server) -> Upstream {
    made(settings(&server.url("")))
}

pub(super) fn repo() -> RepoName {
    "team/app".parse().unwrap()
}

pub(super) fn tag() -> Reference {
    "v1".parse().unwrap()
}

pub(super) fn digest(bytes: impl AsRef<[u8]>) -> Digest {
    Digest::of(Algorithm::Sha256, bytes.as_ref())
}

/// The manifest of a tag.
pub(super) async fn pull(upstream: &Upstream) -> Result<UpstreamManifest, UpstreamError> {
    upstream.manifest(&repo(), &tag(), MOST).await
}

/// All of a body.
pub(super) async fn all(mut body: UpstreamBody) -> Result<Vec<u8>, UpstreamError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await {
        bytes.extend_from_slice(&chunk?);
    }
    assert!(body.chunk().await.is_none());
    Ok(bytes)
}

/// An error with its causes, as a log has it.
pub(super) fn told(error: &UpstreamError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
