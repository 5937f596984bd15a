//! How much of what runs is known: without it a figure says nothing.

use serde::{Deserialize, Serialize};

use super::Withheld;

/// The least share of running workloads that must be known in full before a figure is shown, in percent.
pub const COVERAGE_FLOOR_PERCENT: u64 = 80;

/// What must be known of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Which application it belongs to.
    App,
    /// Who owns that.
    Owner,
    /// What is in its image.
    Sbom,
    /// Which revision its image was built from.
    Revision,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::App, Self::Owner, Self::Sbom, Self::Revision];
}

/// How many workloads run, and of how many what is known. Under the registry's proxy: images in use instead of workloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// How many run.
    pub running: u64,
    /// With all of the four known. This decides.
    pub known: u64,
    /// With a known application.
    pub app: u64,
    /// With a known owner.
    pub owner: u64,
    /// With a known bill of materials.
    pub sbom: u64,
    /// With a known revision.
    pub revision: u64,
}

impl Coverage {
    /// Counts workloads, each by what is known of it.
    pub fn of<'w>(workloads: impl IntoIterator<Item = &'w [Part]>) -> Self {
        let mut coverage = Self::default();
        for known in workloads {
            let has = |part: Part| u64::from(known.contains(&part));
            coverage.running += 1;
            coverage.known += Part::ALL.into_iter().map(has).min().unwrap_or(0);
            coverage.app += has(Part::App);
            coverage.owner += has(Part::Owner);
            coverage.sbom += has(Part::Sbom);
            coverage.revision += has(Part::Revision);
        }
        coverage
    }

    /// Why nothing may be said, if so. At the floor itself it may.
    pub fn withheld(&self) -> Option<Withheld> {
        let (known, running) = (self.known, self.running);
        if running == 0 {
            return Some(Withheld::NothingRuns);
        }
        let reached = u128::from(known) * 100 >= u128::from(running) * u128::from(COVERAGE_FLOOR_PERCENT);
        (!reached).then_some(Withheld::Coverage {
            known,
            running,
            floor_percent: COVERAGE_FLOOR_PERCENT,
        })
    }
}
