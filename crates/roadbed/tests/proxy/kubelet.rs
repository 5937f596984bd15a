//! A node that pulls over a connection of its own and compares every byte as it comes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};

/// As containerd calls itself.
const AGENT: &str = "containerd/v2.0.0";

/// Nothing may be silent for longer: what does not come is to be said.
const SILENCE: Duration = Duration::from_mins(1);

/// Most bytes of a head.
const HEAD: usize = 16 * 1024;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// Before it is tried again where nobody said when.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest pause, whatever was said.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What came of a question. That a byte was wrong is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// All of it.
    Whole,
    /// A clear error, and when to come again.
    Told(u16, Option<Duration>),
    /// The connection ended before the answer did.
    Broken,
    /// There was no answer.
    Unanswered,
}

/// What happened to a node, or to many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    pub(super) whole: usize,
    pub(super) told: usize,
    pub(super) broken: usize,
    /// The connection was refused, or closed without an answer.
    pub(super) unanswered: usize,
}

impl Fate {
    pub(super) fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.told += other.told;
        self.broken += other.broken;
        self.unanswered += other.unanswered;
    }
}

/// A node.
pub(super) struct Kubelet {
    registry: SocketAddr,
    from: Ipv4Addr,
    login: String,
    agent: &'static str,
    hears_lies: bool,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    pub(super) fate: Fate,
}

impl Kubelet {
    /// One that has not connected yet; `login` is the value of its `Authorization` header.
    pub(super) fn new(registry: SocketAddr, from: Ipv4Addr, login: &str) -> Self {
        Self {
            registry,
            from,
            login: login.to_owned(),
            agent: AGENT,
            hears_lies: false,
            stream: None,
            buffer: Vec::new(),
            fate: Fate::default(),
        }
    }

    /// One that calls itself otherwise.
    pub(super) fn called(self, agent: &'static str) -> Self {
        Self { agent, ..self }
    }

    /// One whose registry's upstream lies: a byte of what breaks off may be wrong.
    pub(super) fn hears_lies(self) -> Self {
        Self {
            hears_lies: true,
            ..self
        }
    }

    /// Asks until all of it has come, or until it is too late.
    pub(super) async fn pull(&mut self, path: &str, wanted: &[u8], until: Instant) -> Result<()> {
        loop {
            let pause = match self.get(path, wanted).await? {
                Came::Whole => return Ok(()),
                Came::Told(_, wait) => wait.unwrap_or(PAUSE).min(LONGEST_PAUSE),
                Came::Broken | Came::Unanswered => PAUSE,
            };
            ensure!(Instant::now() < until, "{path} never came: {:?}", self.fate);
            sleep(pause).await;
        }
    }

    /// Asks once.
    pub(super) async fn get(&mut self, path: &str, wanted: &[u8]) -> Result<Came> {
        let asked = timeout(SILENCE * 2, self.exchange(path, wanted)).await;
        let came = asked.with_context(|| format!("{path} neither comes nor fails"))??;
        match came {
            Came::Whole => self.fate.whole += 1,
            Came::Told(..) => self.fate.told += 1,
            Came::Broken => self.fate.broken += 1,
            Came::Unanswered => self.fate.unanswered += 1,
        }
        if matches!(came, Came::Broken | Came::Unanswered) {
            self.stream = None;
        }
        Ok(came)
    }

    async fn exchange(&mut self, path: &str, wanted: &[u8]) -> Result<Came> {
        let Ok(()) = self.connect().await else {
            return Ok(Came::Unanswered);
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nUser-Agent: {}\r\n\r\n",
            self.registry, self.login, self.agent
        );
        let stream = self.stream.as_mut().context("it is connected")?;
        if stream.write_all(request.as_bytes()).await.is_err() {
            return Ok(Came::Unanswered);
        }
        let Some(head) = self.head().await? else {
            return Ok(Came::Unanswered);
        };
        let status = status(&head);
        let length: usize = header(&head, "content-length")
            .and_then(|length| length.parse().ok())
            .with_context(|| format!("{path}: no length in {head}"))?;
        if status == 200 {
            ensure!(
                length == wanted.len(),
                "{path}: {length} bytes, not {}",
                wanted.len()
            );
            return self.compare(path, wanted).await;
        }
        let Some(body) = self.body(length).await? else {
            return Ok(Came::Broken);
        };
        if header(&head, "connection").is_some_and(|said| said.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        Self::told(path, status, &head, &body)
    }

    async fn connect(&mut self) -> Result<()> {
        if self.stream.is_none() {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((self.from, 0)))?;
            self.stream = Some(socket.connect(self.registry).await?);
            self.buffer.clear();
        }
        Ok(())
    }

    /// More bytes; none where the other side has closed.
    async fn fill(&mut self) -> Result<usize> {
        let stream = self.stream.as_mut().context("it is connected")?;
        self.buffer.reserve(PIECE);
        let read = timeout(SILENCE, stream.read_buf(&mut self.buffer)).await;
        let read = read.context("nothing comes, and nobody closes")?;
        Ok(read.unwrap_or(0))
    }

    async fn head(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            ensure!(self.buffer.len() < HEAD, "an endless head");
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn body(&mut self, length: usize) -> Result<Option<Vec<u8>>> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.drain(..length).collect()))
    }

    /// Each byte that comes must be the right one, also of what does not come to its end.
    async fn compare(&mut self, path: &str, wanted: &[u8]) -> Result<Came> {
        let (mut at, mut is_wrong) = (0, false);
        loop {
            let some = self.buffer.len().min(wanted.len() - at);
            is_wrong |= self.buffer[..some] != wanted[at..at + some];
            self.buffer.drain(..some);
            at += some;
            let is_whole = at == wanted.len();
            if is_wrong && (is_whole || !self.hears_lies) {
                bail!("{path}: a wrong byte before {at} of {}", wanted.len());
            }
            if is_whole {
                return Ok(Came::Whole);
            }
            if self.fill().await? == 0 {
                return Ok(Came::Broken);
            }
        }
    }

    /// An error must say what it is, and when to come again if that helps.
    fn told(path: &str, status: u16, head: &str, body: &[u8]) -> Result<Came> {
        let said: serde_json::Value = serde_json::from_slice(body)
            .with_context(|| format!("{path}: {head}{}", String::from_utf8_lossy(body)))?;
        let message = said["errors"][0]["message"].as_str().unwrap_or_default();
        ensure!(!message.is_empty(), "{path}: {status} without a message: {said}");
        ensure!(
            matches!(status, 403 | 404 | 429 | 502..=504 | 507),
            "{path}: {status} {said}"
        );
        let wait = header(head, "retry-after").and_then(|wait| wait.parse().ok());
        ensure!(
            wait.is_some() || !matches!(status, 429 | 503),
            "{path}: no time to come again in {head}"
        );
        Ok(Came::Told(status, wait.map(Duration::from_secs)))
    }
}

fn status(head: &str) -> u16 {
    let word = head.split(' ').nth(1);
    word.and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
