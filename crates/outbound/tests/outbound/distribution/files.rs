//! Files beside the protocol.

use std::num::NonZeroU32;

use outbound::Url;
use outbound::distribution::{Budget, UpstreamError, UpstreamSettings, WantedFile};

use super::world::{made, settings, signed_in, told};
use crate::server::{Reply, Server};

const INDEX: &str = "apiVersion: v1\nentries: {}\n";

fn wanted(url: &str) -> WantedFile {
    WantedFile {
        url: Url::parse(url).unwrap(),
        known: None,
        most: 1_000,
        is_content: false,
    }
}

#[tokio::test]
async fn a_file_comes_once_and_then_only_when_it_has_changed() {
    let server = Server::start(|asked| match asked.header("if-none-match") {
        Some("\"a\"") => Reply::status(304),
        _ => Reply::ok(INDEX).header("ETag", "\"a\""),
    })
    .await;
    let upstream = made(signed_in(&server.url("")));
    let mut wanted = wanted(&server.url("/charts/index.yaml"));
    let file = upstream.file(&wanted).await.unwrap().unwrap();
    assert_eq!(
        (file.bytes.as_ref(), file.etag.as_deref()),
        (INDEX.as_bytes(), Some("\"a\""))
    );
    wanted.known = file.etag;
    assert_eq!(upstream.file(&wanted).await.unwrap(), None);
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path == "/charts/index.yaml"));
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization") == Some("Basic YW5uOnNlY3JldA=="))
    );
}

#[tokio::test]
async fn elsewhere_it_is_asked_for_without_credentials_and_only_where_it_may_be() {
    let elsewhere = Server::start(|_| Reply::ok("chart")).await;
    let home = Server::start(|_| Reply::status(404)).await;
    let file = wanted(&elsewhere.url("/app-1.tgz"));
    let upstream = made(signed_in(&home.url("")));
    assert_eq!(upstream.file(&file).await.unwrap().unwrap().bytes, "chart");
    assert_eq!(elsewhere.asked()[0].header("authorization"), None);
    let listed = UpstreamSettings {
        blob_hosts: vec!["cdn.example".to_owned()],
        ..settings(&home.url(""))
    };
    let error = made(listed).file(&file).await.unwrap_err();
    assert!(told(&error).contains("list 127.0.0.1"), "{error:?}");
    let error = upstream
        .file(&wanted("oci://registry.example/app"))
        .await
        .unwrap_err();
    assert!(told(&error).contains("http(s)"), "{error:?}");
    let error = upstream
        .file(&wanted("http://169.254.169.254/latest"))
        .await
        .unwrap_err();
    assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
    assert_eq!(elsewhere.count(), 1);
}

#[tokio::test]
async fn a_file_has_a_size_and_costs_of_the_budget_wherever_it_is() {
    let elsewhere = Server::start(|_| Reply::ok(vec![0; 1_001])).await;
    let home = Server::start(|_| Reply::ok(INDEX)).await;
    let settings = UpstreamSettings {
        budget: Budget {
            requests_per_hour: NonZeroU32::new(2),
            bytes_per_hour: None,
        },
        ..settings(&home.url(""))
    };
    let upstream = made(settings);
    let large = upstream
        .file(&wanted(&elsewhere.url("/app-1.tgz")))
        .await
        .unwrap_err();
    assert!(
        matches!(large, UpstreamError::TooLarge { most: 1_000 }),
        "{large:?}"
    );
    upstream.file(&wanted(&home.url("/index.yaml"))).await.unwrap();
    let spent = upstream
        .file(&wanted(&elsewhere.url("/app-1.tgz")))
        .await
        .unwrap_err();
    assert!(matches!(spent, UpstreamError::OverBudget { .. }), "{spent:?}");
    assert_eq!((elsewhere.count(), home.count()), (1, 1));
}
