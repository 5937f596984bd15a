//! What looks into blobs: catalogers, rules for secrets, rules for malware.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use findings::{CONFIG_BYTES, Compression, LayerReport, Listing, NotScannable, ReadConfig};
use inspect::{
    FileError,
    layer::{Analysers, ByteAnalyser, Spool, SpoolMaker, inspect_layer},
    packages::CATALOGERS,
    secrets::{Pack, SecretLimits, Secrets},
};
use oci::Digest;
use policy::Peek;

use super::wire::Task;

/// What a blob is short of when it is text, and so no layer.
pub(crate) const NO_LAYER: &str = "layer.format";

/// Version of what looks into blobs. One more for every change that finds other things, so that old reports are made again.
pub(crate) const ANALYSERS: &str = "roadbed 1";

/// Everything that looks into a blob.
pub(super) struct Engines {
    secrets: Secrets,
}

/// Rules of the operator's, beside ours.
pub(super) struct Rules<'a> {
    pub(super) secrets: &'a [PathBuf],
}

impl Engines {
    /// Reads and compiles all rules.
    pub(super) fn new(rules: &Rules<'_>) -> Result<Self> {
        let mut packs = vec![Pack::own().context("our own rules for secrets cannot be used")?];
        for file in rules.secrets {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            packs.push(
                Pack::parse(&name, &text)
                    .with_context(|| format!("{} cannot be used", file.display()))?,
            );
        }
        Ok(Self {
            secrets: Secrets::new(packs, SecretLimits::default()),
        })
    }

    /// Looks into a blob.
    pub(super) fn look(self, mut blob: File, task: &Task) -> LayerReport {
        match head_of(&mut blob) {
            Ok((head, size)) if Peek::of(&head) == Peek::Text => self.look_at_text(&blob, size, task.digest),
            Ok(_) => self.look_at_layer(blob, task),
            Err(error) => not_scannable(task.digest, "layer.read", &error.to_string()),
        }
    }

    fn look_at_layer(self, blob: File, task: &Task) -> LayerReport {
        let mut spools = MemorySpools;
        let mut bytes: Vec<Box<dyn ByteAnalyser>> = vec![Box::new(Looks(self.secrets))];
        let mut analysers = Analysers {
            version: ANALYSERS,
            catalogers: CATALOGERS,
            bytes: &mut bytes,
            hashes_files: true,
        };
        inspect_layer(
            io::BufReader::with_capacity(1 << 18, blob),
            &task.digest,
            &mut spools,
            &mut analysers,
            &task.limits,
        )
    }

    /// Text is the configuration of an image, or a signature, a chart's values and the like.
    fn look_at_text(&self, blob: &File, size: u64, digest: Digest) -> LayerReport {
        let mut report = not_scannable(digest, NO_LAYER, "the blob is text and no layer");
        let mut text = Vec::new();
        if size > CONFIG_BYTES as u64 || blob.take(CONFIG_BYTES as u64).read_to_end(&mut text).is_err() {
            return report;
        }
        let Ok(ReadConfig { config, texts }) = ReadConfig::parse(&text) else {
            return report;
        };
        for (place, text) in texts {
            for mut finding in self.secrets.scan_text("image:env", &text) {
                finding.path = format!("config {place}");
                report.findings.push(finding);
            }
        }
        report.config = Some(Box::new(config));
        report.not_scannable.clear();
        report
    }
}

/// The first bytes and the size.
fn head_of(blob: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let size = blob.seek(SeekFrom::End(0))?;
    blob.seek(SeekFrom::Start(0))?;
    let mut head = Vec::with_capacity(Peek::BYTES);
    blob.take(Peek::BYTES as u64).read_to_end(&mut head)?;
    blob.seek(SeekFrom::Start(0))?;
    Ok((head, size))
}

/// The engine for secrets as the layer pass wants it.
struct Looks(Secrets);

impl ByteAnalyser for Looks {
    fn wants(&self, path: &str, head: &[u8], size: u64, mode: u32) -> bool {
        self.0.wants(path, head, size, mode)
    }

    fn look(
        &mut self,
        file: &mut inspect::File<'_>,
        sink: &mut Vec<findings::ByteFinding>,
    ) -> Result<(), FileError> {
        self.0.look(file, sink)
    }
}

/// Spools in memory that belongs to the process: a child may open no file.
struct MemorySpools;

impl SpoolMaker for MemorySpools {
    fn make(&mut self) -> io::Result<Box<dyn Spool>> {
        let file = rustix::fs::memfd_create("spool", rustix::fs::MemfdFlags::CLOEXEC)?;
        Ok(Box::new(File::from(file)))
    }
}

/// The report of a blob that could not be looked into.
pub(super) fn not_scannable(blob: Digest, limit: &str, detail: &str) -> LayerReport {
    LayerReport {
        schema: findings::SCHEMA,
        analysers: ANALYSERS.to_owned(),
        blob,
        diff_id: None,
        compression: Compression::None,
        bytes: 0,
        entries: 0,
        config: None,
        units: Vec::new(),
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: vec![NotScannable {
            limit: limit.to_owned(),
            detail: detail.to_owned(),
            path: None,
        }],
        listing: Listing::default(),
    }
}
