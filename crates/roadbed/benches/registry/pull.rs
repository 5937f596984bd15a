//! Many clients that pull a large blob at the same time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{client::Client, http::Endpoint};

/// What they pull.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PullPlan {
    /// From whom.
    pub(crate) endpoint: Endpoint,
    /// The header of every request.
    pub(crate) authorization: Option<String>,
    /// The repository.
    pub(crate) repository: String,
    /// The tag that each pull starts with.
    pub(crate) tag: String,
    /// The blob.
    pub(crate) digest: String,
    /// At the same time.
    pub(crate) clients: usize,
    /// For how long pulls are started.
    pub(crate) length: Duration,
    /// What a client waits between two pulls.
    pub(crate) pause: Duration,
}

/// What they have pulled.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PullResult {
    /// Blobs.
    pub(crate) pulls: u64,
    /// Of the blobs, per second.
    pub(crate) bytes_per_second: f64,
}

impl PullPlan {
    /// Pulls until the time is over.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a few minutes")]
    pub(crate) fn carry_out(&self) -> Result<PullResult> {
        let started = Instant::now();
        let (pulls, bytes) = thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|_| scope.spawn(|| self.one_client(started)))
                .collect();
            let mut sum = (0, 0);
            for client in clients {
                match client.join() {
                    Ok(result) => {
                        let (pulls, bytes) = result?;
                        sum = (sum.0 + pulls, sum.1 + bytes);
                    }
                    Err(_) => bail!("a pulling client panicked"),
                }
            }
            Ok(sum)
        })?;
        Ok(PullResult {
            pulls,
            bytes_per_second: bytes as f64 / started.elapsed().as_secs_f64(),
        })
    }

    fn one_client(&self, started: Instant) -> Result<(u64, u64)> {
        let mut client = Client::connect(&self.endpoint, self.authorization.clone())?;
        let (mut pulls, mut bytes) = (0, 0);
        while started.elapsed() < self.length {
            client.pull_manifest(&self.repository, &self.tag)?;
            bytes += client.pull_blob(&self.repository, &self.digest)?;
            pulls += 1;
            thread::sleep(self.pause);
        }
        Ok((pulls, bytes))
    }
}
