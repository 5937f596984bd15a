//! One `roadbed mirror serve` process per value, on a directory of its own.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::harness::{client::Client, login::Login, server};

const START_DEADLINE: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(20);

/// A running mirror. Ends with the value.
pub(crate) struct Mirror {
    directory: TempDir,
    variables: Vec<(String, String)>,
    child: Child,
    url: String,
    starts: u32,
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has ports");
    socket.local_addr().expect("a bound socket has an address").port()
}

impl Mirror {
    /// Starts one with variables of its environment, on a free port unless they name one, and waits until it is ready.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::with_prefix("roadbed-mirror-").expect("a temporary directory can be made");
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let child = spawn(&directory, &variables, 0);
        let mut mirror = Self {
            directory,
            variables,
            child,
            url: String::new(),
            starts: 0,
        };
        mirror.await_ready().await;
        mirror
    }

    /// Its origin.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.url.rsplit("://").next().unwrap_or_default();
        address.parse().expect("it wrote its address")
    }

    /// The process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps what it holds.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A client of it.
    pub(crate) fn client(&self, login: Login) -> Client {
        Client::new(&self.url(), login)
    }

    /// A node on this machine.
    pub(crate) fn node(&self) -> Client {
        self.client(Login::Anonymous)
    }

    /// SIGKILL, and started again on the same data.
    pub(crate) async fn restart(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("it was started by this process");
        self.starts += 1;
        self.child = spawn(&self.directory, &self.variables, self.starts);
        self.await_ready().await;
    }

    /// The sum of a metric (without the prefix `roadbed_`); 0 where it was never counted.
    pub(crate) async fn metric(&self, name: &str) -> Result<u64> {
        let answer = self.node().get("/metrics").send().await?.expect(&[200])?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let of = |line: &&str| {
            let series = line.split([' ', '{']).next();
            series == Some(&format!("roadbed_{name}"))
        };
        let values = text.lines().filter(of).filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
    }

    /// Waits until `/readyz` says something.
    pub(crate) async fn until_says(&self, what: &str) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let answer = self.node().get("/readyz").send().await?.expect(&[200])?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if text.contains(what) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "never says {what}: {text}");
            sleep(POLL).await;
        }
    }

    /// Bytes of the blobs that it holds.
    pub(crate) fn held_bytes(&self) -> u64 {
        fn below(directory: &std::path::Path) -> u64 {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => below(&entry.path()),
                    Ok(metadata) => metadata.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        below(&self.data().join("blobs"))
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    async fn await_ready(&mut self) {
        let ready = self.directory.path().join(format!("ready-{}", self.starts));
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it was started by this process") {
                panic!("the mirror ended with {status}\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "the mirror was not ready\n{}",
                self.log()
            );
            if let Ok(url) = fs::read_to_string(&ready) {
                url.trim().clone_into(&mut self.url);
                return;
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- end of the mirror's log ---\n{tail}");
        }
    }
}

fn spawn(directory: &TempDir, variables: &[(String, String)], start: u32) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.path().join("log"))
        .expect("the log can be made");
    let errors = log.try_clone().expect("a file can be cloned");
    server::command(directory.path())
        .args(["mirror", "serve"])
        .env("ROADBED_MIRROR__LISTEN", "127.0.0.1:0")
        .env("ROADBED_MIRROR__DATA_DIR", directory.path().join("data"))
        .env(
            "ROADBED_READY_FILE",
            directory.path().join(format!("ready-{start}")),
        )
        .env("ROADBED_CONNECTIONS__DRAIN_DELAY", "0s")
        .env("ROADBED_METRICS__PUBLIC", "true")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("the binary can be started")
}

/// Runs a command of the binary to its end: whether it succeeded, and all that it wrote.
pub(crate) fn run(home: &std::path::Path, arguments: &[&str]) -> Result<(bool, String)> {
    let output = server::command(home)
        .args(arguments)
        .output()
        .context("it cannot be run")?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}
