//! One parsed piece of evidence inside a layer.

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::{OsRelease, Package};

/// What was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    /// `var/lib/dpkg/status`.
    DpkgStatus,
    /// A file of `var/lib/dpkg/status.d` (distroless).
    DpkgStatusD,
    /// `lib/apk/db/installed`, `usr/lib/apk/db/installed`.
    ApkInstalled,
    /// The database of rpm, in any of its three formats.
    RpmDatabase,
    /// `etc/os-release` and its kin.
    OsRelease,
    /// A jar, war, ear and what is nested in it.
    JavaArchive,
    /// `node_modules/**/package.json`.
    NodeModule,
    /// `package-lock.json`, `yarn.lock`, `pnpm-lock.yaml`, `bun.lock`.
    NodeLock,
    /// `*.dist-info/METADATA`, `*.egg-info`, conda.
    PythonInstalled,
    /// poetry, uv, pipfile, pdm, requirements.
    PythonLock,
    /// A binary with Go's build information.
    GoBinary,
    /// A binary with cargo-auditable's list.
    RustBinary,
    /// `specifications/*.gemspec`.
    GemSpec,
    /// `Gemfile.lock`.
    GemLock,
    /// `composer.lock`, `vendor/composer/installed.json`.
    Composer,
    /// `*.deps.json`, `packages.lock.json`.
    DotNet,
}

impl UnitKind {
    /// Whether it says what somebody wanted to install, not what is installed. Beside what is installed it adds nothing.
    pub const fn is_wish(self) -> bool {
        matches!(self, Self::NodeLock | Self::PythonLock | Self::GemLock)
    }

    /// Whether it is one list of all packages of the system, whose files lie elsewhere: each layer that installs one more has the
    /// whole list again.
    pub const fn is_database(self) -> bool {
        matches!(self, Self::DpkgStatus | Self::ApkInstalled | Self::RpmDatabase)
    }
}

/// What one file says is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What was parsed.
    pub kind: UnitKind,
    /// Sorted, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    /// Of [`UnitKind::OsRelease`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OsRelease>,
}

impl Unit {
    /// A unit of packages in the order in which units keep them.
    pub fn of_packages(kind: UnitKind, mut packages: Vec<Package>) -> Self {
        packages.sort_unstable();
        packages.dedup();
        Self {
            kind,
            packages,
            os: None,
        }
    }

    /// The release of an operating system.
    pub fn of_os(os: OsRelease) -> Self {
        Self {
            kind: UnitKind::OsRelease,
            packages: Vec::new(),
            os: Some(os),
        }
    }

    /// What it is called: the digest of its content, the same wherever the same was found.
    pub fn id(&self) -> Digest {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(Algorithm::Sha256, &bytes)
    }
}
