//! Whether anything speaks of a package's ecosystem at all: what nothing speaks of is unknown, never clean.

use serde::{Deserialize, Serialize};

use super::lookup::Lookup;
use crate::advisory::index::AdvisoryIndex;

/// Whether advisories of a package's ecosystem and release are there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// They are: no match means that nothing is known against it.
    Covered,
    /// They are not, or it is not known which they would be. Why, in words.
    Unknown(String),
}

impl Coverage {
    /// Whether advisories are there.
    pub fn is_covered(&self) -> bool {
        *self == Self::Covered
    }

    pub(super) fn of(lookups: &[Lookup<'_>], index: &AdvisoryIndex) -> Self {
        // A Java archive whose group is not known and whose artifact no advisory names.
        let Some(lookup) = lookups.first() else {
            return Self::of_ecosystem(crate::Ecosystem::Maven, index);
        };
        let Some(release) = &lookup.release else {
            return Self::of_ecosystem(lookup.ecosystem, index);
        };
        if index.covers(lookup.ecosystem, Some(release)) {
            return Self::Covered;
        }
        Self::Unknown(match release {
            crate::Release::Known(release) => {
                format!("no advisories are here for {}:{release}", lookup.ecosystem)
            }
            _ => format!("no advisories are here for {}", lookup.ecosystem),
        })
    }

    fn of_ecosystem(ecosystem: crate::Ecosystem, index: &AdvisoryIndex) -> Self {
        if index.covers(ecosystem, None) {
            Self::Covered
        } else {
            Self::Unknown(format!("no advisories are here for {ecosystem}"))
        }
    }
}
