//! The brake: what would refuse much of what is in use waits for a person.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    images::{Image, Layer, log4j_core},
    world::{World, facts},
};
use crate::harness::answer::Answer;

/// Refuses images that say not which user they run as, and what is exploited, also where they are in use.
const STRICT: &str = "\
version: 1
rules:
  - {id: user, when: 'image.user == \"\"', decide: refuse, running: refuse, message: name a user}
  - {id: exploited, when: 'finding.kev && finding.fixed', decide: refuse, running: refuse}
";

/// Three images without a user, and one with a user and log4j.
async fn fleet(world: &World) -> Result<()> {
    for seed in ["a", "b", "c"] {
        let layer = Layer::of_files(&[("etc/motd", b"hello\n".to_vec())]);
        let config = json!({ "Labels": { "seed": seed } });
        world.push(seed, &Image::with_config(&[layer], &config)).await?;
    }
    let jar = Layer::of_files(&[("app/log4j-core-2.14.1.jar", log4j_core("2.14.1"))]);
    world.push("log4j", &Image::of("log4j", &[jar])).await?;
    for tag in ["a", "b", "c", "log4j"] {
        world.decided(tag).await?.expect(&[200])?;
    }
    world.until_pulls_are_noted(4).await
}

fn is_held(answer: &Answer) -> bool {
    let warning = answer.header("warning").unwrap_or_default();
    answer.status == 200 && warning.contains("held until a person approves")
}

fn set_policy(world: &World, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    world.roadbed(&["policy", "set", &file.path().to_string_lossy()])?;
    Ok(())
}

/// The changes that are held: number, images, cause.
fn held(world: &World) -> Result<Vec<(u64, u64, String)>> {
    let report = world.roadbed(&["policy", "held", "--output", "json"])?;
    let report: Value = serde_json::from_str(&report)?;
    let changes = report["changes"].as_array().context("no list")?;
    let change = |change: &Value| {
        Some((
            change["change"].as_u64()?,
            change["images"].as_u64()?,
            change["causes"][0]["cause"].as_str()?.to_owned(),
        ))
    };
    changes
        .iter()
        .map(|found| change(found).context("no change"))
        .collect()
}

async fn until_held(world: &World, count: usize) -> Result<Vec<(u64, u64, String)>> {
    for _ in 0..300 {
        let held = held(world)?;
        if held.len() == count {
            return Ok(held);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("not {count} changes are held: {:?}", held(world)?)
}

#[tokio::test]
async fn what_would_refuse_much_of_what_is_in_use_waits_for_a_person() -> Result<()> {
    let mut world = World::start(&[]).await?;
    fleet(&world).await?;
    set_policy(&world, STRICT)?;
    for tag in ["a", "b", "c"] {
        world.until(tag, "held", is_held).await?;
    }
    let first = until_held(&world, 1).await?.remove(0);
    ensure!(first.1 == 3 && first.2 == "policy version 1", "{first:?}");
    let shown = world.roadbed(&["policy", "held"])?;
    ensure!(shown.contains("3 images of 4 in use, 3 now"), "{shown}");
    ensure!(shown.contains("[user] name a user"), "{shown}");
    let decision = world.roadbed(&["decision", "team/app:a"])?;
    ensure!(
        decision.contains("held until an administrator approves"),
        "{decision}"
    );
    ensure!(
        world.server.log().contains("roadbed policy held"),
        "the log does not say so"
    );
    let audit = world.roadbed(&["audit", "--kind", "policy.hold"])?;
    ensure!(audit.contains("policy version 1"), "{audit}");

    // A further generation while something is held, over a restart.
    assert!(world.server.terminate().await.success());
    world.server.start_again().await;
    world.log_in_again();
    world.import(&facts())?;
    world.until("log4j", "held", is_held).await?;
    let both = until_held(&world, 2).await?;
    ensure!(both[0].2 == "advisories of generation 1", "{both:?}");
    ensure!(
        is_held(&world.pull("a").await?),
        "the first change is held no more"
    );
    check_approvals(&world, both[0].0, first.0).await
}

async fn check_approvals(world: &World, second: u64, first: u64) -> Result<()> {
    let approve = |change: u64| world.roadbed(&["policy", "approve", &change.to_string()]);
    let done = approve(first)?;
    ensure!(done.contains("3 images"), "{done}");
    for tag in ["a", "b", "c"] {
        let refused = world.until(tag, "refused", |answer| answer.status == 403).await?;
        ensure!(refused.error_message()?.contains("name a user"));
    }
    ensure!(is_held(&world.pull("log4j").await?), "it was not approved");
    ensure!(approve(first).is_err(), "approved twice");
    approve(second)?;
    world
        .until("log4j", "refused", |answer| answer.status == 403)
        .await?;
    ensure!(held(world)?.is_empty());
    let audit = world.roadbed(&["audit", "--kind", "policy.approve"])?;
    ensure!(audit.contains("admin"), "{audit}");
    Ok(())
}

/// A waiver or a milder policy lets go what is held, and nobody is asked.
#[tokio::test]
async fn what_is_no_longer_refused_is_no_longer_held() -> Result<()> {
    let world = World::start(&[("ROADBED_GATE__BRAKE_FLOOR", "0")]).await?;
    fleet(&world).await?;
    set_policy(&world, STRICT)?;
    until_held(&world, 1).await?;
    set_policy(&world, "version: 1\nrules: []\n")?;
    let is_clean = |answer: &Answer| answer.status == 200 && answer.header("warning").is_none();
    for tag in ["a", "b", "c"] {
        world.until(tag, "clean", is_clean).await?;
    }
    ensure!(held(&world)?.is_empty());
    Ok(())
}

/// Who sets the share to everything has no brake.
#[tokio::test]
async fn the_brake_can_be_switched_off() -> Result<()> {
    let world = World::start(&[("ROADBED_GATE__BRAKE_SHARE", "10000")]).await?;
    fleet(&world).await?;
    set_policy(&world, STRICT)?;
    for tag in ["a", "b", "c"] {
        world.until(tag, "refused", |answer| answer.status == 403).await?;
    }
    ensure!(held(&world)?.is_empty());
    Ok(())
}
