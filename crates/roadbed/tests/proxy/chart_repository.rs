//! A classic repository of charts on the loopback interface.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use super::images::{append, gzip};
use crate::{
    feed_server::{Asked, Reply, Server},
    harness::content::sha256_hex,
};

/// Where it is, below its origin.
const PLACE: &str = "/stable/";

/// What it has.
#[derive(Default)]
struct Content {
    /// Name, version, archive, and the digest that the index states.
    charts: Vec<(String, String, Vec<u8>, String)>,
    /// What is answered in place of files, by their path below the repository.
    spoilt: HashMap<String, Reply>,
}

/// The repository. Ends with the value.
pub(super) struct ChartRepository {
    server: Server,
    content: Arc<Mutex<Content>>,
}

/// The archive of a chart, as `helm package` makes it.
pub(super) fn packed(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let metadata =
        format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"4.5\"\ntype: application\n");
    append(&mut tar, &format!("{name}/Chart.yaml"), metadata.as_bytes());
    for (path, text) in files {
        append(&mut tar, &format!("{name}/{path}"), text.as_bytes());
    }
    gzip(&tar.into_inner().expect("memory can be written"))
}

impl ChartRepository {
    pub(super) async fn start() -> Self {
        let content: Arc<Mutex<Content>> = Arc::default();
        let answering = Arc::clone(&content);
        let server = Server::start(move |asked| lock(&answering).answer(asked)).await;
        Self { server, content }
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        self.server.url(PLACE)
    }

    /// Adds a version; answers its archive.
    pub(super) fn add(&self, name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
        let archive = packed(name, version, files);
        let digest = sha256_hex(&archive);
        self.add_as(name, version, archive.clone(), &digest);
        archive
    }

    /// The same with a digest that may be another one.
    pub(super) fn add_as(&self, name: &str, version: &str, archive: Vec<u8>, digest: &str) {
        let chart = (name.to_owned(), version.to_owned(), archive, digest.to_owned());
        lock(&self.content).charts.push(chart);
    }

    /// Answers a file with something else.
    pub(super) fn spoil(&self, file: &str, reply: Reply) {
        lock(&self.content).spoilt.insert(file.to_owned(), reply);
    }

    /// How often it was asked for paths that hold this.
    pub(super) fn count(&self, part: &str) -> usize {
        self.server
            .asked()
            .iter()
            .filter(|asked| asked.path.contains(part))
            .count()
    }
}

fn lock(content: &Mutex<Content>) -> std::sync::MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Content {
    fn answer(&self, asked: &Asked) -> Reply {
        let Some(file) = asked.path.strip_prefix(PLACE) else {
            return Reply::status(404);
        };
        if let Some(reply) = self.spoilt.get(file) {
            return reply.clone();
        }
        if file == "index.yaml" {
            return self.index(asked);
        }
        let has_name = |(name, version, ..): &&(String, String, Vec<u8>, String)| {
            file == format!("files/{name}-{version}.tgz")
        };
        let found = self.charts.iter().find(has_name);
        found.map_or_else(
            || Reply::status(404),
            |(_, _, archive, _)| Reply::ok(archive.clone()),
        )
    }

    fn index(&self, asked: &Asked) -> Reply {
        let mut text = "apiVersion: v1\nentries:\n".to_owned();
        let mut last = "";
        for (name, version, _, digest) in &self.charts {
            if name != last {
                let _ = writeln!(text, "  {name}:");
                last = name;
            }
            let _ = write!(
                text,
                "  - apiVersion: v2\n    name: {name}\n    version: {version}\n    appVersion: \"4.5\"\n    \
                 created: \"2026-11-01T00:00:00Z\"\n    description: a chart\n    digest: {digest}\n    \
                 urls:\n    - files/{name}-{version}.tgz\n"
            );
        }
        let etag = format!("\"{}\"", sha256_hex(text.as_bytes()));
        if asked.header("if-none-match") == Some(&etag) {
            return Reply::status(304);
        }
        Reply::ok(text).header("ETag", &etag)
    }
}
