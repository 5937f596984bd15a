//! What a layer may cost. Each limit names the attack that it stops.

use findings::NotScannable;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// What one layer may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `layer.bytes`: uncompressed bytes of a layer (bombs). Default 20 GiB.
    pub layer_bytes: u64,
    /// `layer.ratio`: uncompressed bytes per compressed one, over windows of 64 MiB (bombs). Default 200.
    pub ratio: u64,
    /// `layer.entries`: entries of a layer (a million empty files). Default 2,000,000.
    pub entries: u64,
    /// `layer.path_bytes`: length of a path, after PAX and GNU names are applied. Default 4,096.
    pub path_bytes: usize,
    /// `layer.name_bytes`: length of a PAX header or GNU long name. Default 64 KiB.
    pub name_bytes: u64,
    /// `layer.names`: paths and targets of links of a layer together, which the listing keeps in memory (millions of long
    /// names). Default 256 MiB.
    pub names: u64,
    /// `layer.zstd_window`: the window of a zstd frame, which is allocated (announced windows). Default 8 MiB, at most 128 MiB.
    pub zstd_window: u64,
    /// `archive.depth`: archives within archives (quines). Default 5.
    pub archive_depth: u32,
    /// `archive.bytes`: uncompressed bytes of all nested archives of a layer. Default 2 GiB.
    pub archive_bytes: u64,
    /// `archive.entries`: entries of an archive and of all that are nested in it (announced in billions). Default 200,000.
    pub archive_entries: u64,
    /// `file.memory`: a file that is read as a whole. Default 64 MiB.
    pub file_memory: u64,
    /// `file.spool`: a larger file that is read from more than one place. Default 512 MiB.
    pub spool_bytes: u64,
    /// `report.packages`: packages of a layer. Default 500,000.
    pub packages: u64,
    /// `report.owned_bytes`: names and paths of the files that packages of a layer own (one long directory, told of a million
    /// files). Default 256 MiB.
    pub owned_bytes: u64,
    /// `report.findings`: secrets and malware of a layer; more are counted, not kept. Default 10,000.
    pub findings: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_bytes: 20 * 1024 * MIB,
            ratio: 200,
            entries: 2_000_000,
            path_bytes: 4_096,
            name_bytes: 64 * 1024,
            names: 256 * MIB,
            zstd_window: 8 * MIB,
            archive_depth: 5,
            archive_bytes: 2 * 1024 * MIB,
            archive_entries: 200_000,
            file_memory: 64 * MIB,
            spool_bytes: 512 * MIB,
            packages: 500_000,
            owned_bytes: 256 * MIB,
            findings: 10_000,
        }
    }
}

/// A limit was exceeded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{limit}: {detail}")]
pub struct Exceeded {
    /// The name of the limit.
    pub limit: &'static str,
    /// What happened.
    pub detail: String,
}

impl Exceeded {
    /// As a report keeps it.
    pub fn not_scannable(&self, path: Option<&str>) -> NotScannable {
        NotScannable {
            limit: self.limit.to_owned(),
            detail: self.detail.clone(),
            path: path.map(str::to_owned),
        }
    }
}

/// What is left of the limits: one for a layer, handed down through everything that is nested in it.
#[derive(Debug, Clone)]
pub struct Budget {
    limits: Limits,
    archive_bytes: u64,
    archive_entries: u64,
    packages: u64,
    owned_bytes: u64,
}

impl Budget {
    /// All of it.
    pub fn new(limits: Limits) -> Self {
        Self {
            archive_bytes: limits.archive_bytes,
            archive_entries: limits.archive_entries,
            packages: limits.packages,
            owned_bytes: limits.owned_bytes,
            limits,
        }
    }

    /// The limits that it began with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Begins with another file of the layer that is an archive: `archive.entries` counts each such file anew.
    pub fn begin_archive(&mut self) {
        self.archive_entries = self.limits.archive_entries;
    }

    /// Takes uncompressed bytes of a nested archive.
    ///
    /// # Errors
    /// `archive.bytes` is used up.
    pub fn take_archive_bytes(&mut self, bytes: u64) -> Result<(), Exceeded> {
        take(
            &mut self.archive_bytes,
            bytes,
            "archive.bytes",
            self.limits.archive_bytes,
        )
    }

    /// Uncompressed bytes that nested archives may still have.
    pub fn archive_bytes_left(&self) -> u64 {
        self.archive_bytes
    }

    /// Takes entries of an archive, nested or not.
    ///
    /// # Errors
    /// `archive.entries` is used up.
    pub fn take_archive_entries(&mut self, entries: u64) -> Result<(), Exceeded> {
        take(
            &mut self.archive_entries,
            entries,
            "archive.entries",
            self.limits.archive_entries,
        )
    }

    /// Takes packages.
    ///
    /// # Errors
    /// `report.packages` is used up.
    pub fn take_packages(&mut self, packages: u64) -> Result<(), Exceeded> {
        take(
            &mut self.packages,
            packages,
            "report.packages",
            self.limits.packages,
        )
    }

    /// Takes bytes of the paths that packages own.
    ///
    /// # Errors
    /// `report.owned_bytes` is used up.
    pub fn take_owned_bytes(&mut self, bytes: u64) -> Result<(), Exceeded> {
        take(
            &mut self.owned_bytes,
            bytes,
            "report.owned_bytes",
            self.limits.owned_bytes,
        )
    }

    /// Whether an archive may be opened that lies in `depth` others.
    ///
    /// # Errors
    /// `archive.depth` is exceeded.
    pub fn check_depth(&self, depth: u32) -> Result<(), Exceeded> {
        if depth < self.limits.archive_depth {
            return Ok(());
        }
        Err(Exceeded {
            limit: "archive.depth",
            detail: format!("archives are nested more than {} deep", self.limits.archive_depth),
        })
    }
}

fn take(left: &mut u64, wanted: u64, limit: &'static str, whole: u64) -> Result<(), Exceeded> {
    match left.checked_sub(wanted) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(Exceeded {
            limit,
            detail: format!("more than {whole}"),
        }),
    }
}
