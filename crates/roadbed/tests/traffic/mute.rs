//! A console that nobody reads: what is written there is lost, the server goes on and ends when it is told to.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::harness::{
    client::Client,
    login::Login,
    raw::Connection,
    server::{ADMIN_PASSWORD, command},
};

const PAUSE: Duration = Duration::from_millis(50);

const STARTED_BY: Duration = Duration::from_mins(1);

/// The drain and the last lines take less than this.
const ENDED_BY: Duration = Duration::from_secs(20);

/// Requests, and bytes of a path: each of them is a line, and together they are more than a pipe and the queue hold.
const REQUESTS: usize = 1_500;
const PATH_BYTES: usize = 200;

/// A server whose standard output and error are pipes that are open and never read.
struct Mute {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Mute {
    async fn start() -> Result<Self> {
        let directory = TempDir::with_prefix("roadbed-mute-")?;
        let ready = directory.path().join("ready");
        let mut child = command(directory.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--data", "data"])
            .env("ROADBED_ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("ROADBED_READY_FILE", &ready)
            .env("ROADBED_LOG__LEVEL", "trace")
            .env("ROADBED_LOG__ACCESS_QUEUE", "16")
            .env("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let began = Instant::now();
        let url = loop {
            if let Ok(url) = fs::read_to_string(&ready) {
                break url;
            }
            let waits = child.try_wait()?.is_none() && began.elapsed() < STARTED_BY;
            ensure!(waits, "the server does not start");
            sleep(PAUSE).await;
        };
        let address = url.strip_prefix("http://").context("a URL")?.parse()?;
        Ok(Self {
            child,
            address,
            _directory: directory,
        })
    }

    async fn is_healthy(&self) -> Result<()> {
        let client = Client::new(&format!("http://{}", self.address), Login::Anonymous);
        client.get("/healthz").send().await?.expect(&[200])?;
        Ok(())
    }

    async fn terminate(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            ensure!(began.elapsed() < ENDED_BY, "it does not end");
            sleep(PAUSE).await;
        }
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn nobody_reads() -> Result<()> {
    let mut server = Mute::start().await?;
    let path = "x".repeat(PATH_BYTES);
    let request = format!("GET /v2/{path}/manifests/v1 HTTP/1.1\r\nHost: registry\r\n\r\n");
    let mut connection = Connection::open(server.address).await?;
    connection.send(request.repeat(REQUESTS)).await?;
    connection.finish_sending().await;
    let answers = connection.read_to_end().await?.text;
    let answers = answers.matches("HTTP/1.1 401").count();
    ensure!(answers == REQUESTS, "{answers} answers to {REQUESTS} requests");
    server.is_healthy().await?;
    server.terminate().await
}

#[tokio::test]
async fn a_console_that_nobody_reads_stops_nothing() {
    nobody_reads().await.unwrap();
}
