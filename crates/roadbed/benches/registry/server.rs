//! The two servers: started on free ports of loopback, ended by process id.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    bench::{Bench, PEER_BINARY},
    client::Client,
    commands::{ADMIN, ADMIN_PASSWORD, free_address, our_command, peer_command},
    http::Endpoint,
    tokens::TokenDesk,
};

/// Longest start and longest end.
const DEADLINE: Duration = Duration::from_mins(1);

/// Between two looks whether a server is ready: the resolution of the time it takes to start.
const POLL: Duration = Duration::from_millis(1);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Roadbed.
    Ours,
    /// docker-registry.
    Peer,
}

/// How clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// HTTP.
    Plain,
    /// HTTPS.
    Tls,
}

/// A running server. Ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    /// Which of the two.
    pub(crate) who: Who,
    /// Where it listens.
    pub(crate) endpoint: Endpoint,
    /// Its data.
    pub(crate) data: PathBuf,
    /// From the start of the process to its first 200 on the readiness page.
    pub(crate) time_to_ready: Duration,
    child: Child,
}

impl Server {
    /// Starts one of the two on its data below `directory`, which may hold those of an earlier start.
    pub(crate) fn start(who: Who, bench: &Bench, directory: &Path, transport: Transport) -> Result<Self> {
        Self::start_with(who, bench, directory, transport, &[])
    }

    /// Starts it with other settings than its defaults.
    pub(crate) fn start_with(
        who: Who,
        bench: &Bench,
        directory: &Path,
        transport: Transport,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let data = directory.join(who.name());
        fs::create_dir_all(&data)?;
        let certificate = (transport == Transport::Tls).then_some(&bench.certificate);
        let ready_file = directory.join("ready");
        let _ = fs::remove_file(&ready_file);
        let free = free_address()?;
        let mut command = match who {
            Who::Ours => our_command(bench, &data, &ready_file, certificate),
            Who::Peer => peer_command(directory, &data, free, certificate)?,
        };
        let log = directory.join(format!("{}.log", who.name()));
        let log = File::options().create(true).append(true).open(log)?;
        let started = Instant::now();
        let child = command
            .envs(settings.iter().copied())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", who.name()))?;
        let endpoint = Endpoint {
            address: free,
            certificate: certificate.map(|files| files.certificate.clone()),
        };
        let mut server = Self {
            who,
            endpoint,
            data,
            time_to_ready: Duration::ZERO,
            child,
        };
        server.await_ready(&ready_file)?;
        server.time_to_ready = started.elapsed();
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client that is logged in with name and password, where a login is wanted.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(&self.endpoint, self.basic())
    }

    /// The value of an Authorization header with name and password; none for the peer, which lets everybody in.
    pub(crate) fn basic(&self) -> Option<String> {
        (self.who == Who::Ours)
            .then(|| format!("Basic {}", STANDARD.encode(format!("{ADMIN}:{ADMIN_PASSWORD}"))))
    }

    /// Gives tokens; none for the peer.
    pub(crate) fn token_desk(&self) -> Result<Option<TokenDesk>> {
        self.basic()
            .map(|basic| TokenDesk::open(&self.endpoint, &basic))
            .transpose()
    }

    /// The value of an Authorization header with a token for `actions` in `repository`; none for the peer.
    pub(crate) fn bearer(&self, repository: &str, actions: &str) -> Result<Option<String>> {
        self.token_desk()?
            .map(|mut desk| desk.token(repository, actions))
            .transpose()
    }

    /// The file that holds a blob.
    pub(crate) fn blob_file(&self, digest: &str) -> Result<PathBuf> {
        let (_, hex) = digest.split_once(':').context("not a digest")?;
        let directory = match self.who {
            Who::Ours => self.data.join("blobs/sha256").join(&hex[..2]),
            Who::Peer => {
                return Ok(self
                    .data
                    .join("docker/registry/v2/blobs/sha256")
                    .join(&hex[..2])
                    .join(hex)
                    .join("data"));
            }
        };
        for entry in fs::read_dir(&directory).with_context(|| format!("no {}", directory.display()))? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(hex))
            {
                return Ok(path);
            }
        }
        bail!("no file of {digest} in {}", directory.display())
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    /// Ends it as a loss of power would, except that the page cache stays.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        }
        let deadline = Instant::now() + DEADLINE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                bail!("{} did not end in {DEADLINE:?}", self.who.name());
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn await_ready(&mut self, ready_file: &Path) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before it was ready", self.who.name());
            }
            if self.who == Who::Ours {
                self.endpoint.address = address_in(ready_file).unwrap_or(self.endpoint.address);
            }
            if (self.who == Who::Peer || ready_file.exists()) && self.is_ready().unwrap_or(false) {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "{} was not ready in {DEADLINE:?}",
                self.who.name()
            );
            sleep(POLL);
        }
        // Another program could have taken the port; then the one that was started could not, and ended.
        sleep(Duration::from_millis(if self.who == Who::Peer { 100 } else { 0 }));
        ensure!(
            self.child.try_wait()?.is_none(),
            "another program answers on the port of {}",
            self.who.name()
        );
        Ok(())
    }

    fn is_ready(&self) -> Result<bool> {
        let page = if self.who == Who::Ours { "/readyz" } else { "/v2/" };
        let mut connection = self.endpoint.dialer()?.connect()?;
        Ok(connection
            .exchange(&self.endpoint.head("GET", page, &[]), &[])?
            .status
            == 200)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("{error:#}");
        }
    }
}

impl Who {
    /// As in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "roadbed",
            Self::Peer => PEER_BINARY,
        }
    }
}

/// Both servers at the same time; the one that is not measured has nothing to do.
#[derive(Debug)]
pub(crate) struct Pair {
    /// Roadbed.
    pub(crate) ours: Server,
    /// docker-registry.
    pub(crate) peer: Server,
}

impl Pair {
    /// Starts both below `directory`.
    pub(crate) fn start(bench: &Bench, directory: &Path, transport: Transport) -> Result<Self> {
        let ours = Server::start(Who::Ours, bench, directory, transport)?;
        let peer = Server::start(Who::Peer, bench, directory, transport)?;
        Ok(Self { ours, peer })
    }

    /// The order in which they are measured.
    pub(crate) fn both(&self) -> [&Server; 2] {
        [&self.ours, &self.peer]
    }
}

/// The file holds `http://ADDRESS:PORT`, perhaps not yet all of it.
fn address_in(ready_file: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(ready_file).ok()?;
    text.trim()
        .rsplit("://")
        .next()?
        .trim_end_matches('/')
        .parse()
        .ok()
}
