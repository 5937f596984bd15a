//! An upstream registry on the loopback interface.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    feed_server::{Asked, Piece, Reply, Server},
    harness::{content::Blob, manifest::Document},
};

/// What it has, and how it fails.
#[derive(Default)]
struct Content {
    /// By repository and reference.
    manifests: HashMap<(String, String), Document>,
    /// By digest.
    blobs: HashMap<String, Blob>,
    /// What is answered instead, by a part of the path.
    spoilt: Vec<(String, Reply)>,
    /// After how many bytes the next answers with a blob are cut.
    cuts: Vec<usize>,
    /// How long it pauses in the middle of a blob.
    pause: Option<Duration>,
    /// The `Authorization` without which it answers nothing.
    login: Option<String>,
}

/// The upstream. Ends with the value.
pub(super) struct Upstream {
    server: Server,
    content: Arc<Mutex<Content>>,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let content: Arc<Mutex<Content>> = Arc::default();
        let answering = Arc::clone(&content);
        let server = Server::start(move |asked| lock(&answering).answer(asked)).await;
        Self { server, content }
    }

    /// Its origin.
    pub(super) fn url(&self) -> String {
        self.server.url("")
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Adds an image under a tag.
    pub(super) fn add(&self, repository: &str, tag: &str, blobs: &[Blob], document: &Document) {
        let mut content = lock(&self.content);
        for blob in blobs {
            content.blobs.insert(blob.digest.clone(), blob.clone());
        }
        for reference in [tag, &document.digest] {
            let key = (repository.to_owned(), reference.to_owned());
            content.manifests.insert(key, document.clone());
        }
    }

    /// Takes a tag away.
    pub(super) fn remove(&self, repository: &str, tag: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        lock(&self.content).manifests.remove(&key);
    }

    /// Answers paths that hold this with something else.
    pub(super) fn spoil(&self, part: &str, reply: Reply) {
        lock(&self.content).spoilt.push((part.to_owned(), reply));
    }

    /// Cuts the next answers with a blob after so many bytes.
    pub(super) fn cut(&self, cuts: &[usize]) {
        lock(&self.content).cuts = cuts.to_vec();
    }

    /// Pauses in the middle of blobs.
    pub(super) fn pause(&self, pause: Duration) {
        lock(&self.content).pause = Some(pause);
    }

    /// Answers nobody who does not send this `Authorization`.
    pub(super) fn demand(&self, login: &str) {
        lock(&self.content).login = Some(login.to_owned());
    }

    /// How often it was asked for paths that hold this.
    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        let asked = self.server.asked();
        let of = |asked: &&Asked| asked.method == method && asked.path.contains(part);
        asked.iter().filter(of).count()
    }
}

fn lock(content: &Mutex<Content>) -> std::sync::MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Content {
    fn answer(&mut self, asked: &Asked) -> Reply {
        if let Some(login) = &self.login
            && asked.header("authorization") != Some(login)
        {
            return Reply::status(401).header("WWW-Authenticate", "Basic realm=\"hub\"");
        }
        if let Some((_, reply)) = self.spoilt.iter().find(|(part, _)| asked.path.contains(part)) {
            return reply.clone();
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("/v2/").unwrap_or_default();
        if let Some((repository, reference)) = path.split_once("/manifests/") {
            let key = (repository.to_owned(), reference.to_owned());
            return self.manifests.get(&key).map_or_else(missing, |document| {
                let reply = Reply::status(200)
                    .header("Content-Type", &document.media_type)
                    .header("Docker-Content-Digest", &document.digest);
                if asked.method == "HEAD" {
                    reply.announcing(document.bytes.len() as u64)
                } else {
                    reply.body(document.bytes.to_vec())
                }
            });
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            let of = self.manifests.keys().filter(|(name, _)| name == repository);
            let tags: Vec<&str> = of
                .map(|(_, tag)| tag.as_str())
                .filter(|tag| !tag.contains(':'))
                .collect();
            return Reply::ok(serde_json::json!({ "name": repository, "tags": tags }).to_string());
        }
        match path.split_once("/blobs/") {
            Some((_, digest)) => self.blob(digest, asked.header("range")),
            None => Reply::ok("{}"),
        }
    }

    fn blob(&mut self, digest: &str, range: Option<&str>) -> Reply {
        let Some(blob) = self.blobs.get(digest) else {
            return missing();
        };
        let total = blob.bytes.len();
        let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let rest = blob.bytes.slice(from.unwrap_or(0)..);
        let reply = match from {
            None => Reply::status(200),
            Some(from) => Reply::status(206).header(
                "Content-Range",
                &format!("bytes {from}-{}/{total}", total.saturating_sub(1)),
            ),
        };
        let length = rest.len();
        if !self.cuts.is_empty() {
            let at = self.cuts.remove(0).min(length);
            return reply.body(rest[..at].to_vec()).announcing(length as u64);
        }
        match self.pause {
            None => reply.body(rest.to_vec()),
            Some(pause) => {
                let (first, second) = rest.split_at(length / 2);
                let pieces = vec![
                    Piece::Bytes(first.to_vec()),
                    Piece::Pause(pause),
                    Piece::Bytes(second.to_vec()),
                ];
                reply.pieces(pieces).announcing(length as u64)
            }
        }
    }
}

fn missing() -> Reply {
    Reply::status(404).body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#)
}
