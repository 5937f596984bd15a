//! A mirror with its centre.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::process::{Mirror, free_port};
use crate::harness::{
    admin,
    answer::Answer,
    client::Client,
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, LAYER},
    server::{Options, Server},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The robot of the mirror at the centre.
pub(super) const ROBOT: &str = "node";

/// A registry, a robot that may pull everything, and a mirror that asks with it.
pub(super) struct World {
    pub(super) centre: Server,
    pub(super) mirror: Mirror,
}

impl World {
    /// A mirror with these variables besides.
    pub(super) async fn start(variables: &[(&str, &str)]) -> Result<Self> {
        let centre = centre(&[("ROADBED_SCAN__ENABLED", "false")]).await?;
        let mirror = mirror_of(&centre.url(), variables).await;
        Ok(Self { centre, mirror })
    }
}

/// A registry that comes back under its address when it is started again.
pub(super) async fn centre(variables: &[(&str, &str)]) -> Result<Server> {
    let mut options = Options::default()
        .listen(&format!("127.0.0.1:{}", free_port()))
        .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
        .environment("ROADBED_REGISTRY__NAMESPACES", "docker.io=docker.io");
    for (name, value) in variables {
        options = options.environment(name, value);
    }
    let centre = Server::start_with(options).await;
    admin::user(&centre, ROBOT, "**", &["pull"]).await?;
    Ok(centre)
}

/// A mirror of what is there.
pub(super) async fn mirror_of(centre: &str, variables: &[(&str, &str)]) -> Mirror {
    let all = [
        ("ROADBED_MIRROR__CENTRE", centre),
        ("ROADBED_MIRROR__NAMESPACES", "docker.io"),
        ("ROADBED_MIRROR__USERNAME", ROBOT),
        ("ROADBED_MIRROR__PASSWORD_ENV", "ROBOT_SECRET"),
        ("ROBOT_SECRET", admin::USER_PASSWORD),
    ];
    Mirror::start(&[&all[..], variables].concat()).await
}

/// An image with one layer of so many bytes.
pub(super) struct Image {
    pub(super) blobs: Vec<Blob>,
    pub(super) document: Document,
}

impl Image {
    pub(super) fn of(seed: &str, bytes: usize) -> Self {
        let blobs = vec![
            Blob::noise(Algorithm::Sha256, &format!("config of {seed}"), 200),
            Blob::noise(Algorithm::Sha256, seed, bytes),
        ];
        let draft = Draft::image(blobs[0].descriptor(CONFIG), vec![blobs[1].descriptor(LAYER)]);
        Self {
            document: draft.finish(),
            blobs,
        }
    }

    pub(super) async fn push(&self, centre: &Server, repository: &str, tag: &str) -> Result<()> {
        let admin = centre.admin();
        admin
            .push_image(repository, tag, &self.blobs, &self.document)
            .await
    }

    /// Pulls it as a node does, by a tag or digest, in a namespace or in none.
    pub(super) async fn pull(
        &self,
        client: &Client,
        repository: &str,
        reference: &str,
        ns: &str,
    ) -> Result<()> {
        self.pull_manifest(client, repository, reference, ns).await?;
        for blob in &self.blobs {
            let path = format!("/v2/{repository}/blobs/{}{ns}", blob.digest);
            client
                .get(&path)
                .send()
                .await?
                .expect(&[200])?
                .expect_body(&blob.bytes)?;
        }
        Ok(())
    }

    pub(super) async fn pull_manifest(
        &self,
        client: &Client,
        repository: &str,
        reference: &str,
        ns: &str,
    ) -> Result<Answer> {
        let path = format!("/v2/{repository}/manifests/{reference}{ns}");
        client
            .get(&path)
            .send()
            .await?
            .expect(&[200])?
            .expect_header("docker-content-digest", &self.document.digest)?
            .expect_body(&self.document.bytes)
    }
}

/// What asks for images of another registry.
pub(super) const DOCKER: &str = "?ns=docker.io";

/// Asks until the answer is as wanted.
pub(super) async fn until(client: &Client, path: &str, wanted: impl Fn(&Answer) -> bool) -> Result<Answer> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(path).send().await?;
        if wanted(&answer) {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "never as wanted: {}", answer.summary());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the mirror holds an image, its centre gone or not: it is stored a moment after its blobs are.
pub(super) async fn until_held(mirror: &Mirror, images: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let held = mirror.metric("mirror_held_images").await?;
        if held >= images {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{held} of {images} images are held");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether it was served as it was last seen.
pub(super) fn is_stale(answer: &Answer) -> bool {
    answer
        .header("warning")
        .is_some_and(|text| text.contains("stale"))
}
