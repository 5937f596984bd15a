//! A server for a benchmark: started on a free port of loopback, ended by its process id.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const ADMIN: &str = "admin";
pub(crate) const PASSWORD: &str = "a long enough password";

/// Feeds are on, but lie where nobody answers: what is measured does not depend on what is outside.
const FEEDS: [(&str, &str); 4] = [
    ("ROADBED_FEEDS__OSV", "http://127.0.0.1:1/"),
    ("ROADBED_FEEDS__KEV", "http://127.0.0.1:1/kev"),
    ("ROADBED_FEEDS__EPSS", "http://127.0.0.1:1/epss"),
    ("ROADBED_FEEDS__ALLOWED_PRIVATE", "127.0.0.1/32"),
];

/// Longest start.
const DEADLINE: Duration = Duration::from_mins(2);

/// A running server.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts a binary with its data, its log and its home in a directory; `settings` are more variables of its environment.
    pub(crate) async fn start(binary: OsString, directory: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let ready = directory.join("ready");
        let _ = fs::remove_file(&ready);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))?;
        let child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory)
            .env_clear()
            .env("ROADBED_ADMIN_PASSWORD", PASSWORD)
            .env("ROADBED_READY_FILE", &ready)
            .envs(FEEDS)
            .env("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
            .envs(settings.iter().copied())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut process = Self {
            child,
            url: String::new(),
        };
        let deadline = Instant::now() + DEADLINE;
        while process.url.is_empty() {
            let told = fs::read_to_string(&ready).unwrap_or_default();
            told.trim().clone_into(&mut process.url);
            let ended = process.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "the server did not start"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(process)
    }

    /// What it has in memory.
    pub(crate) fn resident_mib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse::<u64>()? >> 10)
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()?;
        ensure!(self.child.wait()?.success(), "the server did not end well");
        Ok(())
    }

    fn end(&self) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).context("no process")?;
        Ok(kill_process(id, Signal::TERM)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.end();
            let _ = self.child.wait();
        }
    }
}
