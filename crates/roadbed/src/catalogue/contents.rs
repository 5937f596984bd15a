//! What a pushed catalogue says: the files of the artifact, as text.

use anyhow::{Context as _, Result};
use oci::{Manifest, RepoPattern};
use policy::yaml::one_line;
use road::application::Applications;
use road::base::Bases;
use road::catalog::{CatalogLimits, SourceFile, read_files};
use road::paving::RoadEntry;
use store::{PushedEntries, Store};
use thiserror::Error;

use super::{CatalogueConfig, Refused, signed::read_file};

/// Names the file that a layer is (OCI image specification, "Pre-Defined Annotation Keys").
const TITLE: &str = "org.opencontainers.image.title";

/// Longest name of a file that is told, in bytes.
const NAME_BYTES: usize = 200;

/// Files of one artifact, their bytes and those of all: a catalogue is text that people write.
const LIMITS: CatalogLimits = CatalogLimits {
    files: 1_000,
    file_bytes: 1 << 20,
    bytes: 16 << 20,
    documents: 50_000,
    errors: 20,
};

/// What is wrong with a file before it is read.
#[derive(Debug, Error)]
pub(super) enum FileError {
    #[error("{name} has {size} bytes: at most {} are read of a file, split it", LIMITS.file_bytes)]
    TooLarge { name: String, size: u64 },
    #[error("its files have more than {} bytes: push less", LIMITS.bytes)]
    TooMuch,
    #[error("it has more than {} files: push fewer", LIMITS.files)]
    TooMany,
    #[error("{0} is not there: push it again")]
    Absent(String),
    #[error("{0} is not text in UTF-8")]
    NoText(String),
}

/// Its files by name.
pub(super) async fn files(
    store: &Store,
    manifest: &Manifest,
) -> Result<Result<Vec<(String, String)>, FileError>> {
    let (mut files, mut left) = (Vec::new(), LIMITS.bytes as u64);
    for layer in &manifest.layers {
        let title = layer
            .annotations
            .get(TITLE)
            .map(String::as_str)
            .unwrap_or_default();
        if !is_yaml(title) {
            continue;
        }
        let name = one_line(title, NAME_BYTES);
        if files.len() >= LIMITS.files {
            return Ok(Err(FileError::TooMany));
        }
        let size = layer.size;
        if size > LIMITS.file_bytes as u64 {
            return Ok(Err(FileError::TooLarge { name, size }));
        }
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return Ok(Err(FileError::TooMuch)),
        }
        let Some(file) = store.blob_file(&layer.digest).await? else {
            return Ok(Err(FileError::Absent(name)));
        };
        let read = tokio::task::spawn_blocking(move || read_file(file, size)).await;
        match String::from_utf8(read.context("the reading was lost")??) {
            Ok(text) => files.push((name, text)),
            Err(_) => return Ok(Err(FileError::NoText(name))),
        }
    }
    Ok(Ok(files))
}

/// As people name such files: what is packed is not looked into here.
fn is_yaml(title: &str) -> bool {
    let ending = title.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("yaml" | "yml"))
}

/// A base that is there already is replaced only if its releases too lie where the catalogue may speak of.
pub(super) fn check_replaced(
    entries: &PushedEntries,
    bases: &Bases,
    config: &CatalogueConfig,
) -> Result<(), Refused> {
    let replaced = entries.bases.iter().filter_map(|base| bases.get(&base.name));
    for base in replaced {
        if !config.speaks_of.iter().any(|may| may.matches(&base.repository)) {
            return Err(Refused::NotItsOwn {
                what: format!("base {}, which is declared already,", base.name),
                pattern: base.repository.to_string(),
            });
        }
    }
    Ok(())
}

/// Toolchains and golden paths are for all, so only who may speak of all sets them.
fn check_its_own(entry: &RoadEntry, config: &CatalogueConfig) -> Result<(), Refused> {
    let is_of_all = matches!(entry, RoadEntry::Toolchain(_) | RoadEntry::GoldenPath(_));
    if !is_of_all || speaks_of_all(config) {
        return Ok(());
    }
    Err(Refused::NotItsOwn {
        what: format!("{} {}, which is for everybody,", entry.kind(), entry.name()),
        pattern: RepoPattern::everything().to_string(),
    })
}

fn speaks_of_all(config: &CatalogueConfig) -> bool {
    config
        .speaks_of
        .iter()
        .any(|may| may.contains(&RepoPattern::everything()))
}

/// What is said of an application counts only if all of its repositories, as they are known here or as this catalogue names them,
/// lie where it may speak of.
pub(super) fn check_applications(
    entries: &PushedEntries,
    known: &Applications,
    config: &CatalogueConfig,
) -> Result<(), Refused> {
    if speaks_of_all(config) {
        return Ok(());
    }
    for entry in &entries.road {
        let name = match entry {
            RoadEntry::AppRoad(road) => &road.application,
            RoadEntry::Exemption(exemption) => &exemption.application,
            RoadEntry::Toolchain(_) | RoadEntry::GoldenPath(_) => continue,
        };
        let own = entries
            .applications
            .iter()
            .filter(|said| said.application == *name);
        let own = own.flat_map(|said| &said.repositories);
        let others = known.get(name).into_iter().flat_map(|known| &known.repositories);
        let mut patterns = own.chain(others.map(|stated| &stated.value)).peekable();
        let what = || format!("{} {}", entry.kind(), entry.name());
        if patterns.peek().is_none() {
            let pattern = format!("application {name}, which has no repositories here");
            return Err(Refused::NotItsOwn {
                what: what(),
                pattern,
            });
        }
        let beyond = patterns.find(|pattern| !config.speaks_of.iter().any(|may| may.contains(pattern)));
        if let Some(pattern) = beyond {
            let pattern = pattern.to_string();
            return Err(Refused::NotItsOwn {
                what: what(),
                pattern,
            });
        }
    }
    Ok(())
}

/// What they say, if it may be said.
pub(super) fn entries(
    files: &[(String, String)],
    config: &CatalogueConfig,
) -> Result<PushedEntries, Refused> {
    let files: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(name, text)| SourceFile { name, text })
        .collect();
    let read = read_files(&files, &LIMITS)?;
    let applications = read.catalog.statements;
    let may = |pattern: &RepoPattern| config.speaks_of.iter().any(|may| may.contains(pattern));
    for statement in &applications {
        let beyond = statement.repositories.iter().find(|pattern| !may(pattern));
        if let Some(pattern) = beyond {
            return Err(Refused::NotItsOwn {
                what: format!("application {}", statement.application),
                pattern: pattern.to_string(),
            });
        }
    }
    for base in &read.road.bases {
        let is_its_own = config.speaks_of.iter().any(|may| may.matches(&base.repository));
        if !is_its_own {
            return Err(Refused::NotItsOwn {
                what: format!("base {}", base.name),
                pattern: base.repository.to_string(),
            });
        }
    }
    for entry in &read.road.entries {
        check_its_own(entry, config)?;
    }
    if config.prune && applications.is_empty() {
        return Err(Refused::Empty);
    }
    Ok(PushedEntries {
        applications,
        bases: read.road.bases,
        road: read.road.entries,
        prune: config.prune,
    })
}
