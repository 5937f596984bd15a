//! What an image says about its base, held against what was found.

use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};

use super::{BaseIndex, Lineage, chain_id};
use crate::application::ImageWords;
use crate::base::Bases;
use crate::names::BaseName;

/// What became of `org.opencontainers.image.base.name` and `base.digest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hint", rename_all = "kebab-case")]
pub enum BaseHint {
    /// It says nothing, or nothing of what is known here.
    Silent,
    /// It stands on what it says.
    Agrees {
        /// Which base.
        base: BaseName,
    },
    /// It names a known release and does not stand on it: somebody passes an image off for what it is not.
    Lies {
        /// Which release it names.
        said: Digest,
        /// Of which base.
        base: BaseName,
        /// What it stands on instead.
        found: Option<BaseName>,
    },
    /// It names a base by its repository and stands on no release of it that is known.
    NotBorneOut {
        /// Which base it names.
        base: BaseName,
        /// What it stands on instead.
        found: Option<BaseName>,
    },
}

impl BaseHint {
    /// Holds all words of an image against its lineage, and beside them those of its labels alone. Where both speak, what the manifest
    /// says counts; but a lie is one wherever it stands: whoever reads only the label is deceived by it.
    pub fn check_both(
        all: &ImageWords,
        labels: &ImageWords,
        lineage: &Lineage,
        index: &BaseIndex,
        bases: &Bases,
    ) -> Self {
        let said = Self::check(all, lineage, index, bases);
        if matches!(said, Self::Lies { .. }) || labels.base_digest == all.base_digest {
            return said;
        }
        match Self::check(labels, lineage, index, bases) {
            lies @ Self::Lies { .. } => lies,
            _ => said,
        }
    }

    /// Holds the words of an image against its lineage.
    pub fn check(words: &ImageWords, lineage: &Lineage, index: &BaseIndex, bases: &Bases) -> Self {
        let found = || lineage.base().map(|standing| standing.base.clone());
        if let Some(said) = words.base_digest
            && let Some(release) = index.release(&said)
        {
            let base = release.base.clone();
            // The lineage names one release of several with the same layers.
            let stands_on = lineage.stack.iter().any(|standing| {
                standing.release == said
                    || standing.layers == release.diff_ids.len()
                        && index
                            .release(&standing.release)
                            .is_some_and(|other| chain_id(&other.diff_ids) == chain_id(&release.diff_ids))
            });
            return match (
                stands_on,
                lineage.known < release.diff_ids.len() && !lineage.is_complete(),
            ) {
                (true, _) => Self::Agrees { base },
                (false, true) => Self::Silent,
                (false, false) => Self::Lies {
                    said,
                    base,
                    found: found(),
                },
            };
        }
        let named = words.base_name.as_deref().and_then(repository_of);
        let Some(named) = named.and_then(|repository| bases.released_to(&repository)) else {
            return Self::Silent;
        };
        let base = named.name.clone();
        if lineage.stack.iter().any(|standing| standing.base == base) {
            Self::Agrees { base }
        } else if lineage.is_complete() {
            Self::NotBorneOut { base, found: found() }
        } else {
            Self::Silent
        }
    }
}

/// The repository of `registry.example/base/java17:stable@sha256:…`.
pub(crate) fn repository_of(name: &str) -> Option<RepoName> {
    let name = name.split('@').next().unwrap_or(name);
    let name = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => name,
    };
    let is_tagged = |(_, tag): &(&str, &str)| !tag.contains('/');
    let name = name
        .rsplit_once(':')
        .filter(is_tagged)
        .map_or(name, |(name, _)| name);
    name.parse().ok()
}
