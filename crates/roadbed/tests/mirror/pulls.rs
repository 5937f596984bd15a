//! What nodes meet while the centre is there, gone and back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::world::{DOCKER, Image, World, is_stale, until, until_held};
use crate::harness::client::Client;

/// A tag is asked for anew with each pull.
const ALWAYS: [(&str, &str); 1] = [("ROADBED_MIRROR__FRESH", "0s")];

/// What is not held is told soon.
const SOON: Duration = Duration::from_secs(5);

const TOOL: &str = "library/tool";

async fn through(world: &World, tool: &Image, own: &Image) -> Result<()> {
    let node = world.mirror.node();
    tool.pull(&node, TOOL, "1", DOCKER).await?;
    own.pull(&node, "team/app", "1", "").await?;
    let own_host = format!("?ns={}", world.centre.address());
    own.pull(&node, "team/app", "1", &own_host).await?;
    tool.pull(&node, TOOL, &tool.document.digest, DOCKER).await?;
    let answer = tool.pull_manifest(&node, TOOL, "1", DOCKER).await?;
    answer
        .expect_header("oci-namespace", "docker.io")?
        .expect_no_header("warning")?;
    let tags = node
        .get(format!("/v2/{TOOL}/tags/list{DOCKER}"))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(tags.json()?["tags"][0] == "1", "{}", tags.summary());
    until_held(&world.mirror, 2).await
}

async fn held(node: &Client, tool: &Image, own: &Image) -> Result<()> {
    let begun = Instant::now();
    for _ in 0..5 {
        tool.pull(node, TOOL, &tool.document.digest, DOCKER).await?;
        let by_tag = tool.pull_manifest(node, TOOL, "1", DOCKER).await?;
        ensure!(is_stale(&by_tag), "{:?}", by_tag.headers);
        own.pull(node, "team/app", "1", "").await?;
    }
    let by_digest = tool
        .pull_manifest(node, TOOL, &tool.document.digest, DOCKER)
        .await?;
    by_digest.expect_no_header("warning")?;
    // The first question may have waited for a second.
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let tags = node
        .get(format!("/v2/{TOOL}/tags/list{DOCKER}"))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(is_stale(&tags), "{:?}", tags.headers);
    let begun = Instant::now();
    for path in [
        format!("/v2/{TOOL}/manifests/unknown{DOCKER}"),
        "/v2/team/unknown/manifests/1".to_owned(),
        format!("/v2/team/app/blobs/sha256:{}", "0".repeat(64)),
    ] {
        let unknown = node.get(&path).send().await?.expect_error(503, "UNAVAILABLE")?;
        unknown.require("retry-after")?;
        let told = unknown.error_message()?;
        ensure!(
            told.contains("127.0.0.1") && told.contains("cannot be reached"),
            "{told}"
        );
    }
    ensure!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    Ok(())
}

async fn gone_and_back() -> Result<()> {
    let mut world = World::start(&ALWAYS).await?;
    let (tool, own) = (Image::of("tool", 300_000), Image::of("own", 200_000));
    tool.push(&world.centre, &format!("docker.io/{TOOL}"), "1")
        .await?;
    own.push(&world.centre, "team/app", "1").await?;
    through(&world, &tool, &own).await?;
    world.centre.kill();
    held(&world.mirror.node(), &tool, &own).await?;
    world.mirror.until_says("alone").await?;
    world.mirror.restart().await;
    held(&world.mirror.node(), &tool, &own).await?;
    world.centre.start_again().await;
    world.mirror.until_says("ready").await?;
    let node = world.mirror.node();
    let newer = Image::of("newer", 100_000);
    newer
        .push(&world.centre, &format!("docker.io/{TOOL}"), "1")
        .await?;
    let is_newer = |answer: &crate::harness::answer::Answer| {
        answer.header("docker-content-digest") == Some(&newer.document.digest)
    };
    until(&node, &format!("/v2/{TOOL}/manifests/1{DOCKER}"), is_newer).await?;
    let metric = world.mirror.metric("mirror_centre_reached").await?;
    ensure!(metric == 1, "it answers again");
    Ok(())
}

async fn only_pulls() -> Result<()> {
    let world = World::start(&[]).await?;
    let node = world.mirror.node();
    let host = world.centre.address().to_string();
    for (method, path) in [
        ("POST", "/v2/team/app/blobs/uploads/"),
        ("PUT", "/v2/team/app/manifests/1"),
        ("DELETE", "/v2/team/app/manifests/1"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/token"),
    ] {
        let answer = node.request(method, path).send().await?;
        let answer = answer.expect_error(405, "UNSUPPORTED")?;
        ensure!(answer.error_message()?.contains(&host), "{}", answer.summary());
    }
    let mirror = world.mirror.address();
    for namespace in ["ghcr.io", &mirror.to_string(), "docker.io/../x", "%2e%2e"] {
        let path = format!("/v2/team/app/manifests/1?ns={namespace}");
        node.get(&path).send().await?.expect_error(404, "NAME_UNKNOWN")?;
    }
    node.get("/v2/").send().await?.expect(&[200])?;
    let missing = node.get("/v2/team/app/manifests/1").send().await?;
    missing.expect_error(404, "MANIFEST_UNKNOWN")?;
    node.get("/v2/team/../app/manifests/1")
        .send()
        .await?
        .expect(&[400, 404])?;
    Ok(())
}

/// Memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.unwrap_or(u64::MAX)
}

async fn light() -> Result<()> {
    let world = World::start(&[]).await?;
    let image = Image::of("large", 8 << 20);
    image.push(&world.centre, "team/app", "1").await?;
    image.pull(&world.mirror.node(), "team/app", "1", "").await?;
    let process = world.mirror.process_id();
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    ensure!(children.trim().is_empty(), "it has children: {children}");
    let kib = memory(process);
    ensure!(kib < 120 << 10, "{kib} KiB");
    Ok(())
}

#[tokio::test]
async fn what_was_pulled_once_outlives_the_registry() {
    gone_and_back().await.unwrap();
}

#[tokio::test]
async fn nothing_but_pulls_of_what_is_mirrored_is_answered() {
    only_pulls().await.unwrap();
}

#[tokio::test]
async fn it_is_one_small_process() {
    light().await.unwrap();
}
