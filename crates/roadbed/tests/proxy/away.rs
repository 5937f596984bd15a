//! An upstream that has gone, and what is held.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::world::{World, blob, is_final, manifest, until, until_stored};
use crate::{
    feed_server::Reply,
    harness::{answer::Answer, client::Client, manifest::small_image},
};

/// A tag is asked for anew with each pull.
const ALWAYS: &str = "fresh = \"0s\"\n";

fn is_stale(answer: &Answer) -> bool {
    answer
        .header("warning")
        .is_some_and(|text| text.contains("stale"))
}

async fn held(client: &Client, blobs: &[crate::harness::content::Blob]) -> Result<()> {
    let begun = Instant::now();
    for _ in 0..20 {
        let answer = client.get(manifest("app", "1")).send().await?.expect(&[200])?;
        ensure!(is_stale(&answer), "{:?}", answer.headers);
    }
    for part in blobs {
        client
            .get(blob("library/app", &part.digest))
            .send()
            .await?
            .expect(&[200])?;
    }
    // The first may have waited for a second.
    ensure!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let unknown = client.get(manifest("other", "1")).send().await?;
    unknown
        .expect(&[503])?
        .require("retry-after")
        .context("when to come again")
        .map(drop)
}

async fn gone() -> Result<()> {
    let world = World::start(ALWAYS).await?;
    let (blobs, document) = small_image("away");
    world.upstream.add("library/app", "1", &blobs, &document);
    let first = until(&world.node, &manifest("app", "1"), is_final)
        .await?
        .expect(&[200])?;
    ensure!(!is_stale(&first), "{:?}", first.headers);
    until_stored(&world.node, "library/app", "1").await?;
    let (mut server, node, _configuration) = world.without_upstream();
    held(&node, &blobs).await?;
    server.kill();
    server.start_again().await;
    let node = server.client(crate::harness::login::Login::token(
        "node",
        crate::harness::admin::USER_PASSWORD,
    ));
    held(&node, &blobs).await.context("after a start")
}

async fn tired_or_without_the_tag() -> Result<()> {
    let world = World::start(ALWAYS).await?;
    let (blobs, document) = small_image("tired");
    world.upstream.add("library/app", "1", &blobs, &document);
    until(&world.node, &manifest("app", "1"), is_final)
        .await?
        .expect(&[200])?;
    until_stored(&world.node, "library/app", "1").await?;
    world.upstream.remove("library/app", "1");
    let answer = world
        .node
        .get(manifest("app", "1"))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(is_stale(&answer), "{:?}", answer.headers);
    for status in [429, 500, 503] {
        world
            .upstream
            .spoil("library/app/manifests", Reply::status(status));
        let answer = world
            .node
            .get(manifest("app", "1"))
            .send()
            .await?
            .expect(&[200])?;
        ensure!(is_stale(&answer), "{status}: {:?}", answer.headers);
    }
    Ok(())
}

async fn dropped() -> Result<()> {
    let world = World::start("fresh = \"0s\"\ngone = \"drop\"\n").await?;
    let (blobs, document) = small_image("dropped");
    world.upstream.add("library/app", "1", &blobs, &document);
    until(&world.node, &manifest("app", "1"), is_final)
        .await?
        .expect(&[200])?;
    until_stored(&world.node, "library/app", "1").await?;
    world.upstream.remove("library/app", "1");
    world
        .node
        .get(manifest("app", "1"))
        .send()
        .await?
        .expect(&[404])?;
    let by_digest = world.node.get(manifest("app", &document.digest)).send().await?;
    by_digest.expect(&[200])?;
    let tags = world.node.tags("hub/library/app").await?;
    ensure!(tags.is_empty(), "{tags:?}");
    Ok(())
}

/// One repository of the upstream fails, one blob of another leads to a host that is gone.
async fn one_that_fails() -> Result<()> {
    let world = World::start(ALWAYS).await?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let nobody = format!("http://{}/blob", listener.local_addr()?);
    drop(listener);
    let (lost, _) = small_image("lost");
    let lost = blob("library/lost", &lost[0].digest);
    let (blobs, document) = small_image("good");
    world.upstream.add("library/good", "1", &blobs, &document);
    world.upstream.spoil("library/bad/manifests", Reply::status(503));
    world
        .upstream
        .spoil("library/lost/blobs", Reply::redirect(&nobody));
    for path in [manifest("bad", "1"), lost] {
        for _ in 0..2 {
            let answer = world.node.get(&path).send().await?;
            answer.expect(&[503])?.require("retry-after")?;
        }
        world
            .node
            .get(manifest("good", "1"))
            .send()
            .await?
            .expect(&[200])
            .context("others go on")?;
    }
    for part in &blobs {
        let answer = world.node.get(blob("library/good", &part.digest)).send().await?;
        answer.expect(&[200])?.expect_body(&part.bytes)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_fails_at_an_upstream_keeps_nobody_from_what_does_not() {
    one_that_fails().await.unwrap();
}

#[tokio::test]
async fn what_is_held_is_served_when_the_upstream_has_gone() {
    gone().await.unwrap();
}

#[tokio::test]
async fn what_is_held_is_served_when_the_upstream_says_no() {
    tired_or_without_the_tag().await.unwrap();
}

#[tokio::test]
async fn a_tag_goes_with_that_of_the_upstream_where_a_rule_says_so() {
    dropped().await.unwrap();
}
