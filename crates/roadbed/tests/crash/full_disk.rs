//! A disk that is full: pushes are refused with 507, nothing is torn, pulls go on, and all works again with space.

use anyhow::{Result, ensure};
use reqwest::Url;

use super::{kills::check_files, pusher::session_path, small_disk::SmallDisk};
use crate::harness::{
    answer::Answer,
    client::{Client, Request},
    content::{Algorithm, Blob},
    manifest::{Document, small_image},
    server::Server,
    unable::report,
};

/// Size of the disk.
const DISK_MEBIBYTES: u32 = 40;

/// What is kept aside, to be freed later.
const BALLAST_BYTES: usize = 12 * 1024 * 1024;

/// A blob that fills the disk soon.
const LARGE: usize = 1024 * 1024;

/// A blob that fits where no large one does.
const SMALL: usize = 3_000;

/// Pushes that must have filled the disk.
const MANY: usize = 2_000;

pub(super) const REPOSITORY: &str = "full/disk";

/// A refusal for want of space: 507 with a message that says so.
pub(super) fn expect_no_space(answer: Answer) -> Result<()> {
    let answer = answer.expect(&[507])?;
    let message = answer.error_message()?;
    ensure!(
        message.contains("full"),
        "the message does not say why: {message}"
    );
    Ok(())
}

/// Pushes blobs until one is refused, and returns those that were acknowledged.
async fn fill(client: &Client, name: &str, length: usize) -> Result<Vec<Blob>> {
    let mut kept = Vec::new();
    for number in 0..MANY {
        let blob = Blob::noise(Algorithm::Sha256, &format!("{name} {number}"), length);
        let request = client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest", &blob.digest);
        let answer = request.body(blob.bytes.clone()).send().await?;
        if answer.status != 201 {
            expect_no_space(answer)?;
            return Ok(kept);
        }
        kept.push(blob);
    }
    anyhow::bail!("{MANY} blobs of {length} bytes did not fill the disk")
}

pub(super) async fn check_all(client: &Client, blobs: &[Blob]) -> Result<()> {
    for blob in blobs {
        client.check_blob(REPOSITORY, blob).await?;
    }
    Ok(())
}

/// An answer that either says no for want of space or is an acknowledgement to be held to.
async fn refused_or_done(request: Request<'_>, done: u16) -> Result<bool> {
    let answer = request.send().await?;
    if answer.status == done {
        return Ok(true);
    }
    expect_no_space(answer).map(|()| false)
}

/// A session in which a chunk was acknowledged before the disk was full.
struct Begun {
    content: Blob,
    path: String,
    acknowledged: usize,
}

async fn begin(client: &Client) -> Result<Begun> {
    let content = Blob::noise(Algorithm::Sha256, "begun", 2 * LARGE);
    let session: Url = client.open_upload(REPOSITORY).await?;
    let answer = client
        .send_chunk(&session, 0, &content.bytes[..LARGE])
        .send()
        .await?
        .expect(&[202])?;
    Ok(Begun {
        content,
        path: session_path(&answer),
        acknowledged: LARGE,
    })
}

impl Begun {
    /// The rest does not fit; what was acknowledged stays.
    async fn overflow(&self, client: &Client) -> Result<()> {
        let rest = self.content.bytes.slice(self.acknowledged..);
        for request in [
            client.patch(&self.path).streamed(rest.clone()),
            client.patch(&self.path).body(rest),
        ] {
            let offset = self.offset(client).await?;
            let done = refused_or_done(request, 202).await?;
            ensure!(!done, "a chunk of {LARGE} bytes fits on a full disk");
            ensure!(
                self.offset(client).await? >= offset,
                "acknowledged bytes are gone"
            );
        }
        Ok(())
    }

    async fn offset(&self, client: &Client) -> Result<usize> {
        let offset = client.upload_offset(&client.url(&self.path)).await?;
        let right = (self.acknowledged..=self.content.bytes.len()).contains(&offset);
        ensure!(
            right,
            "the offset is {offset}, acknowledged were {}",
            self.acknowledged
        );
        Ok(offset)
    }

    async fn finish(&self, client: &Client) -> Result<()> {
        let rest = self.content.bytes.slice(self.offset(client).await?..);
        let request = client
            .put(&self.path)
            .query("digest", &self.content.digest)
            .body(rest);
        request.send().await?.expect(&[201])?;
        client.check_blob(REPOSITORY, &self.content).await
    }
}

/// What is there when the disk is full.
struct Filled {
    blobs: Vec<Blob>,
    image: Document,
    begun: Begun,
}

async fn fill_up(server: &Server, disk: &SmallDisk) -> Result<Filled> {
    let client = server.admin();
    disk.take(BALLAST_BYTES);
    let (parts, image) = small_image("kept");
    client.push_image(REPOSITORY, "kept", &parts, &image).await?;
    let begun = begin(&client).await?;
    let mut blobs = fill(&client, "large", LARGE).await?;
    ensure!(
        blobs.len() > 5,
        "only {} blobs fit: the disk is too small for this test",
        blobs.len()
    );
    blobs.extend(fill(&client, "small", SMALL).await?);
    blobs.extend(parts);
    // The last blocks, which a log of the database would take.
    disk.take(usize::MAX);
    Ok(Filled { blobs, image, begun })
}

/// Nothing is lost while the disk is full, and every push says so.
async fn stay_whole(client: &Client, filled: &Filled) -> Result<()> {
    check_all(client, &filled.blobs).await?;
    client.check_manifest(REPOSITORY, "kept", &filled.image).await?;
    filled.begun.overflow(client).await?;
    let more = Blob::noise(Algorithm::Sha256, "more", LARGE);
    let request = client
        .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
        .query("digest", &more.digest);
    ensure!(
        !refused_or_done(request.body(more.bytes.clone()), 201).await?,
        "a blob fits on a full disk"
    );
    client.check_no_blob(REPOSITORY, &more.digest).await?;
    let request = client.put(format!("/v2/{REPOSITORY}/manifests/again"));
    let request = request
        .header("content-type", &filled.image.media_type)
        .body(filled.image.bytes.clone());
    if refused_or_done(request, 201).await? {
        client.check_manifest(REPOSITORY, "again", &filled.image).await?;
    } else {
        client.check_no_manifest(REPOSITORY, "again").await?;
    }
    check_all(client, &filled.blobs).await
}

/// With space, everything works, also what was begun before.
async fn recover(client: &Client, filled: &Filled) -> Result<()> {
    filled.begun.finish(client).await?;
    let (parts, image) = small_image("after");
    client.push_image(REPOSITORY, "after", &parts, &image).await?;
    client.check_manifest(REPOSITORY, "after", &image).await?;
    check_all(client, &filled.blobs).await
}

async fn fill_and_free(disk: &SmallDisk) -> Result<()> {
    let mut server = Server::start_with(disk.serve()).await;
    let filled = fill_up(&server, disk).await?;
    stay_whole(&server.admin(), &filled).await?;
    disk.free();
    recover(&server.admin(), &filled).await?;
    server.kill();
    server.start_again().await;
    check_all(&server.admin(), &filled.blobs).await?;
    server
        .admin()
        .check_manifest(REPOSITORY, "kept", &filled.image)
        .await?;
    ensure!(
        server.terminate().await.success(),
        "the server did not end in good order"
    );
    check_files(&server);
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_and_loses_nothing() {
    match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => fill_and_free(&disk)
            .await
            .unwrap_or_else(|error| panic!("{error:#}")),
        Err(unable) => report(&unable),
    }
}

/// A server that is killed while the disk is full starts again on it, or says that the disk is full; with space it starts.
async fn kill_when_full(disk: &SmallDisk) -> Result<()> {
    let mut server = Server::start_with(disk.serve()).await;
    let filled = fill_up(&server, disk).await?;
    stay_whole(&server.admin(), &filled).await?;
    server.kill();
    disk.free();
    server.start_again().await;
    let client = server.admin();
    check_all(&client, &filled.blobs).await?;
    client.check_manifest(REPOSITORY, "kept", &filled.image).await?;
    recover(&client, &filled).await?;
    ensure!(
        server.terminate().await.success(),
        "the server did not end in good order"
    );
    check_files(&server);
    Ok(())
}

#[tokio::test]
async fn a_kill_on_a_full_disk_loses_nothing() {
    match SmallDisk::mount(DISK_MEBIBYTES) {
        Ok(disk) => kill_when_full(&disk)
            .await
            .unwrap_or_else(|error| panic!("{error:#}")),
        Err(unable) => report(&unable),
    }
}
