//! Slow clients: whoever holds a connection without using it is cut (slowloris, slow post, slow read); whoever is only
//! slow is not.

use std::{
    net::Ipv4Addr,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use super::wire::{LAST_CHUNK, Wire, chunk, header, status};
use crate::harness::{
    authority::{Authority, Files},
    content::{Algorithm, Blob},
    push::blob_path,
    server::{Options, Server},
};

const REPOSITORY: &str = "slow/clients";

/// More than the kernel keeps on its way between the two ends of a connection.
const LARGE: usize = 32 * 1024 * 1024;

/// Between two bytes of a client that trickles.
const TRICKLE: Duration = Duration::from_millis(150);

/// When a connection with a limit of two seconds must end: not before, and not much later on a busy machine.
const TWO_SECONDS: Range<Duration> = Duration::from_millis(1_800)..Duration::from_secs(8);

fn timeouts(header: &str, idle: &str) -> Options {
    Options::default()
        .environment("ROADBED_CONNECTIONS__HEADER_TIMEOUT", header)
        .environment("ROADBED_CONNECTIONS__IDLE_TIMEOUT", idle)
}

/// At least 64 KiB/s, measured over two seconds.
fn rates() -> Options {
    Options::default()
        .environment("ROADBED_CONNECTIONS__MINIMUM_READ_RATE", "64KiB")
        .environment("ROADBED_CONNECTIONS__MINIMUM_WRITE_RATE", "64KiB")
        .environment("ROADBED_CONNECTIONS__RATE_WINDOW", "2s")
}

fn ensure_within(lived: Duration, range: &Range<Duration>) -> Result<()> {
    ensure!(range.contains(&lived), "cut after {lived:?}, wanted {range:?}");
    Ok(())
}

/// Sends single bytes until the server closes, and returns how long the connection lived.
async fn trickle(wire: &mut Wire, started: Instant) -> Result<Duration> {
    while wire.send("a").await? {
        ensure!(
            started.elapsed() < TWO_SECONDS.end,
            "nobody cuts a client that trickles"
        );
        sleep(TRICKLE).await;
    }
    Ok(started.elapsed())
}

async fn slow_heads() -> Result<()> {
    let server = Server::start_with(timeouts("2s", "60s")).await;
    let mut silent = Wire::open(&server).await?;
    let mut trickling = Wire::open(&server).await?;
    trickling
        .send("GET /v2/ HTTP/1.1\r\nHost: registry\r\nX-Slow: ")
        .await?;
    ensure_within(trickle(&mut trickling, Instant::now()).await?, &TWO_SECONDS)?;
    ensure_within(silent.drain().await?.0, &TWO_SECONDS)?;
    // The second request of a connection owes its head just as soon.
    let mut second = Wire::open(&server).await?;
    second.ask("GET", "/v2/", "").await?;
    ensure!(
        status(&second.answer().await?.0) == 200,
        "the first request is answered"
    );
    second.send("GET /v2/ HTTP/1.1\r\nX-Slow: ").await?;
    ensure_within(trickle(&mut second, Instant::now()).await?, &TWO_SECONDS)?;
    server.admin().get("/v2/").send().await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut() {
    slow_heads().await.unwrap();
}

/// A handshake of two seconds at most, whether the client is silent or trickles.
async fn slow_handshakes() -> Result<()> {
    let directory = TempDir::with_prefix("roadbed-slow-")?;
    let (authority, files) = (Authority::new("slow"), Files::in_directory(directory.path()));
    authority.issue(&[Ipv4Addr::LOCALHOST.into()], &files);
    let options = timeouts("60s", "60s").environment("ROADBED_CONNECTIONS__HANDSHAKE_TIMEOUT", "2s");
    let server = Server::start_with(authority.serve(options, &files)).await;
    let mut silent = Wire::open(&server).await?;
    let mut trickling = Wire::open(&server).await?;
    // The head of a record: a handshake message of 512 bytes follows.
    trickling.send([0x16, 0x03, 0x01, 0x02, 0x00]).await?;
    ensure_within(trickle(&mut trickling, Instant::now()).await?, &TWO_SECONDS)?;
    ensure_within(silent.drain().await?.0, &TWO_SECONDS)?;
    server.admin().get("/v2/").send().await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_trickles_in_is_cut() {
    slow_handshakes().await.unwrap();
}

async fn idle_connections() -> Result<()> {
    let server = Server::start_with(timeouts("30s", "2s")).await;
    let mut idle = Wire::open(&server).await?;
    let mut busy = Wire::open(&server).await?;
    for _ in 0..4 {
        busy.ask("GET", "/v2/", "").await?;
        ensure!(
            status(&busy.answer().await?.0) == 200,
            "a connection in use stays open"
        );
        sleep(Duration::from_secs(1)).await;
    }
    idle.ask("GET", "/v2/", "").await?;
    ensure!(
        status(&idle.answer().await?.0) == 200,
        "a connection whose head is due in 30 s stays open"
    );
    let since = Instant::now();
    idle.drain().await?;
    ensure_within(since.elapsed(), &TWO_SECONDS)
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    idle_connections().await.unwrap();
}

/// Sends half of a blob at once and then trickles; returns what is left of the upload.
async fn slow_body() -> Result<()> {
    let server = Server::start_with(rates()).await;
    let client = server.admin();
    let blob = Blob::noise(Algorithm::Sha256, "slow body", 200_000);
    let session = client.open_upload(REPOSITORY).await?;
    let mut wire = Wire::open(&server).await?;
    wire.ask("PATCH", session.path(), "Transfer-Encoding: chunked\r\n")
        .await?;
    wire.send(chunk(&blob.bytes[..100_000])).await?;
    let started = Instant::now();
    let mut sent = 100_000;
    while wire.send(chunk(&blob.bytes[sent..=sent])).await? {
        ensure!(
            started.elapsed() < Duration::from_secs(15),
            "nobody cuts a body that trickles in"
        );
        sent += 1;
        sleep(TRICKLE).await;
    }
    let (head, _) = wire.answer().await.unwrap_or_default();
    ensure!(
        head.is_empty() || status(&head) == 408,
        "a body that is too slow is not answered {head}"
    );
    // The one who is told resumes from what the server has.
    let offset = client.upload_offset(&session).await?;
    ensure!(
        (100_000..=sent).contains(&offset),
        "{offset} bytes are kept of {sent} that were sent"
    );
    client
        .send_chunk(&session, offset, &blob.bytes[offset..])
        .send()
        .await?
        .expect(&[202])?;
    client
        .finish_upload(&session, &blob.digest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(REPOSITORY, &blob).await
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_and_can_be_resumed() {
    slow_body().await.unwrap();
}

/// Twice the minimum, in small pieces, over three windows.
async fn honest_slow_body() -> Result<()> {
    let server = Server::start_with(rates()).await;
    let client = server.admin();
    let blob = Blob::noise(Algorithm::Sha256, "honest body", 768 * 1024);
    let session = client.open_upload(REPOSITORY).await?;
    let mut wire = Wire::open(&server).await?;
    wire.ask("PATCH", session.path(), "Transfer-Encoding: chunked\r\n")
        .await?;
    for piece in blob.bytes.chunks(13 * 1024) {
        ensure!(wire.send(chunk(piece)).await?, "an honest sender was cut");
        sleep(Duration::from_millis(100)).await;
    }
    wire.send(LAST_CHUNK).await?;
    let (head, _) = wire.answer().await?;
    ensure!(status(&head) == 202, "{head}");
    client
        .finish_upload(&session, &blob.digest)
        .send()
        .await?
        .expect(&[201])?;
    client.check_blob(REPOSITORY, &blob).await
}

#[tokio::test]
async fn a_slow_but_honest_sender_is_not_cut() {
    honest_slow_body().await.unwrap();
}

/// Asks for a large blob and reads the head of the answer.
async fn begin_pull(server: &Server, blob: &Blob) -> Result<Wire> {
    let mut wire = Wire::open(server).await?;
    wire.ask("GET", &blob_path(REPOSITORY, &blob.digest), "").await?;
    let head = wire.head().await?;
    ensure!(
        header(&head, "content-length") == Some(LARGE.to_string().as_str()),
        "{head}"
    );
    Ok(wire)
}

async fn slow_readers() -> Result<()> {
    let server = Server::start_with(rates()).await;
    let blob = Blob::noise(Algorithm::Sha256, "slow reader", LARGE);
    server.admin().push_blob(REPOSITORY, &blob).await?;
    let mut stuck = begin_pull(&server, &blob).await?;
    let mut honest = begin_pull(&server, &blob).await?;
    // 2.5 MiB/s: slow, but far over the minimum.
    let mut read = 0;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        read += honest.read(256 * 1024).await?.len();
        sleep(Duration::from_millis(100)).await;
    }
    let rest = honest
        .read_fully(LARGE - read)
        .await
        .context("the honest reader")?;
    ensure!(
        read + rest == LARGE,
        "an honest reader was cut after {} of {LARGE} bytes",
        read + rest
    );
    let (_, came) = stuck.drain().await.context("the stuck reader")?;
    ensure!(
        came < LARGE,
        "a reader that read nothing for eight seconds was not cut"
    );
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_and_a_slow_one_is_not() {
    slow_readers().await.unwrap();
}
