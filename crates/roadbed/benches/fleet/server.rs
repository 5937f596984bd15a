//! The server: started on a free port of loopback, asked by one client, ended by its process id.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Method, Url};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const ADMIN: &str = "admin";
const PASSWORD: &str = "a long enough password";
const READER: &str = "reader";

/// Longest start and longest end.
const DEADLINE: Duration = Duration::from_mins(2);

/// A running server.
pub(crate) struct Server {
    child: Child,
    url: String,
    client: Client,
}

impl Server {
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let ready = directory.join("ready");
        let _ = fs::remove_file(&ready);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_roadbed"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory)
            .env_clear()
            .env("ROADBED_ADMIN_PASSWORD", PASSWORD)
            .env("ROADBED_READY_FILE", &ready)
            .env("ROADBED_FEEDS__ENABLED", "false")
            .env("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Self {
            child,
            url: String::new(),
            client: Client::builder().no_proxy().build()?,
        };
        let deadline = Instant::now() + DEADLINE;
        while server.url.is_empty() {
            let told = fs::read_to_string(&ready).unwrap_or_default();
            told.trim().clone_into(&mut server.url);
            let ended = server.child.try_wait()?;
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "the server did not start"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }

    /// Somebody who may pull everything, by a grant.
    pub(crate) async fn make_reader(&self) -> Result<()> {
        let user = json!({ "name": READER, "password": PASSWORD });
        self.send("/api/v1/users", &user).await?;
        let grant = json!({ "subject": READER, "pattern": "**", "roles": ["pull"] });
        self.send("/api/v1/grants", &grant).await
    }

    async fn send(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.client.request(Method::POST, format!("{}{path}", self.url));
        let request = request
            .basic_auth(ADMIN, Some(PASSWORD))
            .header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(())
    }

    /// Has advisories imported, by the command line.
    pub(crate) fn import(&self, documents: &[(String, Value)]) -> Result<()> {
        let directory = tempfile::tempdir()?;
        for (name, document) in documents {
            fs::write(directory.path().join(name), document.to_string())?;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_roadbed"))
            .args(["advisories", "import"])
            .arg(directory.path())
            .env("ROADBED_URL", &self.url)
            .env("ROADBED_USER", ADMIN)
            .env("ROADBED_PASSWORD", PASSWORD)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// One question: how long until all of the answer was here, and the answer.
    pub(crate) async fn ask(&self, question: &str, limit: &str) -> Result<(Duration, Value)> {
        let url = format!("{}/api/v1/affected", self.url);
        let url = Url::parse_with_params(&url, [("q", question), ("limit", limit)])?;
        let request = self.client.get(url).basic_auth(READER, Some(PASSWORD));
        let start = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        let took = start.elapsed();
        if !status.is_success() {
            bail!("{question}: {status}: {}", String::from_utf8_lossy(&bytes));
        }
        Ok((took, serde_json::from_slice(&bytes)?))
    }

    /// What the process has in memory.
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

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.end();
            let _ = self.child.wait();
        }
    }
}
