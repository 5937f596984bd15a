//! What is brought to a registry, and registries that do with it what they should not.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use outbound::distribution::{StreamError, Upstream, UpstreamError, UpstreamSettings};

use super::world::{IDLE, MANIFEST, digest, made, repo, settings, signed_in, tag, told, upstream};
use crate::server::{Asked, Reply, Server};

const BLOB: &str = "a blob";

/// Pieces of a blob; the last may be an error.
struct Pieces(Vec<Result<Bytes, StreamError>>);

impl Stream for Pieces {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(next)
    }
}

fn whole() -> Pieces {
    let (start, end) = BLOB.split_at(3);
    Pieces(vec![Ok(Bytes::from(start)), Ok(Bytes::from(end))])
}

async fn push(upstream: &Upstream, pieces: Pieces) -> Result<(), UpstreamError> {
    let size = BLOB.len() as u64;
    upstream.push_blob(&repo(), &digest(BLOB), size, pieces).await
}

/// A registry that takes what it should.
fn takes(asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v2/team/app/blobs/uploads/") => {
            Reply::status(202).header("Location", "/sessions/1?state=a")
        }
        ("PATCH", "/sessions/1?state=a") => Reply::status(202).header("Location", "/sessions/1?state=b"),
        ("PUT", path) if path.starts_with("/sessions/1?state=b&digest=") => Reply::status(201),
        ("PUT", "/v2/team/app/manifests/v1") => Reply::status(201),
        ("DELETE", "/sessions/1?state=a") => Reply::status(204),
        _ => Reply::status(404),
    }
}

#[tokio::test]
async fn a_blob_and_its_manifest_are_pushed() {
    let server = Server::start(takes).await;
    let upstream = upstream(&server);
    push(&upstream, whole()).await.unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let (bytes, said) = (Bytes::from(MANIFEST), media_type.parse().unwrap());
    let pushed = upstream.push_manifest(&repo(), &tag(), &said, bytes).await;
    pushed.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[1].body, BLOB.as_bytes());
    assert_eq!(asked[1].header("content-length"), Some("6"));
    let hex = digest(BLOB).hex();
    assert!(asked[2].path.ends_with(&format!("digest=sha256%3A{hex}")));
    assert_eq!(asked[3].body, MANIFEST.as_bytes());
    assert_eq!(asked[3].header("content-type"), Some(media_type));
    assert!(!upstream.has_blob(&repo(), &digest(BLOB)).await.unwrap());
}

#[tokio::test]
async fn who_pushes_is_told_and_asks_for_no_more_than_that() {
    let server = Server::start(|asked| match asked.header("authorization") {
        _ if asked.path.starts_with("/token") => Reply::ok(r#"{"token":"t"}"#),
        Some("Bearer t") if asked.path.contains("?mount=") => Reply::status(201),
        Some("Bearer t") => takes(asked),
        _ => Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"/token\""),
    })
    .await;
    let upstream = made(signed_in(&server.url("")));
    push(&upstream, whole()).await.unwrap();
    let scope = |number: usize| server.asked()[number].path.clone();
    assert_eq!(scope(1), "/token?scope=repository%3Ateam%2Fapp%3Apull%2Cpush");
    let from = "other/app".parse().unwrap();
    assert!(upstream.mount(&repo(), &digest(BLOB), &from).await.unwrap());
    let asked = server.asked();
    let token = asked.iter().rfind(|asked| asked.path.starts_with("/token"));
    assert_eq!(
        token.unwrap().path,
        "/token?scope=repository%3Ateam%2Fapp%3Apull%2Cpush&scope=repository%3Aother%2Fapp%3Apull"
    );
    let last = &asked[asked.len() - 1].path;
    assert!(last.ends_with("&from=other%2Fapp"), "{last}");
}

#[tokio::test]
async fn what_breaks_off_leaves_no_session() {
    let server = Server::start(takes).await;
    let broken = Pieces(vec![Ok(Bytes::from("a b")), Err("the source is gone".into())]);
    push(&upstream(&server), broken).await.unwrap_err();
    let short = Pieces(vec![Ok(Bytes::from("a b"))]);
    push(&upstream(&server), short).await.unwrap_err();
    let long = Pieces(vec![Ok(Bytes::from("a blob and more"))]);
    let _ = push(&upstream(&server), long).await;
    let asked = server.asked();
    let count = |method: &str| asked.iter().filter(|asked| asked.method == method).count();
    assert_eq!(count("POST"), 3);
    assert!(count("DELETE") >= 2, "{asked:?}");
}

#[tokio::test]
async fn what_cannot_be_linked_is_left_to_be_sent() {
    let server = Server::start(takes).await;
    let other = Server::start(|asked| {
        if asked.method == "POST" {
            Reply::status(202).header("Location", "/sessions/1?state=a")
        } else {
            Reply::status(204)
        }
    })
    .await;
    let from = "other/app".parse().unwrap();
    assert!(
        !upstream(&other)
            .mount(&repo(), &digest(BLOB), &from)
            .await
            .unwrap()
    );
    let asked = other.asked();
    assert_eq!(asked.last().unwrap().method, "DELETE");
    let error = upstream(&server).mount(&repo(), &digest(BLOB), &from).await;
    assert!(matches!(error, Err(UpstreamError::NotFound)), "{error:?}");
}

#[tokio::test]
async fn an_upload_goes_nowhere_else() {
    let other = Server::start(|_| Reply::status(202).header("Location", "/x")).await;
    let elsewhere = other.url("/sessions/1");
    for reply in [
        Reply::status(202).header("Location", &elsewhere),
        Reply::status(307).header("Location", &elsewhere),
        Reply::status(202),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let error = push(&upstream(&server), whole()).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    }
    assert_eq!(other.count(), 0);
    let refusal = r#"{"errors":[{"code":"DIGEST_INVALID","message":"another digest"}]}"#;
    let server = Server::start(move |asked| match asked.method.as_str() {
        "PUT" => Reply::status(400).body(refusal),
        _ => takes(asked),
    })
    .await;
    let error = push(&upstream(&server), whole()).await.unwrap_err();
    assert!(
        told(&error).contains("400 Bad Request: another digest"),
        "{error}"
    );
}

#[tokio::test]
async fn who_takes_nothing_is_not_waited_for() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", mute.local_addr().unwrap());
    let upstream = made(UpstreamSettings {
        first_byte: IDLE,
        ..settings(&target)
    });
    let started = std::time::Instant::now();
    let error = push(&upstream, whole()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error:?}");
    assert!(started.elapsed() < IDLE * 4);
}
