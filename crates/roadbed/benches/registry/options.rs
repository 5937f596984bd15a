//! What may be asked for on the command line, and how much is measured.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::sections::SectionName;

/// Measures Roadbed beside docker-registry.
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[derive(Debug, Parser)]
#[command(name = "registry")]
pub(crate) struct Options {
    /// The sections to measure; all of them if none is named.
    #[arg(value_enum)]
    pub(crate) sections: Vec<SectionName>,
    /// Tries the harness on small amounts. The figures mean nothing.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Puts the figures of the measured sections into docs/benchmarks.md.
    #[arg(long)]
    pub(crate) write: bool,
    /// How often each figure is taken, of which the median counts.
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// Seconds for which memory is watched under load.
    #[arg(long)]
    pub(crate) soak: Option<u64>,
    /// The roadbed binary, instead of the one that Cargo has just built.
    #[arg(long)]
    pub(crate) roadbed: Option<PathBuf>,
    /// A directory on the disk to measure, instead of Cargo's; needs 40 GB.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Directory of YARA rules for the section scan-pass, such as those 1,204 of `ReversingLabs`.
    #[arg(long)]
    pub(crate) yara_rules: Option<PathBuf>,
    /// Directory of advisories as OSV.dev exports them, for the section matching.
    #[arg(long)]
    pub(crate) advisories: Option<PathBuf>,
    /// Trivy's binary, for the section scan-peers.
    #[arg(long)]
    pub(crate) trivy: Option<PathBuf>,
    /// Syft's binary, for the section scan-peers: Grype reads images with it.
    #[arg(long)]
    pub(crate) syft: Option<PathBuf>,
    /// Cargo says so when it runs a benchmark.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// This process is a part of another one's measurement.
    #[arg(long, hide = true)]
    pub(crate) part: bool,
}

impl Options {
    /// The sections to measure, in the order of the page.
    pub(crate) fn chosen(&self) -> Vec<SectionName> {
        let all = SectionName::ALL.into_iter();
        // Other scanners are no packages of Debian's: who has none measures beside none.
        let is_usual = |name: &SectionName| self.sections.is_empty() && *name != SectionName::ScanPeers;
        all.filter(|name| is_usual(name) || self.sections.contains(name))
            .collect()
    }

    /// How much is measured.
    pub(crate) fn scale(&self) -> Scale {
        let mut scale = if self.quick { Scale::quick() } else { Scale::full() };
        scale.rounds = self.rounds.unwrap_or(scale.rounds).max(1);
        scale.soak = self.soak.map_or(scale.soak, Duration::from_secs);
        scale
    }
}

/// How much each section measures.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// How often each figure is taken.
    pub(crate) rounds: usize,
    /// One run of wrk.
    pub(crate) closed_loop: Duration,
    /// The blob that is pulled.
    pub(crate) pulled_bytes: usize,
    /// Pulls by one connection in one round; of 16 connections, each makes a quarter of them.
    pub(crate) pulls: usize,
    /// Blobs of that size that are read cold, each once after a start.
    pub(crate) cold_blobs: usize,
    /// One run of the open-loop generator, its warm-up not counted.
    pub(crate) open_loop: Duration,
    /// One attack, of which the node's requests have all but a second at each end.
    pub(crate) attack: Duration,
    /// Clusters that start again at once.
    pub(crate) clusters: usize,
    /// Nodes of each.
    pub(crate) nodes: usize,
    /// Each of the eight layers that they pull.
    pub(crate) layer_bytes: usize,
    /// Connections that are kept and do nothing.
    pub(crate) connections: usize,
    /// Blobs in each round whose first byte is waited for.
    pub(crate) first_bytes: usize,
    /// Repositories of the mixed load.
    pub(crate) repositories: usize,
    /// The blob that is pushed.
    pub(crate) pushed_bytes: usize,
    /// Each of the two loads under which memory is looked at.
    pub(crate) memory_load: Duration,
    /// For how long memory is watched.
    pub(crate) soak: Duration,
    /// Manifests, each with a tag, in the repository with many.
    pub(crate) manifests: usize,
    /// Pages and deletions of tags of which the latency is taken.
    pub(crate) tag_requests: usize,
}

impl Scale {
    fn full() -> Self {
        Self {
            rounds: 3,
            closed_loop: Duration::from_secs(10),
            pulled_bytes: 200_000_000,
            pulls: 12,
            cold_blobs: 10,
            open_loop: Duration::from_secs(10),
            attack: Duration::from_mins(1),
            clusters: 40,
            nodes: 50,
            layer_bytes: 1 << 20,
            connections: 10_000,
            first_bytes: 50,
            repositories: 10_000,
            pushed_bytes: 500_000_000,
            memory_load: Duration::from_secs(15),
            soak: Duration::from_mins(10),
            manifests: 100_000,
            tag_requests: 500,
        }
    }

    fn quick() -> Self {
        Self {
            rounds: 1,
            closed_loop: Duration::from_secs(2),
            pulled_bytes: 20_000_000,
            pulls: 4,
            cold_blobs: 3,
            open_loop: Duration::from_secs(2),
            attack: Duration::from_secs(3),
            clusters: 40,
            nodes: 5,
            layer_bytes: 64 << 10,
            connections: 500,
            first_bytes: 5,
            repositories: 100,
            pushed_bytes: 50_000_000,
            memory_load: Duration::from_secs(3),
            soak: Duration::from_secs(10),
            manifests: 1_000,
            tag_requests: 50,
        }
    }
}
