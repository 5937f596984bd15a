//! Who is told to do what.

use std::sync::Arc;

use findings::{
    Package, PackageKind, Unit, UnitKind,
    advisory::{Advisory, AdvisoryIndex, Knowledge},
};
use oci::{Algorithm, Digest};
use road::fleet::{ImageFacts, ImageKey, LayerFacts, Moment, PlacedUnit};
use serde_json::json;

use super::*;

const NAME: &str = "org.apache.logging.log4j:log4j-core";

fn index() -> AdvisoryIndex {
    let range = |introduced: &str, fixed: &str| {
        json!({
            "package": { "ecosystem": "Maven", "name": NAME },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": introduced }, { "fixed": fixed }] }],
        })
    };
    let advisory = json!({
        "schema_version": "1.6.0", "id": "GHSA-jfh8-c2jp-5v3q", "aliases": ["CVE-2021-44228"],
        "modified": "2022-03-25T20:56:18Z", "affected": [range("2.4", "2.12.2"), range("2.13.0", "2.15.0")],
    });
    let read = Advisory::read(advisory.to_string().as_bytes(), "Maven").unwrap();
    AdvisoryIndex::build([read]).unwrap()
}

fn add(fleet: &mut Fleet, repository: &str, version: &str, base_layers: u32) {
    let unit = Unit::of_packages(
        UnitKind::JavaArchive,
        vec![Package::new(PackageKind::Java, NAME, version)],
    );
    let name = format!("{repository} {version}");
    let placed = PlacedUnit {
        path: "app/a.jar".to_owned(),
        owned_by: None,
        id: unit.id(),
        unit: Arc::new(unit),
    };
    let digest = Digest::of(Algorithm::Sha256, name.as_bytes());
    let facts = ImageFacts {
        layers: vec![Arc::new(LayerFacts::new(digest, None, vec![placed]))],
        base_layers,
        is_scannable: true,
        ..ImageFacts::default()
    };
    let key = ImageKey {
        repository: repository.to_owned(),
        digest,
    };
    fleet.add_image(&key, &facts, Moment(1));
}

#[test]
fn each_owner_reads_what_helps_most_of_their_images_first() {
    let mut fleet = Fleet::default();
    for (repository, version, base) in [
        ("shop/cart", "2.14.1", 0),
        ("shop/cart", "2.14.0", 0),
        ("shop/old", "2.12.1", 0),
        ("pay/app", "2.14.1", 1),
        ("lost", "2.14.1", 0),
        ("lost", "2.17.1", 0),
    ] {
        add(&mut fleet, repository, version, base);
    }
    let whose = |owner: Option<&str>| {
        Some(Whose {
            application: "an application".to_owned(),
            owner: owner.map(str::to_owned),
        })
    };
    let known = Known::from([
        ("shop/cart".to_owned(), whose(Some("shop"))),
        ("shop/old".to_owned(), whose(Some("shop"))),
        ("pay/app".to_owned(), whose(Some("pay"))),
        ("lost".to_owned(), None),
    ]);
    let index = index();
    let knowledge = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let scope = fleet.scope(|_| true, None);
    let answer = fleet
        .by_vulnerability("CVE-2021-44228", &knowledge, &scope)
        .unwrap();
    let groups = groups(&fleet, &answer, &known, true).unwrap();
    assert_eq!(groups.more, 0);
    let told: Vec<_> = groups
        .listed
        .iter()
        .map(|group| (group.owner.as_deref(), group.images, group.actions.as_slice()))
        .collect();
    let update = |fix: &str, images: &str| format!("update {NAME} to {fix} and push again ({images})");
    assert_eq!(
        told,
        [
            (
                Some("shop"),
                3,
                &[update("2.15.0", "2 images"), update("2.12.2", "1 image")][..]
            ),
            (None, 1, &[update("2.15.0", "1 image")][..]),
            (
                Some("pay"),
                1,
                &[format!("rebuild on a base that has {NAME} 2.15.0 (1 image)")][..]
            ),
        ]
    );
    assert!(!has_owner(None) && !has_owner(whose(None).as_ref()) && has_owner(whose(Some("a")).as_ref()));
}
