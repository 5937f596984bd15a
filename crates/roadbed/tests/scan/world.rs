//! A server that looks into what is pushed.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::images::Image;
use crate::harness::{
    admin,
    answer::Answer,
    client::Client,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

/// How long a decision may take. A debug build compiles its rules for seconds before it looks into anything.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(100);

/// Where everything is pushed.
pub(super) const REPOSITORY: &str = "team/app";

/// A server, its administrator, and somebody who may only pull.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) admin: Client,
    pub(super) reader: Client,
}

impl World {
    /// With one child at a time, and these options.
    pub(super) async fn start(options: &[(&str, &str)]) -> Result<Self> {
        let mut all = Options::default()
            .environment("ROADBED_SCAN__WORKERS", "1")
            .environment("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s");
        for (name, value) in options {
            all = all.environment(name, value);
        }
        let server = Server::start_with(all).await;
        let reader = admin::user(&server, "reader", "team/*", &["pull"]).await?;
        Ok(Self {
            admin: server.admin(),
            reader,
            server,
        })
    }

    /// Pushes an image under a tag.
    pub(super) async fn push(&self, tag: &str, image: &Image) -> Result<()> {
        self.admin
            .push_image(REPOSITORY, tag, &image.blobs, &image.document)
            .await
    }

    /// One pull of a manifest by somebody who may only pull.
    pub(super) async fn pull(&self, reference: &str) -> Result<Answer> {
        self.reader.get(manifest_path(reference)).send().await
    }

    /// Pulls until there is a decision.
    pub(super) async fn decided(&self, reference: &str) -> Result<Answer> {
        self.until(reference, "decided", |answer| answer.status != 503)
            .await
    }

    /// Pulls until the answer is as wanted.
    pub(super) async fn until(
        &self,
        reference: &str,
        what: &str,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.pull(reference).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            ensure!(
                Instant::now() < deadline,
                "{reference} is not {what} after {PATIENCE:?}: {}",
                answer.summary()
            );
            sleep(PAUSE).await;
        }
    }

    /// Waits for a decision without a pull by somebody who may run the image.
    pub(super) async fn until_decision(&self, reference: &str) -> Result<()> {
        self.until_warned(reference, |told| !told.contains("looked into; ask again"))
            .await
    }

    /// Waits, without a pull, until whoever asks about an image is warned in a certain way: what was pulled is in use.
    pub(super) async fn until_warned(&self, reference: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = self.reader.head(manifest_path(reference)).send().await?;
            if asked.status == 200 && wanted(asked.header("warning").unwrap_or_default()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not so: {}", asked.summary());
            sleep(PAUSE).await;
        }
    }

    /// After a new start, which has another address.
    pub(super) fn log_in_again(&mut self) {
        self.admin = self.server.admin();
        self.reader = self.server.client(Login::token("reader", admin::USER_PASSWORD));
    }

    /// Imports advisories: `name` and text of each file.
    pub(super) fn import(&self, files: &[(&str, Value)]) -> Result<()> {
        let directory = tempfile::tempdir()?;
        for (name, document) in files {
            fs::write(directory.path().join(name), document.to_string())?;
        }
        let directory = directory.path().to_string_lossy().into_owned();
        self.roadbed(&["advisories", "import", &directory]).map(drop)
    }

    /// Runs a command as the administrator and answers what it prints.
    pub(super) fn roadbed(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.server.command();
        command
            .args(arguments)
            .env("ROADBED_URL", self.server.url())
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{arguments:?} failed: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Opens all pulls, on the machine of the server.
    pub(super) fn break_glass(&self) -> Result<()> {
        let data = self.server.data().to_string_lossy().into_owned();
        let glass = [
            "break-glass",
            "--pulls",
            "**",
            "--for",
            "1h",
            "--reason",
            "test",
            "--data",
            &data,
        ];
        self.roadbed(&glass).map(drop)
    }

    /// Waits until the log, which is written some time after the pulls, has so many images.
    pub(super) async fn until_pulls_are_noted(&self, images: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let pulls: Value = serde_json::from_str(&self.roadbed(&["pulls", "--output", "json"])?)?;
            let pulls = pulls.as_array().context("no list")?;
            let noted: std::collections::BTreeSet<&str> =
                pulls.iter().filter_map(|pull| pull["digest"].as_str()).collect();
            if noted.len() >= images {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "only {} images are in the log",
                noted.len()
            );
            sleep(PAUSE).await;
        }
    }

    /// The processes that look into blobs, or wait to.
    pub(super) fn children(&self) -> Vec<u32> {
        self.nurseries().into_iter().flat_map(children_of).collect()
    }

    /// The process that they are made of; more than one only while one that has died is not yet waited for.
    pub(super) fn nurseries(&self) -> Vec<u32> {
        children_of(self.server.process_id())
    }

    /// Waits for it.
    pub(super) async fn nursery(&self) -> Result<u32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let [nursery] = self.nurseries()[..] {
                return Ok(nursery);
            }
            sleep(PAUSE).await;
        }
        anyhow::bail!("there is not one nursery: {:?}", self.nurseries())
    }

    /// Waits for a child that is none of these.
    pub(super) async fn busy_child(&self, beyond: &[u32]) -> Result<u32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let at_work = self.children().into_iter().find(|id| !beyond.contains(id));
            if let Some(child) = at_work {
                return Ok(child);
            }
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("no child was started")
    }

    /// Private memory of the server, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        status_number(self.server.process_id(), "RssAnon").context("the server has gone")
    }
}

/// The path of a manifest.
pub(super) fn manifest_path(reference: &str) -> String {
    format!("/v2/{REPOSITORY}/manifests/{reference}")
}

/// Whether a process is there and not only waited for.
pub(super) fn is_alive(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z")
}

/// Ends a process at once. It may have ended by itself.
pub(super) fn kill(process: u32) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    let _ = kill_process(id.expect("process ids are positive"), Signal::KILL);
}

/// A number from `/proc/…/status`.
pub(super) fn status_number(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// State and parent of a process.
fn stat(process: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux has /proc");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&process| stat(process).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// What OSV says of `Log4Shell`, in the fewest words.
pub(super) fn log4shell(withdrawn: bool) -> Value {
    let mut advisory = json!({
        "schema_version": "1.6.0", "id": "GHSA-jfh8-c2jp-5v3q", "aliases": ["CVE-2021-44228"],
        "published": "2021-12-10T00:40:56Z", "modified": "2022-03-25T20:56:18Z",
        "summary": "Remote code injection in Log4j",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "Maven", "name": "org.apache.logging.log4j:log4j-core" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "2.13.0" }, { "fixed": "2.15.0" }] }],
        }],
        "database_specific": { "severity": "CRITICAL" },
    });
    if withdrawn {
        advisory["withdrawn"] = json!("2026-01-01T00:00:00Z");
        advisory["modified"] = json!("2026-01-01T00:00:00Z");
    }
    advisory
}

/// A KEV catalogue that knows `Log4Shell` only.
pub(super) fn kev() -> Value {
    json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2025.08.25",
        "dateReleased": "2025-08-25T17:04:19.9796Z", "count": 1,
        "vulnerabilities": [{
            "cveID": "CVE-2021-44228", "vendorProject": "Apache", "product": "Log4j2",
            "vulnerabilityName": "Apache Log4j2 Remote Code Execution Vulnerability", "dateAdded": "2021-12-10",
            "shortDescription": "Remote code execution.", "requiredAction": "Apply updates.",
            "dueDate": "2021-12-24", "knownRansomwareCampaignUse": "Known", "notes": "", "cwes": [],
        }],
    })
}

/// Both, as files.
pub(super) fn facts() -> [(&'static str, Value); 2] {
    [
        ("GHSA-jfh8-c2jp-5v3q.json", log4shell(false)),
        ("kev.json", kev()),
    ]
}

/// Asks until the answer holds the text.
pub(super) async fn until_said(world: &World, arguments: &[&str], text: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = world.roadbed(arguments).unwrap_or_else(|error| error.to_string());
        if said.contains(text) {
            return Ok(said);
        }
        ensure!(
            Instant::now() < deadline,
            "{arguments:?} does not say {text}: {said}"
        );
        sleep(PAUSE).await;
    }
}
