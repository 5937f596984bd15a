//! Whose repository it is.

use oci::{RepoName, RepoPattern};
use serde::Serialize;

use super::{Application, Applications, Field, Source};
use crate::names::Owner;

/// Whose a repository is. Unknown is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership<'a> {
    /// An application with an owner.
    Owned {
        /// Which application.
        application: &'a Application,
        /// Whose.
        owner: &'a Field<Owner>,
        /// By which pattern.
        pattern: &'a RepoPattern,
        /// By whose word.
        source: Source,
    },
    /// An application of which nobody says whose it is.
    Ownerless {
        /// Which application.
        application: &'a Application,
        /// By which pattern.
        pattern: &'a RepoPattern,
        /// By whose word.
        source: Source,
    },
    /// Nobody says anything.
    Unknown,
}

impl<'a> Ownership<'a> {
    /// The application, where there is one.
    pub fn application(&self) -> Option<&'a Application> {
        match self {
            Self::Owned { application, .. } | Self::Ownerless { application, .. } => Some(application),
            Self::Unknown => None,
        }
    }

    /// The application, where somebody who is trusted says that the repository is its: whoever pushes can write annotations, which
    /// tell who is asked and excuse nobody.
    pub fn vouched(&self) -> Option<&'a Application> {
        match self {
            Self::Owned { source, .. } | Self::Ownerless { source, .. } => {
                self.application().filter(|_| *source != Source::Annotation)
            }
            Self::Unknown => None,
        }
    }

    /// The owner, where there is one.
    pub fn owner(&self) -> Option<&'a Owner> {
        match self {
            Self::Owned { owner, .. } => Some(owner.value()),
            Self::Ownerless { .. } | Self::Unknown => None,
        }
    }
}

/// How many repositories have an owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OwnershipCounts {
    /// An application with an owner.
    pub owned: u64,
    /// An application without.
    pub ownerless: u64,
    /// No application.
    pub unknown: u64,
}

impl OwnershipCounts {
    /// How many have none.
    pub fn without_owner(&self) -> u64 {
        self.ownerless + self.unknown
    }
}

pub(super) fn owner_of<'a>(applications: &'a Applications, repository: &RepoName) -> Ownership<'a> {
    for (map, source) in applications.maps.iter().zip(Source::ALL) {
        let Some((pattern, name)) = map.get_entry(repository) else {
            continue;
        };
        let Some(application) = applications.by_name.get(name) else {
            continue;
        };
        return match &application.owner {
            Some(owner) => Ownership::Owned {
                application,
                owner,
                pattern,
                source,
            },
            None => Ownership::Ownerless {
                application,
                pattern,
                source,
            },
        };
    }
    Ownership::Unknown
}

pub(super) fn count<'r>(
    applications: &Applications,
    repositories: impl IntoIterator<Item = &'r RepoName>,
) -> OwnershipCounts {
    let mut counts = OwnershipCounts::default();
    for repository in repositories {
        match owner_of(applications, repository) {
            Ownership::Owned { .. } => counts.owned += 1,
            Ownership::Ownerless { .. } => counts.ownerless += 1,
            Ownership::Unknown => counts.unknown += 1,
        }
    }
    counts
}
