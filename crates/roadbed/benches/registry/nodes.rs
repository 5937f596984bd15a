//! Very many nodes, each with a connection of its own, that pull one image each: tasks, since threads would take the processor from
//! the server that they wait for.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    runtime::Builder,
    sync::Barrier,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{content::MANIFEST_TYPE, files::want_files, http::Endpoint};

/// Bytes that are read at once; what was read is nobody's.
const BUFFER_BYTES: usize = 64 * 1024;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// A node that hears nothing for so long is stuck; the measurement ends with an error.
const STUCK: Duration = Duration::from_mins(2);

/// Longest pause of a node that is told to come again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who pulls what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodesPlan {
    /// From whom.
    pub(crate) endpoint: Endpoint,
    /// Paths that each of them gets, in this order.
    pub(crate) paths: Vec<String>,
    /// All at once.
    pub(crate) groups: Vec<Group>,
}

/// Nodes that share a login and an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The value of the header.
    pub(crate) authorization: Option<String>,
    /// What they call themselves.
    pub(crate) agent: String,
    /// Where they come from.
    pub(crate) from: Ipv4Addr,
    /// How many they are.
    pub(crate) nodes: usize,
    /// How often each of them gets all paths.
    pub(crate) times: usize,
}

/// What came of a group.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GroupResult {
    /// When each had all of it, in seconds after all began.
    pub(crate) ends: Vec<f64>,
    /// How often one was told to come again.
    pub(crate) told: u64,
    /// Bytes of bodies.
    pub(crate) bytes: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Pulled {
    seconds: f64,
    told: u64,
    bytes: u64,
}

impl NodesPlan {
    /// Lets all begin at once and waits for the last one.
    pub(crate) fn carry_out(self) -> Result<Vec<GroupResult>> {
        let count: usize = self.groups.iter().map(|group| group.nodes).sum();
        want_files(count as u64 + 200)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.all(count))
    }

    async fn all(self, count: usize) -> Result<Vec<GroupResult>> {
        let begin = Arc::new(Barrier::new(count));
        let (groups, plan) = (self.groups.clone(), Arc::new(self));
        let mut nodes = JoinSet::new();
        for (number, group) in groups.iter().enumerate() {
            for _ in 0..group.nodes {
                let (plan, begin) = (Arc::clone(&plan), Arc::clone(&begin));
                nodes.spawn(async move {
                    begin.wait().await;
                    let pulled = plan.one(&plan.groups[number]).await?;
                    anyhow::Ok((number, pulled))
                });
            }
        }
        let mut results: Vec<Vec<Pulled>> = groups.iter().map(|_| Vec::new()).collect();
        while let Some(node) = nodes.join_next().await {
            let (number, pulled) = node.context("a node panicked")??;
            results[number].push(pulled);
        }
        Ok(results.into_iter().map(|pulled| summed(&pulled)).collect())
    }

    async fn one(&self, group: &Group) -> Result<Pulled> {
        let started = Instant::now();
        let mut node = Node::connect(self.endpoint.address, group.from).await?;
        let mut pulled = Pulled::default();
        for path in (0..group.times).flat_map(|_| &self.paths) {
            // Without it docker-registry has no manifest of this type.
            let mut headers = vec![("Accept", MANIFEST_TYPE), ("User-Agent", group.agent.as_str())];
            headers.extend(
                group
                    .authorization
                    .as_deref()
                    .map(|login| ("Authorization", login)),
            );
            let head = self.endpoint.head("GET", path, &headers);
            loop {
                match node.get(&head).await.with_context(|| path.clone())? {
                    Got::Body(bytes) => {
                        pulled.bytes += bytes;
                        break;
                    }
                    Got::Later(pause) => {
                        pulled.told += 1;
                        sleep(pause).await;
                    }
                }
            }
        }
        pulled.seconds = started.elapsed().as_secs_f64();
        Ok(pulled)
    }
}

fn summed(pulled: &[Pulled]) -> GroupResult {
    GroupResult {
        ends: pulled.iter().map(|one| one.seconds).collect(),
        told: pulled.iter().map(|one| one.told).sum(),
        bytes: pulled.iter().map(|one| one.bytes).sum(),
    }
}

/// What came of a request.
enum Got {
    Body(u64),
    /// 429 or 503.
    Later(Duration),
}

struct Node {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Node {
    async fn connect(address: SocketAddr, from: Ipv4Addr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let stream = socket.connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    async fn get(&mut self, head: &str) -> Result<Got> {
        self.stream.write_all(head.as_bytes()).await?;
        let answer = self.head().await?;
        let status = answer.get(9..12).unwrap_or_default().to_owned();
        let length = field(&answer, "content-length").and_then(|length| length.parse().ok());
        let length: u64 = length.with_context(|| format!("no length in {answer}"))?;
        self.skip(length).await?;
        match status.as_str() {
            "200" => Ok(Got::Body(length)),
            "429" | "503" => {
                let wait = field(&answer, "retry-after").and_then(|wait| wait.parse().ok());
                let wait = wait.context("no time to come again")?;
                Ok(Got::Later(Duration::from_secs(wait).min(LONGEST_PAUSE)))
            }
            _ => bail!("{answer}"),
        }
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(BUFFER_BYTES);
        let read = timeout(STUCK, self.stream.read_buf(&mut self.buffer)).await;
        let read = read.context("nothing comes")??;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }

    async fn head(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(String::from_utf8(head)?);
            }
            ensure!(
                self.buffer.len() < HEAD_BYTES,
                "the head of the answer does not end"
            );
            self.fill().await?;
        }
    }

    async fn skip(&mut self, mut length: u64) -> Result<()> {
        loop {
            let some = self
                .buffer
                .len()
                .min(usize::try_from(length).unwrap_or(usize::MAX));
            self.buffer.drain(..some);
            length -= some as u64;
            if length == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
