//! Whose an image is and what it stands on, from the push of a base to a lie about it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::images::{Image, Layer, log4j_core};
use super::world::{World, facts, until_said};

/// How long it may take until what was pushed counts.
const PATIENCE: Duration = Duration::from_mins(1);

/// A layer of one file.
fn layer(path: &str, bytes: &[u8]) -> Layer {
    Layer::of_files(&[(path, bytes.to_vec())])
}

fn labelled(layers: &[Layer], labels: &Value) -> Image {
    Image::with_config(
        layers,
        &json!({ "Cmd": ["/app"], "User": "1000", "Labels": labels }),
    )
}

async fn push(world: &World, repository: &str, tag: &str, image: &Image) -> Result<()> {
    let (blobs, document) = (&image.blobs, &image.document);
    world.admin.push_image(repository, tag, blobs, document).await
}

#[tokio::test]
async fn an_image_on_a_base_has_an_owner_a_base_and_a_cohort() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let jar = log4j_core("2.14.1");
    let os = layer("usr/lib/os", b"17.0.9");
    let lib = Layer::of_files(&[("opt/jre/log4j-core.jar", jar.clone())]);
    let base = labelled(&[os.clone(), lib.clone()], &json!({}));
    push(&world, "base/java17", "17.0.9", &base).await?;
    let own = Layer::of_files(&[("app/log4j-core.jar", jar)]);
    let app = labelled(
        &[os, lib, own.clone()],
        &json!({ "roadbed.dev/owner": "team-by-label" }),
    );
    push(&world, "team/app", "v1", &app).await?;
    let lineage = ["lineage", "team/app:v1"];
    // Nothing is declared: the label says whose it is, and it stands on nothing that is approved.
    let said = until_said(&world, &lineage, "group:team-by-label (annotation)").await?;
    ensure!(said.contains("own road: it stands on no approved base"), "{said}");
    world.roadbed(&[
        "base",
        "set",
        "java17",
        "--owner",
        "platform-java",
        "--repository",
        "base/java17",
        "--supported-until",
        "2099-09-30",
        "--patch-within",
        "critical=24h,high=7d",
    ])?;
    world.roadbed(&[
        "app",
        "set",
        "shop",
        "--owner",
        "team-shop",
        "--repository",
        "team/**",
        "--tier",
        "1",
    ])?;
    let said = until_said(&world, &lineage, "stands on    java17 17.0.9 (2 layers)").await?;
    for text in ["shop of group:team-shop (declared)", "paved: java17 is current"] {
        ensure!(said.contains(text), "{text}: {said}");
    }
    ensure!(
        said.contains("from the base: 1 critical") && said.contains("yours: 1 critical"),
        "{said}"
    );
    let decision = world.roadbed(&["decision", "team/app:v1"])?;
    ensure!(
        decision.contains("team-shop") && decision.contains("java17 17.0.9"),
        "{decision}"
    );
    let bases = world.roadbed(&["base", "show", "java17"])?;
    ensure!(bases.contains("17.0.9") && bases.contains("current"), "{bases}");

    check_report(&world)?;
    check_affected(&world).await?;
    check_lies(&world, &base, &own).await?;
    // A newer release takes its place.
    let newer = labelled(&[layer("usr/lib/os", b"17.0.10")], &json!({}));
    push(&world, "base/java17", "17.0.10", &newer).await?;
    let said = until_said(&world, &lineage, "superseded on").await?;
    ensure!(said.contains("a newer java17 is there"), "{said}");
    Ok(())
}

/// The report of the image says what is from the base, for people and for programs.
fn check_report(world: &World) -> Result<()> {
    let scan = |form: &str| world.roadbed(&["scan", "team/app:v1", "--format", form]);
    let table = scan("table")?;
    let line =
        "On java17 17.0.9 of group:platform-java (2 layers): from the base: 1 critical; yours: 1 critical";
    let unwrapped = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [line, "Layer 1 of java17", "Layer 2, yours"] {
        ensure!(unwrapped.contains(wanted), "{wanted}: {table}");
    }
    let document: Value = serde_json::from_str(&scan("json")?)?;
    let origins: Vec<_> = document["layers"].as_array().into_iter().flatten().collect();
    let origins: Vec<_> = origins.iter().map(|layer| layer["origin"].as_str()).collect();
    ensure!(
        origins == [Some("base"), Some("base"), Some("own")],
        "{document:#}"
    );
    ensure!(
        document["summary"]["origins"]["own"]["critical"] == 1,
        "{document:#}"
    );
    Ok(())
}

/// Who is affected is grouped by owner, and each place says whose layer it lies in.
async fn check_affected(world: &World) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said: Value =
            serde_json::from_str(&world.roadbed(&["affected", "log4j-core", "--output", "json"])?)?;
        let mut items = said["items"].as_array().into_iter().flatten();
        let app = items.rfind(|item| item["repository"] == "team/app");
        let places = app.and_then(|app| app["places"].as_array()).into_iter().flatten();
        let origins: BTreeSet<&str> = places.filter_map(|place| place["origin"].as_str()).collect();
        let owners = said["owners"].as_array().into_iter().flatten();
        let is_owned = owners
            .filter(|owner| owner["owner"] == "group:team-shop" && owner["application"] == "shop")
            .count();
        if origins == BTreeSet::from(["base", "own"]) && is_owned == 1 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{said:#}");
        sleep(Duration::from_millis(300)).await;
    }
}

/// An image that says that it is built on the base, and is not.
async fn check_lies(world: &World, base: &Image, own: &Layer) -> Result<()> {
    let config = json!({ "Cmd": ["/app"], "User": "1000" });
    let words = [("base.digest", base.document.digest.as_str())];
    let liar = Image::with_words(std::slice::from_ref(own), &config, &words);
    push(world, "team/liar", "v1", &liar).await?;
    let said = until_said(
        world,
        &["lineage", "team/liar:v1"],
        "FALSE: it says that it is built on java17",
    )
    .await?;
    ensure!(said.contains("own road"), "{said}");
    Ok(())
}
