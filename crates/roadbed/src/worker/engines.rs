//! What looks into blobs: catalogers, rules for secrets, rules for malware.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use findings::{CONFIG_BYTES, Compression, LayerReport, Listing, NotScannable, ReadConfig};
use inspect::{
    FileError,
    layer::{Analysers, ByteAnalyser, Spool, SpoolMaker, inspect_layer},
    malware::{self, Malware, RuleFile},
    packages::CATALOGERS,
    secrets::{Pack, SecretLimits, Secrets},
};
use oci::Digest;
use policy::Peek;

use super::{clamd::handout::HandsOut, wire::Task};

/// What a blob is short of when it is text, and so no layer.
pub(crate) const NO_LAYER: &str = "layer.format";

/// Version of what looks into blobs. One more for every change that finds other things, so that old reports are made again.
pub(crate) const ANALYSERS: &str = "roadbed 1";

/// The pack that rules for malware of the operator's are of.
const OPERATORS: &str = "operator";

/// Everything that looks into a blob.
pub(super) struct Engines {
    secrets: Secrets,
    malware: Malware,
    /// Files of rules that cannot be used, and why; the others are.
    pub(super) refused: Vec<String>,
}

/// Rules of the operator's, beside ours.
pub(super) struct Rules<'a> {
    pub(super) secrets: &'a [PathBuf],
    pub(super) malware: &'a [PathBuf],
}

impl Engines {
    /// Reads and compiles all rules.
    pub(super) fn new(rules: &Rules<'_>) -> Result<Self> {
        let mut packs = vec![Pack::own().context("our own rules for secrets cannot be used")?];
        for file in rules.secrets {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            packs.push(
                Pack::parse(&name, &text).with_context(|| format!("{} cannot be used", file.display()))?,
            );
        }
        let mut texts = Vec::new();
        for path in rules.malware {
            read_rules(path, &mut texts, 0)?;
        }
        let mut sources = malware::own_sources();
        sources.extend(texts.iter().map(|(name, text)| RuleFile {
            pack: OPERATORS,
            name,
            text,
        }));
        let compiled = malware::compile(&sources);
        Ok(Self {
            secrets: Secrets::new(packs, SecretLimits::default()),
            malware: compiled.malware,
            refused: compiled.refused.iter().map(ToString::to_string).collect(),
        })
    }

    /// Looks into a blob.
    pub(super) fn look(self, mut blob: File, task: &Task, hands_out: Option<HandsOut>) -> LayerReport {
        match head_of(&mut blob) {
            Ok((head, size)) if Peek::of(&head) == Peek::Text => self.look_at_text(&blob, size, task.digest),
            Ok(_) => self.look_at_layer(blob, task, hands_out),
            Err(error) => not_scannable(task.digest, "layer.read", &error.to_string()),
        }
    }

    fn look_at_layer(self, blob: File, task: &Task, hands_out: Option<HandsOut>) -> LayerReport {
        let mut spools = MemorySpools;
        let mut bytes: Vec<Box<dyn ByteAnalyser>> =
            vec![Box::new(Looks(self.secrets)), Box::new(Hunts(self.malware))];
        bytes.extend(hands_out.map(|hands_out| Box::new(hands_out) as Box<dyn ByteAnalyser>));
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

/// Whether the operator's rules can be read and used. Asked by a server before it starts: a child that cannot be started would
/// leave every new image undecided.
///
/// # Errors
/// A file cannot be read, or one with rules for secrets cannot be used. Files of rules for malware that cannot be used are
/// left out and named in the log.
pub(crate) fn check_rules(secrets: &[PathBuf], malware: &[PathBuf]) -> Result<()> {
    if secrets.is_empty() && malware.is_empty() {
        return Ok(());
    }
    let engines = Engines::new(&Rules { secrets, malware })?;
    for refused in engines.refused {
        tracing::warn!(
            refused,
            "a file of rules for malware cannot be used and is left out"
        );
    }
    Ok(())
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

/// The engine for malware as the layer pass wants it.
struct Hunts(Malware);

impl ByteAnalyser for Hunts {
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

/// How deep a directory of rules may be nested.
const RULES_DEPTH: usize = 8;

/// Reads YARA rules: a file, or every `.yar` and `.yara` file of a directory.
fn read_rules(path: &Path, texts: &mut Vec<(String, String)>, depth: usize) -> Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).with_context(unreadable)?;
        texts.push((path.display().to_string(), text));
        return Ok(());
    }
    anyhow::ensure!(
        depth < RULES_DEPTH,
        "{} is nested more than {RULES_DEPTH} deep",
        path.display()
    );
    let mut entries = std::fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let inner = entry.path();
        let is_rules = inner
            .extension()
            .is_some_and(|extension| extension == "yar" || extension == "yara");
        if is_rules || inner.is_dir() {
            read_rules(&inner, texts, depth + 1)?;
        }
    }
    Ok(())
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
pub(crate) fn not_scannable(blob: Digest, limit: &str, detail: &str) -> LayerReport {
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

#[cfg(test)]
mod tests;
