//! Children that are ready: started, asked once, ended.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use findings::LayerReport;
use inspect::Limits;
use oci::Digest;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::{
    child::COMMAND,
    wire::{self, Task, Word},
};

/// How long a child may take to be ready. Compiling rules is part of it.
const START: Duration = Duration::from_secs(60);

/// What children cost.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    /// Children at work at the same time.
    pub(crate) children: usize,
    /// Whether children are started before there is work for them.
    pub(crate) starts_ahead: bool,
    /// Wall time for one blob.
    pub(crate) blob_time: Duration,
    /// Bytes of address space of a child.
    pub(crate) memory: u64,
    /// Bytes of a report.
    pub(crate) report_bytes: u64,
    /// What a blob may cost.
    pub(crate) limits: Limits,
    /// Files and directories with YARA rules of the operator's.
    pub(crate) malware_rules: Vec<std::path::PathBuf>,
    /// Files with rules for secrets of the operator's, in gitleaks' form.
    pub(crate) secret_rules: Vec<std::path::PathBuf>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            children: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            starts_ahead: true,
            blob_time: Duration::from_secs(600),
            memory: 2 << 30,
            report_bytes: 256 << 20,
            limits: Limits::default(),
            malware_rules: Vec::new(),
            secret_rules: Vec::new(),
        }
    }
}

/// Why there is no report. The blob may be tried again.
#[derive(Debug, Error)]
pub(crate) enum PoolError {
    /// A child could not be started.
    #[error("cannot start a process that looks into blobs")]
    Start(#[source] io::Error),
    /// It took too long and was ended.
    #[error("looking into the blob took longer than {0:?}")]
    Time(Duration),
    /// It died, or said something that is no report.
    #[error("the process that looked into the blob ended without a report")]
    Died(#[source] io::Error),
    /// The report is about something else, or breaks its own rules.
    #[error("the report is not to be believed: {0}")]
    Unbelievable(&'static str),
    /// The pool is being closed.
    #[error("stopping")]
    Stopping,
}

/// Keeps children ready. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    config: PoolConfig,
    places: Semaphore,
    ready: Mutex<Vec<Ready>>,
    told_missing: AtomicBool,
}

/// A child that waits for its task. Dropping it ends it.
struct Ready {
    child: Child,
    socket: UnixStream,
}

impl Drop for Ready {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pool {
    /// A pool without children; they are started when they are needed and one ahead.
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(config.children),
            config,
            ready: Mutex::default(),
            told_missing: AtomicBool::new(false),
        }))
    }

    /// How many blobs are looked into at the same time.
    pub(crate) fn children(&self) -> usize {
        self.0.config.children
    }

    /// Has a blob looked into. Waits for a place.
    pub(crate) async fn inspect(&self, blob: File, digest: Digest) -> Result<LayerReport, PoolError> {
        let _place = self.0.places.acquire().await.map_err(|_| PoolError::Stopping)?;
        let pool = self.clone();
        tokio::task::spawn_blocking(move || pool.inspect_here(&blob, digest))
            .await
            .map_err(|_| PoolError::Stopping)?
    }

    fn inspect_here(&self, blob: &File, digest: Digest) -> Result<LayerReport, PoolError> {
        let ready = match self.take_ready() {
            Some(ready) => ready,
            None => self.start()?,
        };
        let asked = self.ask(&ready, blob, digest);
        drop(ready);
        if self.0.config.starts_ahead {
            self.start_ahead();
        }
        let report = asked?;
        check(&report, &digest)?;
        Ok(report)
    }

    /// Starts children until as many wait as may work, so that the next blob does not pay for a start.
    pub(crate) fn start_ahead(&self) {
        let waiting = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner).len();
        if waiting >= self.0.config.children {
            return;
        }
        match self.start() {
            Ok(ready) => self
                .0
                .ready
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(ready),
            Err(error) => tracing::warn!(%error, "no process that looks into blobs could be started ahead"),
        }
    }

    fn take_ready(&self) -> Option<Ready> {
        let mut waiting = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop()
    }

    fn start(&self) -> Result<Ready, PoolError> {
        let (socket, theirs) = UnixStream::pair().map_err(PoolError::Start)?;
        let config = &self.0.config;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("roadbed")
            .arg(COMMAND)
            .arg(format!("--memory={}", config.memory))
            .arg(format!("--spool={}", config.limits.spool_bytes))
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for rules in &config.malware_rules {
            command.arg("--malware-rules").arg(rules);
        }
        for rules in &config.secret_rules {
            command.arg("--secret-rules").arg(rules);
        }
        let child = command.spawn().map_err(PoolError::Start)?;
        let ready = Ready { child, socket };
        self.greet(&ready)?;
        Ok(ready)
    }

    fn greet(&self, ready: &Ready) -> Result<(), PoolError> {
        let socket = &ready.socket;
        socket.set_read_timeout(Some(START)).map_err(PoolError::Start)?;
        match wire::receive(socket, wire::TASK_BYTES).map_err(PoolError::Start)? {
            Word::Ready { missing } => {
                if !missing.is_empty() && !self.0.told_missing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(?missing, "blobs are looked into with fewer walls or rules than asked for");
                }
                Ok(())
            }
            Word::Report(_) => Err(PoolError::Unbelievable("it came before the blob")),
        }
    }

    fn ask(&self, ready: &Ready, blob: &File, digest: Digest) -> Result<LayerReport, PoolError> {
        let config = &self.0.config;
        let socket = &ready.socket;
        let task = Task {
            digest,
            limits: config.limits.clone(),
        };
        wire::send(socket, &task).map_err(PoolError::Died)?;
        wire::send_file(socket, blob.as_fd()).map_err(PoolError::Died)?;
        let answer = Deadline {
            socket,
            until: Instant::now() + config.blob_time,
        };
        match wire::receive(answer, config.report_bytes) {
            Ok(Word::Report(report)) => Ok(*report),
            Ok(Word::Ready { .. }) => Err(PoolError::Unbelievable("it is none")),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(PoolError::Time(config.blob_time))
            }
            Err(error) => Err(PoolError::Died(error)),
        }
    }
}

/// Reads until a moment, however the bytes trickle in.
struct Deadline<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

impl io::Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        io::Read::read(&mut &*self.socket, buffer)
    }
}

/// A child may have been taken over by what it read: only what can be checked is believed.
fn check(report: &LayerReport, digest: &Digest) -> Result<(), PoolError> {
    if report.blob != *digest {
        return Err(PoolError::Unbelievable("it is about another blob"));
    }
    if report.schema != findings::SCHEMA {
        return Err(PoolError::Unbelievable("it has another form"));
    }
    let paths = report.units.iter().map(|unit| &unit.path);
    let paths = paths.chain(report.findings.iter().map(|finding| &finding.path));
    if paths.into_iter().any(|path| path.contains('\0') || path.len() > 64 * 1024) {
        return Err(PoolError::Unbelievable("it names an impossible path"));
    }
    Ok(())
}

use std::os::unix::process::CommandExt as _;
