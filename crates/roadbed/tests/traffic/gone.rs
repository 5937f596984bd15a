//! Clients that stop sending, that go away, and that ask before they send.

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Duration, sleep};

use super::wire::{Wire, header, status};
use crate::harness::{
    login::basic_header,
    raw::Connection,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

/// Requests that are sent at once.
const MANY: usize = 300;

/// How long a server may go on with what it was told, if it does.
const SETTLED: Duration = Duration::from_millis(500);

/// Longer than it takes until no more is kept of a connection than its stream.
const RESTED: Duration = Duration::from_millis(4_500);

const NEW_UPLOAD: &str = "POST /v2/gone/app/blobs/uploads/";

/// A request of the administrator.
fn request(line: &str, fields: &str) -> String {
    let login = basic_header(ADMIN, ADMIN_PASSWORD);
    format!("{line} HTTP/1.1\r\nHost: registry\r\nAuthorization: {login}\r\n{fields}\r\n")
}

async fn half_closed() -> Result<()> {
    let server = Server::start().await;
    for (line, wanted) in [
        ("GET /v2/", 200),
        (NEW_UPLOAD, 202),
        ("GET /v2/gone/app/manifests/none", 404),
        ("GET /api/v1/users", 200),
    ] {
        let mut connection = Connection::open(server.address()).await?;
        connection.send(request(line, "Content-Length: 0\r\n")).await?;
        connection.finish_sending().await;
        let answer = connection.read_to_end().await?;
        ensure!(answer.status == wanted, "{line}: {}", answer.text);
    }
    let mut connection = Connection::open(server.address()).await?;
    connection
        .send(request(NEW_UPLOAD, "Content-Length: 0\r\n").repeat(20))
        .await?;
    connection.finish_sending().await;
    let answers = connection
        .read_to_end()
        .await?
        .text
        .matches("HTTP/1.1 202")
        .count();
    ensure!(answers == 20, "{answers} answers to 20 requests");
    Ok(())
}

#[tokio::test]
async fn whoever_stops_sending_gets_the_answers() {
    half_closed().await.unwrap();
}

/// Uploads that were begun: each is a file.
fn begun(server: &Server) -> Result<usize> {
    let files = std::fs::read_dir(server.data().join("uploads")).context("the uploads")?;
    Ok(files.count())
}

/// Sends many requests, goes away, and returns how many were still begun.
async fn abandoned(server: &Server, go: impl AsyncFnOnce(Connection) -> Result<()>) -> Result<usize> {
    let mut connection = Connection::open(server.address()).await?;
    connection
        .send(request(NEW_UPLOAD, "Content-Length: 0\r\n").repeat(MANY))
        .await?;
    go(connection).await?;
    let at_the_end = begun(server)?;
    sleep(SETTLED).await;
    Ok(begun(server)? - at_the_end)
}

async fn gone() -> Result<()> {
    /// What was under way, and one whose answer told us.
    const UNDER_WAY: usize = 2;
    let server = Server::start().await;
    let reset = abandoned(&server, async |connection| connection.reset()).await?;
    ensure!(reset <= UNDER_WAY, "{reset} were begun after a reset");
    let closed = abandoned(&server, async |connection| {
        drop(connection);
        Ok(())
    });
    let closed = closed.await?;
    ensure!(closed <= UNDER_WAY, "{closed} were begun after the end");
    Ok(())
}

#[tokio::test]
async fn what_a_client_asked_for_that_has_gone_is_not_done() {
    gone().await.unwrap();
}

/// RFC 9110, section 10.1.1: who is refused before the body must know that the connection ends, or may go on with it.
async fn refused_before_the_body() -> Result<()> {
    let server = Server::start().await;
    let stranger = "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue";
    let large = "Expect: 100-continue\r\nContent-Length: 100000000\r\n";
    for (head, wanted) in [
        (
            format!("POST /v2/a/b/blobs/uploads/ {stranger}\r\nContent-Length: 9\r\n\r\n"),
            401,
        ),
        (
            format!("PUT /v2/a/b/manifests/v1 {stranger}\r\nTransfer-Encoding: chunked\r\n\r\n"),
            401,
        ),
        (
            format!("POST /api/v1/apply {stranger}\r\nContent-Length: 9\r\n\r\n"),
            415,
        ),
        (request("PUT /v2/a/b/manifests/v1", large), 413),
        (request("GET /healthz", large), 200),
    ] {
        let mut wire = Wire::open(&server).await?;
        wire.send(&head).await?;
        let (answer, _) = wire.answer().await?;
        ensure!(status(&answer) == wanted, "{head}: {answer}");
        ensure!(header(&answer, "connection") == Some("close"), "{head}: {answer}");
        let (_, more) = wire.drain().await?;
        ensure!(more == 0, "{head}: {more} bytes behind the answer");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_refused_before_its_body_is_told_that_the_connection_ends() {
    refused_before_the_body().await.unwrap();
}

/// Whoever was told to go on, or has nothing to send, keeps the connection.
async fn told_to_go_on() -> Result<()> {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await?;
    for _ in 0..2 {
        wire.send(request(
            "PUT /v2/gone/app/manifests/v1",
            "Expect: 100-continue\r\nContent-Length: 2\r\n",
        ))
        .await?;
        let head = wire.head().await?;
        ensure!(status(&head) == 100, "{head}");
        wire.send("{}").await?;
        let (head, _) = wire.answer().await?;
        ensure!(status(&head) == 400, "{head}");
        ensure!(header(&head, "connection") != Some("close"), "{head}");
    }
    wire.send(request(
        "GET /v2/gone/app/manifests/none",
        "Expect: 100-continue\r\n",
    ))
    .await?;
    let (head, _) = wire.answer().await?;
    ensure!(status(&head) == 404, "{head}");
    ensure!(header(&head, "connection") != Some("close"), "{head}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_may_send_its_body_keeps_the_connection() {
    told_to_go_on().await.unwrap();
}

/// One that was not used for a while takes up where it was: with a head that comes in pieces, with two requests at once, and with a
/// body.
async fn rested(pause: Duration) -> Result<()> {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await?;
    wire.ask("GET", "/v2/", "").await?;
    ensure!(status(&wire.answer().await?.0) == 200, "before the rest");
    sleep(pause).await;
    let head = request("GET /v2/", &format!("X-Long: {}\r\n", "x".repeat(3_000)));
    for piece in [&head[..7], &head[7..1_200], &head[1_200..]] {
        ensure!(wire.send(piece).await?, "the server closed");
        sleep(Duration::from_millis(50)).await;
    }
    ensure!(status(&wire.answer().await?.0) == 200, "in pieces");
    sleep(pause).await;
    wire.send(request("GET /v2/", "").repeat(2)).await?;
    for _ in 0..2 {
        ensure!(status(&wire.answer().await?.0) == 200, "two at once");
    }
    sleep(pause).await;
    let body = "x".repeat(5_000);
    let put = request("PUT /v2/gone/app/manifests/v1", "Content-Length: 5000\r\n");
    wire.send(put + &body).await?;
    ensure!(status(&wire.answer().await?.0) == 400, "with a body");
    sleep(pause).await;
    wire.ask("GET", "/v2/", "").await?;
    ensure!(status(&wire.answer().await?.0) == 200, "after a body");
    wire.send("GET /v2/ HTTP/1.1\r\nHost").await?;
    drop(wire);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_rested_takes_up_where_it_was() {
    rested(RESTED).await.unwrap();
}
