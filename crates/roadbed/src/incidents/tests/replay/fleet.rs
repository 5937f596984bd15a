//! The fleet of the replay, with whose it is and what it stands on.

use std::collections::BTreeMap;

use road::{
    application::{Source, Statement},
    base::{BaseImage, Lifecycle, Promise},
};
use time::macros::datetime;

use super::{
    super::{
        fixtures::{
            File, api_and_bridge, core, core_without_lookup, first_log4j, layer, moved, nested, own, pom,
            spring, whiteout,
        },
        kit::{Kit, operator},
    },
    repository,
};

/// All rows that are images here.
pub(super) const ROWS: [&str; 14] = [
    "P1", "P2", "P3", "P4", "O1", "O2", "O3", "O4", "O5", "O6", "O7", "O9", "O10", "O11",
];

/// The layers of the base of Java.
pub(super) fn java_base(version: &str) -> Vec<Vec<u8>> {
    vec![layer(&[own("debian")]), layer(&[core(version)])]
}

/// An image on it.
pub(super) fn on_java(version: &str, row: &str, files: &[File]) -> Vec<Vec<u8>> {
    let mut layers = java_base(version);
    layers.push(layer(&[files, &[own(row)]].concat()));
    layers
}

/// An image on nothing that is known.
pub(super) fn on_own(row: &str, files: &[File]) -> Vec<Vec<u8>> {
    vec![layer(&[files, &[own(row)]].concat())]
}

fn clean_base() -> Vec<Vec<u8>> {
    vec![layer(&[own("static")])]
}

fn layers(row: &str) -> Vec<Vec<u8>> {
    let plain = core("2.14.1");
    match row {
        "P1" | "P4" => on_java("2.14.1", row, &[]),
        "P2" => on_java("2.14.1", row, &[spring("2.13.3")]),
        "P3" => [clean_base(), on_own(row, &[])].concat(),
        "O1" => on_own(row, &[plain]),
        "O2" => on_own(
            row,
            &[moved(
                "app/agent.jar",
                "com/x/shaded/org/apache/logging/",
                "2.14.1",
                "class",
            )],
        ),
        "O3" => on_own(row, &[nested("2.12.1")]),
        "O4" => on_own(
            row,
            &[moved(
                "app/apm.jar",
                "agent/org/apache/logging/",
                "2.12.1",
                "esclazz",
            )],
        ),
        "O5" => on_own(row, &api_and_bridge()),
        "O6" => on_own(row, &[first_log4j()]),
        "O7" => on_own(row, &[core_without_lookup("2.14.1")]),
        "O9" => on_own(row, &[pom()]),
        "O10" => on_own(row, &[core("2.11.1")]),
        "O11" => {
            let above = layer(&[whiteout(&plain.0), own(row)]);
            vec![layer(&[plain]), above]
        }
        other => panic!("{other} is no row"),
    }
}

/// Declares whose everything is and pushes it.
pub(super) async fn push(kit: &Kit) {
    for (name, repository) in [("java", "base/java"), ("static", "base/static")] {
        kit.store
            .set_base(&operator(), &base(name, repository))
            .await
            .unwrap();
    }
    kit.push("base/java", "17.0.1", &java_base("2.14.1")).await;
    kit.push("base/static", "1.0.0", &clean_base()).await;
    let entries: Vec<Statement> = ROWS.iter().map(|row| entry(row)).collect();
    kit.store
        .import_catalog(&operator(), &entries, false)
        .await
        .unwrap();
    let mut bases = Statement::new("bases".parse().unwrap(), Source::Declared, "test");
    bases.repositories = vec!["base/**".parse().unwrap()];
    bases.owner = Some("platform".parse().unwrap());
    kit.store.set_application(&operator(), &bases).await.unwrap();
    kit.settle().await;
    for row in ROWS {
        kit.push(&repository(row), "prod", &layers(row)).await;
    }
    kit.settle().await;
}

/// An application of its own for each row.
fn entry(row: &str) -> Statement {
    let name = row.to_lowercase();
    let mut entry = Statement::new(name.parse().unwrap(), Source::Catalog, "catalog-info.yaml");
    entry.repositories = vec![repository(row).parse().unwrap()];
    entry.owner = Some(format!("team-{name}").parse().unwrap());
    entry.contacts = vec![format!("{name}@shop.example").parse().unwrap()];
    entry.kind = Some(if row == "O10" { "third-party" } else { "service" }.to_owned());
    entry
}

fn base(name: &str, repository: &str) -> BaseImage {
    BaseImage {
        name: name.parse().unwrap(),
        owner: "platform".parse().unwrap(),
        contact: None,
        repository: repository.parse().unwrap(),
        channels: BTreeMap::new(),
        lifecycle: Lifecycle::Supported,
        supported_until: datetime!(2024-01-01 0:00 UTC),
        replaced_by: None,
        rebase: None,
        patch_within: Promise::default(),
        retire_notice: None,
        signer: None,
    }
}
