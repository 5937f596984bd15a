//! What goes wrong, and how it is undone.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::{
    super::{
        faults::{Fault, Faults},
        pusher::Shared,
        small_disk::SmallDisk,
    },
    visitor::Pinned,
};
use crate::harness::{
    client::Client,
    server::Server,
    unable::{Program, report},
};

const SQLITE: Program = Program {
    name: "sqlite3",
    package: "sqlite3",
};

/// How long the server may take to notice that something is wrong, or right again.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(50);

/// An upstream is at fault for so long at least: longer than the server has patience with it.
const LEAST_OF_AN_UPSTREAM: Duration = Duration::from_secs(2);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// SIGKILL.
    Kill,
    /// Another process holds the lock for writing.
    Lock,
    /// The database is moved away and back.
    MoveDatabase,
    /// Its log is.
    MoveLog,
    /// SIGKILL while it is away.
    KillWhileMoved,
    /// An administrator has changes stopped.
    Maintenance,
    /// The disk is full.
    FillDisk,
    /// SIGKILL while it is.
    KillOnAFullDisk,
    /// The upstream, or the way to it, is at fault.
    Upstream(Fault),
}

/// Where it goes wrong.
pub(super) struct Place<'w> {
    pub(super) server: &'w mut Server,
    pub(super) data: &'w Path,
    pub(super) disk: Option<&'w SmallDisk>,
    pub(super) client: &'w Client,
    pub(super) shared: &'w Shared,
    pub(super) pinned: &'w [Pinned],
    pub(super) faults: &'w Faults,
}

/// Says what cannot be tried here.
pub(super) fn report_what_is_missing() {
    if let Err(unable) = SQLITE.find() {
        report(&unable);
    }
}

impl Trouble {
    pub(super) fn is_possible(self) -> bool {
        self != Self::Lock || SQLITE.find().is_ok()
    }

    /// Whether nothing but the upstream is at fault.
    pub(super) fn is_of_upstream(self) -> bool {
        matches!(self, Self::Upstream(_))
    }

    /// Makes it, has it noticed, holds it for a while and undoes it.
    pub(super) async fn make(self, place: Place<'_>, held: Duration) -> Result<()> {
        match self {
            Self::Kill => place.kill(),
            Self::Lock => {
                let lock = Lock::take(&place.data.join("roadbed.db"))?;
                place.degraded(held).await?;
                lock.release()?;
            }
            Self::MoveDatabase => place.without("roadbed.db", held).await?,
            Self::MoveLog => place.without("roadbed.db-wal", held).await?,
            Self::KillWhileMoved => {
                let moved = Moved::away(place.data, "roadbed.db")?;
                sleep(held).await;
                place.kill();
                moved.back()?;
            }
            Self::Maintenance => {
                place.maintain("PUT", Some(json!({ "reason": "chaos" }))).await?;
                place.mode("read-only").await?;
                sleep(held).await;
                place.pull().await?;
                place.maintain("DELETE", None).await?;
            }
            Self::FillDisk | Self::KillOnAFullDisk => {
                let disk = place.disk.context("there is no small disk")?;
                disk.take(usize::MAX);
                sleep(held).await;
                place.pull().await?;
                if self == Self::KillOnAFullDisk {
                    place.kill();
                }
                disk.free();
            }
            Self::Upstream(fault) => {
                place.faults.set(fault);
                place.pull_for(held.max(LEAST_OF_AN_UPSTREAM)).await?;
                place.faults.set(Fault::None);
            }
        }
        Ok(())
    }
}

impl Place<'_> {
    fn kill(self) {
        self.shared.killed.store(true, Ordering::SeqCst);
        self.server.kill();
    }

    /// What is in memory is pulled as ever.
    async fn pull(&self) -> Result<()> {
        for pinned in self.pinned {
            let served = pinned.pull(self.client).await;
            served.context("what is in memory is not served")?;
        }
        Ok(())
    }

    async fn pull_for(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.pull().await?;
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn without(&self, file: &str, held: Duration) -> Result<()> {
        let moved = Moved::away(self.data, file)?;
        self.degraded(held).await?;
        moved.back()
    }

    /// The server has noticed, says so, still wants traffic, and serves what it has in memory.
    async fn degraded(&self, held: Duration) -> Result<()> {
        self.mode("degraded").await?;
        self.pull_for(held).await
    }

    async fn mode(&self, wanted: &str) -> Result<()> {
        until_mode(self.client, wanted).await
    }

    async fn maintain(&self, method: &str, body: Option<serde_json::Value>) -> Result<()> {
        let mut request = self.client.request(method, "/api/v1/maintenance");
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        request.send().await?.expect(&[200])?;
        Ok(())
    }
}

/// Waits until the server says that all is well.
pub(super) async fn until_ready(client: &Client) -> Result<()> {
    until_mode(client, "ready").await
}

async fn until_mode(client: &Client, wanted: &str) -> Result<()> {
    let deadline = Instant::now() + NOTICED_WITHIN;
    loop {
        let answer = client.get("/readyz").send().await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 200, "/readyz says {}: {text}", answer.status);
        if text.starts_with(wanted) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "/readyz does not say {wanted}, it says: {text}"
        );
        sleep(POLL).await;
    }
}

/// A file of the database that is not in its place.
struct Moved {
    from: PathBuf,
    to: PathBuf,
}

impl Moved {
    fn away(data: &Path, name: &str) -> Result<Self> {
        let (from, to) = (data.join(name), data.join(format!("{name}.aside")));
        fs::rename(&from, &to).with_context(|| format!("{name} cannot be moved"))?;
        Ok(Self { from, to })
    }

    fn back(self) -> Result<()> {
        fs::rename(&self.to, &self.from).context("it cannot be moved back")
    }
}

/// A person with a shell who has begun to write.
struct Lock(Child);

impl Lock {
    fn take(database: &Path) -> Result<Self> {
        let Ok(program) = SQLITE.find() else {
            bail!("there is no sqlite3");
        };
        let mut child = Command::new(program)
            .arg("-batch")
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("it was asked for")?;
        let output = child.stdout.take().context("it was asked for")?;
        writeln!(
            input,
            "PRAGMA busy_timeout = 20000; BEGIN IMMEDIATE; SELECT 'locked';"
        )?;
        input.flush()?;
        child.stdin = Some(input);
        let lock = Self(child);
        for line in BufReader::new(output).lines() {
            if line?.trim() == "locked" {
                return Ok(lock);
            }
        }
        bail!("sqlite3 did not get the lock")
    }

    fn release(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
