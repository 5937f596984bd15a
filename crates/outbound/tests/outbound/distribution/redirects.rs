//! Where an upstream sends us, and where we do not go.

use std::sync::{Arc, Mutex};

use outbound::distribution::{UpstreamError, UpstreamSettings};
use outbound::{AddressGuard, Settings};

use super::super::world;
use super::world::{all, digest, made, repo, settings, signed_in, told};
use crate::server::{Reply, Server};

const BLOB: &str = "a blob";

/// An upstream that redirects all that is asked for.
async fn sending_to(target: &str) -> Server {
    let target = target.to_owned();
    Server::start(move |_| Reply::redirect(&target)).await
}

async fn refused(settings: UpstreamSettings) -> String {
    let error = made(settings).blob(&repo(), &digest(BLOB), 0).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    told(&error)
}

#[tokio::test]
async fn blobs_are_fetched_from_elsewhere_without_credentials() {
    let store = Server::start(|_| Reply::ok(BLOB)).await;
    let target = store.url("/bucket?signature=x");
    let back = Server::start(move |asked| match asked.path.as_str() {
        "/back" => Reply::ok("here"),
        _ if asked.header("authorization").is_none() => {
            Reply::status(401).header("WWW-Authenticate", "Basic realm=x")
        }
        _ => Reply::redirect(&target),
    })
    .await;
    let upstream = made(signed_in(&back.url("")));
    let blob = upstream.blob(&repo(), &digest(BLOB), 3).await.unwrap();
    assert_eq!(all(blob.body).await.unwrap(), BLOB.as_bytes());
    let asked = store.asked();
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].header("range"), Some("bytes=3-"));
    assert_eq!(
        back.asked()[1].header("authorization"),
        Some("Basic YW5uOnNlY3JldA==")
    );
}

#[tokio::test]
async fn who_sends_us_back_gets_no_credentials() {
    let home = Server::start(|asked| match asked.header("authorization") {
        None => Reply::status(401).header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::redirect("/near"),
    })
    .await;
    // Within the same origin they go along.
    let error = made(signed_in(&home.url("")))
        .blob(&repo(), &digest(BLOB), 0)
        .await
        .unwrap_err();
    assert!(told(&error).contains("circles"), "{error:?}");
    assert!(
        home.asked()[1..]
            .iter()
            .all(|asked| asked.header("authorization").is_some())
    );

    let away: Arc<Mutex<String>> = Arc::default();
    let target = Arc::clone(&away);
    let home = Server::start(move |asked| match asked.path.as_str() {
        "/chosen" => Reply::ok(BLOB),
        _ if asked.header("authorization").is_none() => {
            Reply::status(401).header("WWW-Authenticate", "Basic realm=x")
        }
        _ => Reply::redirect(&target.lock().unwrap()),
    })
    .await;
    let stranger = sending_to(&home.url("/chosen")).await;
    *away.lock().unwrap() = stranger.url("/x");
    let blob = made(signed_in(&home.url("")))
        .blob(&repo(), &digest(BLOB), 0)
        .await;
    all(blob.unwrap().body).await.unwrap();
    assert_eq!(stranger.asked()[0].header("authorization"), None);
    let last = home.asked().pop().unwrap();
    assert_eq!(last.path, "/chosen");
    assert_eq!(last.header("authorization"), None);
}

#[tokio::test]
async fn only_what_is_listed_is_gone_to_where_there_is_a_list() {
    let store = Server::start(|_| Reply::ok(BLOB)).await;
    let home = sending_to(&store.url("/bucket?signature=x")).await;
    let limited = |hosts: &[String]| UpstreamSettings {
        blob_hosts: hosts.to_vec(),
        ..settings(&home.url(""))
    };
    let said = refused(limited(&["store.example".to_owned()])).await;
    assert!(said.contains("among its blob hosts"), "{said}");
    assert!(!said.contains("signature"), "{said}");
    assert_eq!(store.count(), 0);
    let listed = limited(&["store.example".to_owned(), store.address().to_string()]);
    let blob = made(listed).blob(&repo(), &digest(BLOB), 0).await.unwrap();
    all(blob.body).await.unwrap();
}

#[tokio::test]
async fn addresses_inside_circles_and_plain_text_are_refused() {
    let inside = Server::start(|_| Reply::ok(BLOB)).await;
    let port = inside.address().port();
    for target in [
        format!("http://127.0.0.2:{port}/x?signature=y"),
        format!("http://[::1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let home = sending_to(&target).await;
        let said = refused(settings(&home.url(""))).await;
        assert!(said.ends_with("is not a public address"), "{said}");
        assert_eq!(home.count(), 1);
    }
    for target in ["http://ann:secret@127.0.0.1/", "ftp://127.0.0.1/"] {
        let home = sending_to(target).await;
        let said = refused(settings(&home.url(""))).await;
        assert!(!said.contains("secret"), "{said}");
    }
    let home = sending_to("http://").await;
    refused(settings(&home.url(""))).await;
    assert_eq!(inside.count(), 0);

    let target = inside.url("/");
    let tls = Server::start_tls(move |_| Reply::redirect(&target)).await;
    let said = refused(UpstreamSettings {
        client: Settings {
            authorities: vec![tls.authority().as_bytes().to_vec()],
            ..world::settings()
        },
        ..settings(&tls.url(""))
    })
    .await;
    assert!(said.contains("from https to http"), "{said}");
    assert_eq!(inside.count(), 0);

    let circle = sending_to("/v2/loop").await;
    let said = refused(settings(&circle.url(""))).await;
    assert!(said.contains("circles"), "{said}");
    assert_eq!(circle.count(), 2);
    let chain = Server::start(|asked| Reply::redirect(&format!("{}/x", asked.path))).await;
    let said = refused(settings(&chain.url(""))).await;
    assert!(said.contains("more than 5 times"), "{said}");
    assert_eq!(chain.count(), 6);
}

#[tokio::test]
async fn what_it_is_not_allowed_elsewhere_is_told_as_such() {
    let store = Server::start(|_| Reply::status(401).header("WWW-Authenticate", "Basic realm=x")).await;
    let home = sending_to(&store.url("/bucket")).await;
    let error = made(signed_in(&home.url("")))
        .blob(&repo(), &digest(BLOB), 0)
        .await
        .unwrap_err();
    let host = store.address().to_string();
    assert!(
        matches!(&error, UpstreamError::Denied { host: said, .. } if *said == host),
        "{error:?}"
    );
    assert_eq!(store.count(), 1);
    // An address of a name is looked at like one that is written.
    let closed = UpstreamSettings {
        client: Settings {
            guard: AddressGuard::public_only(),
            ..world::settings()
        },
        ..settings(&format!("http://localhost:{}", store.address().port()))
    };
    let error = made(closed).blob(&repo(), &digest(BLOB), 0).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable(_)), "{error:?}");
}
