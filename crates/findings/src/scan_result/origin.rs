//! Whose findings are: those of the base that an image stands on, or of whoever built on it.

use serde::{Deserialize, Serialize};

use super::{ScanResult, SeverityCounts, Standing};

/// Whose a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerOrigin {
    /// The base's.
    Base,
    /// Of whoever built on it.
    Own,
    /// A layer at or below it could not be read.
    Unknown,
}

impl LayerOrigin {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Base, Self::Own, Self::Unknown];

    /// As people read it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Base => "from the base",
            Self::Own => "yours",
            Self::Unknown => "of no known layer",
        }
    }
}

/// The approved base that an image stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedBase {
    /// What it is called.
    pub name: String,
    /// Which release of it.
    pub version: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How many layers from the bottom are its.
    pub layers: usize,
    /// A newer release took its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
}

/// Vulnerabilities that count, by severity, and by whose layer they lie in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginCounts {
    /// From the base.
    pub base: SeverityCounts,
    /// Yours.
    pub own: SeverityCounts,
    /// In layers of which nobody knows whose they are.
    pub unknown: SeverityCounts,
}

impl ScanResult {
    /// Says what the image stands on, and whose each of its layers is, counted from 0 at the bottom.
    pub fn set_origins(&mut self, base: Option<ScannedBase>, origin: impl Fn(usize) -> LayerOrigin) {
        self.base = base;
        for (number, layer) in self.layers.iter_mut().enumerate() {
            layer.origin = Some(origin(number));
        }
    }

    /// Whose a layer is; `None` where nobody has said.
    pub fn origin_of(&self, layer: Option<usize>) -> Option<LayerOrigin> {
        self.layers.get(layer?)?.origin
    }

    /// Vulnerabilities that count, by whose layer they lie in; `None` where nobody has said whose layers are.
    pub fn origins(&self) -> Option<OriginCounts> {
        let is_told = self.layers.iter().any(|layer| layer.origin.is_some());
        let counts = |wanted: LayerOrigin| {
            let counted = self.vulnerabilities.iter().filter(|finding| {
                let layer = self.package_of(finding).and_then(|placed| placed.layer);
                let origin = self.origin_of(layer).unwrap_or(LayerOrigin::Unknown);
                Standing::of(finding) == Standing::Counts && origin == wanted
            });
            SeverityCounts::of(counted.map(|finding| finding.severity))
        };
        let [base, own, unknown] = LayerOrigin::ALL.map(counts);
        is_told.then_some(OriginCounts { base, own, unknown })
    }
}
