//! The server: started on a free port of loopback, asked by one client, ended by its process id.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::process::{ADMIN, PASSWORD, Process};

const READER: &str = "reader";

/// A running server.
pub(crate) struct Server {
    process: Process,
    client: Client,
}

impl Server {
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let binary = env!("CARGO_BIN_EXE_roadbed").into();
        Ok(Self {
            process: Process::start(binary, directory, &[]).await?,
            client: Client::builder().no_proxy().build()?,
        })
    }

    /// Somebody who may pull everything, by a grant.
    pub(crate) async fn make_reader(&self) -> Result<()> {
        let user = json!({ "name": READER, "password": PASSWORD });
        self.send("/api/v1/users", &user).await?;
        let grant = json!({ "subject": READER, "pattern": "**", "roles": ["pull"] });
        self.send("/api/v1/grants", &grant).await
    }

    async fn send(&self, path: &str, body: &Value) -> Result<()> {
        let request = self
            .client
            .request(Method::POST, format!("{}{path}", self.process.url));
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
            .env("ROADBED_URL", &self.process.url)
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
        let url = format!("{}/api/v1/affected", self.process.url);
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
        self.process.resident_mib()
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.process.stop()
    }
}
