//! A server that may tell sinks on the loopback interface, and that waits for nothing for long.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use crate::harness::server::{ADMIN, ADMIN_PASSWORD, Options, Server};

/// How long something may take that the server does by itself.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(50);

/// A server and its administrator.
pub(super) struct World {
    pub(super) server: Server,
}

/// What came of a command.
pub(super) struct Ran {
    pub(super) is_ok: bool,
    pub(super) out: String,
    pub(super) err: String,
}

impl World {
    /// With these options.
    pub(super) async fn start(options: &[(&str, &str)]) -> Self {
        let mut all = Options::default()
            .environment("ROADBED_SCAN__ENABLED", "false")
            .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
            .environment("ROADBED_TELLING__ALLOWED_PRIVATE", "127.0.0.1")
            .environment("ROADBED_TELLING__LOOK_EVERY", "50ms")
            .environment("ROADBED_TELLING__FIRST_PAUSE", "50ms")
            .environment("ROADBED_TELLING__LONGEST_PAUSE", "200ms")
            .environment("ROADBED_TELLING__ANSWER_TIMEOUT", "20s");
        for (name, value) in options {
            all = all.environment(name, value);
        }
        Self {
            server: Server::start_with(all).await,
        }
    }

    /// Runs a command as the administrator. The receivers of a test have threads of their own meanwhile.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let mut command = self.server.command();
        command
            .args(arguments)
            .env("ROADBED_URL", self.server.url())
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
        let output = command.output()?;
        Ok(Ran {
            is_ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The same for one that succeeds; answers what it prints.
    pub(super) fn roadbed(&self, arguments: &[&str]) -> Result<String> {
        let ran = self.run(arguments)?;
        ensure!(ran.is_ok, "{arguments:?} failed: {}{}", ran.out, ran.err);
        Ok(ran.out)
    }

    /// The same, as JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let all = [arguments, &["--output", "json"]].concat();
        Ok(serde_json::from_str(&self.roadbed(&all)?)?)
    }

    /// Sets a sink with a secret of its own.
    pub(super) fn set_with_secret(&self, arguments: &[&str], secret: &str) -> Result<String> {
        let file = self.server.surroundings().join("secret");
        fs::write(&file, format!("{secret}\n"))?;
        let file = file.to_string_lossy().into_owned();
        self.roadbed(&[&["sink", "set"], arguments, &["--secret-file", &file]].concat())
    }

    /// A webhook for these kinds of events; answers its secret.
    pub(super) fn webhook(&self, name: &str, target: &str, events: &str) -> Result<String> {
        let arguments = [
            "sink", "set", name, "--kind", "webhook", "--target", target, "--events", events,
        ];
        let secret = self.json(&arguments)?["secret"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        ensure!(secret.starts_with("whsec_"), "no secret was shown: {secret}");
        Ok(secret)
    }

    /// Something that happens: a robot is made.
    pub(super) fn make_robot(&self, name: &str) -> Result<()> {
        self.roadbed(&["robot", "create", name]).map(drop)
    }

    /// The deliveries of a sink in a state, the oldest first.
    pub(super) fn deliveries(&self, sink: &str, state: &str) -> Result<Vec<Value>> {
        let listed = self.json(&["delivery", "list", "--sink", sink, "--state", state])?;
        let mut all = listed.as_array().cloned().unwrap_or_default();
        all.reverse();
        Ok(all)
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(
            Instant::now() < deadline,
            "after {PATIENCE:?} it is not so that {what}"
        );
        sleep(PAUSE).await;
    }
    Ok(())
}
