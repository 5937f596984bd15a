//! One file per section of the page.

use std::fmt;

use anyhow::Result;
use clap::ValueEnum;

use crate::{bench::Bench, report::Section};

mod abuse;
mod blob_cold;
mod blob_get;
mod clusters;
mod connections;
mod latency;
mod manifest_get;
mod matching;
mod memory;
mod mixed;
mod proxy_cold;
mod proxy_warm;
mod push;
mod scan_beside;
mod scan_decision;
mod scan_pass;
mod scan_peers;
mod start;

/// A section by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SectionName {
    /// GET of a manifest by tag, closed loop.
    ManifestGet,
    /// GET of a large blob, warm and cold.
    BlobGet,
    /// Many repositories, all kinds of reads, open loop.
    Mixed,
    /// PUT of a large blob.
    Push,
    /// Latency of manifests while others push.
    Latency,
    /// Latency of a node's manifests while somebody asks for all there is.
    Abuse,
    /// Many clusters that start again at once.
    Clusters,
    /// What was pulled through once.
    ProxyWarm,
    /// What is pulled through for the first time.
    ProxyCold,
    /// Memory of idle connections.
    Connections,
    /// Resident memory.
    Memory,
    /// Start and tags with 100,000 manifests.
    Start,
    /// What looking into a layer costs.
    ScanPass,
    /// From a push to its decision.
    ScanDecision,
    /// What readers notice of looking into images.
    ScanBeside,
    /// Packages against advisories.
    Matching,
    /// Beside other scanners.
    ScanPeers,
}

impl SectionName {
    /// In the order of the page.
    pub(crate) const ALL: [Self; 17] = [
        Self::ManifestGet,
        Self::BlobGet,
        Self::Mixed,
        Self::Push,
        Self::Latency,
        Self::Abuse,
        Self::Clusters,
        Self::ProxyWarm,
        Self::ProxyCold,
        Self::Connections,
        Self::Memory,
        Self::Start,
        Self::ScanPass,
        Self::ScanDecision,
        Self::ScanBeside,
        Self::Matching,
        Self::ScanPeers,
    ];
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Measures one section.
pub(crate) fn run(name: SectionName, bench: &Bench) -> Result<Section> {
    match name {
        SectionName::ManifestGet => manifest_get::run(bench),
        SectionName::BlobGet => blob_get::run(bench),
        SectionName::Mixed => mixed::run(bench),
        SectionName::Push => push::run(bench),
        SectionName::Latency => latency::run(bench),
        SectionName::Abuse => abuse::run(bench),
        SectionName::Clusters => clusters::run(bench),
        SectionName::ProxyWarm => proxy_warm::run(bench),
        SectionName::ProxyCold => proxy_cold::run(bench),
        SectionName::Connections => connections::run(bench),
        SectionName::Memory => memory::run(bench),
        SectionName::Start => start::run(bench),
        SectionName::ScanPass => scan_pass::run(bench),
        SectionName::ScanDecision => scan_decision::run(bench),
        SectionName::ScanBeside => scan_beside::run(bench),
        SectionName::Matching => matching::run(bench),
        SectionName::ScanPeers => scan_peers::run(bench),
    }
}
