//! A registry that pulls through an upstream.

use std::{
    fs,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{faults::Faults, upstream::Upstream};
use crate::harness::{
    admin,
    answer::Answer,
    client::Client,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A registry, its upstream below `hub/`, and somebody who may pull what is there.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) upstream: Upstream,
    pub(super) node: Client,
    configuration: TempDir,
}

impl World {
    /// Without looking into images; `more` are lines for the upstream.
    pub(super) async fn start(more: &str) -> Result<Self> {
        Self::start_with(more, &[("ROADBED_SCAN__ENABLED", "false")]).await
    }

    /// With these variables.
    pub(super) async fn start_with(more: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let upstream = Upstream::start().await;
        let url = upstream.url();
        Self::start_at(upstream, &url, more, environment).await
    }

    /// Without looking into images, and with what goes wrong on the way to the upstream.
    pub(super) async fn start_behind_faults(more: &str) -> Result<(Self, Faults)> {
        let upstream = Upstream::start().await;
        let faults = Faults::before(upstream.address()).await?;
        let environment = [("ROADBED_SCAN__ENABLED", "false")];
        let world = Self::start_at(upstream, &faults.url(), more, &environment).await?;
        Ok((world, faults))
    }

    /// With an upstream that has something already.
    pub(super) async fn start_at(
        upstream: Upstream,
        url: &str,
        more: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let configuration = tempfile::tempdir()?;
        let file = configuration.path().join("roadbed.toml");
        fs::write(&file, of_upstream(url, more))?;
        let mut options = Options::default()
            .environment("ROADBED_CONFIG", &file.to_string_lossy())
            .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s");
        for (name, value) in environment {
            options = options.environment(name, value);
        }
        let server = Server::start_with(options).await;
        let node = admin::user(&server, "node", "hub/**", &["pull"]).await?;
        Ok(Self {
            server,
            upstream,
            node,
            configuration,
        })
    }

    /// Runs a command as the administrator.
    pub(super) fn roadbed(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.server.command();
        command
            .args(arguments)
            .env("ROADBED_URL", self.server.url())
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
        Ok(command.output()?)
    }

    /// Ends the upstream: nobody listens there any more.
    pub(super) fn without_upstream(self) -> (Server, Client, TempDir) {
        (self.server, self.node, self.configuration)
    }
}

/// The configuration of one upstream.
pub(super) fn of_upstream(url: &str, more: &str) -> String {
    format!(
        "[[proxy.upstreams]]\nname = \"hub\"\nurl = \"{url}\"\nns = [\"docker.io\"]\nlibrary = true\n\
         allowed_private = [\"127.0.0.0/8\"]\n{more}\n"
    )
}

/// The path of a manifest below `hub/`.
pub(super) fn manifest(name: &str, reference: &str) -> String {
    format!("/v2/hub/{name}/manifests/{reference}")
}

/// The path of a blob below `hub/`.
pub(super) fn blob(name: &str, digest: &str) -> String {
    format!("/v2/hub/{name}/blobs/{digest}")
}

/// Pulls until the answer is as wanted; what is told to come again does.
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

/// Waits until an image is stored under a tag.
pub(super) async fn until_stored(client: &Client, name: &str, tag: &str) -> Result<()> {
    let has_tag = |answer: &Answer| {
        let list = answer.json().unwrap_or_default();
        list["tags"]
            .as_array()
            .is_some_and(|tags| tags.iter().any(|one| one == tag))
    };
    until(client, &format!("/v2/hub/{name}/tags/list"), has_tag)
        .await
        .map(drop)
}

/// Whether it is neither for later nor for fewer.
pub(super) fn is_final(answer: &Answer) -> bool {
    !matches!(answer.status, 429 | 503)
}
