//! What must hold for the index as a whole.

mod answers;
mod changes;
mod excuses;
mod snapshots;
mod stories;

use std::sync::Arc;

use findings::{Compression, LayerReport, Listing, OsRelease, Package, PackageKind, SCHEMA, Unit, UnitKind};
use oci::{Algorithm, Digest};

use super::{Fleet, Hidden, ImageFacts, ImageKey, LayerFacts, Moment, PlacedUnit};

pub(super) fn digest(what: &str) -> Digest {
    Digest::of(Algorithm::Sha256, what.as_bytes())
}

pub(super) fn key(repository: &str, image: &str) -> ImageKey {
    ImageKey {
        repository: repository.to_owned(),
        digest: digest(image),
    }
}

pub(super) fn unit(path: &str, kind: UnitKind, packages: Vec<Package>) -> PlacedUnit {
    let unit = Unit::of_packages(kind, packages);
    PlacedUnit {
        path: path.to_owned(),
        owned_by: None,
        id: unit.id(),
        unit: Arc::new(unit),
    }
}

pub(super) fn jar(path: &str, artifact: &str, version: &str) -> PlacedUnit {
    let name = format!("org.apache.logging.log4j:{artifact}");
    unit(
        path,
        UnitKind::JavaArchive,
        vec![Package::new(PackageKind::Java, name, version)],
    )
}

pub(super) fn layer(blob: &str, units: Vec<PlacedUnit>) -> Arc<LayerFacts> {
    Arc::new(LayerFacts::new(
        digest(blob),
        Some(digest(&format!("diff {blob}"))),
        units,
    ))
}

/// Of a blob in which nothing was found.
pub(super) fn report(blob: &str) -> LayerReport {
    LayerReport {
        schema: SCHEMA,
        analysers: String::new(),
        blob: digest(blob),
        diff_id: None,
        compression: Compression::None,
        bytes: 0,
        entries: 0,
        config: None,
        units: Vec::new(),
        whiteouts: Vec::new(),
        opaque: Vec::new(),
        findings: Vec::new(),
        oddities: Vec::new(),
        not_scannable: Vec::new(),
        listing: Listing::default(),
        tables: None,
        rebase: None,
        chart: None,
    }
}

pub(super) fn os(id: &str, version: &str) -> OsRelease {
    OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        ..OsRelease::default()
    }
}

pub(super) fn facts(layers: &[Arc<LayerFacts>], hidden: &[(u32, u32)]) -> ImageFacts {
    ImageFacts {
        layers: layers.to_vec(),
        hidden: hidden
            .iter()
            .map(|(layer, unit)| Hidden {
                layer: *layer,
                unit: *unit,
            })
            .collect(),
        os: Some(os("debian", "12")),
        base_layers: 1,
        is_scannable: true,
    }
}

pub(super) fn fleet(images: &[(&str, &str, ImageFacts)]) -> Fleet {
    let mut fleet = Fleet::default();
    for (moment, (repository, image, facts)) in (1..).zip(images) {
        fleet.add_image(&key(repository, image), facts, Moment(moment));
    }
    fleet
}
