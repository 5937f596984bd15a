//! Blobs that no image names which may be pulled: knowing a digest is not enough.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::sleep;

use super::{
    images::{Image, Layer, log4j_core},
    judged::{LOOKING, import},
    world::{World, blob, is_final, manifest, until},
};
use crate::{
    feed_server::{Piece, Reply},
    harness::{admin, content::Blob},
};

/// Nobody may bring images without a user, or run what is known to be exploited.
const POLICY: &str = "\
version: 1
rules:
  - {id: user, when: 'image.user == \"\"', decide: refuse, on: push, message: name a user}
  - {id: exploited, when: 'finding.kev', decide: refuse}
";

const APP: &str = "library/app";

fn layer(what: &str) -> Layer {
    Layer::of_files(&[("etc/motd", format!("{what}\n").into_bytes())])
}

async fn is_refused(world: &World, blobs: &[&Blob]) -> Result<()> {
    for part in blobs {
        let path = blob(APP, &part.digest);
        let answer = world.node.get(&path).send().await?;
        ensure!(matches!(answer.status, 403 | 404), "{}", answer.summary());
        ensure!(
            answer.body.len() < part.bytes.len() + 1_000,
            "{}",
            answer.summary()
        );
    }
    Ok(())
}

async fn served(world: &World, part: &Blob) -> Result<()> {
    let answer = world.node.get(blob(APP, &part.digest)).send().await?;
    answer.expect(&[200])?.expect_body(&part.bytes).map(drop)
}

/// Refused as it comes in: its layers are here, and of use to no one.
async fn refused_at_the_push(world: &World) -> Result<()> {
    let (shared, own) = (layer("shared"), layer("own"));
    let root = Image::with_config(&[shared.clone(), own], &json!({ "Cmd": ["/app"] }));
    let good = Image::of("good", &[shared, layer("good")]);
    world.upstream.add(APP, "root", &root.blobs, &root.document);
    world.upstream.add(APP, "good", &good.blobs, &good.document);
    let refused = until(&world.node, &manifest("app", "root"), is_final).await?;
    let message = refused.expect_error(403, "DENIED")?.error_message()?;
    ensure!(message.contains("name a user"), "{message}");
    let all: Vec<&Blob> = root.blobs.iter().collect();
    is_refused(world, &all).await?;
    for part in &root.blobs {
        ensure!(world.upstream.count("GET", &part.digest) == 1, "{}", part.digest);
    }
    // Whoever may look at everything may look at that too.
    let inspector = admin::user(&world.server, "inspector", "hub/**", &["inspect"]).await?;
    inspector
        .get(blob(APP, &root.blobs[1].digest))
        .send()
        .await?
        .expect(&[200])?;

    until(&world.node, &manifest("app", "good"), is_final)
        .await?
        .expect(&[200])?;
    for part in &good.blobs {
        served(world, part).await?;
    }
    is_refused(world, &all[1..]).await
}

/// Decided when it is looked into: what only such images have is refused, and what a good one has too is served.
async fn refused_at_the_pull(world: &World) -> Result<()> {
    let jar = Layer::of_files(&[("app/log4j-core-2.14.1.jar", log4j_core("2.14.1"))]);
    let bad = Image::of("bad", &[layer("shared"), jar]);
    world.upstream.add(APP, "bad", &bad.blobs, &bad.document);
    let refused = until(&world.node, &manifest("app", "bad"), is_final).await?;
    refused.expect_error(403, "DENIED")?;
    served(world, &bad.blobs[0]).await?;
    is_refused(world, &[&bad.blobs[1], &bad.blobs[2]]).await
}

/// Its manifest was never asked for, so nobody looked into it; nor is the upstream asked for the blob.
async fn never_looked_into(world: &World) -> Result<()> {
    let unseen = Image::of("unseen", &[layer("unseen")]);
    world.upstream.add(APP, "unseen", &unseen.blobs, &unseen.document);
    for part in &unseen.blobs {
        let path = blob(APP, &part.digest);
        let answer = world.node.get(&path).send().await?;
        answer.expect_error(404, "BLOB_UNKNOWN")?;
        world.node.head(&path).send().await?.expect(&[404])?;
        ensure!(world.upstream.count("GET", &part.digest) == 0, "{}", part.digest);
    }
    until(&world.node, &manifest("app", "unseen"), is_final)
        .await?
        .expect(&[200])?;
    served(world, unseen.layer()).await
}

/// Perhaps that manifest is the one that names it.
async fn while_a_manifest_comes(world: &World) -> Result<()> {
    let late = Image::of("late", &[layer("late")]);
    let slow = Reply::status(200)
        .header("Content-Type", &late.document.media_type)
        .pieces(vec![
            Piece::Pause(Duration::from_secs(2)),
            Piece::Bytes(late.document.bytes.to_vec()),
        ])
        .announcing(late.document.bytes.len() as u64);
    world.upstream.spoil("app/manifests/late", slow);
    let asked = async {
        while world.upstream.count("GET", "app/manifests/late") == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        world.node.get(blob(APP, &late.layer().digest)).send().await
    };
    let pull = world.node.get(manifest("app", "late"));
    let (answer, _) = tokio::join!(asked, pull.send());
    answer?
        .expect_error(503, "UNAVAILABLE")?
        .require("retry-after")
        .map(drop)
}

async fn unnamed() -> Result<()> {
    let world = World::start_with("", &LOOKING).await?;
    import(&world)?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), POLICY)?;
    let set = world.roadbed(&["policy", "set", &file.path().to_string_lossy()])?;
    ensure!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    refused_at_the_push(&world).await?;
    refused_at_the_pull(&world).await?;
    never_looked_into(&world).await?;
    while_a_manifest_comes(&world).await
}

#[tokio::test]
async fn a_blob_is_served_by_an_image_that_may_be_pulled() {
    unnamed().await.unwrap();
}
