//! An export of OSV, KEV and EPSS on the loopback interface.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io::{Cursor, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    feed_server::{Asked, Reply, Server},
    harness::content::sha256_hex,
    scan::world,
};

/// What the mirror has.
#[derive(Default)]
pub(super) struct Export {
    /// Documents by ecosystem and id.
    documents: BTreeMap<(String, String), Value>,
    /// What is answered instead, by path.
    spoilt: HashMap<String, Reply>,
    /// Moments that lists say, where they are not those of the documents.
    listed: HashMap<String, String>,
    /// Documents that are there and not listed.
    unlisted: Vec<String>,
    /// Archives are cut in the middle, unless a part of one is asked for.
    cuts_archives: bool,
    /// Documents are handed out in archives alone.
    only_archives: bool,
}

/// The mirror and what it has.
pub(super) struct Mirror {
    pub(super) server: Server,
    export: Arc<Mutex<Export>>,
}

impl Mirror {
    /// With the advisory of `Log4Shell` and some others.
    pub(super) async fn start() -> Self {
        let export = Arc::new(Mutex::new(Export::of_some()));
        let answering = Arc::clone(&export);
        let server = Server::start(move |asked| lock(&answering).answer(asked)).await;
        Self { server, export }
    }

    /// The same over TLS.
    pub(super) async fn start_tls() -> Self {
        let export = Arc::new(Mutex::new(Export::of_some()));
        let answering = Arc::clone(&export);
        let server = Server::start_tls(move |asked| lock(&answering).answer(asked)).await;
        Self { server, export }
    }

    /// Adds a document or changes it.
    pub(super) fn put(&self, ecosystem: &str, id: &str, modified: &str) {
        let document = document(ecosystem, id, modified);
        let key = (ecosystem.to_owned(), id.to_owned());
        lock(&self.export).documents.insert(key, document);
    }

    /// Adds a document as it is.
    pub(super) fn put_document(&self, ecosystem: &str, document: Value) {
        let id = document["id"].as_str().unwrap_or_default().to_owned();
        lock(&self.export)
            .documents
            .insert((ecosystem.to_owned(), id), document);
    }

    /// The same with so many bytes of words.
    pub(super) fn put_large(&self, ecosystem: &str, id: &str, modified: &str, bytes: usize) {
        let mut document = document(ecosystem, id, modified);
        document["summary"] = "x".repeat(bytes).into();
        let key = (ecosystem.to_owned(), id.to_owned());
        lock(&self.export).documents.insert(key, document);
    }

    /// Takes a document away.
    pub(super) fn remove(&self, ecosystem: &str, id: &str) {
        let key = (ecosystem.to_owned(), id.to_owned());
        lock(&self.export).documents.remove(&key);
    }

    /// Keeps a document, but does not list it.
    pub(super) fn hide(&self, id: &str) {
        lock(&self.export).unlisted.push(id.to_owned());
    }

    /// Lists a document with another moment than its own.
    pub(super) fn list_as(&self, id: &str, moment: &str) {
        lock(&self.export).listed.insert(id.to_owned(), moment.to_owned());
    }

    /// Answers a path with something else.
    pub(super) fn spoil(&self, path: &str, reply: Reply) {
        lock(&self.export).spoilt.insert(path.to_owned(), reply);
    }

    /// Answers everything as it should be.
    pub(super) fn mend(&self) {
        let mut export = lock(&self.export);
        export.spoilt.clear();
        export.listed.clear();
        export.cuts_archives = false;
    }

    pub(super) fn cut_archives(&self) {
        lock(&self.export).cuts_archives = true;
    }

    pub(super) fn hand_out_only_archives(&self) {
        lock(&self.export).only_archives = true;
    }

    /// Variables of somebody who fetches from here.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ROADBED_FEEDS__OSV", self.server.url("/osv/")),
            ("ROADBED_FEEDS__KEV", self.server.url("/kev.json")),
            ("ROADBED_FEEDS__EPSS", self.server.url("/epss.csv.gz")),
            ("ROADBED_FEEDS__ECOSYSTEMS", "Maven,npm".to_owned()),
            ("ROADBED_FEEDS__ALLOWED_PRIVATE", "127.0.0.1".to_owned()),
            ("ROADBED_FEEDS__ATTEMPTS", "1".to_owned()),
            ("ROADBED_FEEDS__IDLE_TIMEOUT", "2s".to_owned()),
            ("ROADBED_FEEDS__CONCURRENT_SOURCES", "1".to_owned()),
        ]
    }
}

fn lock(export: &Mutex<Export>) -> std::sync::MutexGuard<'_, Export> {
    export.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An advisory that matches nothing.
fn document(ecosystem: &str, id: &str, modified: &str) -> Value {
    json!({
        "id": id, "modified": modified, "published": "2021-01-01T00:00:00Z", "summary": "nothing",
        "affected": [{
            "package": { "ecosystem": ecosystem, "name": "org.example:nothing" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1" }] }],
        }],
    })
}

impl Export {
    fn of_some() -> Self {
        let mut export = Self::default();
        let log4shell = ("Maven".to_owned(), "GHSA-jfh8-c2jp-5v3q".to_owned());
        export.documents.insert(log4shell, world::log4shell(false));
        for (ecosystem, id) in [("Maven", "TEST-M-1"), ("Maven", "TEST-M-2"), ("npm", "TEST-N-1")] {
            let document = document(ecosystem, id, "2022-01-01T00:00:00Z");
            export
                .documents
                .insert((ecosystem.to_owned(), id.to_owned()), document);
        }
        export
    }

    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(spoilt) = self.spoilt.get(&asked.path) {
            return spoilt.clone();
        }
        match asked.path.as_str() {
            "/kev.json" => unless_known(asked, world::kev().to_string().into_bytes()),
            "/epss.csv.gz" => unless_known(asked, epss()),
            path => {
                let Some((ecosystem, file)) =
                    path.strip_prefix("/osv/").and_then(|path| path.split_once('/'))
                else {
                    return Reply::status(404);
                };
                self.answer_osv(asked, ecosystem, file)
            }
        }
    }

    fn answer_osv(&self, asked: &Asked, ecosystem: &str, file: &str) -> Reply {
        match file {
            "modified_id.csv" => unless_known(asked, self.list(ecosystem)),
            "all.zip" => self.answer_archive(asked, ecosystem),
            file => {
                let key = (ecosystem.to_owned(), file.trim_end_matches(".json").to_owned());
                match self.documents.get(&key).filter(|_| !self.only_archives) {
                    Some(document) => Reply::ok(document.to_string()),
                    None => Reply::status(404),
                }
            }
        }
    }

    fn answer_archive(&self, asked: &Asked, ecosystem: &str) -> Reply {
        let archive = self.archive(ecosystem);
        let etag = format!("\"{}\"", sha256_hex(&archive));
        let reply = Reply::ok(archive.clone()).header("ETag", &etag);
        let start = asked
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match start {
            Some(start) if asked.header("if-range") == Some(&etag) => part(&archive, start),
            _ if self.cuts_archives => {
                let half = archive[..archive.len() / 2].to_vec();
                reply.body(half).announcing(archive.len() as u64)
            }
            _ => reply,
        }
    }

    fn of_ecosystem(&self, ecosystem: &str) -> impl Iterator<Item = (&str, &Value)> {
        self.documents
            .iter()
            .filter(move |(key, _)| key.0 == ecosystem)
            .map(|(key, document)| (key.1.as_str(), document))
    }

    fn list(&self, ecosystem: &str) -> Vec<u8> {
        let mut list = String::new();
        for (id, document) in self.of_ecosystem(ecosystem) {
            if self.unlisted.iter().any(|unlisted| unlisted == id) {
                continue;
            }
            let own = document["modified"].as_str().unwrap_or_default();
            let moment = self.listed.get(id).map_or(own, String::as_str);
            writeln!(list, "{moment},{id}").expect("memory can be written");
        }
        list.into_bytes()
    }

    fn archive(&self, ecosystem: &str) -> Vec<u8> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (id, document) in self.of_ecosystem(ecosystem) {
            let named = archive.start_file(format!("{id}.json"), SimpleFileOptions::default());
            named.expect("memory can be written");
            let written = archive.write_all(document.to_string().as_bytes());
            written.expect("memory can be written");
        }
        archive.finish().expect("memory can be written").into_inner()
    }
}

fn part(archive: &[u8], start: usize) -> Reply {
    let total = archive.len();
    if start >= total {
        return Reply::status(416).header("Content-Range", &format!("bytes */{total}"));
    }
    Reply::status(206)
        .header("Content-Range", &format!("bytes {start}-{}/{total}", total - 1))
        .body(&archive[start..])
}

/// 304 for who has it.
fn unless_known(asked: &Asked, body: Vec<u8>) -> Reply {
    let etag = format!("\"{}\"", sha256_hex(&body));
    if asked.header("if-none-match") == Some(&etag) {
        return Reply::status(304).header("ETag", &etag);
    }
    Reply::ok(body).header("ETag", &etag)
}

fn epss() -> Vec<u8> {
    let text = "#model_version:v2025.03.14,score_date:2026-11-27T00:00:00+0000\ncve,epss,percentile\n\
                CVE-2021-44228,0.94358,0.99999\n";
    gzip(text.as_bytes())
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
