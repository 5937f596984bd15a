//! Manifests in memory, coming and going: bounded in bytes, whatever the number of connections.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::wire::{Wire, chunk, header, status};
use crate::harness::{
    client::Client,
    content::Algorithm,
    manifest::{CONFIG, Document, Draft, config_blob},
    metrics::Metrics,
    server::{Options, Server},
};

const MIB: usize = 1024 * 1024;

const ATTEMPTS: usize = 100;

const PAUSE: Duration = Duration::from_millis(100);

/// An image whose manifest has about so many bytes.
async fn push_sized(client: &Client, repository: &str, bytes: usize) -> Result<Document> {
    let config = config_blob(Algorithm::Sha256, "sized", "amd64");
    let draft = Draft::image(config.descriptor(CONFIG), Vec::new());
    let document = draft.annotation("fill", &"x".repeat(bytes)).finish();
    let tag = format!("of-{bytes}");
    client.push_image(repository, &tag, &[config], &document).await?;
    Ok(document)
}

fn manifest_path(repository: &str, document: &Document) -> String {
    format!("/v2/{repository}/manifests/{}", document.digest)
}

/// The administrator may hold 12 MiB; a reader who stops behind the head holds 7 of them.
async fn answers_that_nobody_reads() -> Result<()> {
    const REPOSITORY: &str = "memory/answers";
    let options = Options::default()
        .environment("ROADBED_REGISTRY__MANIFEST_BYTES", "8MiB")
        .environment("ROADBED_REGISTRY__ANSWER_MEMORY", "24MiB");
    let server = Server::start_with(options).await;
    let client = server.admin();
    let large = push_sized(&client, REPOSITORY, 7 * MIB).await?;
    let small = push_sized(&client, REPOSITORY, 1000).await?;
    let path = manifest_path(REPOSITORY, &large);
    let mut stuck = Wire::open_narrow(&server).await?;
    stuck.ask("GET", &path, "").await?;
    let head = stuck.head().await?;
    ensure!(status(&head) == 200, "{head}");
    let refused = client.get(&path).send().await?;
    let refused = refused.expect_error(429, "TOOMANYREQUESTS")?;
    refused.require("retry-after")?;
    client.head(&path).send().await?.expect(&[200])?;
    client.check_manifest(REPOSITORY, &small.digest, &small).await?;
    client
        .check_blob(REPOSITORY, &config_blob(Algorithm::Sha256, "sized", "amd64"))
        .await?;
    drop(stuck);
    for _ in 0..ATTEMPTS {
        if client.get(&path).send().await?.status == 200 {
            return client.check_manifest(REPOSITORY, &large.digest, &large).await;
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("the room of a reader that went away is not given back")
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_bounded_and_small_ones_go_on() {
    answers_that_nobody_reads().await.unwrap();
}

/// Begins to push a manifest and leaves it open after so many bytes.
async fn begin_manifest(server: &Server, bytes: usize) -> Result<Wire> {
    let mut wire = Wire::open(server).await?;
    let path = "/v2/memory/pushes/manifests/latest";
    wire.ask("PUT", path, "Transfer-Encoding: chunked\r\n").await?;
    wire.send(chunk(&vec![b' '; bytes])).await?;
    Ok(wire)
}

async fn manifests_half_way() -> Result<()> {
    let options = Options::default().environment("ROADBED_REGISTRY__MANIFEST_MEMORY", "4MiB");
    let server = Server::start_with(options).await;
    let client = server.admin();
    let open = begin_manifest(&server, 3 * MIB).await?;
    let sent = u64::try_from(3 * MIB)?;
    Metrics::until(&server, "http_received_bytes_total", |bytes| bytes >= sent).await?;
    let mut second = begin_manifest(&server, 2 * MIB).await?;
    let (refusal, body) = second.answer().await?;
    ensure!(status(&refusal) == 429, "{refusal}");
    ensure!(header(&refusal, "retry-after").is_some(), "{refusal}");
    ensure!(
        String::from_utf8_lossy(&body).contains("TOOMANYREQUESTS"),
        "{body:?}"
    );
    // There is still room for what manifests usually need.
    push_sized(&client, "memory/pushes", 1000).await?;
    drop(open);
    for _ in 0..ATTEMPTS {
        if push_sized(&client, "memory/pushes", 2 * MIB).await.is_ok() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("the room of a manifest that broke off is not given back")
}

#[tokio::test]
async fn manifests_that_are_not_sent_to_their_end_are_bounded() {
    manifests_half_way().await.unwrap();
}

async fn manifests_that_never_end() -> Result<()> {
    let options = Options::default().environment("ROADBED_REGISTRY__MANIFEST_TIMEOUT", "1s");
    let server = Server::start_with(options).await;
    let began = Instant::now();
    let mut stalled = begin_manifest(&server, 1000).await?;
    let (head, _) = stalled.answer().await?;
    ensure!(status(&head) == 408, "{head}");
    let lived = began.elapsed();
    let a_second = Duration::from_millis(900)..Duration::from_secs(8);
    ensure!(a_second.contains(&lived), "told after {lived:?}");
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_does_not_come_to_its_end_is_told_so() {
    manifests_that_never_end().await.unwrap();
}
