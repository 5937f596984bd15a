//! What a pull meets while nobody has decided.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{
    images::{Image, Layer},
    world::{World, kill, manifest_path},
};
use crate::harness::{admin, push::blob_path};

const REPOSITORY: &str = super::world::REPOSITORY;

/// Where nothing is ever decided: the rules went away after the start, and so did the process that had read them.
async fn world_without_children(options: &[(&str, &str)]) -> Result<World> {
    let rules = tempfile::NamedTempFile::with_suffix(".toml")?;
    let named = rules.path().to_string_lossy().into_owned();
    let mut all = vec![("ROADBED_SCAN__SECRET_RULES", named.as_str())];
    all.extend(options);
    let world = World::start(&all).await?;
    let nursery = world.nursery().await?;
    rules.close()?;
    kill(nursery);
    Ok(world)
}

#[tokio::test]
async fn an_undecided_pull_waits_for_so_long_and_is_told_to_come_again() -> Result<()> {
    let world = world_without_children(&[("ROADBED_GATE__FIRST_WAIT", "1s")]).await?;
    let image = Image::with_log4j("2.17.1");
    world.push("app", &image).await?;
    for path in [manifest_path("app"), blob_path(REPOSITORY, &image.layer().digest)] {
        let begun = Instant::now();
        let answer = world.reader.get(&path).send().await?;
        let answer = answer.expect_error(503, "UNAVAILABLE")?;
        let waited = begun.elapsed();
        ensure!(waited >= Duration::from_secs(1), "{path}: waited only {waited:?}");
        ensure!(waited < Duration::from_secs(8), "{path}: waited {waited:?}");
        ensure!(answer.require("retry-after")?.parse::<u64>()? >= 1);
        let begun = Instant::now();
        let asked = world.reader.head(&path).send().await?.expect(&[200])?;
        ensure!(asked.require("warning")?.starts_with("299 - \""));
        ensure!(begun.elapsed() < Duration::from_millis(900), "HEAD waited");
    }
    // Who may inspect is not held.
    let inspector = admin::user(&world.server, "inspector", "team/*", &["inspect"]).await?;
    inspector.get(manifest_path("app")).send().await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn those_who_wait_are_bounded() -> Result<()> {
    let options = [("ROADBED_GATE__FIRST_WAIT", "4s"), ("ROADBED_GATE__WAITERS", "2")];
    let world = world_without_children(&options).await?;
    world.push("app", &Image::with_log4j("2.17.1")).await?;
    // The token is fetched before the clock runs.
    world
        .reader
        .head(manifest_path("app"))
        .send()
        .await?
        .expect(&[200])?;
    let mut pulls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let reader = world.reader.clone();
        pulls.spawn(async move {
            let begun = Instant::now();
            let answer = reader.get(manifest_path("app")).send().await?;
            answer.expect_error(503, "UNAVAILABLE")?;
            anyhow::Ok(begun.elapsed())
        });
    }
    let mut waited = Vec::new();
    while let Some(pull) = pulls.join_next().await {
        waited.push(pull??);
    }
    let long = waited
        .iter()
        .filter(|waited| **waited >= Duration::from_secs(4))
        .count();
    ensure!(long == 2, "two may wait: {waited:?}");
    Ok(())
}

/// What was decided before is answered while the only child is busy with something else.
#[tokio::test]
async fn what_is_known_never_waits() -> Result<()> {
    let world = World::start(&[("ROADBED_GATE__FIRST_WAIT", "10s")]).await?;
    let known = Image::with_log4j("2.17.1");
    world.push("known", &known).await?;
    world.decided("known").await?.expect(&[200])?;
    let slow = Layer::of_tar(&super::bombs::slow_tar());
    world.push("slow", &Image::of("slow", &[slow])).await?;
    for _ in 0..10 {
        let begun = Instant::now();
        world.pull("known").await?.expect(&[200])?;
        ensure!(begun.elapsed() < Duration::from_secs(2), "a known image waited");
    }
    Ok(())
}
