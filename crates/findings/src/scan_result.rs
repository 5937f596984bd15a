//! What a scan of one image knows, in one value: what every form of output is made from.
//!
//! A result is made from an overlay or from an SBOM; both then ask the advisories about the same packages, in the same order,
//! so that they get the same answer.

mod group;
mod origin;
mod standing;
#[cfg(test)]
pub(crate) mod tests;

use oci::Digest;
use serde::{Deserialize, Serialize};

pub(crate) use group::{UpdateGroup, update_groups};
pub use origin::{LayerOrigin, OriginCounts, ScannedBase};
pub use standing::{SeverityCounts, Standing};

use crate::{
    ByteFinding, ImageConfig, ImageReport, OsRelease, Overlay, Package,
    advisory::{Coverage, VulnerabilityFinding, VulnerabilityReport},
    sbom::Sbom,
};

/// What was scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanTarget {
    /// As whoever asked calls it: a reference, the path of a file.
    pub name: String,
    /// Digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// A layer of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedLayer {
    /// By which the registry keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Of its uncompressed bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<Digest>,
    /// The step that made it, as the image's configuration states.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Whose it is, if a registry said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<LayerOrigin>,
}

/// A package where it lies. `inner_path` of the package goes on from `path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedPackage {
    /// What it is.
    #[serde(flatten)]
    pub package: Package,
    /// Its layer, counted from 0 at the bottom; SBOMs of others may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Where its evidence lies, relative to the root of the file system.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The package of the distribution that its file belongs to: that one's advisories judge it, not the language's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// Whether advisories speak of its kind; `None` where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

impl PlacedPackage {
    /// The path with the paths inside it, as `app.war!WEB-INF/lib/a.jar`.
    pub fn full_path(&self) -> String {
        full_path(&self.path, &self.package.inner_path)
    }
}

/// A problem of a file, or of the image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedByteFinding {
    /// What it is.
    #[serde(flatten)]
    pub finding: ByteFinding,
    /// Its layer, counted from 0 at the bottom; `None` for the image's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The layer that hides the file from the running image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_by: Option<usize>,
}

impl PlacedByteFinding {
    /// The path with the paths inside it.
    pub fn full_path(&self) -> String {
        full_path(&self.finding.path, &self.finding.inner_path)
    }
}

/// A decision in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionText {
    /// `allow`, `warn`, `refuse`, …
    pub outcome: String,
    /// Why, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// What a scan of one image knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScanResult {
    /// What was scanned.
    pub target: ScanTarget,
    /// What was decided, if anybody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionText>,
    /// The approved base that it stands on, if a registry knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<ScannedBase>,
    /// The operating system, if the image says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<OsRelease>,
    /// Lowest first.
    #[serde(default)]
    pub layers: Vec<ScannedLayer>,
    /// In the order of their paths.
    #[serde(default)]
    pub packages: Vec<PlacedPackage>,
    /// In the order of `packages`, the worst of a package first; `package` counts in `packages`.
    #[serde(default)]
    pub vulnerabilities: Vec<VulnerabilityFinding>,
    /// Secrets, malware and how the image is made.
    #[serde(default)]
    pub files: Vec<PlacedByteFinding>,
    /// What could not be found out, one line each.
    #[serde(default)]
    pub unknowns: Vec<String>,
    /// Which advisories were asked; `None`: none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory_generation: Option<u64>,
}

impl ScanResult {
    /// What is in an image, before anybody asked about it.
    pub fn of_image(
        target: ScanTarget,
        image: &ImageReport,
        overlay: &Overlay<'_>,
        config: Option<&ImageConfig>,
    ) -> Self {
        let layers = image
            .layers
            .iter()
            .enumerate()
            .map(|(layer, report)| ScannedLayer {
                digest: Some(report.blob),
                diff_id: report.diff_id,
                created_by: config
                    .and_then(|config| config.step_of(layer))
                    .unwrap_or_default(),
                origin: None,
            });
        let files = overlay.findings.iter().map(|found| PlacedByteFinding {
            finding: found.finding.clone(),
            layer: Some(found.layer),
            hidden_by: found.hidden_by,
        });
        Self {
            target,
            os: overlay.os.cloned(),
            layers: layers.collect(),
            packages: placed_packages(overlay),
            files: files.collect(),
            ..Self::default()
        }
    }

    /// What an SBOM says is in an image.
    pub fn of_sbom(target: ScanTarget, sbom: Sbom) -> Self {
        Self {
            target,
            os: sbom.os,
            layers: sbom.layers,
            packages: sbom.packages,
            unknowns: sbom.unknowns,
            ..Self::default()
        }
    }

    /// The packages to ask [`find_vulnerabilities`](crate::advisory::find_vulnerabilities) about: what a distribution owns
    /// is judged by the distribution's package.
    pub fn judged_packages(&self) -> Vec<Package> {
        self.packages
            .iter()
            .filter(|placed| placed.owned_by.is_none())
            .map(|placed| placed.package.clone())
            .collect()
    }

    /// Takes the answer to [`judged_packages`](Self::judged_packages).
    pub fn set_vulnerabilities(&mut self, report: VulnerabilityReport, generation: u64) {
        let judged: Vec<usize> = (0..self.packages.len())
            .filter(|&number| self.packages[number].owned_by.is_none())
            .collect();
        if report.is_cut {
            let told = "more is known about the packages than is shown: there are more advisories than an image may have";
            self.unknowns.push(told.to_owned());
        }
        for (&number, coverage) in judged.iter().zip(report.coverage) {
            self.packages[number].coverage = Some(coverage);
        }
        self.vulnerabilities = report
            .findings
            .into_iter()
            .filter_map(|mut finding| {
                finding.package = *judged.get(finding.package)?;
                Some(finding)
            })
            .collect();
        self.advisory_generation = Some(generation);
    }

    /// Leaves what is in the image and takes away what was said about it, which changes while the image does not.
    pub fn keep_contents(&mut self) {
        self.decision = None;
        self.base = None;
        for layer in &mut self.layers {
            layer.origin = None;
        }
        self.vulnerabilities.clear();
        self.files.clear();
        self.advisory_generation = None;
        for placed in &mut self.packages {
            placed.coverage = None;
        }
    }

    /// Adds problems of the configuration, which lie in no layer.
    pub fn add_configuration(&mut self, findings: impl IntoIterator<Item = ByteFinding>) {
        let placed = findings.into_iter().map(|finding| PlacedByteFinding {
            finding,
            layer: None,
            hidden_by: None,
        });
        self.files.extend(placed);
    }

    /// Packages of which no advisory speaks, whatever their version.
    pub fn uncovered(&self) -> usize {
        self.packages
            .iter()
            .filter(|placed| {
                placed
                    .coverage
                    .as_ref()
                    .is_some_and(|coverage| !coverage.is_covered())
            })
            .count()
    }

    /// The package of a vulnerability. `None` only where the value was read from elsewhere and is inconsistent.
    pub fn package_of(&self, finding: &VulnerabilityFinding) -> Option<&PlacedPackage> {
        self.packages.get(finding.package)
    }
}

fn placed_packages(overlay: &Overlay<'_>) -> Vec<PlacedPackage> {
    let of_unit = |unit: &crate::PresentUnit<'_>| {
        let found = unit.found;
        let placed = |(package, layer): (&Package, usize)| PlacedPackage {
            package: package.clone(),
            layer: Some(layer),
            path: found.path.clone(),
            owned_by: found.owned_by.clone(),
            coverage: None,
        };
        unit.packages().map(placed).collect::<Vec<_>>()
    };
    overlay.units.iter().flat_map(of_unit).collect()
}

fn full_path(path: &str, inner: &[String]) -> String {
    std::iter::once(path)
        .chain(inner.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("!")
}
