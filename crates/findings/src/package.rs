//! What is installed, as the evidence in the image says.

use serde::{Deserialize, Serialize};

use crate::{Ecosystem, Purl};

/// Who installed a package, and so where its evidence lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// Debian, Ubuntu and their kin.
    Dpkg,
    /// Alpine, Wolfi and their kin.
    Apk,
    /// Red Hat, SUSE and their kin.
    Rpm,
    /// Java archives.
    Java,
    /// Node.
    Npm,
    /// Python.
    Python,
    /// Modules in a Go binary.
    Go,
    /// Crates in a Rust binary.
    Rust,
    /// Ruby.
    Gem,
    /// PHP.
    Composer,
    /// .NET.
    NuGet,
}

impl PackageKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Dpkg,
        Self::Apk,
        Self::Rpm,
        Self::Java,
        Self::Npm,
        Self::Python,
        Self::Go,
        Self::Rust,
        Self::Gem,
        Self::Composer,
        Self::NuGet,
    ];

    /// Whether a distribution of the operating system installed it.
    pub const fn is_os(self) -> bool {
        matches!(self, Self::Dpkg | Self::Apk | Self::Rpm)
    }

    /// The type in a package URL (purl-spec, PURL-TYPES).
    pub const fn purl_type(self) -> &'static str {
        match self {
            Self::Dpkg => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Java => "maven",
            Self::Npm => "npm",
            Self::Python => "pypi",
            Self::Go => "golang",
            Self::Rust => "cargo",
            Self::Gem => "gem",
            Self::Composer => "composer",
            Self::NuGet => "nuget",
        }
    }

    /// The ecosystem whose advisories speak of it. That of an OS package follows from the [`OsRelease`] of the image.
    pub const fn language_ecosystem(self) -> Option<Ecosystem> {
        match self {
            Self::Dpkg | Self::Apk | Self::Rpm => None,
            Self::Java => Some(Ecosystem::Maven),
            Self::Npm => Some(Ecosystem::Npm),
            Self::Python => Some(Ecosystem::PyPi),
            Self::Go => Some(Ecosystem::Go),
            Self::Rust => Some(Ecosystem::CratesIo),
            Self::Gem => Some(Ecosystem::RubyGems),
            Self::Composer => Some(Ecosystem::Packagist),
            Self::NuGet => Some(Ecosystem::NuGet),
        }
    }
}

/// How sure it is that the package is what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Guessed from traces: a renamed class, a file that looks like one.
    Low,
    /// From a file name or a fingerprint that stands for a range of versions.
    Medium,
    /// The package's own data say so.
    High,
}

/// What a distribution built a package from. Its advisories name this and not the package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Name of the source package (apk: origin).
    pub name: String,
    /// Its version, which may differ from the package's.
    pub version: String,
}

/// One package as one piece of evidence states it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Who installed it.
    pub kind: PackageKind,
    /// As its ecosystem spells it: `group:artifact` for Java, `@scope/name` for npm, the module path for Go, normalised
    /// for Python (PEP 503).
    pub name: String,
    /// As its ecosystem spells it. Empty where the evidence has none.
    pub version: String,
    /// Distributions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Distributions only: `amd64`, `x86_64`, `all`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// rpm only: the label of the module that it was built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modularity: Option<String>,
    /// As stated; SPDX expressions where the format has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licences: Vec<String>,
    /// Where it lies inside the file, outermost archive first (`BOOT-INF/lib/log4j-core-2.13.3.jar`). Empty: the file itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner_path: Vec<String>,
    /// It is what the file itself was built from (Go's main module, Rust's root crate), not a part of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_root: bool,
    /// How sure the name and version are.
    pub confidence: Confidence,
    /// First and last version that the evidence allows, where it allows several; `version` is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_range: Option<(String, String)>,
    /// What was found that takes the edge off, in the words of the mitigations that advisories know
    /// (`JndiLookup.class removed`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mitigations: Vec<String>,
}

impl Package {
    /// A package that its own data name, with nothing else known of it.
    pub fn new(kind: PackageKind, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            version: version.into(),
            source: None,
            arch: None,
            modularity: None,
            licences: Vec::new(),
            inner_path: Vec::new(),
            is_root: false,
            confidence: Confidence::High,
            version_range: None,
            mitigations: Vec::new(),
        }
    }

    /// Name and version that advisories speak of: the source's where there is one.
    pub fn advised(&self) -> (&str, &str) {
        match &self.source {
            Some(source) => (&source.name, &source.version),
            None => (&self.name, &self.version),
        }
    }

    /// Its package URL. `os` is the release that the image runs, for packages of a distribution.
    pub fn purl(&self, os: Option<&OsRelease>) -> Purl {
        Purl::of(self, os)
    }
}

/// The operating system of an image, by its `os-release`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`: `debian`, `ubuntu`, `alpine`, `rhel`, …
    pub id: String,
    /// `VERSION_ID`; empty for rolling ones.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `VERSION_CODENAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub codename: String,
    /// `PRETTY_NAME`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `ID_LIKE`, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<String>,
}
