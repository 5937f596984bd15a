//! What is aimed at, until that is superseded.

use serde::Serialize;
use time::OffsetDateTime;

/// A span of an incident in which the same versions are aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// Counted from 1.
    pub number: u16,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// Versions to go to, one per line of releases.
    pub targets: Vec<String>,
    /// What its clocks run for, as bits of the group.
    #[serde(skip)]
    pub(super) members: u64,
    /// What starts its clocks: members that no later generation took over.
    #[serde(skip)]
    pub(super) active: u64,
}

impl Generation {
    pub(super) fn new(number: usize, started: OffsetDateTime) -> Self {
        Self {
            number: u16::try_from(number).unwrap_or(u16::MAX),
            started,
            targets: Vec::new(),
            members: 0,
            active: 0,
        }
    }

    pub(super) fn aim_at(&mut self, versions: &[String]) {
        for version in versions {
            if !self.targets.contains(version) {
                self.targets.push(version.clone());
            }
        }
    }
}
