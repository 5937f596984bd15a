//! Somebody who pushes and pulls all the time and takes no excuse: what was acknowledged is served right or not now, but never wrong and
//! never unknown.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::super::{dice::Dice, pusher::Shared};
use crate::harness::{
    answer::Answer,
    client::Client,
    content::{Algorithm, Blob},
    manifest::{Document, small_image},
    push::blob_path,
    server::Server,
};

const REPOSITORY: &str = "chaos/visitor";

/// What is pinned is pulled before each trouble, so that the server has it in memory.
const PINNED: &str = "pinned";

/// How long it may take until it is decided, on a busy machine.
const DECIDED_WITHIN: Duration = Duration::from_mins(3);

/// Pulls for each push.
const PULLS: usize = 3;

/// Largest blob, bytes.
const LARGEST: u64 = 60_000;

/// What the server must serve whatever happens to its database.
#[derive(Debug, Clone)]
pub(super) struct Pinned {
    repository: String,
    reference: String,
    image: Document,
    blobs: Vec<Blob>,
}

/// The visitor and what was acknowledged to it.
#[derive(Debug)]
pub(super) struct Visitor {
    pinned: Pinned,
    kept: Vec<Blob>,
    dice: Dice,
    seed: u64,
    count: u64,
    served: usize,
    refused: usize,
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            served,
            refused,
            kept,
            ..
        } = self;
        write!(
            f,
            "{} blobs of a visitor, {served} of its pulls served right, {refused} requests refused",
            kept.len()
        )
    }
}

impl Pinned {
    pub(super) fn new(repository: &str, reference: &str, blobs: &[Blob], image: &Document) -> Self {
        Self {
            repository: repository.to_owned(),
            reference: reference.to_owned(),
            image: image.clone(),
            blobs: blobs.to_vec(),
        }
    }

    /// Until it was looked into and judged, pulls are held.
    pub(super) async fn until_decided(&self, client: &Client) -> Result<()> {
        let deadline = Instant::now() + DECIDED_WITHIN;
        while let Err(error) = self.pull(client).await {
            ensure!(Instant::now() < deadline, "it is not served: {error:#}");
        }
        Ok(())
    }

    /// Pulls all of it: each must be served, and right.
    pub(super) async fn pull(&self, client: &Client) -> Result<usize> {
        let Self {
            repository,
            reference,
            image,
            blobs,
        } = self;
        client.check_manifest(repository, reference, image).await?;
        for blob in blobs {
            client.check_blob(repository, blob).await?;
        }
        Ok(1 + self.blobs.len())
    }
}

/// Whether it was refused in order: for now, and with a time to come again.
fn is_refused(answer: &Answer) -> Result<bool> {
    if !matches!(answer.status, 429 | 503 | 507) {
        return Ok(false);
    }
    ensure!(
        answer.status == 507 || answer.header("retry-after").is_some(),
        "no time to come again: {}",
        answer.summary()
    );
    Ok(true)
}

impl Visitor {
    pub(super) async fn new(server: &Server, seed: u64) -> Result<Self> {
        let (blobs, image) = small_image("pinned");
        server
            .admin()
            .push_image(REPOSITORY, PINNED, &blobs, &image)
            .await?;
        let pinned = Pinned::new(REPOSITORY, PINNED, &blobs, &image);
        pinned.until_decided(&server.admin()).await?;
        Ok(Self {
            pinned,
            kept: Vec::new(),
            dice: Dice::new(!seed),
            seed,
            count: 0,
            served: 0,
            refused: 0,
        })
    }

    pub(super) fn pinned(&self) -> Pinned {
        self.pinned.clone()
    }

    /// Has what is pinned in the memory of the server.
    pub(super) async fn warm(&mut self, client: &Client) -> Result<()> {
        self.served += self.pinned.pull(client).await?;
        Ok(())
    }

    /// Pushes and pulls until it is over, or the server was killed.
    pub(super) async fn visit(&mut self, client: &Client, shared: &Arc<Shared>) -> Result<()> {
        while !shared.over.load(Ordering::SeqCst) {
            let done = self.call(client).await;
            if shared.killed.load(Ordering::SeqCst) {
                return Ok(());
            }
            done?;
        }
        Ok(())
    }

    async fn call(&mut self, client: &Client) -> Result<()> {
        self.push(client).await?;
        for _ in 0..PULLS {
            self.pull(client).await?;
        }
        Ok(())
    }

    async fn push(&mut self, client: &Client) -> Result<()> {
        self.count += 1;
        let length = usize::try_from(self.dice.between(16, LARGEST))?;
        let blob = Blob::noise(
            Algorithm::Sha256,
            &format!("visitor {:x} {}", self.seed, self.count),
            length,
        );
        let request = client
            .post(format!("/v2/{REPOSITORY}/blobs/uploads/"))
            .query("digest", &blob.digest)
            .body(blob.bytes.clone());
        let answer = request.send().await?;
        if is_refused(&answer)? {
            self.refused += 1;
            return Ok(());
        }
        answer.expect(&[201])?;
        self.kept.push(blob);
        Ok(())
    }

    async fn pull(&mut self, client: &Client) -> Result<()> {
        let Some(blob) = self.dice.pick(self.kept.iter().cloned()) else {
            return Ok(());
        };
        let answer = client.get(blob_path(REPOSITORY, &blob.digest)).send().await?;
        if is_refused(&answer)? {
            self.refused += 1;
            return Ok(());
        }
        answer.expect(&[200])?.expect_body(&blob.bytes)?;
        self.served += 1;
        Ok(())
    }

    /// Everything that was ever acknowledged.
    pub(super) async fn check_all(&self, client: &Client) -> Result<()> {
        self.pinned.pull(client).await?;
        for blob in &self.kept {
            client.check_blob(REPOSITORY, blob).await?;
        }
        Ok(())
    }
}
