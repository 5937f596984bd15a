//! SIGTERM: readiness goes first, what is under way finishes, nobody new comes in, the process ends with 0.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::wire::{LAST_CHUNK, Wire, chunk, status};
use crate::harness::{
    content::{Algorithm, Blob},
    push::blob_path,
    server::{Options, Server},
};

const REPOSITORY: &str = "drain/app";

/// More than the kernel keeps on its way between the two ends of a connection.
const LARGE: usize = 32 * 1024 * 1024;

const PAUSE: Duration = Duration::from_millis(50);

/// After this the port must be closed.
const CLOSED_BY: Duration = Duration::from_secs(15);

fn drain(delay: &str, deadline: &str) -> Options {
    Options::default()
        .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", delay)
        .environment("ROADBED_CONNECTIONS__DRAIN_TIMEOUT", deadline)
}

/// A large pull of which a little was read.
async fn begin_pull(server: &Server) -> Result<(Wire, Blob)> {
    let blob = Blob::noise(Algorithm::Sha256, "drain", LARGE);
    server.admin().push_blob(REPOSITORY, &blob).await?;
    let mut pull = Wire::open(server).await?;
    pull.ask("GET", &blob_path(REPOSITORY, &blob.digest), "").await?;
    ensure!(status(&pull.head().await?) == 200, "the pull begins");
    pull.read(1000).await?;
    Ok((pull, blob))
}

/// An upload of which half was sent.
async fn begin_push(server: &Server) -> Result<(Wire, Blob)> {
    let blob = Blob::noise(Algorithm::Sha256, "half", 400_000);
    let session = server.admin().open_upload(REPOSITORY).await?;
    let mut push = Wire::open(server).await?;
    let target = format!("{}?digest={}", session.path(), blob.digest);
    push.ask("PUT", &target, "Transfer-Encoding: chunked\r\n").await?;
    push.send(chunk(&blob.bytes[..200_000])).await?;
    Ok((push, blob))
}

async fn until_closed(server: &Server) -> Result<()> {
    let started = Instant::now();
    while Wire::open(server).await.is_ok() {
        ensure!(started.elapsed() < CLOSED_BY, "the port stays open");
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn graceful() -> Result<()> {
    let mut server = Server::start_with(drain("2s", "30s")).await;
    let (mut pull, _) = begin_pull(&server).await?;
    let (mut push, pushed) = begin_push(&server).await?;
    let mut idle = Wire::open(&server).await?;
    idle.ask("GET", "/v2/", "").await?;
    idle.answer().await?;
    server.ask_to_end();
    // Load balancers have two seconds to see that nobody new should come; whoever comes all the same is served.
    let client = server.admin();
    let started = Instant::now();
    while client.get("/readyz").send().await?.status != 503 {
        ensure!(
            started.elapsed() < Duration::from_millis(1_500),
            "readiness does not go first"
        );
        sleep(PAUSE).await;
    }
    client.get("/healthz").send().await?.expect(&[200])?;
    client
        .get(format!("/v2/{REPOSITORY}/tags/list"))
        .send()
        .await?
        .expect(&[200, 404])?;
    until_closed(&server).await?;
    idle.drain().await?;
    push.send(chunk(&pushed.bytes[200_000..])).await?;
    push.send(LAST_CHUNK).await?;
    let (head, _) = push.answer().await?;
    ensure!(status(&head) == 201, "the push under way: {head}");
    let (_, rest) = pull.drain().await?;
    ensure!(
        rest + 1000 == LARGE,
        "the pull under way was cut after {} of {LARGE} bytes",
        rest + 1000
    );
    let status = server.end().await;
    ensure!(status.code() == Some(0), "the server ended with {status}");
    server.start_again().await;
    server.admin().check_blob(REPOSITORY, &pushed).await
}

#[tokio::test]
async fn what_is_under_way_finishes_and_nobody_new_comes_in() {
    graceful().await.unwrap();
}

/// A client that never ends its request does not keep the server for ever.
async fn deadline() -> Result<()> {
    let mut server = Server::start_with(drain("0s", "2s")).await;
    let (mut pull, _) = begin_pull(&server).await?;
    let asked = Instant::now();
    server.ask_to_end();
    let status = server.end().await;
    let took = asked.elapsed();
    ensure!(status.code() == Some(0), "the server ended with {status}");
    ensure!(
        (Duration::from_secs(1)..Duration::from_secs(12)).contains(&took),
        "it took {took:?}"
    );
    let (_, rest) = pull.drain().await?;
    ensure!(rest < LARGE, "the pull cannot be whole");
    Ok(())
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    deadline().await.unwrap();
}

/// Who is in a hurry asks twice.
async fn second_signal() -> Result<()> {
    let mut server = Server::start_with(drain("60s", "60s")).await;
    server.ask_to_end();
    sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    server.ask_to_end();
    server.end().await;
    ensure!(
        asked.elapsed() < Duration::from_secs(10),
        "a second signal does not end the wait"
    );
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    second_signal().await.unwrap();
}
