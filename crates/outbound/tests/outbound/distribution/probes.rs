//! An upstream that is tried step by step.

use std::time::Duration;

use outbound::AddressGuard;
use outbound::distribution::{Probe, ProbeError, ProbeStep, Probed, Upstream, WantedFile};

use super::world::{MANIFEST, made, repo, settings, signed_in, tag};
use crate::server::{Reply, Server};

const LIMIT: Duration = Duration::from_secs(20);

fn taken(steps: &[Probed]) -> Vec<(ProbeStep, bool)> {
    steps
        .iter()
        .map(|step| (step.step, step.outcome.is_ok()))
        .collect()
}

async fn probe(upstream: &Upstream) -> Vec<Probed> {
    let (repo, tag) = (repo(), tag());
    upstream.probe(Probe::Registry(Some((&repo, &tag))), LIMIT).await
}

/// Takes tokens of `/token`, and gives them to `ann` alone.
async fn registry() -> Server {
    Server::start(|asked| match asked.path.as_str() {
        path if path.starts_with("/token") => match asked.header("authorization") {
            Some(_) => Reply::ok(r#"{"token":"t","expires_in":300}"#),
            None => Reply::status(401),
        },
        _ if asked.header("authorization") == Some("Bearer t") => Reply::ok(MANIFEST),
        _ => Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"/token\",service=\"x\""),
    })
    .await
}

#[tokio::test]
async fn every_step_is_taken_until_one_fails() {
    use ProbeStep::{Connect, Login, Manifest, Ping, Resolve};
    let server = registry().await;
    let steps = probe(&made(signed_in(&server.url("")))).await;
    let all = [Resolve, Connect, Ping, Login, Manifest].map(|step| (step, true));
    assert_eq!(taken(&steps), all, "{steps:?}");
    let steps = probe(&made(settings(&server.url("")))).await;
    assert_eq!(taken(&steps).last(), Some(&(Login, false)), "{steps:?}");

    let nobody = Server::start(|_| Reply::status(404)).await;
    let url = nobody.url("");
    let steps = probe(&made(settings(&url))).await;
    let last = steps.last().unwrap();
    let told = last.outcome.as_ref().unwrap_err().to_string();
    assert!(last.step == Ping && told.contains("no registry"), "{steps:?}");
    drop(nobody);
}

#[tokio::test]
async fn what_is_no_tls_and_no_public_address_is_found_before_anything_is_asked() {
    let server = registry().await;
    let tls = server.url("").replace("http://", "https://");
    let steps = probe(&made(settings(&tls))).await;
    assert_eq!(taken(&steps).last(), Some(&(ProbeStep::Tls, false)), "{steps:?}");
    let mut guarded = settings(&server.url(""));
    guarded.client.guard = AddressGuard::public_only();
    let steps = probe(&made(guarded)).await;
    assert_eq!(taken(&steps), [(ProbeStep::Resolve, false)], "{steps:?}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn all_steps_together_have_a_deadline() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let upstream = made(settings(&url));
    let probe = Probe::Registry(None);
    let steps = upstream.probe(probe, Duration::from_millis(200)).await;
    let last = steps.last().unwrap();
    assert_eq!(last.step, ProbeStep::Ping);
    assert!(matches!(last.outcome, Err(ProbeError::Slow(_))), "{steps:?}");
}

#[tokio::test]
async fn of_a_repository_of_charts_the_index_is_fetched() {
    let server = Server::start(|_| Reply::ok("entries: {}")).await;
    let upstream = made(settings(&server.url("")));
    let file = WantedFile {
        url: server.url("/index.yaml").parse().unwrap(),
        known: None,
        most: 100,
        is_content: false,
    };
    let steps = upstream.probe(Probe::File(&file), LIMIT).await;
    assert_eq!(taken(&steps).last(), Some(&(ProbeStep::Index, true)), "{steps:?}");
}
