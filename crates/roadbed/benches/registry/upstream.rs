//! A registry to pull through, in the process of the benchmark: what it costs is not counted as the server's, and it knows when it
//! has sent the first byte of a blob.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::content::{Blob, MANIFEST_TYPE, digest_of};

/// Below it lies what is pulled through.
pub(crate) const PREFIX: &str = "hub";

/// Bytes of a body that are sent at once.
const PIECE: usize = 256 * 1024;

#[derive(Default)]
struct State {
    /// By reference, whatever the repository.
    manifests: HashMap<String, Arc<Vec<u8>>>,
    blobs: HashMap<String, Arc<Vec<u8>>>,
    first_bytes: HashMap<String, Instant>,
    pause: Duration,
}

/// Listens until the process ends.
pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Upstream {
    /// On a free port.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state: Arc<Mutex<State>> = Arc::default();
        let answering = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&answering);
                // Whoever goes away is not answered.
                thread::spawn(move || serve(&stream, &state).ok());
            }
        });
        Ok(Self { address, state })
    }

    /// The value of the server's setting that names it.
    pub(crate) fn setting(&self) -> String {
        format!(
            "[{{ name = \"bench\", url = \"http://{}\", prefix = \"{PREFIX}\", fresh = \"1d\", undecided = \"stream\", \
             allowed_private = [\"127.0.0.1/32\"] }}]",
            self.address
        )
    }

    /// Adds a manifest under a tag.
    pub(crate) fn add_manifest(&self, tag: &str, bytes: &[u8]) {
        let bytes = Arc::new(bytes.to_vec());
        let mut state = lock(&self.state);
        state.manifests.insert(digest_of(&bytes), Arc::clone(&bytes));
        state.manifests.insert(tag.to_owned(), bytes);
    }

    /// Adds a blob.
    pub(crate) fn add_blob(&self, blob: &Blob) {
        let bytes = Arc::new(blob.bytes.clone());
        lock(&self.state).blobs.insert(blob.digest.clone(), bytes);
    }

    /// Forgets a blob.
    pub(crate) fn remove_blob(&self, digest: &str) {
        lock(&self.state).blobs.remove(digest);
    }

    /// Waits so long between the head of an answer with a blob and its first byte.
    pub(crate) fn pause(&self, pause: Duration) {
        lock(&self.state).pause = pause;
    }

    /// When the first byte of a blob was sent.
    pub(crate) fn first_byte_at(&self, digest: &str) -> Result<Instant> {
        let at = lock(&self.state).first_bytes.get(digest).copied();
        at.with_context(|| format!("the upstream was not asked for {digest}"))
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (is_head, path) = (method == "HEAD", path.to_owned());
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        answer(stream, state, is_head, &path)?;
    }
}

fn answer(mut stream: &TcpStream, state: &Mutex<State>, is_head: bool, path: &str) -> Result<()> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let (manifest, blob, pause) = {
        let state = lock(state);
        let manifest = state.manifests.get(last).filter(|_| path.contains("/manifests/"));
        let blob = state.blobs.get(last).filter(|_| path.contains("/blobs/"));
        (manifest.cloned(), blob.cloned(), state.pause)
    };
    let (status, kind) = match (&manifest, &blob) {
        (Some(_), _) => ("200 OK", MANIFEST_TYPE),
        (None, Some(_)) => ("200 OK", "application/octet-stream"),
        (None, None) => ("404 Not Found", "application/json"),
    };
    let body = manifest.as_ref().or(blob.as_ref()).cloned().unwrap_or_default();
    let digest = manifest.as_ref().map_or(String::new(), |bytes| {
        format!("Docker-Content-Digest: {}\r\n", digest_of(bytes))
    });
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{digest}Content-Length: {length}\r\n\r\n"
    )?;
    if is_head {
        return Ok(());
    }
    if blob.is_some() {
        thread::sleep(pause);
        lock(state).first_bytes.insert(last.to_owned(), Instant::now());
    }
    for piece in body.chunks(PIECE) {
        stream.write_all(piece)?;
    }
    Ok(())
}
