//! Children that are ready: started, asked once, ended.

use std::{
    fs::File,
    io::{self, PipeWriter},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use findings::LayerReport;
use inspect::Limits;
use oci::Digest;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::{
    answer::Answer,
    clamd::{Clamd, ClamdConfig, looking::Looking},
    engines::Skips,
    nursery::{Nursery, START},
    process::{self, LastWords, Ready, Sockets},
    sandbox::CPU_OVER,
    wire::{self, Task, Word},
};

/// Processor time that the start of a child may take, in seconds.
const CPU_START: u64 = 2;

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
    /// Bytes of memory that a report takes once it is read.
    pub(crate) report_memory: u64,
    /// What a blob may cost.
    pub(crate) limits: Limits,
    /// Files and directories with YARA rules of the operator's.
    pub(crate) malware_rules: Vec<std::path::PathBuf>,
    /// Files with rules for secrets of the operator's, in gitleaks' form.
    pub(crate) secret_rules: Vec<std::path::PathBuf>,
    /// What is not looked for.
    pub(crate) skips: Skips,
    /// A clamd that is asked as well.
    pub(crate) clamd: Option<ClamdConfig>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            children: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            starts_ahead: true,
            blob_time: Duration::from_mins(10),
            memory: 2 << 30,
            report_bytes: 256 << 20,
            report_memory: 1 << 30,
            limits: Limits::default(),
            malware_rules: Vec::new(),
            secret_rules: Vec::new(),
            skips: Skips::default(),
            clamd: None,
        }
    }
}

impl PoolConfig {
    /// Processor time for one blob, in whole seconds: a child has one thread, so that it cannot use more than its wall time, and what
    /// its start takes. It ends one that works on while the server waits for clamd, or has gone.
    pub(super) fn cpu_seconds(&self) -> u64 {
        let seconds = self.blob_time.as_millis().div_ceil(1_000);
        u64::try_from(seconds)
            .unwrap_or(u64::MAX)
            .saturating_add(CPU_START)
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
    /// It computed for too long.
    #[error("looking into the blob took more than {0} s of processor time (scan.blob_time)")]
    Cpu(u64),
    /// It died, or said something that is no report.
    #[error("the process that looked into the blob ended without a report")]
    Died(#[source] io::Error),
    /// The report is larger than the server reads.
    #[error("the report is too large: {0}")]
    TooLarge(io::Error),
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
    places: Arc<Semaphore>,
    ready: Mutex<Vec<Ready>>,
    /// Started when it is needed, and again when it has died.
    nursery: Mutex<Option<Nursery>>,
    sockets: Arc<Sockets>,
    told_missing: AtomicBool,
    clamd: Option<Arc<Clamd>>,
}

impl Pool {
    /// A pool without children; they are started when they are needed and one ahead.
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(config.children)),
            clamd: config.clamd.clone().map(|config| Arc::new(Clamd::new(config))),
            config,
            ready: Mutex::default(),
            nursery: Mutex::default(),
            sockets: Arc::default(),
            told_missing: AtomicBool::new(false),
        }))
    }

    /// How many blobs are looked into at the same time.
    pub(crate) fn children(&self) -> usize {
        self.0.config.children
    }

    /// The clamd that is asked, if there is one.
    pub(crate) fn clamd(&self) -> Option<Arc<Clamd>> {
        self.0.clamd.clone()
    }

    /// Ends all children, those at work too: whoever waits for one is told that the pool is stopping.
    pub(crate) fn close(&self) {
        self.0.places.close();
        self.0.sockets.close();
        self.waiting().clear();
        *self.nursery() = None;
    }

    /// Has a blob looked into. Waits for a place.
    pub(crate) async fn inspect(&self, blob: File, digest: Digest) -> Result<LayerReport, PoolError> {
        let places = Arc::clone(&self.0.places);
        let place = places.acquire_owned().await.map_err(|_| PoolError::Stopping)?;
        let pool = self.clone();
        let looked = tokio::task::spawn_blocking(move || (pool.inspect_here(&blob, digest), place));
        let (report, place) = looked.await.map_err(|_| PoolError::Stopping)?;
        if !matches!(report, Err(PoolError::Start(_) | PoolError::Stopping)) {
            // The report does not wait for the next child, and the next blob finds its place when there is one.
            let pool = self.clone();
            tokio::task::spawn_blocking(move || {
                pool.start_ahead();
                drop(place);
            });
        }
        report
    }

    fn inspect_here(&self, blob: &File, digest: Digest) -> Result<LayerReport, PoolError> {
        let ready = match self.take_ready() {
            Some(ready) => ready,
            None => self.start()?,
        };
        let asked = self.ask(&ready, blob, digest);
        let said = ready.end();
        let report = asked.map_err(|error| self.explained(error, said))?;
        check(&report, &digest).map_err(PoolError::Unbelievable)?;
        Ok(report)
    }

    /// Starts children until as many wait as may work, so that the next blob does not pay for a start.
    fn start_ahead(&self) {
        if !self.0.config.starts_ahead || self.waiting().len() >= self.0.config.children {
            return;
        }
        match self.start() {
            Ok(ready) => self.waiting().push(ready),
            Err(PoolError::Stopping) => {}
            Err(error) => tracing::warn!(%error, "no process that looks into blobs could be started ahead"),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Ready>> {
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that waits. Those that somebody has ended meanwhile are no reason to count a try against the blob.
    fn take_ready(&self) -> Option<Ready> {
        let mut waiting = self.waiting();
        loop {
            let ready = waiting.pop()?;
            if ready.is_alive() {
                return Some(ready);
            }
        }
    }

    /// An end that was asked for is nobody's fault; of any other one the log has what the child said last.
    fn explained(&self, error: PoolError, mut said: LastWords) -> PoolError {
        if self.0.sockets.are_closed() {
            return PoolError::Stopping;
        }
        match said.take() {
            // Whatever it says, it has not made a report.
            Some(said) if said.ends_with(CPU_OVER) => PoolError::Cpu(self.0.config.cpu_seconds()),
            Some(said) => {
                process::log_last_words(&said);
                error
            }
            None => error,
        }
    }

    fn start(&self) -> Result<Ready, PoolError> {
        let (socket, theirs) = UnixStream::pair().map_err(PoolError::Start)?;
        let (words, their_words) = LastWords::pipe().map_err(PoolError::Start)?;
        let process = self.split(&theirs, &their_words)?;
        // The other ends are the child's alone, so that its end is seen.
        drop((theirs, their_words));
        let ready = Ready::new(process, socket, words, &self.0.sockets).ok_or(PoolError::Stopping)?;
        match self.greet(&ready) {
            Ok(()) => Ok(ready),
            Err(error) => Err(self.explained(error, ready.end())),
        }
    }

    /// A child of the nursery.
    fn split(&self, socket: &UnixStream, words: &PipeWriter) -> Result<OwnedFd, PoolError> {
        let mut place = self.nursery();
        if let Some(nursery) = &*place
            && let Ok(process) = nursery.split(socket, words.as_fd())
        {
            return Ok(process);
        }
        // There is none yet, or it has died.
        *place = None;
        let split = self.start_nursery(&mut place)?.split(socket, words.as_fd());
        split.map_err(|error| {
            if self.0.sockets.are_closed() {
                PoolError::Stopping
            } else {
                PoolError::Start(error)
            }
        })
    }

    fn start_nursery<'a>(&self, place: &'a mut Option<Nursery>) -> Result<&'a mut Nursery, PoolError> {
        let nursery = Nursery::start(&self.0.config, &self.0.sockets)?;
        for refused in &nursery.refused {
            tracing::warn!(
                refused,
                "a file of rules for malware cannot be used and is left out"
            );
        }
        Ok(place.insert(nursery))
    }

    /// Compiles the rules, unless that is done. Answers the version of the analysers and their rules.
    pub(crate) async fn analysers(&self) -> Result<String, PoolError> {
        let pool = self.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let mut place = pool.nursery();
            match &*place {
                Some(nursery) => Ok(nursery.analysers.clone()),
                None => Ok(pool.start_nursery(&mut place)?.analysers.clone()),
            }
        });
        compiled.await.map_err(|_| PoolError::Stopping)?
    }

    fn nursery(&self) -> std::sync::MutexGuard<'_, Option<Nursery>> {
        self.0.nursery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_missing(&self, missing: &[String]) {
        if !missing.is_empty() && !self.0.told_missing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                ?missing,
                "blobs are looked into with fewer walls than there should be"
            );
        }
    }

    fn greet(&self, ready: &Ready) -> Result<(), PoolError> {
        let socket = ready.socket();
        socket.set_read_timeout(Some(START)).map_err(PoolError::Start)?;
        match wire::receive(socket, wire::TASK_BYTES).map_err(PoolError::Start)? {
            Word::Ready { missing } => {
                self.tell_missing(&missing);
                Ok(())
            }
            Word::Compiled { .. } | Word::Report(_) => {
                Err(PoolError::Unbelievable("it came before the blob"))
            }
        }
    }

    fn ask(&self, ready: &Ready, blob: &File, digest: Digest) -> Result<LayerReport, PoolError> {
        let config = &self.0.config;
        let socket = ready.socket();
        let clamd = self.0.clamd.as_ref();
        let task = Task {
            digest,
            limits: config.limits.clone(),
            hand_out: clamd.map(|clamd| clamd.config().file_bytes),
        };
        wire::send(socket, &task).map_err(PoolError::Died)?;
        wire::send_files(socket, &[blob.as_fd()]).map_err(PoolError::Died)?;
        let looking = clamd.map(|clamd| {
            let (ours, theirs) = UnixStream::pair()?;
            wire::send_files(socket, &[theirs.as_fd()])?;
            Ok(Looking::begin(Arc::clone(clamd), ours))
        });
        let looking = looking.transpose().map_err(PoolError::Died)?;
        // What clamd takes is not the blob's fault, and has a bound of its own.
        let for_clamd = clamd.map_or(Duration::ZERO, |clamd| clamd.longest());
        let answer = Answer::of(ready, config.blob_time + for_clamd);
        match wire::receive_word(answer, config.report_bytes, config.report_memory) {
            Ok(Word::Report(mut report)) => {
                if let Some(looking) = looking {
                    looking.add_to(&mut report);
                }
                Ok(*report)
            }
            Ok(Word::Compiled { .. } | Word::Ready { .. }) => Err(PoolError::Unbelievable("it is none")),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(PoolError::Time(config.blob_time))
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(PoolError::TooLarge(error)),
            Err(error) => Err(PoolError::Died(error)),
        }
    }
}

/// A child may have been taken over by what it read: only what can be checked is believed.
pub(crate) fn check(report: &LayerReport, digest: &Digest) -> Result<(), &'static str> {
    if report.blob != *digest {
        return Err("it is about another blob");
    }
    if report.schema != findings::SCHEMA {
        return Err("it has another form");
    }
    let paths = report.units.iter().map(|unit| &unit.path);
    let paths = paths.chain(report.findings.iter().map(|finding| &finding.path));
    if paths
        .into_iter()
        .any(|path| path.contains('\0') || path.len() > 64 * 1024)
    {
        return Err("it names an impossible path");
    }
    if report.chart.as_deref().is_some_and(|chart| !is_possible(chart)) {
        return Err("it tells of an impossible chart");
    }
    Ok(())
}

/// Most images, and places of which nothing is known, of one chart; more are counted.
const CHART_ENTRIES: usize = 1_000;

/// Longest text of what is told of a chart.
const CHART_TEXT: usize = 1_024;

fn is_possible(chart: &findings::ChartFacts) -> bool {
    let images = chart
        .images
        .iter()
        .flat_map(|image| [&image.reference, &image.path, &image.place]);
    let unknown = chart
        .unknown
        .iter()
        .flat_map(|unknown| [&unknown.path, &unknown.why]);
    let own = [&chart.name, &chart.version]
        .into_iter()
        .chain(&chart.app_version);
    let is_text = |text: &String| text.len() <= CHART_TEXT && !text.contains(char::is_control);
    chart.images.len() <= CHART_ENTRIES
        && chart.unknown.len() <= CHART_ENTRIES
        && images.chain(unknown).chain(own).all(is_text)
}

#[cfg(test)]
mod tests {
    use findings::{ChartFacts, ChartImage};

    use super::*;
    use crate::worker::engines::not_scannable;

    #[test]
    fn what_is_told_of_a_chart_is_believed_within_bounds() {
        let digest = Digest::of(oci::Algorithm::Sha256, b"chart");
        let image = ChartImage {
            reference: "docker.io/acme/app:1".to_owned(),
            path: "values.yaml".to_owned(),
            place: "image".to_owned(),
            is_tag_assumed: false,
        };
        let told = |images: Vec<ChartImage>| {
            let mut report = not_scannable(digest, "none", "none");
            report.chart = Some(Box::new(ChartFacts {
                images,
                ..ChartFacts::default()
            }));
            check(&report, &digest)
        };
        assert_eq!(told(vec![image.clone(); CHART_ENTRIES]), Ok(()));
        assert!(told(vec![image.clone(); CHART_ENTRIES + 1]).is_err());
        for wrong in ["a".repeat(CHART_TEXT + 1), "\u{1b}[2J".to_owned()] {
            let wrong = ChartImage {
                place: wrong,
                ..image.clone()
            };
            assert!(told(vec![wrong]).is_err());
        }
    }
}
