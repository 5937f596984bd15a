//! Whose rules a package follows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

mod release;
#[cfg(test)]
mod tests;

pub use release::Release;

/// An ecosystem of OSV that an image can hold packages of, without its release (osv-schema, "Defined Ecosystems").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ecosystem {
    /// `AlmaLinux`.
    AlmaLinux,
    /// Alpaquita Linux.
    Alpaquita,
    /// Alpine.
    Alpine,
    /// Azure Linux, formerly Mariner.
    AzureLinux,
    /// `BellSoft`'s hardened images.
    BellSoft,
    /// Bitnami.
    Bitnami,
    /// Chainguard.
    Chainguard,
    /// `CleanStart`.
    CleanStart,
    /// Rust.
    CratesIo,
    /// Debian.
    Debian,
    /// Docker's hardened images; their feed spells it `DHI`.
    DockerHardenedImages,
    /// Echo.
    Echo,
    /// Go.
    Go,
    /// Erlang, Elixir.
    Hex,
    /// Mageia.
    Mageia,
    /// Java.
    Maven,
    /// `MinimOS`.
    MinimOs,
    /// Node.
    Npm,
    /// .NET.
    NuGet,
    /// openEuler.
    OpenEuler,
    /// openSUSE.
    OpenSuse,
    /// PHP.
    Packagist,
    /// Photon OS.
    PhotonOs,
    /// Dart.
    Pub,
    /// Python.
    PyPi,
    /// Red Hat.
    RedHat,
    /// Rocky Linux.
    RockyLinux,
    /// No ecosystem of OSV: the rule of rpm, whoever uses it.
    Rpm,
    /// Ruby.
    RubyGems,
    /// No ecosystem of OSV: the rule of semantic versions, whoever uses it.
    SemVer,
    /// SUSE.
    Suse,
    /// Ubuntu.
    Ubuntu,
    /// Wolfi.
    Wolfi,
}

impl Ecosystem {
    /// Every one, in the order of their names.
    pub const ALL: [Self; 33] = [
        Self::AlmaLinux,
        Self::Alpaquita,
        Self::Alpine,
        Self::AzureLinux,
        Self::BellSoft,
        Self::Bitnami,
        Self::Chainguard,
        Self::CleanStart,
        Self::CratesIo,
        Self::Debian,
        Self::DockerHardenedImages,
        Self::Echo,
        Self::Go,
        Self::Hex,
        Self::Mageia,
        Self::Maven,
        Self::MinimOs,
        Self::Npm,
        Self::NuGet,
        Self::OpenEuler,
        Self::OpenSuse,
        Self::Packagist,
        Self::PhotonOs,
        Self::Pub,
        Self::PyPi,
        Self::RedHat,
        Self::RockyLinux,
        Self::Rpm,
        Self::RubyGems,
        Self::SemVer,
        Self::Suse,
        Self::Ubuntu,
        Self::Wolfi,
    ];

    /// OSV's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlmaLinux => "AlmaLinux",
            Self::Alpaquita => "Alpaquita",
            Self::Alpine => "Alpine",
            Self::AzureLinux => "Azure Linux",
            Self::BellSoft => "BellSoft Hardened Containers",
            Self::Bitnami => "Bitnami",
            Self::Chainguard => "Chainguard",
            Self::CleanStart => "CleanStart",
            Self::CratesIo => "crates.io",
            Self::Debian => "Debian",
            Self::DockerHardenedImages => "Docker Hardened Images",
            Self::Echo => "Echo",
            Self::Go => "Go",
            Self::Hex => "Hex",
            Self::Mageia => "Mageia",
            Self::Maven => "Maven",
            Self::MinimOs => "MinimOS",
            Self::Npm => "npm",
            Self::NuGet => "NuGet",
            Self::OpenEuler => "openEuler",
            Self::OpenSuse => "openSUSE",
            Self::Packagist => "Packagist",
            Self::PhotonOs => "Photon OS",
            Self::Pub => "Pub",
            Self::PyPi => "PyPI",
            Self::RedHat => "Red Hat",
            Self::RockyLinux => "Rocky Linux",
            Self::Rpm => "rpm",
            Self::RubyGems => "RubyGems",
            Self::SemVer => "SemVer",
            Self::Suse => "SUSE",
            Self::Ubuntu => "Ubuntu",
            Self::Wolfi => "Wolfi",
        }
    }

    /// Parses what OSV writes in `affected[].package.ecosystem`: an ecosystem and, behind the first colon, its release
    /// (`Debian:12`, `Red Hat:enterprise_linux:9::baseos`).
    pub fn parse_with_release(text: &str) -> Result<(Self, Option<&str>), EcosystemError> {
        match text.split_once(':') {
            Some((ecosystem, release)) if !release.is_empty() => Ok((ecosystem.parse()?, Some(release))),
            Some((ecosystem, _)) => Ok((ecosystem.parse()?, None)),
            None => Ok((text.parse()?, None)),
        }
    }
}

/// Not an ecosystem that is known here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no ecosystem that is known here")]
pub struct EcosystemError(String);

impl FromStr for Ecosystem {
    type Err = EcosystemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = |ecosystem: &Self| ecosystem.as_str().eq_ignore_ascii_case(text);
        if text.eq_ignore_ascii_case("DHI") {
            return Ok(Self::DockerHardenedImages);
        }
        Self::ALL
            .into_iter()
            .find(is_named)
            .ok_or_else(|| EcosystemError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Ecosystem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Ecosystem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
