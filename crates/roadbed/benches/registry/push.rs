//! Many clients that push at the same time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    content::{BlobFamily, BlobReference, config, manifest},
    http::Endpoint,
    random::Random,
};

/// What they push.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PushPlan {
    /// To whom.
    pub(crate) endpoint: Endpoint,
    /// The header of every request.
    pub(crate) authorization: Option<String>,
    /// At the same time, each into a repository of its own.
    pub(crate) clients: usize,
    /// Size of one blob.
    pub(crate) blob_bytes: usize,
    /// For how long.
    pub(crate) length: Duration,
    /// What a client waits between two pushes.
    pub(crate) pause: Duration,
    /// Blobs start over after so many, so that a long run does not fill the disk; the server receives and hashes each
    /// one all the same.
    pub(crate) different_blobs: u64,
}

/// What they have pushed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PushResult {
    /// Blobs, each followed by a manifest.
    pub(crate) pushes: u64,
    /// Of the blobs, per second.
    pub(crate) bytes_per_second: f64,
}

/// Tags of each repository; their manifests are all different.
const TAGS: u64 = 100;

impl PushPlan {
    /// Pushes until the time is over.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    pub(crate) fn carry_out(&self) -> Result<PushResult> {
        let family = BlobFamily::fresh(self.blob_bytes);
        let started = Instant::now();
        let pushes = thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|number| {
                    scope.spawn({
                        let family = &family;
                        move || self.one_client(number, family, started)
                    })
                })
                .collect();
            let mut pushes = 0;
            for client in clients {
                match client.join() {
                    Ok(result) => pushes += result?,
                    Err(_) => bail!("a pushing client panicked"),
                }
            }
            Ok(pushes)
        })?;
        let bytes = pushes as f64 * self.blob_bytes as f64;
        Ok(PushResult {
            pushes,
            bytes_per_second: bytes / started.elapsed().as_secs_f64(),
        })
    }

    fn one_client(&self, number: usize, family: &BlobFamily, started: Instant) -> Result<u64> {
        let mut client = Client::connect(&self.endpoint, self.authorization.clone())?;
        let repository = format!("bench/push-{number}");
        let config = config(&repository);
        client.push_blob(&repository, &config)?;
        let mut seeds = Random::fresh();
        let first = seeds.next();
        let mut pushes = 0;
        while started.elapsed() < self.length {
            let (shared, tail, digest) = family.member(first.wrapping_add(pushes % self.different_blobs));
            client.push_pieces(&repository, &digest, &[shared, &tail])?;
            let layer = BlobReference {
                digest,
                size: self.blob_bytes,
            };
            let manifest = manifest(
                &config.reference(),
                &[layer],
                &format!("push {pushes} of client {number}"),
            );
            client.push_manifest(&repository, &format!("t{}", pushes % TAGS), &manifest)?;
            pushes += 1;
            thread::sleep(self.pause);
        }
        Ok(pushes)
    }
}
