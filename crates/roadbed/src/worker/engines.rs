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
    layer::{Analysers, ByteAnalyser, Spool, SpoolMaker, inspect_seekable_layer},
    malware::{self, Malware, RuleFile},
    packages::CATALOGERS,
    secrets::{Pack, SecretLimits, Secrets},
};
use oci::{Algorithm, Digest, Hasher};
use policy::Peek;

use super::{clamd::handout::HandsOut, wire::Task};

/// What a blob is short of when it is text, and so no layer.
pub(crate) const NO_LAYER: &str = "layer.format";

/// Version of what looks into blobs, rules apart. One more for every change that finds other things, so that old reports are made
/// again.
const ANALYSERS: &str = "roadbed 4";

/// Hexadecimal digits of the rules' digest that are part of the version.
const RULES_DIGITS: usize = 16;

/// The pack that rules for malware of the operator's are of.
const OPERATORS: &str = "operator";

/// Everything that looks into a blob.
pub(super) struct Engines {
    secrets: Option<Secrets>,
    malware: Option<Malware>,
    /// Version of the analysers and of all rules.
    pub(super) version: String,
    /// Files of rules that cannot be used, and why; the others are.
    pub(super) refused: Vec<String>,
}

/// Rules of the operator's, beside ours.
pub(super) struct Rules<'a> {
    pub(super) secrets: &'a [PathBuf],
    pub(super) malware: &'a [PathBuf],
    pub(super) skips: Skips,
}

/// What is not looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Skips {
    /// Secrets.
    pub(crate) secrets: bool,
    /// Malware.
    pub(crate) malware: bool,
}

impl Engines {
    /// Reads and compiles all rules.
    pub(super) fn new(rules: &Rules<'_>) -> Result<Self> {
        let mut digest = Hasher::new(Algorithm::Sha256);
        let mut secrets = None;
        if !rules.skips.secrets {
            let packs = read_packs(rules.secrets, &mut digest)?;
            secrets = Some(Secrets::new(packs, SecretLimits::default()));
        }
        let mut texts = Vec::new();
        let mut compiled = None;
        if !rules.skips.malware {
            for path in rules.malware {
                read_rules(path, &mut texts, 0)?;
            }
            let mut sources = malware::own_sources();
            sources.extend(texts.iter().map(|(name, text)| RuleFile {
                pack: OPERATORS,
                name,
                text,
            }));
            for source in &sources {
                digest.update(source.text.as_bytes());
            }
            compiled = Some(malware::compile(&sources));
        }
        let (malware, refused) = compiled.map_or_else(Default::default, |compiled| {
            let refused = compiled.refused.iter().map(ToString::to_string).collect();
            (Some(compiled.malware), refused)
        });
        let mut rules_digest = digest.finish().hex();
        rules_digest.truncate(RULES_DIGITS);
        Ok(Self {
            secrets,
            malware,
            version: format!("{ANALYSERS} {rules_digest}"),
            refused,
        })
    }

    /// Looks into a blob.
    pub(super) fn look(self, mut blob: File, task: &Task, hands_out: Option<HandsOut>) -> LayerReport {
        let version = self.version.clone();
        let mut report = match head_of(&mut blob) {
            Ok((head, size)) if Peek::of(&head) == Peek::Text => self.look_at_text(&blob, size, task.digest),
            Ok(_) => self.look_at_layer(blob, task, hands_out),
            Err(error) => not_scannable(task.digest, "layer.read", &error.to_string()),
        };
        report.analysers = version;
        report
    }

    fn look_at_layer(self, blob: File, task: &Task, hands_out: Option<HandsOut>) -> LayerReport {
        let mut spools = MemorySpools;
        let mut bytes: Vec<Box<dyn ByteAnalyser>> = Vec::new();
        if let Some(secrets) = self.secrets {
            bytes.push(Box::new(Looks(secrets)));
        }
        if let Some(malware) = self.malware {
            bytes.push(Box::new(Hunts(malware)));
        }
        if let Some(hands_out) = hands_out {
            bytes.push(Box::new(hands_out));
        }
        let mut analysers = Analysers {
            version: &self.version,
            catalogers: CATALOGERS,
            bytes: &mut bytes,
            hashes_files: true,
        };
        inspect_seekable_layer(
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
            let found = self
                .secrets
                .iter()
                .map(|secrets| secrets.scan_text("image:env", &text));
            for mut finding in found.flatten() {
                finding.path = format!("config {place}");
                report.findings.push(finding);
            }
        }
        report.config = Some(Box::new(config));
        report.not_scannable.clear();
        report
    }
}

/// Our own rules for secrets and those of the operator's. Their texts become part of `digest`.
fn read_packs(files: &[PathBuf], digest: &mut Hasher) -> Result<Vec<Pack>> {
    let mut packs = vec![Pack::own().context("our own rules for secrets cannot be used")?];
    Pack::own_texts().for_each(|text| digest.update(text.as_bytes()));
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        packs.push(Pack::parse(&name, &text).with_context(|| format!("{} cannot be used", file.display()))?);
        digest.update(text.as_bytes());
    }
    Ok(packs)
}

/// Whether the operator's rules can be read and used. Asked by a server before it starts: a nursery that cannot be started would
/// leave every new image undecided.
///
/// # Errors
/// A file cannot be read, or one with rules for secrets cannot be used. Files of rules for malware that cannot be used are
/// left out, and named in the log by whoever uses the others.
pub(crate) fn check_rules(secrets: &[PathBuf], malware: &[PathBuf]) -> Result<()> {
    read_packs(secrets, &mut Hasher::new(Algorithm::Sha256))?;
    for path in malware {
        read_rules(path, &mut Vec::new(), 0)?;
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
        tables: None,
        rebase: None,
        chart: None,
    }
}

#[cfg(test)]
pub(super) mod tests;
