//! Connections that share a thread: many requests at once, and a reader who does not read, keep nobody waiting.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
};

use super::wire::{Wire, status};
use crate::harness::{
    authority::{Authority, Files},
    client::Client,
    content::Algorithm,
    login::Login,
    manifest::{CONFIG, Document, Draft, config_blob, small_image},
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

/// More connections than threads that they could be spread over.
fn enough_for_all_threads() -> usize {
    2 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Reads so many answers, all of which are refusals without a body to speak of, and says when the last one came.
async fn read_all(mut wire: Wire, count: usize) -> Result<Instant> {
    for _ in 0..count {
        let (head, _) = wire.answer().await?;
        ensure!(status(&head) == 401, "{head}");
    }
    Ok(Instant::now())
}

async fn many_at_once() -> Result<()> {
    const MANY: usize = 1_000;
    let request = "GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n";
    let server = Server::start().await;
    let mut others = Vec::new();
    for _ in 0..enough_for_all_threads() {
        let mut wire = Wire::open(&server).await?;
        wire.send(request).await?;
        wire.answer().await?;
        others.push(wire);
    }
    let mut greedy = Wire::open(&server).await?;
    greedy.send(request.repeat(MANY)).await?;
    for wire in &mut others {
        wire.send(request).await?;
    }
    let others = try_join_all(others.into_iter().map(|wire| read_all(wire, 1)));
    let (greedy, others) = tokio::try_join!(read_all(greedy, MANY), others)?;
    let late = others.iter().filter(|&&when| when >= greedy).count();
    ensure!(
        late == 0,
        "{late} waited until all {MANY} of another one were answered"
    );
    Ok(())
}

#[tokio::test]
async fn a_thousand_requests_at_once_keep_no_other_connection_waiting() {
    many_at_once().await.unwrap();
}

/// Bytes of an answer that pass before the gate.
const BEFORE_THE_GATE: usize = 64 * 1024;

/// Takes one connection, hands on what its client says at once, and of what the server says so many bytes and then, when
/// the gate opens, the rest. It has hardly any room of its own, so until then the server cannot send.
async fn gated(listener: TcpListener, server: SocketAddr, gate: Arc<Semaphore>) -> Result<()> {
    let (client, _) = listener.accept().await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let upstream: TcpStream = socket.connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let onwards = async {
        copy(&mut from_client, &mut to_server).await?;
        anyhow::Ok(())
    };
    let back = async {
        let mut buffer = vec![0; 4096];
        let mut passed = 0;
        while passed < BEFORE_THE_GATE {
            let count = from_server.read(&mut buffer).await?;
            ensure!(count > 0, "the server closed");
            to_client.write_all(&buffer[..count]).await?;
            passed += count;
        }
        let _open = gate.acquire().await?;
        copy(&mut from_server, &mut to_client).await?;
        anyhow::Ok(())
    };
    tokio::select! {
        done = onwards => done,
        done = back => done,
    }
}

async fn push_large(client: &Client, repository: &str) -> Result<Document> {
    /// Nearly the 4 MiB that a manifest may have.
    const FILL: usize = 4 * 1024 * 1024 - 2_000;
    let config = config_blob(Algorithm::Sha256, "large", "amd64");
    let draft = Draft::image(config.descriptor(CONFIG), Vec::new());
    let document = draft.annotation("fill", &"x".repeat(FILL)).finish();
    client
        .push_image(repository, "large", &[config], &document)
        .await?;
    Ok(document)
}

async fn slow_readers_over_tls() -> Result<()> {
    const REPOSITORY: &str = "together/app";
    let directory = TempDir::with_prefix("roadbed-together-")?;
    let (authority, files) = (Authority::new("together"), Files::in_directory(directory.path()));
    authority.issue(&[Ipv4Addr::LOCALHOST.into()], &files);
    let server = Server::start_with(authority.serve(Options::default(), &files)).await;
    let large = push_large(&server.admin(), REPOSITORY).await?;
    let (blobs, small) = small_image("together");
    server
        .admin()
        .push_image(REPOSITORY, "small", &blobs, &small)
        .await?;

    let gate = Arc::new(Semaphore::new(0));
    let mut readers = Vec::new();
    for _ in 0..enough_for_all_threads() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://{}", listener.local_addr()?);
        tokio::spawn(gated(listener, server.address(), Arc::clone(&gate)));
        let login = Login::basic(ADMIN, ADMIN_PASSWORD);
        let client = Client::trusting(&url, login, Some(authority.pem()));
        readers.push(tokio::spawn(async move {
            let path = format!("/v2/{REPOSITORY}/manifests/large");
            client.get(path).send().await?.expect(&[200])
        }));
    }
    for _ in 0..2 * enough_for_all_threads() {
        let other = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
        other.check_manifest(REPOSITORY, "small", &small).await?;
    }
    let early = readers.iter().filter(|reader| reader.is_finished()).count();
    ensure!(early == 0, "{early} slow readers were not slow");
    gate.add_permits(readers.len());
    for reader in readers {
        let answer = reader.await?.context("a slow reader")?;
        ensure!(answer.body == large.bytes, "a slow reader got something else");
    }
    Ok(())
}

#[tokio::test]
async fn large_manifests_that_are_read_slowly_over_tls_keep_nobody_waiting() {
    slow_readers_over_tls().await.unwrap();
}
