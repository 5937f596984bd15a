//! Over a cap: turned away at once and told when to come again; the server works on and recovers.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use super::wire::{LAST_CHUNK, Wire, chunk, header, status};
use crate::harness::{
    authority::{Authority, Files},
    client::Client,
    content::{Algorithm, Blob},
    metrics::Metrics,
    server::{Options, Server},
};

/// Connections that a test may have open over the cap: the harness's own are kept for a moment.
const ATTEMPTS: usize = 40;

const PAUSE: Duration = Duration::from_millis(100);

/// Opens connections until one is turned away; returns those that were let in and the refusal.
async fn open_until_refused(server: &Server) -> Result<(Vec<Wire>, String)> {
    let mut open = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut wire = Wire::open(server).await?;
        // Whoever is let in gets an answer to a request, whoever is not gets one without having asked.
        wire.send("GET /healthz HTTP/1.1\r\nHost: registry\r\n\r\n")
            .await?;
        let (head, _) = wire.answer().await?;
        if status(&head) != 200 {
            return Ok((open, head));
        }
        open.push(wire);
    }
    anyhow::bail!("{ATTEMPTS} connections were let in")
}

/// A request on a new connection, repeated for a while.
async fn eventually_works(server: &Server) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let answer = server.admin().get("/v2/").send().await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("the server does not recover")
}

fn check_refusal(head: &str) -> Result<()> {
    ensure!(status(head) == 429, "{head}");
    let wait = header(head, "retry-after").and_then(|value| value.parse::<u32>().ok());
    ensure!(
        wait.is_some_and(|seconds| seconds > 0),
        "no time to come again: {head}"
    );
    ensure!(
        header(head, "connection") == Some("close"),
        "the connection stays: {head}"
    );
    Ok(())
}

async fn connections_in_all() -> Result<()> {
    let options = Options::default()
        .environment("ROADBED_CONNECTIONS__TOTAL", "8")
        .environment("ROADBED_CONNECTIONS__PER_ADDRESS", "8");
    let server = Server::start_with(options).await;
    let (mut open, refusal) = open_until_refused(&server).await?;
    check_refusal(&refusal)?;
    ensure!(open.len() <= 8, "{} connections were let in", open.len());
    // Those inside are served on.
    let first = open.first_mut().expect("some were let in");
    first.ask("GET", "/v2/", "").await?;
    ensure!(
        status(&first.answer().await?.0) == 200,
        "an open connection is not served"
    );
    drop(open);
    eventually_works(&server).await?;
    let shed = Metrics::read(&server).await?.sum("connections_shed_total", &[])?;
    ensure!(shed >= 1, "{shed} refusals were counted");
    Ok(())
}

#[tokio::test]
async fn one_connection_too_many_is_answered_429() {
    connections_in_all().await.unwrap();
}

async fn connections_per_address() -> Result<()> {
    let options = Options::default().environment("ROADBED_CONNECTIONS__PER_ADDRESS", "5");
    let server = Server::start_with(options).await;
    let (open, refusal) = open_until_refused(&server).await?;
    check_refusal(&refusal)?;
    ensure!(open.len() <= 5, "{} connections were let in", open.len());
    // Somebody else is not refused because of it.
    let mut other = Wire::open_from(server.address(), Ipv4Addr::new(127, 0, 0, 2)).await?;
    other.ask("GET", "/v2/", "").await?;
    ensure!(
        status(&other.answer().await?.0) == 200,
        "another address is refused too"
    );
    drop(open);
    eventually_works(&server).await
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    connections_per_address().await.unwrap();
}

/// A connection that was used once and is kept open, or none where it was turned away.
async fn open_used(server: &Server, from: Ipv4Addr) -> Result<Option<Wire>> {
    let mut wire = Wire::open_from(server.address(), from).await?;
    wire.send("GET /healthz HTTP/1.1\r\nHost: registry\r\n\r\n")
        .await?;
    let (head, _) = wire.answer().await?;
    ensure!([200, 429].contains(&status(&head)), "{from}: {head}");
    Ok((status(&head) == 200).then_some(wire))
}

/// Two addresses hold all connections and ask for nothing; one of them has a request under way.
async fn held_by_two() -> Result<()> {
    let options = Options::default()
        .environment("ROADBED_CONNECTIONS__TOTAL", "10")
        .environment("ROADBED_CONNECTIONS__PER_ADDRESS", "5");
    let server = Server::start_with(options).await;
    let blob = Blob::noise(Algorithm::Sha256, "under way", 5000);
    let session = server.admin().open_upload("caps/held").await?;
    let (two, three) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let mut busy = Wire::open_from(server.address(), two).await?;
    busy.ask("PATCH", session.path(), "Transfer-Encoding: chunked\r\n")
        .await?;
    busy.send(chunk(&blob.bytes[..1000])).await?;
    Metrics::until(&server, "uploads_in_flight", |count| count == 1).await?;
    let mut held = Vec::new();
    // Until both are turned away: then all places are taken.
    for from in [two, three, two, three] {
        while let Some(wire) = open_used(&server, from).await? {
            held.push(wire);
        }
    }
    for last in 4..7 {
        let other = open_used(&server, Ipv4Addr::new(127, 0, 0, last)).await?;
        held.push(other.context("a third address is kept out")?);
    }
    let displaced = Metrics::read(&server)
        .await?
        .sum("connections_displaced_total", &[])?;
    ensure!(displaced >= 1, "{displaced} connections gave way");
    busy.send(chunk(&blob.bytes[1000..])).await?;
    busy.send(LAST_CHUNK).await?;
    let (answer, _) = busy.answer().await?;
    ensure!(status(&answer) == 202, "a request under way was ended: {answer}");
    Ok(())
}

#[tokio::test]
async fn idle_connections_of_two_addresses_do_not_keep_a_third_out() {
    held_by_two().await.unwrap();
}

/// Over TLS nothing can be said before a handshake, which costs what the cap protects: the connection is closed.
async fn connections_over_tls() -> Result<()> {
    let directory = TempDir::with_prefix("roadbed-caps-")?;
    let (authority, files) = (Authority::new("caps"), Files::in_directory(directory.path()));
    authority.issue(&[Ipv4Addr::LOCALHOST.into()], &files);
    let options = Options::default().environment("ROADBED_CONNECTIONS__PER_ADDRESS", "5");
    let server = Server::start_with(authority.serve(options, &files)).await;
    let mut open = Vec::new();
    let silence = Duration::from_millis(300);
    while let Ok(mut wire) = Wire::open(&server).await {
        // Whoever is let in is waited for, whoever is not is closed without a byte.
        if let Ok(answer) = tokio::time::timeout(silence, wire.drain()).await {
            ensure!(answer?.1 == 0, "something was said before the handshake");
            break;
        }
        open.push(wire);
        ensure!(open.len() <= 5, "{} connections were let in", open.len());
    }
    drop(open);
    eventually_works(&server).await
}

#[tokio::test]
async fn one_tls_connection_too_many_is_closed() {
    connections_over_tls().await.unwrap();
}

/// Heads that are too large in one way or another.
fn floods() -> [(&'static str, String); 4] {
    let many: Vec<String> = (0..400)
        .map(|number| format!("X-Flood-{number}: 1\r\n"))
        .collect();
    let many = many.concat();
    let huge = format!("X-Flood: {}\r\n", "a".repeat(200_000));
    let path = format!("/v2/{}", "a".repeat(200_000));
    [
        (
            "400 fields",
            format!("GET /v2/ HTTP/1.1\r\nHost: registry\r\n{many}\r\n"),
        ),
        (
            "one field of 200 kB",
            format!("GET /v2/ HTTP/1.1\r\nHost: registry\r\n{huge}\r\n"),
        ),
        (
            "a path of 200 kB",
            format!("GET {path} HTTP/1.1\r\nHost: registry\r\n\r\n"),
        ),
        (
            "no end",
            format!(
                "GET /v2/ HTTP/1.1\r\nHost: registry\r\n{}",
                "X-A: 1\r\n".repeat(40_000)
            ),
        ),
    ]
}

async fn header_floods() -> Result<()> {
    let server = Server::start().await;
    for (name, flood) in floods() {
        let mut wire = Wire::open(&server).await?;
        wire.send(flood).await?;
        let head = wire.head().await?;
        // 414 is as right for a path (RFC 9110, 15.5.15).
        ensure!([431, 414].contains(&status(&head)), "{name}: {head}");
        let (_, rest) = wire.drain().await?;
        ensure!(rest < 4096, "{name}: the connection goes on");
    }
    server.admin().get("/v2/").send().await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_headers_is_answered_431() {
    header_floods().await.unwrap();
}

/// Begins an upload's body and leaves it open.
async fn begin_body(server: &Server, client: &Client, blob: &Blob) -> Result<Wire> {
    let session = client.open_upload("caps/uploads").await?;
    let mut wire = Wire::open(server).await?;
    wire.ask("PATCH", session.path(), "Transfer-Encoding: chunked\r\n")
        .await?;
    wire.send(chunk(&blob.bytes[..1000])).await?;
    Ok(wire)
}

async fn concurrent_uploads() -> Result<()> {
    let server =
        Server::start_with(Options::default().environment("ROADBED_REGISTRY__CONCURRENT_UPLOADS", "4")).await;
    let client = server.admin();
    let blob = Blob::noise(Algorithm::Sha256, "cap", 5000);
    client.push_blob("caps/uploads", &blob).await?;
    let mut open = Vec::new();
    for wanted in 1..=2 {
        open.push(begin_body(&server, &client, &blob).await?);
        Metrics::until(&server, "uploads_in_flight", |count| count == wanted).await?;
    }
    let answer = client.post("/v2/caps/uploads/blobs/uploads/").send().await?;
    let answer = answer.expect_error(429, "TOOMANYREQUESTS")?;
    ensure!(
        answer
            .require("retry-after")?
            .parse::<u32>()
            .is_ok_and(|seconds| seconds > 0),
        "no time to come again"
    );
    // Pulls have places of their own.
    client.check_blob("caps/uploads", &blob).await?;
    drop(open);
    for _ in 0..ATTEMPTS {
        if client
            .post("/v2/caps/uploads/blobs/uploads/")
            .send()
            .await?
            .status
            == 202
        {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("the places of uploads that went away are not given back")
}

#[tokio::test]
async fn one_upload_too_many_is_answered_429_and_pulls_go_on() {
    concurrent_uploads().await.unwrap();
}
