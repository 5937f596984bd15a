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
    /// Versions to go to, one per line of releases: those without all of the group, as far as that was told.
    pub targets: Vec<String>,
    /// Every version that fixes one of its members: what is fixed by one of them supersedes nothing.
    #[serde(skip)]
    pub(super) aims: Vec<String>,
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
            aims: Vec::new(),
            members: 0,
            active: 0,
        }
    }

    pub(super) fn aim_at(&mut self, versions: &[String]) {
        for aimed in [&mut self.targets, &mut self.aims] {
            for version in versions {
                if !aimed.contains(version) {
                    aimed.push(version.clone());
                }
            }
        }
    }
}
