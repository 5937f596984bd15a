//! The order of versions, by the rule of their ecosystem.
//!
//! Each rule is a file. All of them read a version once, from left to right, never convert a number (digits are compared
//! as text, so that no length overflows) and give a total order even for texts that the ecosystem's own tool would
//! refuse: advisories and images hold such texts, and a matcher that sorts them must not depend on luck. Where the tool's
//! own order has cycles (Maven), the file says how they are broken.

use std::cmp::Ordering;

use thiserror::Error;

use crate::Ecosystem;

mod apk;
mod digits;
mod dpkg;
mod gem;
mod go;
mod maven;
mod packagist;
mod pep440;
mod rpm;
mod semantic;
#[cfg(test)]
mod tests;

/// Why two versions have no order.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionError {
    /// The ecosystem has no rule, or the rule does not know such a text.
    #[error("`{version}` is no version of {ecosystem}")]
    NotAVersion {
        /// Whose rule.
        ecosystem: Ecosystem,
        /// What it was asked about.
        version: String,
    },
}

/// The families of rules: many ecosystems share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Apk,
    Dpkg,
    Gem,
    Go,
    Maven,
    NuGet,
    Packagist,
    Pep440,
    Rpm,
    Semantic,
}

impl Rule {
    const fn of(ecosystem: Ecosystem) -> Self {
        match ecosystem {
            Ecosystem::Alpaquita
            | Ecosystem::Alpine
            | Ecosystem::BellSoft
            | Ecosystem::Chainguard
            | Ecosystem::CleanStart
            | Ecosystem::MinimOs
            | Ecosystem::Wolfi => Self::Apk,
            Ecosystem::Debian | Ecosystem::Echo | Ecosystem::Ubuntu => Self::Dpkg,
            Ecosystem::AlmaLinux
            | Ecosystem::AzureLinux
            | Ecosystem::Mageia
            | Ecosystem::OpenEuler
            | Ecosystem::OpenSuse
            | Ecosystem::PhotonOs
            | Ecosystem::RedHat
            | Ecosystem::RockyLinux
            | Ecosystem::Rpm
            | Ecosystem::Suse => Self::Rpm,
            Ecosystem::Bitnami
            | Ecosystem::CratesIo
            | Ecosystem::DockerHardenedImages
            | Ecosystem::Hex
            | Ecosystem::Npm
            | Ecosystem::Pub
            | Ecosystem::SemVer => Self::Semantic,
            Ecosystem::Go => Self::Go,
            Ecosystem::Maven => Self::Maven,
            Ecosystem::NuGet => Self::NuGet,
            Ecosystem::Packagist => Self::Packagist,
            Ecosystem::PyPi => Self::Pep440,
            Ecosystem::RubyGems => Self::Gem,
        }
    }

    /// Whether the text has a place in the order at all.
    fn can_order(self, version: &str) -> bool {
        match self {
            Self::Semantic | Self::NuGet => semantic::is_valid(version),
            Self::Go => go::is_valid(version),
            _ => !version.is_empty(),
        }
    }

    fn is_valid(self, version: &str) -> bool {
        match self {
            Self::Apk => apk::is_valid(version),
            Self::Dpkg => dpkg::is_valid(version),
            Self::Gem => gem::is_valid(version),
            Self::Packagist => packagist::is_valid(version),
            Self::Pep440 => pep440::is_valid(version),
            Self::Rpm => rpm::is_valid(version),
            Self::Maven | Self::Go | Self::NuGet | Self::Semantic => self.can_order(version),
        }
    }

    fn compare(self, left: &str, right: &str) -> Ordering {
        match self {
            Self::Apk => apk::compare(left, right),
            Self::Dpkg => dpkg::compare(left, right),
            Self::Gem => gem::compare(left, right),
            Self::Go => go::compare(left, right),
            Self::Maven => maven::compare(left, right),
            Self::NuGet => semantic::compare_ignoring_case(left, right),
            Self::Packagist => packagist::compare(left, right),
            Self::Pep440 => pep440::compare(left, right),
            Self::Rpm => rpm::compare(left, right),
            Self::Semantic => semantic::compare(left, right),
        }
    }
}

/// Which of two versions is the later one.
///
/// Time and memory are linear in the two texts. Within one ecosystem this is a total order over everything that it does
/// not refuse. What `0` means in an advisory is the matcher's business: here it is a version like any other.
///
/// # Errors
/// One of them has no place in the ecosystem's order: it is empty, or it is none of the forms of semantic versions
/// (`(devel)`, `nightly`).
pub fn compare(ecosystem: Ecosystem, left: &str, right: &str) -> Result<Ordering, VersionError> {
    let rule = Rule::of(ecosystem);
    let [left, right] = [left.trim(), right.trim()];
    match [left, right].into_iter().find(|version| !rule.can_order(version)) {
        Some(version) => Err(VersionError::NotAVersion {
            ecosystem,
            version: version.to_owned(),
        }),
        None => Ok(rule.compare(left, right)),
    }
}

/// Whether the ecosystem's own tool would take the text for a version.
///
/// [`compare`] orders more than this: most rules find a place for what is not valid, because advisories hold such texts.
pub fn is_valid(ecosystem: Ecosystem, version: &str) -> bool {
    let version = version.trim();
    let rule = Rule::of(ecosystem);
    rule.can_order(version) && rule.is_valid(version)
}
