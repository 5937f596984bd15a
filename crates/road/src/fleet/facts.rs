//! What goes into the index.

use std::{collections::HashSet, ptr, sync::Arc};

use findings::{ImageReport, LayerReport, ListingError, OsRelease, Unit};
use oci::{Algorithm, Digest, Hasher};
use thiserror::Error;

/// What an image is called: the same manifest in two repositories is two images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// Its repository.
    pub repository: String,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// A unit where a layer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedUnit {
    /// Relative to the root of the file system.
    pub path: String,
    /// The package of the distribution that the file belongs to: that one's advisories judge it.
    pub owned_by: Option<String>,
    /// [`Unit::id`] of the unit.
    pub id: Digest,
    /// What it says.
    pub unit: Arc<Unit>,
}

/// A layer, made once and shared by all of its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    blob: Digest,
    diff_id: Option<Digest>,
    units: Vec<PlacedUnit>,
    fingerprint: Digest,
}

impl LayerFacts {
    /// A layer by what its report says.
    pub fn of(report: &LayerReport) -> Self {
        let units = report.units.iter().map(|found| PlacedUnit {
            path: found.path.clone(),
            owned_by: found.owned_by.clone(),
            id: found.unit.id(),
            unit: Arc::new(found.unit.clone()),
        });
        Self::new(report.blob, report.diff_id, units.collect())
    }

    /// A layer with these units, in the order of its report.
    pub fn new(blob: Digest, diff_id: Option<Digest>, units: Vec<PlacedUnit>) -> Self {
        let fingerprint = fingerprint(&blob, diff_id.as_ref(), &units);
        Self {
            blob,
            diff_id,
            units,
            fingerprint,
        }
    }

    /// Digest by which the registry keeps it.
    pub const fn blob(&self) -> &Digest {
        &self.blob
    }

    /// Digest of its uncompressed bytes, as computed.
    pub const fn diff_id(&self) -> Option<&Digest> {
        self.diff_id.as_ref()
    }

    /// Its units.
    pub fn units(&self) -> &[PlacedUnit] {
        &self.units
    }

    /// The same for two layers only if all that is said of them is the same.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint.bytes().try_into().unwrap_or_default()
    }
}

/// Every field with its length before it, so that no two layers give the same bytes.
fn fingerprint(blob: &Digest, diff_id: Option<&Digest>, units: &[PlacedUnit]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(blob.bytes());
    field(diff_id.map_or(&[], Digest::bytes));
    for placed in units {
        field(placed.path.as_bytes());
        match &placed.owned_by {
            Some(owner) => field(owner.as_bytes()),
            None => field(&[0xff]),
        }
        field(placed.id.bytes());
    }
    hasher.finish()
}

/// A unit of a layer that the running image does not have: something above it hides it, or it only says what somebody wanted
/// to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hidden {
    /// The layer, counted from 0 at the bottom.
    pub layer: u32,
    /// Its unit, counted from 0.
    pub unit: u32,
}

/// What is known of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Lowest first.
    pub layers: Vec<Arc<LayerFacts>>,
    /// What of them is hidden.
    pub hidden: Vec<Hidden>,
    /// The operating system, if the image says which.
    pub os: Option<OsRelease>,
    /// How many layers, from the bottom, are its base's.
    pub base_layers: u32,
    /// All of it was looked into. What was not may have what is asked about.
    pub is_scannable: bool,
}

/// Why facts cannot be taken.
#[derive(Debug, Error)]
pub enum FactsError {
    /// The listing of a layer is damaged.
    #[error("the layers cannot be stacked")]
    Overlay(#[source] ListingError),
}

impl ImageFacts {
    /// The facts of an image by the reports of its layers. `share` answers with the facts of a layer that were made before, or
    /// makes them ([`LayerFacts::of`]): a thousand images share their base.
    ///
    /// # Errors
    /// The listing of a layer is damaged.
    pub fn of(
        image: &ImageReport,
        mut share: impl FnMut(&LayerReport) -> Arc<LayerFacts>,
    ) -> Result<Self, FactsError> {
        let overlay = image.overlay().map_err(FactsError::Overlay)?;
        let shown: HashSet<_> = overlay
            .units
            .iter()
            .map(|unit| (unit.layer, ptr::from_ref(unit.found)))
            .collect();
        let mut hidden = Vec::new();
        for (layer, report) in image.layers.iter().enumerate() {
            for (unit, found) in report.units.iter().enumerate() {
                if !shown.contains(&(layer, ptr::from_ref(found))) {
                    hidden.push(Hidden {
                        layer: super::dense(layer),
                        unit: super::dense(unit),
                    });
                }
            }
        }
        Ok(Self {
            layers: image.layers.iter().map(|report| share(report)).collect(),
            hidden,
            os: overlay.os.cloned(),
            base_layers: 0,
            is_scannable: image.layers.iter().all(|report| report.not_scannable.is_empty()),
        })
    }
}
