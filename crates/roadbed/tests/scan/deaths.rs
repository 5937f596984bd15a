//! Children and servers that are ended while they are at work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::{
    images::{Image, Layer},
    world::{PATIENCE, World, is_alive, kill},
};

/// What takes a debug build some seconds to look into.
fn slow(seed: &str) -> Image {
    Image::of(seed, &[Layer::of_tar(&super::bombs::slow_tar())])
}

/// Waits for a child that was given a blob.
async fn child_at_work(world: &World) -> Result<u32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for child in world.children() {
            if holds_blob(child) {
                return Ok(child);
            }
        }
        ensure!(Instant::now() < deadline, "no child holds a blob");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process has a file of a data directory open.
fn holds_blob(process: u32) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .any(|target| target.to_string_lossy().contains("/data/"))
}

#[tokio::test]
async fn a_blob_whose_child_was_killed_is_tried_again() -> Result<()> {
    let world = World::start(&[]).await?;
    world.push("slow", &slow("killed")).await?;
    kill(child_at_work(&world).await?);
    let answer = world.decided("slow").await?.expect(&[200])?;
    let warning = answer.header("warning").unwrap_or_default();
    ensure!(!warning.contains("not-scannable"), "{warning}");
    ensure!(world.server.log().contains("could not be looked into"));
    Ok(())
}

/// Whoever kills a child that waits has not shown anything about the next blob.
#[tokio::test]
async fn a_child_that_died_while_it_waited_costs_no_try() -> Result<()> {
    let world = World::start(&[("ROADBED_SCAN__ATTEMPTS", "1")]).await?;
    world.push("first", &Image::with_log4j("2.17.1")).await?;
    world.decided("first").await?.expect(&[200])?;
    let waiting = world.busy_child(&[]).await?;
    kill(waiting);
    world.push("second", &Image::with_log4j("2.17.0")).await?;
    let answer = world.decided("second").await?.expect(&[200])?;
    let warning = answer.header("warning").unwrap_or_default();
    ensure!(!warning.contains("not-scannable"), "{warning}");
    Ok(())
}

/// What children are made of can die as well: those at work go on, and there is another one for the next blob.
#[tokio::test]
async fn a_nursery_that_was_killed_is_replaced() -> Result<()> {
    let world = World::start(&[("ROADBED_SCAN__ATTEMPTS", "1")]).await?;
    world.push("slow", &slow("orphaned")).await?;
    child_at_work(&world).await?;
    let nursery = world.nursery().await?;
    kill(nursery);
    world.push("next", &Image::with_log4j("2.17.1")).await?;
    for tag in ["slow", "next"] {
        let answer = world.decided(tag).await?.expect(&[200])?;
        let warning = answer.header("warning").unwrap_or_default();
        ensure!(!warning.contains("not-scannable"), "{tag}: {warning}");
    }
    ensure!(!world.nurseries().contains(&nursery), "it was not waited for");
    Ok(())
}

#[tokio::test]
async fn a_blob_that_no_child_survives_is_not_scannable_and_the_next_one_is_looked_into() -> Result<()> {
    let world = World::start(&[("ROADBED_SCAN__BLOB_TIME", "1s")]).await?;
    world.push("endless", &slow("endless")).await?;
    let deadline = Instant::now() + Duration::from_mins(2);
    let answer = loop {
        let answer = world.pull("endless").await?;
        if answer.status != 503 {
            break answer;
        }
        ensure!(Instant::now() < deadline, "never decided");
        world.server.admin().get("/v2/").send().await?;
    };
    let answer = answer.expect(&[200])?;
    let warning = answer.require("warning")?;
    ensure!(warning.contains("not-scannable"), "{warning}");
    let log = world.server.log();
    ensure!(log.contains("layer.time"), "the limit is not told");
    for attempt in 1..=3 {
        ensure!(
            log.contains(&format!("attempt={attempt}")),
            "no attempt {attempt}"
        );
    }
    ensure!(!log.contains("attempt=4"), "it was tried a fourth time");
    world.push("next", &Image::with_log4j("2.17.1")).await?;
    world.decided("next").await?.expect(&[200])?;
    ensure!(
        world.children().iter().all(|&child| is_alive(child)),
        "a child was not waited for"
    );
    Ok(())
}

/// A server that is told to stop does not wait for what it looks into; the next start does it again, and at once.
#[tokio::test]
async fn stopping_does_not_wait_for_children() -> Result<()> {
    let mut world = World::start(&[]).await?;
    world.push("slow", &slow("stopped")).await?;
    let child = child_at_work(&world).await?;
    let begun = Instant::now();
    ensure!(world.server.terminate().await.success());
    ensure!(
        begun.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        begun.elapsed()
    );
    ensure!(!is_alive(child), "the child goes on");
    world.server.start_again().await;
    world.log_in_again();
    let begun = Instant::now();
    child_at_work(&world).await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(20),
        "a lease of the dead was waited for"
    );
    world.decided("slow").await?.expect(&[200])?;
    Ok(())
}

/// The children of a server that is gone are nobody's: they must end by themselves.
#[tokio::test]
async fn children_end_with_their_server() -> Result<()> {
    let mut world = World::start(&[]).await?;
    world.push("first", &Image::with_log4j("2.17.1")).await?;
    world.decided("first").await?;
    world.push("slow", &slow("orphan")).await?;
    child_at_work(&world).await?;
    let mut children = world.children();
    children.extend(world.nurseries());
    world.server.kill();
    let deadline = Instant::now() + Duration::from_secs(2);
    while let Some(child) = children.iter().find(|&&child| is_alive(child)) {
        ensure!(
            Instant::now() < deadline,
            "child {child} goes on without a server"
        );
        sleep(Duration::from_millis(20)).await;
    }
    world.server.start_again().await;
    world.log_in_again();
    let begun = Instant::now();
    child_at_work(&world).await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(20),
        "a lease of the dead was waited for"
    );
    Ok(())
}

/// While clamd is waited for, a blob has more time than its own: not to compute in.
#[tokio::test]
async fn a_blob_that_takes_too_much_processor_time_is_not_scannable_and_says_so() -> Result<()> {
    let options = [
        ("ROADBED_SCAN__BLOB_TIME", "1s"),
        ("ROADBED_SCAN__ATTEMPTS", "1"),
        ("ROADBED_SCAN__CLAMD", "unix:/nonexistent/clamd.ctl"),
    ];
    let world = World::start(&options).await?;
    let slow = Layer::of_tar(&super::bombs::slow_tar_of(30));
    world.push("endless", &Image::of("cpu", &[slow])).await?;
    let deadline = Instant::now() + Duration::from_mins(2);
    let answer = loop {
        let answer = world.pull("endless").await?;
        if answer.status != 503 {
            break answer;
        }
        ensure!(Instant::now() < deadline, "never decided");
    };
    let warning = answer.expect(&[200])?.require("warning")?.to_owned();
    ensure!(warning.contains("not-scannable"), "{warning}");
    let log = world.server.log();
    ensure!(
        log.contains("layer.cpu") && log.contains("processor time"),
        "{log}"
    );
    Ok(())
}
