//! What a disk that is full leaves: pulls, deletions, a start; and pushes again once there is room, without a restart.

use std::{fs, time::Duration, time::Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::{
    full_disk::{REPOSITORY, check_all, expect_no_space},
    kills::check_files,
    pusher::session_path,
    small_disk::SmallDisk,
};
use crate::harness::{
    client::Client,
    content::{Algorithm, Blob},
    login::Login,
    manifest::{Document, small_image},
    metrics::Metrics,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    unable::report,
};

/// Size of the disk.
const DISK_MEBIBYTES: u32 = 64;

/// What an upload holds that somebody cancels: enough for the server to call the disk no longer full.
const UNFINISHED: usize = 16 * 1024 * 1024;

/// More than fits.
const TOO_LARGE: usize = 70 * 1024 * 1024;

/// How long the server may take to notice.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

async fn mode(client: &Client, wanted: &str) -> Result<()> {
    let deadline = Instant::now() + NOTICED_WITHIN;
    loop {
        let answer = client.get("/readyz").send().await?.expect(&[200])?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.starts_with(wanted) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "not {wanted}: {text}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn push_is_refused(client: &Client, name: &str) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, name, 1_000);
    let request = client
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .query("digest", &blob.digest);
    expect_no_space(request.body(blob.bytes.clone()).send().await?)
}

/// An image that is pushed whole.
struct Image {
    parts: Vec<Blob>,
    manifest: Document,
}

async fn push(client: &Client, name: &str) -> Result<Image> {
    let (parts, manifest) = small_image(name);
    client.push_image(REPOSITORY, name, &parts, &manifest).await?;
    Ok(Image { parts, manifest })
}

impl Image {
    async fn check(&self, client: &Client, name: &str) -> Result<()> {
        client.check_manifest(REPOSITORY, name, &self.manifest).await?;
        check_all(client, &self.parts).await
    }

    async fn delete(&self, client: &Client) -> Result<()> {
        let path = format!("/v2/{REPOSITORY}/manifests/{}", self.manifest.digest);
        client.delete(path).send().await?.expect(&[202])?;
        Ok(())
    }
}

async fn delete_and_go_on(disk: &SmallDisk) -> Result<()> {
    let server = Server::start_with(disk.serve()).await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let (kept, gone) = (push(&client, "kept").await?, push(&client, "gone").await?);
    let unfinished = Blob::noise(Algorithm::Sha256, "unfinished", UNFINISHED);
    let session = client.open_upload(REPOSITORY).await?;
    let chunk = client.send_chunk(&session, 0, &unfinished.bytes);
    let unfinished = session_path(&chunk.send().await?.expect(&[202])?);
    // Somebody else takes all there is: the first who notices is one who deletes.
    disk.take(usize::MAX);
    gone.delete(&client).await?;
    mode(&client, "disk-full: since ").await?;
    ensure!(Metrics::read(&server).await?.sum("disk_full", &[])? == 1);
    push_is_refused(&client, "refused").await?;
    kept.check(&client, "kept").await?;
    let collection = client
        .post("/api/v1/gc")
        .header("content-type", "application/json");
    collection.body("{}").send().await?.expect(&[200])?;
    client.delete(&unfinished).send().await?.expect(&[204])?;
    // There is room: nobody has to wait until the server has looked.
    push(&client, "after").await?.check(&client, "after").await?;
    mode(&client, "ready").await?;
    let metrics = Metrics::read(&server).await?;
    ensure!(metrics.sum("disk_full", &[])? == 0);
    ensure!(metrics.sum("disk_free_bytes", &[])? > 0);
    kept.check(&client, "kept").await
}

#[tokio::test]
async fn on_a_full_disk_deletions_make_room_and_pushes_go_on_without_a_restart() {
    match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => delete_and_go_on(&disk)
            .await
            .unwrap_or_else(|error| panic!("{error:#}")),
        Err(unable) => report(&unable),
    }
}

async fn start_on_it(disk: &SmallDisk) -> Result<()> {
    let mut server = Server::start_with(disk.serve()).await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let (kept, gone) = (push(&client, "kept").await?, push(&client, "gone").await?);
    ensure!(server.terminate().await.success());
    disk.take(usize::MAX);
    server.start_again().await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    mode(&client, "disk-full: since ").await?;
    kept.check(&client, "kept").await?;
    push_is_refused(&client, "refused").await?;
    gone.delete(&client).await?;
    // On what is left of the reserve.
    server.kill();
    server.start_again().await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    mode(&client, "disk-full: since ").await?;
    kept.check(&client, "kept").await?;
    disk.free();
    push(&client, "after").await?.check(&client, "after").await?;
    ensure!(server.terminate().await.success());
    check_files(&server);
    Ok(())
}

#[tokio::test]
async fn a_start_on_a_full_disk_serves_what_is_there() {
    match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => start_on_it(&disk)
            .await
            .unwrap_or_else(|error| panic!("{error:#}")),
        Err(unable) => report(&unable),
    }
}

/// Bytes of all uploads.
fn upload_bytes(disk: &SmallDisk) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(disk.data().join("uploads"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

async fn push_too_much(disk: &SmallDisk) -> Result<()> {
    let server = Server::start_with(disk.serve()).await;
    let client = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let large = Blob::noise(Algorithm::Sha256, "large", TOO_LARGE);
    // As Docker and containerd push: a session, one stream.
    let session = client.open_upload(REPOSITORY).await?;
    let request = client.patch(session.path()).streamed(large.bytes.clone());
    expect_no_space(request.send().await?)?;
    ensure!(upload_bytes(disk)? == 0, "what came of it takes room");
    ensure!(client.upload_offset(&session).await? == 0);
    // Nothing has to expire before the next one fits.
    push(&client, "next").await?.check(&client, "next").await?;
    let acknowledged = client.send_chunk(&session, 0, &large.bytes[..1_000]);
    acknowledged.send().await?.expect(&[202])?;
    let request = client.patch(session.path()).streamed(large.bytes.slice(1_000..));
    expect_no_space(request.send().await?)?;
    ensure!(upload_bytes(disk)? == 1_000, "only what was acknowledged stays");
    ensure!(client.upload_offset(&session).await? == 1_000);
    push(&client, "last").await?.check(&client, "last").await
}

#[tokio::test]
async fn an_upload_that_does_not_fit_takes_no_room() {
    match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => push_too_much(&disk)
            .await
            .unwrap_or_else(|error| panic!("{error:#}")),
        Err(unable) => report(&unable),
    }
}
