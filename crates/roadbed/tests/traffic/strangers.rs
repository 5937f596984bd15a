//! What somebody who has no name here may cost before anybody asks for one: ambiguous requests, heads that do not end,
//! forms that ask for tokens, bodies that nobody wants.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::select_all;
use tokio::time::timeout;

use super::wire::{Wire, chunk, header, status};
use crate::harness::{
    metrics::Metrics,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const MIB: usize = 1024 * 1024;

/// When something with a limit of a second must have happened: not before, and not much later on a busy machine.
const A_SECOND: Range<Duration> = Duration::from_millis(900)..Duration::from_secs(8);

/// Sends a head, its empty line included, and returns the head of the answer.
async fn asks(server: &Server, head: &str) -> Result<String> {
    let mut wire = Wire::open(server).await?;
    wire.send(head).await?;
    wire.head().await
}

/// RFC 9112, sections 3.2 and 6.1: what two parsers may read differently is refused, and the connection ends.
async fn ambiguous_requests() -> Result<()> {
    let server = Server::start().await;
    for path in ["/v2/", "/healthz", "/api/v1/system"] {
        for (fields, wanted) in [
            ("", 400),
            ("Host: a\r\nHost: b\r\n", 400),
            ("Host: a\r\nHost: a\r\n", 400),
            ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
            (
                "Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                501,
            ),
            ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 501),
        ] {
            let head = asks(&server, &format!("GET {path} HTTP/1.1\r\n{fields}\r\n")).await?;
            ensure!(status(&head) == wanted, "{path} {fields:?}: {head}");
            ensure!(
                header(&head, "connection") == Some("close"),
                "{path} {fields:?}: {head}"
            );
        }
    }
    for head in [
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    ] {
        let answer = asks(&server, head).await?;
        ensure!(status(&answer) == 200, "{head:?}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_two_parsers_read_differently_is_refused() {
    ambiguous_requests().await.unwrap();
}

async fn half_heads() -> Result<()> {
    const HEADS: usize = 16;
    let options = Options::default()
        .environment("ROADBED_CONNECTIONS__UNFINISHED_HEADS", "16")
        .environment("ROADBED_CONNECTIONS__HEADER_TIMEOUT", "60s");
    let server = Server::start_with(options).await;
    let mut open = Vec::new();
    for _ in 0..=HEADS {
        let mut wire = Wire::open(&server).await?;
        wire.send("GET /healthz HTTP/1.1\r\nX-Half: ").await?;
        open.push(wire);
    }
    let ends = open.iter_mut().map(|wire| Box::pin(wire.drain()));
    let (_, cut, others) = timeout(A_SECOND.end, select_all(ends))
        .await
        .context("as many half heads as anybody likes")?;
    let another = timeout(Duration::from_millis(200), select_all(others))
        .await
        .is_ok();
    ensure!(!another, "two were cut where one was too many");
    // Whoever says all at once needs no place, and those who have one may go on.
    server.admin().get("/v2/").send().await?.expect(&[200])?;
    let mut first = open.swap_remove(usize::from(cut == 0));
    first.send("x\r\nHost: a\r\n\r\n").await?;
    let head = first.head().await?;
    ensure!(status(&head) == 200, "{head}");
    Ok(())
}

#[tokio::test]
async fn one_half_head_too_many_is_cut() {
    half_heads().await.unwrap();
}

/// Begins to send a form of this length.
async fn begin_form(server: &Server, length: usize, form: &str) -> Result<Wire> {
    let mut wire = Wire::open(server).await?;
    let head = format!("POST /v2/token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{form}");
    wire.send(head).await?;
    Ok(wire)
}

async fn token_forms() -> Result<()> {
    let options = Options::default()
        .environment("ROADBED_AUTH__FORM_MEMORY", "16KiB")
        .environment("ROADBED_AUTH__FORM_TIMEOUT", "1s");
    let server = Server::start_with(options).await;
    let mut large = begin_form(&server, 20_000, "").await?;
    let head = large.head().await?;
    ensure!(status(&head) == 413, "{head}");

    // Signs in once: comparing the password would take much of the second that the slow form has.
    Metrics::read(&server).await?;
    let began = Instant::now();
    let fill = "x".repeat(12_000);
    let mut slow = begin_form(&server, 16_000, &fill).await?;
    Metrics::until(&server, "http_received_bytes_total", |bytes| bytes >= 12_000).await?;
    let mut second = begin_form(&server, fill.len(), &fill).await?;
    let head = second.head().await?;
    ensure!(status(&head) == 429, "{head}");
    ensure!(header(&head, "retry-after").is_some(), "{head}");
    // A form as clients send it finds its place beside them.
    let password = ADMIN_PASSWORD.replace(' ', "+");
    let form = format!("grant_type=password&service=a&username={ADMIN}&password={password}");
    let mut usual = begin_form(&server, form.len(), &form).await?;
    let (head, body) = usual.answer().await?;
    let body = String::from_utf8_lossy(&body);
    ensure!(
        status(&head) == 200 && body.contains("access_token"),
        "{head}{body}"
    );

    let head = slow.head().await?;
    ensure!(status(&head) == 408, "{head}");
    let lived = began.elapsed();
    ensure!(A_SECOND.contains(&lived), "cut after {lived:?}");
    let mut third = begin_form(&server, fill.len(), &fill).await?;
    let head = third.head().await?;
    ensure!(status(&head) == 400, "its room is not given back: {head}");
    Ok(())
}

#[tokio::test]
async fn forms_of_strangers_are_bounded_in_bytes_and_time() {
    token_forms().await.unwrap();
}

/// Begins an upload that nobody may make, and reads that it is refused.
async fn begin_unwanted(server: &Server) -> Result<Wire> {
    let mut wire = Wire::open(server).await?;
    let path = "/v2/strangers/app/blobs/uploads/";
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await?;
    wire.send(chunk(b"x")).await?;
    let (head, _) = wire.answer().await?;
    ensure!(status(&head) == 401, "{head}");
    Ok(wire)
}

async fn unwanted_bodies() -> Result<()> {
    /// What the kernel takes on the way, beside what is read.
    const ON_THE_WAY: usize = 16 * MIB;
    let options = Options::default()
        .environment("ROADBED_REGISTRY__UNWANTED_BYTES", "1MiB")
        .environment("ROADBED_REGISTRY__UNWANTED_TIME", "1s");
    let server = Server::start_with(options).await;
    let mut endless = begin_unwanted(&server).await?;
    let piece = chunk(&vec![0; 64 * 1024]);
    let mut sent = 0;
    while endless.send(&piece).await? {
        sent += piece.len();
        ensure!(sent < MIB + ON_THE_WAY, "{sent} bytes are read for nothing");
    }
    let began = Instant::now();
    let mut stalled = begin_unwanted(&server).await?;
    stalled.drain().await?;
    let lived = began.elapsed();
    ensure!(A_SECOND.contains(&lived), "cut after {lived:?}");
    Ok(())
}

#[tokio::test]
async fn bodies_that_nobody_wants_are_read_for_a_while_only() {
    unwanted_bodies().await.unwrap();
}
