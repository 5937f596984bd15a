//! Images that are looked into as they come in.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use super::{
    images::Image,
    judging::facts,
    world::{World, is_final, manifest, until},
};
use crate::harness::answer::Answer;

/// What decides soon and holds briefly.
pub(super) const LOOKING: [(&str, &str); 2] =
    [("ROADBED_SCAN__WORKERS", "1"), ("ROADBED_GATE__FIRST_WAIT", "1s")];

const STREAMED: &str = "[[proxy.upstreams.rules]]\npattern = \"library/now*\"\nundecided = \"stream\"\n";

/// Imports what is known of `Log4Shell`.
pub(super) fn import(world: &World) -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (name, document) in facts() {
        fs::write(directory.path().join(name), document.to_string())?;
    }
    let directory = directory.path().to_string_lossy();
    let output = world.roadbed(&["advisories", "import", &directory])?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn says(answer: &Answer, what: &str) -> bool {
    answer.header("warning").is_some_and(|text| text.contains(what))
}

async fn held_then_judged(world: &World) -> Result<()> {
    let (bad, good) = (Image::with_log4j("2.14.1"), Image::with_log4j("2.17.1"));
    world.upstream.add("library/bad", "1", &bad.blobs, &bad.document);
    world
        .upstream
        .add("library/good", "1", &good.blobs, &good.document);
    let refused = until(&world.node, &manifest("bad", "1"), is_final).await?;
    ensure!(
        refused.error_message()?.contains("CVE-2021-44228"),
        "{}",
        refused.summary()
    );
    refused.expect_error(403, "DENIED")?;
    until(&world.node, &manifest("good", "1"), is_final)
        .await?
        .expect(&[200])?;
    for image in [&bad, &good] {
        for part in &image.blobs {
            ensure!(world.upstream.count("GET", &part.digest) == 1, "{}", part.digest);
        }
    }
    Ok(())
}

async fn streamed_while_undecided(world: &World) -> Result<()> {
    // So slowly that nothing can be decided before somebody asks.
    world.upstream.pause(Duration::from_secs(4));
    let (held, streamed) = (Image::with_log4j("2.17.2"), Image::with_log4j("2.17.3"));
    world
        .upstream
        .add("library/held", "1", &held.blobs, &held.document);
    world
        .upstream
        .add("library/now", "1", &streamed.blobs, &streamed.document);
    let first = world.node.get(manifest("held", "1")).send().await?;
    first.expect(&[503])?.require("retry-after").map(drop)?;
    let now = world
        .node
        .get(manifest("now", "1"))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(says(&now, "looked into"), "{:?}", now.headers);
    now.expect_body(&streamed.document.bytes)?;
    let layer = streamed.layer();
    let path = super::world::blob("library/now", &layer.digest);
    world
        .node
        .get(path)
        .send()
        .await?
        .expect(&[200])?
        .expect_body(&layer.bytes)?;
    let path = super::world::blob("library/held", &held.layer().digest);
    let waits = world.node.get(path).send().await?;
    ensure!(matches!(waits.status, 200 | 503), "{}", waits.summary());
    until(&world.node, &manifest("held", "1"), is_final)
        .await?
        .expect(&[200])?;
    Ok(())
}

async fn judged() -> Result<()> {
    let world = World::start_with(STREAMED, &LOOKING).await?;
    import(&world)?;
    held_then_judged(&world).await?;
    streamed_while_undecided(&world).await
}

#[tokio::test]
async fn what_comes_in_is_judged_like_a_push() {
    judged().await.unwrap();
}
