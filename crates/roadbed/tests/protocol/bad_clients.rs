//! Clients that flood, go away, or leave connections lying about.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::{uploads::NOTICE, witness::Witness};
use crate::harness::{
    client::Client,
    content::Blob,
    login::basic_header,
    push::offset_of,
    raw::{Connection, exchange},
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

/// Bytes of the blob that are sent before the client is gone.
const SENT: usize = 400_000;

/// Starts a stream, breaks it off, asks how far it came, goes on from there, and checks the blob.
pub(crate) async fn abandon_and_resume(
    server: &Server,
    client: &Client,
    blob: &Blob,
    reset: bool,
) -> Result<()> {
    let repository = "clients/gone";
    let session = client.open_upload(repository).await?;
    let mut connection = Connection::open(server.address()).await?;
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        session.path(),
        server.address(),
        basic_header(ADMIN, ADMIN_PASSWORD),
        blob.bytes.len()
    );
    connection.send(head).await?;
    connection.send(&blob.bytes[..SENT]).await?;
    if reset {
        connection.reset()?;
    } else {
        drop(connection);
    }
    let offset = settled_offset(client, &session).await?;
    ensure!(offset <= SENT, "{offset} bytes are there, {SENT} were sent");
    client.check_no_blob(repository, &blob.digest).await?;
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
    client.check_blob(repository, blob).await
}

/// The offset once it stands still: the server may still be writing what arrived before the end.
async fn settled_offset(client: &Client, session: &reqwest::Url) -> Result<usize> {
    let deadline = Instant::now() + NOTICE;
    let mut last = None;
    loop {
        let answer = client.get(session.as_str()).send().await?;
        if answer.status == 204 {
            let offset = offset_of(&answer)?;
            if last == Some(offset) {
                return Ok(offset);
            }
            last = Some(offset);
        }
        ensure!(
            Instant::now() < deadline,
            "the session does not settle: {}",
            answer.summary()
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// A head that is too large in one way or another: refused early, never a fault.
async fn flood(server: &Server, head: &str) -> Result<()> {
    let answer = exchange(server.address(), head, &basic_header(ADMIN, ADMIN_PASSWORD), b"").await?;
    ensure!(
        [0, 400, 404, 413, 414, 431].contains(&answer.status),
        "{}",
        answer.text
    );
    Ok(())
}

fn floods() -> Vec<(&'static str, String)> {
    use std::fmt::Write as _;
    let many = |count: usize| {
        (0..count).fold("GET /v2/ HTTP/1.1".to_owned(), |mut head, number| {
            let _ = write!(head, "\r\nX-{number}: y");
            head
        })
    };
    vec![
        ("1,000 headers", many(1_000)),
        ("100,000 headers", many(100_000)),
        (
            "a header of 1 MiB",
            format!("GET /v2/ HTTP/1.1\r\nX: {}", "y".repeat(1024 * 1024)),
        ),
        (
            "a header name of 1 MiB",
            format!("GET /v2/ HTTP/1.1\r\n{}: y", "X".repeat(1024 * 1024)),
        ),
        (
            "a path of 1 MiB",
            format!("GET /v2/{}/tags/list HTTP/1.1", "a".repeat(1024 * 1024)),
        ),
        (
            "a path of 10 KiB",
            format!("GET /v2/{}/tags/list HTTP/1.1", "a/".repeat(5 * 1024)),
        ),
        (
            "a query of 32 KiB",
            format!("GET /v2/a/tags/list?last={} HTTP/1.1", "a".repeat(32 * 1024)),
        ),
        (
            "1,000 parameters",
            format!("GET /v2/a/tags/list?{} HTTP/1.1", "n=1&".repeat(1_000)),
        ),
        (
            "a cookie of 1 MiB",
            format!("GET /v2/ HTTP/1.1\r\nCookie: {}", "a=b; ".repeat(200_000)),
        ),
        (
            "a method of 64 KiB",
            format!("{} /v2/ HTTP/1.1", "A".repeat(64 * 1024)),
        ),
    ]
}

/// Connections that say nothing, or half a request, do not keep others out.
async fn silent_connections(server: &Server, witness: &Witness) -> Result<()> {
    let mut held = Vec::new();
    for number in 0..200 {
        let mut connection = Connection::open(server.address()).await?;
        if number % 2 == 0 {
            connection
                .send("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                .await?;
        }
        held.push(connection);
    }
    witness.unharmed().await.context("with 200 silent connections")
}

/// Requests sent without waiting for answers are answered in their order.
async fn pipelined(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    let authorization = basic_header(ADMIN, ADMIN_PASSWORD);
    let request = |method: &str, path: &str, close: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n{close}\r\n")
    };
    let requests = [
        request("GET", "/v2/", ""),
        request("GET", "/v2/clients/none/tags/list", ""),
        request("GET", "/v2/", "Connection: close\r\n"),
    ];
    connection.send(requests.concat()).await?;
    let answer = connection.read_to_end().await?;
    let statuses: Vec<&str> = answer
        .text
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|part| part.get(..3))
        .collect();
    ensure!(statuses == ["200", "404", "200"], "{statuses:?}");
    Ok(())
}

/// `Expect: 100-continue`: asked before the body is sent, as curl does.
async fn expects_continue(server: &Server) -> Result<()> {
    let blob =
        crate::harness::content::Blob::noise(crate::harness::content::Algorithm::Sha256, "expect", 5_000);
    let mut connection = Connection::open(server.address()).await?;
    let head = format!(
        "POST /v2/clients/expect/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        blob.digest,
        basic_header(ADMIN, ADMIN_PASSWORD),
        blob.bytes.len()
    );
    connection.send(head).await?;
    connection.send(&blob.bytes).await?;
    let answer = connection.read_to_end().await?;
    ensure!(answer.text.contains("HTTP/1.1 201"), "{}", answer.text);
    server.admin().check_blob("clients/expect", &blob).await
}

/// A large body that nobody may send is refused with a readable answer, not a broken connection.
async fn stranger_with_a_large_body(server: &Server) -> Result<()> {
    let client = server.client(crate::harness::login::Login::Anonymous);
    let body = vec![0; 8 * 1024 * 1024];
    let request = client.post("/v2/clients/stranger/blobs/uploads/?digest=sha256:0000000000000000000000000000000000000000000000000000000000000000");
    request
        .body(body)
        .send()
        .await?
        .expect_error(401, "UNAUTHORIZED")?;
    Ok(())
}

#[tokio::test]
async fn floods_and_silence() {
    let server = Server::start().await;
    let witness = Witness::push(&server, "bad/clients").await;
    let mut tally = Tally::new("bad clients");
    for (name, head) in floods() {
        tally.record(name, flood(&server, &head).await);
        tally.record(format!("after {name}"), witness.unharmed().await);
    }
    tally.record("silent connections", silent_connections(&server, &witness).await);
    tally.record("pipelined requests", pipelined(&server).await);
    tally.record("Expect: 100-continue", expects_continue(&server).await);
    tally.record(
        "a stranger with a large body",
        stranger_with_a_large_body(&server).await,
    );
    tally.record("the image", witness.unharmed().await);
    tally.finish(&server);
}
