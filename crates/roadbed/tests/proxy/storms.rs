//! Many at once, and what goes wrong on the way.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use super::world::{World, blob, is_final, manifest, until};
use crate::harness::{
    admin::USER_PASSWORD,
    client::Client,
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, LAYER},
    raw,
};

/// Nodes that pull at once.
const NODES: usize = 200;

/// An image of these layers.
fn image(seed: &str, layers: usize, bytes: usize) -> (Vec<Blob>, Document) {
    let config = Blob::new(Algorithm::Sha256, format!(r#"{{"seed":"{seed}"}}"#));
    let mut blobs: Vec<Blob> = (0..layers)
        .map(|layer| Blob::noise(Algorithm::Sha256, &format!("{seed} {layer}"), bytes))
        .collect();
    let described = blobs.iter().map(|blob| blob.descriptor(LAYER)).collect();
    let document = Draft::image(config.descriptor(CONFIG), described).finish();
    blobs.push(config);
    (blobs, document)
}

/// One node pulls all of it. What is told to come again does.
async fn pull(node: Client, name: String, blobs: Arc<Vec<Blob>>) -> Result<()> {
    until(&node, &manifest(&name, "1"), is_final)
        .await?
        .expect(&[200])?;
    for part in blobs.iter() {
        let answer = until(&node, &blob(&name, &part.digest), is_final).await?;
        answer.expect(&[200])?.expect_body(&part.bytes)?;
    }
    Ok(())
}

async fn storm() -> Result<()> {
    let world = World::start("").await?;
    let (blobs, document) = image("storm", 8, 200_000);
    world.upstream.add("library/storm", "1", &blobs, &document);
    world.upstream.pause(Duration::from_millis(200));
    let blobs = Arc::new(blobs);
    // One of them has logged in.
    world
        .node
        .get(manifest("library/storm", "0"))
        .send()
        .await?
        .expect(&[404])?;
    let mut nodes = JoinSet::new();
    for _ in 0..NODES {
        nodes.spawn(pull(
            world.node.clone(),
            "library/storm".into(),
            Arc::clone(&blobs),
        ));
    }
    while let Some(pulled) = nodes.join_next().await {
        pulled.context("a node was lost")??;
    }
    for part in blobs.iter() {
        let asked = world.upstream.count("GET", &part.digest);
        ensure!(asked == 1, "{asked} questions for {}", part.digest);
    }
    let asked = world.upstream.count("GET", "/manifests/1");
    ensure!(asked == 1, "{asked} questions for the manifest");
    Ok(())
}

/// Many more than may ask the database at the same time want what nobody has asked for yet.
async fn cold_with_few_places() -> Result<()> {
    let few = [
        ("ROADBED_SCAN__ENABLED", "false"),
        ("ROADBED_REGISTRY__CONCURRENT_LOOKUPS", "4"),
        ("ROADBED_TRAFFIC__DATABASE_LEAST", "1"),
    ];
    let world = World::start_with("", &few).await?;
    let (blobs, document) = image("cold", 1, 1_000);
    world.upstream.add("library/cold", "1", &blobs, &document);
    // One of them has logged in.
    world
        .node
        .get(manifest("library/cold", "0"))
        .send()
        .await?
        .expect(&[404])?;
    let mut nodes = JoinSet::new();
    for _ in 0..NODES {
        let node = world.node.clone();
        nodes.spawn(async move { node.get(manifest("library/cold", "1")).send().await });
    }
    while let Some(pulled) = nodes.join_next().await {
        pulled.context("a node was lost")??.expect(&[200])?;
    }
    let asked = world.upstream.count("GET", "/manifests/1");
    ensure!(asked == 1, "{asked} questions for the manifest");
    Ok(())
}

async fn a_client_that_goes_away() -> Result<()> {
    let world = World::start("").await?;
    let (blobs, document) = image("gone", 1, 2_000_000);
    world.upstream.add("library/gone", "1", &blobs, &document);
    world.upstream.pause(Duration::from_secs(1));
    let layer = &blobs[0];
    let path = blob("library/gone", &layer.digest);
    let admin = crate::harness::login::basic_header("node", USER_PASSWORD);
    let mut first = raw::Connection::open(world.server.address()).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {admin}\r\n\r\n");
    first.send(request).await?;
    let second = tokio::spawn(pull(
        world.node.clone(),
        "library/gone".into(),
        Arc::new(blobs.clone()),
    ));
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.reset()?;
    second.await??;
    let asked = world.upstream.count("GET", &layer.digest);
    ensure!(asked == 1, "{asked} questions");
    Ok(())
}

async fn wrong_bytes() -> Result<()> {
    let world = World::start("").await?;
    let (mut blobs, document) = image("wrong", 1, 500_000);
    let layer = blobs[0].clone();
    blobs[0].bytes = Blob::noise(Algorithm::Sha256, "something else", 500_000).bytes;
    world.upstream.add("library/wrong", "1", &blobs, &document);
    world
        .node
        .get(manifest("wrong", "1"))
        .send()
        .await?
        .expect(&[200])?;
    for _ in 0..2 {
        let path = blob("library/wrong", &layer.digest);
        match world.node.get(&path).send().await {
            // The body broke off.
            Err(_) => {}
            Ok(answer) => ensure!(answer.status >= 500, "{}", answer.summary()),
        }
    }
    let list = world.node.get("/v2/hub/library/wrong/tags/list").send().await?;
    let has_none = list.status == 404 || list.json()?["tags"] == serde_json::json!([]);
    ensure!(has_none, "{}", list.summary());
    Ok(())
}

async fn cut_and_gone_on_with() -> Result<()> {
    let world = World::start("").await?;
    let (blobs, document) = image("cut", 1, 500_000);
    world.upstream.add("library/cut", "1", &blobs, &document);
    world.upstream.cut(&[100_000, 50_000]);
    let layer = blobs[0].clone();
    let answer = until(&world.node, &blob("library/cut", &layer.digest), is_final).await?;
    answer.expect(&[200])?.expect_body(&layer.bytes)?;
    let asked = world.upstream.count("GET", &layer.digest);
    ensure!(asked == 3, "{asked} questions");
    world.upstream.cut(&[1_000; 50]);
    let (blobs, document) = image("cut for good", 1, 500_000);
    world.upstream.add("library/cut", "2", &blobs, &document);
    let path = blob("library/cut", &blobs[0].digest);
    match world.node.get(&path).send().await {
        Err(_) => Ok(()),
        Ok(answer) => {
            ensure!(answer.status >= 500, "{}", answer.summary());
            Ok(())
        }
    }
}

#[tokio::test]
async fn a_storm_makes_one_request_for_each_blob() {
    storm().await.unwrap();
}

#[tokio::test]
async fn a_cold_pull_takes_one_place_at_the_database() {
    cold_with_few_places().await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_stops_nobody() {
    a_client_that_goes_away().await.unwrap();
}

#[tokio::test]
async fn a_wrong_digest_is_never_a_whole_answer() {
    wrong_bytes().await.unwrap();
}

#[tokio::test]
async fn what_is_cut_is_gone_on_with_for_a_while() {
    cut_and_gone_on_with().await.unwrap();
}
